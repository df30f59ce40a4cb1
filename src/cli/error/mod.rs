//! What the command line says about errors of the library.

pub(crate) mod session;
