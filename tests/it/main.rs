//! The tests that drive the built program, or the library from outside, against the sandbox on
//! loopback. One program, so that they link once; this is its table of contents.

#[macro_use]
mod nexus;

/// `nexus oauth logout`.
mod oauth_logout;
/// `nexus oauth status`.
mod oauth_status;
/// `nexus oauth token`.
mod oauth_token;
/// The authorization code flow with PKCE, case by case.
mod pkce;
