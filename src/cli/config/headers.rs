//! The headers of a provider's requests. A value may be in a file.

use std::sync::Arc;

use super::checks::is_header_value;
use super::keys::{HeaderFile, HeaderKey, Section};
use super::kind::{Header, HeaderValue};
use crate::cli::error::Result;
use nexus::HeaderSecret;

impl HeaderKey {
    fn name(self) -> &'static str {
        match self {
            Self::Code => "code_headers",
            Self::Refresh => "refresh_headers",
            Self::Api => "api_headers",
        }
    }
}

impl Section {
    /// Sets the headers of a key. Those in files follow in [`read_header_files`](Self::read_header_files).
    pub(super) fn set_headers(&mut self, key: HeaderKey, headers: Vec<Header>) {
        let provider = &mut self.provider;
        match key {
            HeaderKey::Code => provider.code.headers.clear(),
            HeaderKey::Refresh => provider.refresh.headers.clear(),
            HeaderKey::Api => {}
        }
        for Header { name, value, .. } in headers {
            match value {
                HeaderValue::File(file) => self.header_files.push(HeaderFile { key, name, file }),
                HeaderValue::Text(text) => self.set_header(key, name, HeaderSecret::new(text)),
            }
        }
    }

    fn set_header(&mut self, key: HeaderKey, name: String, value: HeaderSecret) {
        let provider = &mut self.provider;
        match key {
            HeaderKey::Code => drop(provider.code.headers.insert(name, Arc::new(value))),
            HeaderKey::Refresh => drop(provider.refresh.headers.insert(name, Arc::new(value))),
            HeaderKey::Api => provider.api.set_header(&name, value),
        }
    }

    pub(super) fn read_header_files(&mut self, warnings: &mut Vec<String>) -> Result<()> {
        const WHAT: &str = "the value of the header";
        for HeaderFile { key, name, file } in std::mem::take(&mut self.header_files) {
            let place = format!("{}.{name}", key.name());
            let value = self.source.read_secret(&place, &file, WHAT, warnings)?;
            if !is_header_value(&value) {
                let (why, hint) =
                    ("has characters that are not allowed in a header", format!("write only {WHAT} into the file"));
                return Err(self.source.unusable(&place, &file, why, &hint));
            }
            self.set_header(key, name, HeaderSecret::new(value.as_str().to_owned()));
        }
        Ok(())
    }
}
