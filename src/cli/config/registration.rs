//! The token of a registration endpoint. It is in a file that only a sign-in reads.

use std::path::PathBuf;
use std::sync::Arc;

use super::Configured;
use super::keys::Section;
use super::source::Source;
use crate::cli::error::Result;
use nexus::RegistrationToken;

const KEY: &str = "registration_token_file";

/// A file with an initial access token (RFC 7591, section 1.2).
#[derive(Debug)]
pub(super) struct TokenFile {
    source: Source,
    file: PathBuf,
}

impl Section {
    pub(super) fn token_file(&self) -> Option<TokenFile> {
        let file = self.registration_token_file.clone()?;
        Some(TokenFile { source: self.source.clone(), file })
    }
}

impl Configured {
    /// Reads the token, if there is a file with one and no client is configured.
    pub(crate) fn read_registration_token(&mut self) -> Result<()> {
        let Some(TokenFile { source, file }) = self.token_file.take().filter(|_| self.provider.client.is_none()) else {
            return Ok(());
        };
        const WHAT: &str = "the token";
        let token = source.read_secret(KEY, &file, WHAT, &mut self.warnings)?;
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let why = "has characters that are not allowed in a token";
            return Err(source.unusable(KEY, &file, why, &format!("write only {WHAT} into the file")));
        }
        self.provider.registration.token = Some(Arc::new(RegistrationToken::new(token.as_str().to_owned())));
        Ok(())
    }
}
