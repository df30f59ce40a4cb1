//! The token of a registration endpoint. It is in a file that only a sign-in reads.

use std::path::PathBuf;
use std::sync::Arc;

use super::Configured;
use super::checks::warn_if_readable;
use super::keys::Section;
use super::source::Source;
use crate::cli::error::Result;
use nexus::RegistrationToken;
use nexus::internal::invisible;

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
        let (bytes, path) = (source.read(KEY, &file)?, source.beside(&file));
        let token = invisible::trim(std::str::from_utf8(&bytes).unwrap_or("\0"));
        let why = match token {
            "" => "is empty",
            token if !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
                "has characters that are not allowed in a token"
            }
            _ => "",
        };
        if !why.is_empty() {
            let why = format!("points to {}, which {why}", path.display());
            return Err(source.invalid(KEY, &why, "put only the token into the file"));
        }
        warn_if_readable(&path, &mut self.warnings);
        self.provider.registration.token = Some(Arc::new(RegistrationToken::new(token.to_owned())));
        Ok(())
    }
}
