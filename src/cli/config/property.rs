//! Properties that hold for any configuration file.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use nexus::Url;
use nexus::internal::provider::endpoint_url;
use proptest::prelude::*;
use tempfile::TempDir;

use super::{ConfigFiles, load};

const SECRET: &str = "hush-4711";

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

const PIECES: &[&str] = &[
    "default = 'work'\n",
    "[provider.work]\n",
    "[provider.claude_code]\n",
    "client_id = 'c'\n",
    "client_id = ''\n",
    "client_secret = 'hush-4711'\n",
    "client_secret = 'hush-4711",
    "client_secret_file = 'none'\n",
    "client_auth = 'basic'\n",
    "token_url = 'https://id.example.com/t'\n",
    "token_url = 'http://id.example.com/t'\n",
    "api_url = 'http://localhost:1/'\n",
    "max_tokens = 0\n",
    "max_tokens = 1\n",
    "scopes = ['a']\n",
    "authorize_params = { a = 'b' }\n",
    "api_headers = { 'x y' = 'z' }\n",
    "key = 'file'\n",
    "key = 'passphrase'\n",
    "passphrase_command = ['pass', 'show']\n",
    "unknown = 1\n",
    "[",
    "]",
    "=",
    "\"",
    "'''",
    "\n",
    "#",
];

/// A provider that is loaded has safe values. An error is one line that names the file and contains no secret.
fn check(input: &[u8]) {
    let path = FOLDER.path().join(format!("{:?}.toml", std::thread::current().id()));
    fs::write(&path, input).unwrap();
    let path = ConfigFiles::of_user(path);
    match load(&path, &|_| None, Some("work"), &Vec::new).or_else(|_| load(&path, &|_| None, None, &Vec::new)) {
        Ok(configured) => {
            let provider = configured.provider;
            let safe = |url: &Option<Url>| url.as_ref().is_none_or(|url| endpoint_url(url.as_str()).is_ok());
            for url in [
                &provider.authorize_url,
                &provider.token_url,
                &provider.par_url,
                &provider.userinfo_url,
                &provider.revoke_url,
                &provider.device_url,
                &provider.api.url,
            ] {
                assert!(safe(url), "{url:?}");
            }
            assert!(provider.client.is_none_or(|client| !client.id.is_empty()));
            assert_ne!(provider.api.max_tokens, Some(0));
        }
        Err(failure) => {
            let error = format!("{failure} | {}", failure.hint());
            assert_eq!(failure.exit_code(), 2, "{error}");
            assert!(error.contains(".toml") && !error.contains('\n'), "{error}");
            // A secret in a place where none belongs may be quoted.
            let text = String::from_utf8_lossy(input);
            let in_its_place = |line: &str| line.find(SECRET).is_none_or(|at| line[..at].contains("client_secret = '"));
            assert!(!text.lines().all(in_its_place) || !error.contains(SECRET), "{error}");
        }
    }
}

/// The pieces in any order, with other bytes between them.
fn files() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn of_any_file(input in files()) {
        check(&input);
    }
}

#[test]
fn of_every_file_of_the_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/properties/corpus/config");
    let files: Vec<_> = fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    for path in files {
        let input = fs::read(&path).unwrap();
        let held = std::panic::catch_unwind(|| check(&input));
        assert!(held.is_ok(), "{} breaks a property", path.display());
    }
}
