//! Where sessions are kept.

pub mod database;
