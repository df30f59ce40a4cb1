//! What several commands say about a stored session.

pub(crate) mod models;
pub(crate) mod sign_out;
pub(crate) mod status;
