//! Encryption at rest: what the database file alone does not reveal. The only home of the cipher.
//!
//! XChaCha20-Poly1305 with a fresh random nonce for every value; the associated data says which
//! provider, owner, column and generation a value belongs to, so that a value copied to another
//! place does not open there. The key lies in its own file, apart from the database: whoever can
//! read both can read the tokens, and SECURITY.md says so.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use rand::TryRng as _;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

use crate::failure::{Failure, Result};
use crate::session::private;

/// What a key file begins with, so that nothing else is taken for one.
const PREFIX: &str = "nexus-key-1 ";

/// The length of XChaCha20's nonce, in bytes. It stands before each sealed value.
const NONCE: usize = 24;

/// Which value of which session something is: the associated data of the cipher.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The session's provider.
    pub provider: &'a str,
    /// The session's owner.
    pub owner: &'a str,
    /// The column.
    pub column: &'a str,
    /// The session's generation.
    pub generation: i64,
}

impl Place<'_> {
    /// Every part with its length before it, so that no two places write the same.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"nexus session 1".to_vec();
        for part in [self.provider, self.owner, self.column] {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part.as_bytes());
        }
        bytes.extend(self.generation.to_le_bytes());
        bytes
    }
}

/// Seals and opens values with one key.
pub struct Seal {
    cipher: XChaCha20Poly1305,
}

impl Seal {
    /// The key in this file, or none where there is no such file.
    ///
    /// # Errors
    /// [`Failure::Store`] where the file is somebody else's, or no key.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        let text = match private::check(path).and_then(|()| fs::read_to_string(path)) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(broken(path, &error.to_string())),
        };
        let bytes = text
            .trim_end()
            .strip_prefix(PREFIX)
            .and_then(|encoded| STANDARD_NO_PAD.decode(encoded).ok())
            .map(Zeroizing::new)
            .ok_or_else(|| broken(path, "this is no nexus key"))?;
        let key = Key::try_from(bytes.as_slice()).map_err(|_| broken(path, "this is no nexus key"))?;
        Ok(Some(Self { cipher: XChaCha20Poly1305::new(&key) }))
    }

    /// The key in this file, made first if there is none.
    ///
    /// # Errors
    /// As [`open`](Self::open), and where the file cannot be written.
    pub fn open_or_make(path: &Path) -> Result<Self> {
        if let Some(seal) = Self::open(path)? {
            return Ok(seal);
        }
        make(path).map_err(|error| broken(path, &format!("the key cannot be written: {error}")))?;
        Self::open(path)?.ok_or_else(|| broken(path, "the key vanished while it was made"))
    }

    /// Seals a value for its place.
    ///
    /// # Errors
    /// [`Failure::System`] where the operating system gives no random nonce.
    pub fn seal(&self, place: Place<'_>, plain: &str) -> Result<Vec<u8>> {
        let failed = |what: String| Failure::System { sentence: format!("sealing a value: {what}") };
        let mut sealed = vec![0; NONCE];
        SysRng.try_fill_bytes(&mut sealed).map_err(|error| failed(error.to_string()))?;
        let nonce = XNonce::try_from(sealed.as_slice()).map_err(|_| failed("the nonce's length".into()))?;
        let payload = Payload { msg: plain.as_bytes(), aad: &place.bytes() };
        sealed.extend(self.cipher.encrypt(&nonce, payload).map_err(|_| failed("the cipher refused".into()))?);
        Ok(sealed)
    }

    /// Opens a value, if it was sealed with this key for this place.
    pub fn unseal(&self, place: Place<'_>, sealed: &[u8]) -> Option<String> {
        let (nonce, text) = sealed.split_at_checked(NONCE)?;
        let nonce = XNonce::try_from(nonce).ok()?;
        let plain = self.cipher.decrypt(&nonce, Payload { msg: text, aad: &place.bytes() }).ok()?;
        String::from_utf8(plain).ok()
    }
}

/// Writes a fresh key whole under another name and links it into place, so that a key file is
/// never seen half-written and of two processes that make one at once the first wins for both.
fn make(path: &Path) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    private::folder(folder)?;
    let mut bytes = Zeroizing::new([0; 32]);
    SysRng.try_fill_bytes(bytes.as_mut()).map_err(io::Error::other)?;
    let line = Zeroizing::new(format!("{PREFIX}{}\n", STANDARD_NO_PAD.encode(bytes.as_ref())));
    // Not named after the process: two of its threads may be here at once, and two containers that
    // share the folder may number theirs alike.
    let mut name = [0; 8];
    SysRng.try_fill_bytes(&mut name).map_err(io::Error::other)?;
    let draft = folder.join(format!(".key.{:016x}", u64::from_le_bytes(name)));
    let written = (|| {
        let mut file = private::create(&draft)?;
        file.write_all(line.as_bytes())?;
        file.sync_all()?;
        match fs::hard_link(&draft, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    })();
    // Whatever became of it, the draft is no longer wanted; that it cannot be removed changes nothing.
    let _ = fs::remove_file(&draft);
    written?;
    private::sync_folder(folder)
}

fn broken(path: &Path, why: &str) -> Failure {
    Failure::Store {
        path: path.to_owned(),
        why: why.to_owned(),
        cure: "put the right key file back, or remove it and run `nexus oauth start` to sign in anew".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place { provider: "p", owner: "o", column: "c", generation: 7 };

    #[test]
    fn a_value_opens_in_its_own_place_only() {
        let folder = tempfile::tempdir().unwrap();
        let seal = Seal::open_or_make(&folder.path().join("key/key")).unwrap();
        let sealed = seal.seal(PLACE, "sk-token").unwrap();
        assert_eq!(seal.unseal(PLACE, &sealed).as_deref(), Some("sk-token"));
        for elsewhere in [
            Place { provider: "q", ..PLACE },
            Place { owner: "", ..PLACE },
            Place { column: "d", ..PLACE },
            Place { generation: 8, ..PLACE },
            Place { provider: "po", owner: "", ..PLACE },
        ] {
            assert_eq!(seal.unseal(elsewhere, &sealed), None, "{elsewhere:?}");
        }
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert_eq!(seal.unseal(PLACE, &bent), None, "byte {at}");
            assert_eq!(seal.unseal(PLACE, &sealed[..at]), None, "cut at {at}");
        }
        assert_ne!(sealed, seal.seal(PLACE, "sk-token").unwrap(), "the nonce is fresh each time");
        assert!(!sealed.windows(8).any(|window| window == b"sk-token"));
    }

    #[test]
    fn threads_that_make_the_key_at_once_get_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let barrier = std::sync::Barrier::new(8);
        let sealed: Vec<_> = std::thread::scope(|scope| {
            let make = || {
                barrier.wait();
                Seal::open_or_make(&path).unwrap().seal(PLACE, "x").unwrap()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let seal = Seal::open(&path).unwrap().unwrap();
        assert!(sealed.iter().all(|sealed| seal.unseal(PLACE, sealed).as_deref() == Some("x")));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left behind");
    }

    #[test]
    fn the_key_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key/key");
        assert!(Seal::open(&path).unwrap().is_none());
        let sealed = Seal::open_or_make(&path).unwrap().seal(PLACE, "x").unwrap();
        make(&path).unwrap();
        assert_eq!(Seal::open_or_make(&path).unwrap().unseal(PLACE, &sealed).as_deref(), Some("x"));
        fs::write(&path, "nonsense").unwrap();
        assert!(Seal::open(&path).is_err());
    }
}
