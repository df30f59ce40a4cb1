//! OAuth 2.0: how a user's approval becomes tokens, and how tokens are refreshed and revoked.
//!
//! The authorization code flow of RFC 6749 with PKCE (RFC 7636, S256 only) through a loopback redirect (RFC 8252), the
//! issuer check of RFC 9207 and revocation (RFC 7009), following RFC 9700. There is no implicit grant, no password grant
//! and no plain PKCE.

mod authorization_code;
mod error;
pub mod page;
pub mod pkce;
mod redirect_listener;
mod revocation;
mod token;
mod token_error;
mod token_failure;
mod token_response;

pub use authorization_code::{AuthorizationRequest, Verdict};
pub use error::SignInError;
pub use redirect_listener::RedirectListener;
pub(crate) use token::Endpoint;
pub(crate) use token_error::TokenError;
pub use token_failure::TokenFailure;
pub use token_response::{TokenResponse, account};
pub(crate) use token_response::{are_two_people, grant_id, joined};
