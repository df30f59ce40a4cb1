use std::fs;
use std::sync::LazyLock;

use nexus::internal::provider::{Url, config, endpoint_url};
use tempfile::TempDir;

/// What stands for a secret.
const SECRET: &str = "hush-4711";

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

/// A configuration file. What is made of it is safe to use; what is said of one that cannot be used
/// names the file and the way out, on one line, and no secret.
pub(crate) fn holds(input: &[u8]) {
    let path = FOLDER.path().join(format!("{:?}.toml", std::thread::current().id()));
    fs::write(&path, input).unwrap();
    match config::load(&path, &|_| None, Some("work")).or_else(|_| config::load(&path, &|_| None, None)) {
        Ok(configured) => {
            let provider = configured.provider;
            let safe = |url: &Option<Url>| url.as_ref().is_none_or(|url| endpoint_url(url.as_str()).is_ok());
            for url in [
                &provider.authorize_url,
                &provider.token_url,
                &provider.revoke_url,
                &provider.device_url,
                &provider.api.url,
            ] {
                assert!(safe(url), "{url:?}");
            }
            assert!(provider.client.is_none_or(|client| !client.id.value.is_empty()));
            assert_ne!(provider.api.max_tokens, Some(0));
        }
        Err(failure) => {
            let said = format!("{failure} | {}", failure.hint());
            assert_eq!(failure.exit_code(), 2, "{said}");
            assert!(said.contains(".toml") && !said.contains('\n'), "{said}");
            // A secret that stands where no secret belongs is a word like any other.
            let text = String::from_utf8_lossy(input);
            let in_its_place = |line: &str| line.find(SECRET).is_none_or(|at| line[..at].contains("client_secret = '"));
            assert!(!text.lines().all(in_its_place) || !said.contains(SECRET), "{said}");
        }
    }
}
