//! nexus

pub mod failure;
pub mod http;
pub mod moment;
pub mod oauth;
pub mod provider;
pub mod secret;
pub mod session;
pub mod terminal;
