//! The protocol: how a person's approval becomes tokens, and how tokens are renewed and revoked.
//!
//! RFC 6749 with PKCE (RFC 7636) through a loopback redirect (RFC 8252), the issuer check of
//! RFC 9207, revocation (RFC 7009), along RFC 9700. No implicit grant, no password grant, no plain
//! PKCE.

pub mod attempt;
pub mod callback;
pub mod endpoint;
mod failure_glue;
pub mod grant;
mod hidden;
pub mod page;
pub mod pkce;
