//! The tests that drive the built program, or the library from outside, against the sandbox on
//! loopback. One program, so that they link once; this is its table of contents.

#[macro_use]
mod nexus;

/// The authorization code flow with PKCE, case by case.
mod pkce;
