//! What several commands say about a stored session.

pub(crate) mod sign_out;
pub(crate) mod status;
