//! The OAuth 2.0 client: sign-in, refresh and revocation.
//!
//! It implements the authorization code flow of RFC 6749 with PKCE (RFC 7636, S256 only) and a loopback redirect (RFC
//! 8252), the issuer check of RFC 9207, dynamic client registration (RFC 7591), pushed authorization requests (RFC
//! 9126), resource indicators (RFC 8707), the device flow (RFC 8628), JWT assertions (RFC 7523), token exchange (RFC
//! 8693), revocation (RFC 7009), and the ID token and the UserInfo endpoint of OpenID Connect Core, following RFC 9700.

mod authorization_code;
mod device_authorization;
mod device_pace;
mod discovery;
mod error;
mod failed_request;
mod id_token;
mod metadata;
pub mod page;
pub mod pkce;
mod pushed_request;
mod redirect_listener;
mod refusal;
mod registration;
mod revocation;
mod token;
mod token_error;
mod token_failure;
mod token_response;
mod userinfo;
mod without_user;

pub use authorization_code::{AUTHORIZATION_PARAMETERS, AuthorizationRequest, Verdict};
pub use device_authorization::DeviceAuthorization;
pub(crate) use device_authorization::{Poll, Undecided};
pub(crate) use device_pace::{Waited, poll_until_decided};
pub use discovery::{ApiAnswer, DiscoveryError, Found, Probe, ProtectedResource, answer_of_api, base_of, search};
pub use error::SignInError;
pub use id_token::IdTokenProblem;
pub(crate) use id_token::{ExpectedIdToken, IdToken};
pub(crate) use metadata::without_slash;
pub use metadata::{MetadataError, ServerMetadata};
pub use redirect_listener::{RedirectListener, ResponseSender};
pub(crate) use registration::RegistrationRequest;
pub use registration::{ClientPlace, RegisteredClient};
pub(crate) use token::Endpoint;
pub use token::TOKEN_REQUEST_FIELDS;
pub(crate) use token_error::{TokenError, is_client_error, with_note};
pub use token_failure::TokenFailure;
pub use token_response::{TokenResponse, account};
pub(crate) use token_response::{accounts_differ, grant_id, is_named, merge_metadata};
pub(crate) use userinfo::userinfo;
pub(crate) use without_user::Credential;
