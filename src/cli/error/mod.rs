//! What a person can do about an error.

#[cfg_attr(not(test), expect(dead_code, reason = "the command line still reads hints from `Failure`"))]
mod api;
pub(crate) mod session;
