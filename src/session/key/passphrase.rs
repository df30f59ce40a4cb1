//! The key wrapped with a passphrase.
//!
//! The passphrase is stretched with Argon2id (RFC 9106) into a key that seals the data key. The cost parameters are
//! stored beside the wrapped key, so that they can be raised later. They have a maximum, so that a key file cannot
//! exhaust the machine.

use std::fmt;
use std::io::{self, Read as _};
use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rand::TryRng as _;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

use super::command;
use super::config::PassphraseSource;
use super::data_key::DataKey;
use super::error::KeyError;
use crate::credential_command::CommandError;
use crate::invisible;
use crate::secret::Passphrase;
use crate::session::seal::Cipher;
use crate::trusted_file;

/// The cost of a new wrapping: memory (in KiB) and passes of RFC 9106's second recommendation, with one lane.
const COST: Cost = Cost { memory: 64 * 1024, passes: 3, lanes: 1 };

/// The maximum in a key file: 1 GiB.
const BOUND: Cost = Cost { memory: 1024 * 1024, passes: 16, lanes: 16 };

const SALT: usize = 16;

/// The longest passphrase, in bytes.
const LONGEST: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    memory: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        let mut part = |name| parts.next()?.strip_prefix(name)?.parse::<u32>().ok();
        let cost = Self { memory: part("m=")?, passes: part("t=")?, lanes: part("p=")? };
        let bounded = cost.memory <= BOUND.memory && cost.passes <= BOUND.passes && cost.lanes <= BOUND.lanes;
        (bounded && parts.next().is_none() && cost.params().is_some()).then_some(cost)
    }

    fn params(self) -> Option<Params> {
        Params::new(self.memory, self.passes, self.lanes, Some(32)).ok()
    }
}

/// The wrapped data key.
#[derive(Clone)]
pub(super) struct Wrapped {
    /// The id of the data key.
    pub(super) id: String,
    cost: Cost,
    salt: Vec<u8>,
    sealed: Vec<u8>,
}

impl Wrapped {
    /// Wraps a key.
    pub(super) fn wrap(key: &DataKey, passphrase: &Passphrase) -> Result<Self, KeyError> {
        let mut salt = vec![0; SALT];
        SysRng
            .try_fill_bytes(&mut salt)
            .map_err(|error| KeyError::System { attempt: "creating a salt", description: error.to_string() })?;
        let mut wrapped = Self { id: key.id(), cost: COST, salt, sealed: Vec::new() };
        let no_memory = || "Argon2 found no memory".to_owned();
        let failed = |description| KeyError::System { attempt: "stretching the passphrase", description };
        let cipher = wrapped.stretch(passphrase).ok_or_else(no_memory).map_err(failed)?;
        let sealed = cipher.seal(wrapped.header().as_bytes(), key.bytes());
        wrapped.sealed =
            sealed.map_err(|error| KeyError::System { attempt: "wrapping the key", description: error.to_string() })?;
        Ok(wrapped)
    }

    /// The key, if this is its passphrase.
    pub(super) fn unwrap(&self, passphrase: &Passphrase) -> Option<DataKey> {
        let bytes = self.stretch(passphrase)?.open(self.header().as_bytes(), &self.sealed)?;
        DataKey::from_bytes(&bytes).filter(|key| key.id() == self.id)
    }

    pub(super) fn parse(id: &str, cost: &str, salt: &str, sealed: &str) -> Option<Self> {
        let salt = STANDARD_NO_PAD.decode(salt).ok().filter(|salt| salt.len() == SALT)?;
        Some(Self { id: id.to_owned(), cost: Cost::parse(cost)?, salt, sealed: STANDARD_NO_PAD.decode(sealed).ok()? })
    }

    fn stretch(&self, passphrase: &Passphrase) -> Option<Cipher> {
        let mut out = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.cost.params()?)
            .hash_password_into(passphrase.expose().as_bytes(), &self.salt, out.as_mut())
            .ok()?;
        DataKey::from_bytes(out.as_ref()).map(|key| Cipher::new(&key))
    }

    /// Everything but the sealed key, whose associated data it is.
    fn header(&self) -> String {
        let Cost { memory, passes, lanes } = self.cost;
        let salt = STANDARD_NO_PAD.encode(&self.salt);
        format!("{} argon2id m={memory},t={passes},p={lanes} {salt}", self.id)
    }
}

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.header(), STANDARD_NO_PAD.encode(&self.sealed))
    }
}

/// Reads the passphrase of this key file. `hidden_variables` are removed from the environment of a command. `on_wait`
/// makes the function that is called if the program of this name takes long.
///
/// # Errors
/// [`KeyError::Untrusted`], [`KeyError::PassphraseMissing`], [`KeyError::CommandTimedOut`].
pub(super) fn read_from<W: FnOnce() + Send + 'static>(
    source: &PassphraseSource,
    hidden_variables: &[String],
    key: &Path,
    on_wait: impl FnOnce(String) -> W,
) -> Result<Passphrase, KeyError> {
    let missing = |description| KeyError::PassphraseMissing { path: key.to_owned(), description };
    let (bytes, whose) = match source {
        PassphraseSource::File(path) => {
            let whose = format!("passphrase_file {}", path.display());
            let unreadable = |error| {
                KeyError::untrusted(path, &error).unwrap_or_else(|| missing(format!("{whose} cannot be read: {error}")))
            };
            (read(path).map_err(unreadable)?, whose)
        }
        PassphraseSource::Command(words) => {
            let command = command::of(words, hidden_variables);
            let on_wait = on_wait(command.program().to_owned());
            let program = command.program().to_owned();
            let whose = format!("passphrase_command `{program}`");
            let output = command::run(command, LONGEST, on_wait).map_err(|why| match why {
                CommandError::TimedOut(limit) => {
                    KeyError::CommandTimedOut { setting: "passphrase_command", program, limit }
                }
                why => missing(format!("{whose} {why}")),
            })?;
            (output, whose)
        }
    };
    passphrase(&bytes, &whose).map_err(missing)
}

fn passphrase(bytes: &[u8], whose: &str) -> Result<Passphrase, String> {
    if bytes.len() > LONGEST {
        return Err(format!("{whose} gives more than {LONGEST} bytes"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| format!("{whose} gives no UTF-8 text"))?;
    // Editors and `echo` add a line end, and some programs a byte order mark.
    match invisible::trim(text) {
        "" => Err(format!("{whose} gives an empty passphrase")),
        text => Ok(Passphrase::new(text.to_owned())),
    }
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(256));
    trusted_file::open(path)?.take(LONGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrase(text: &str) -> Passphrase {
        Passphrase::new(text.into())
    }

    #[test]
    fn a_wrapped_key_opens_with_its_passphrase_only() {
        let key = DataKey::random().unwrap();
        let wrapped = Wrapped::wrap(&key, &phrase("correct horse")).unwrap();
        let written = wrapped.to_string();
        let words: Vec<&str> = written.split(' ').collect();
        let [id, "argon2id", cost, salt, sealed] = words[..] else { panic!("{written}") };
        let read = Wrapped::parse(id, cost, salt, sealed).unwrap();
        assert_eq!(read.unwrap(&phrase("correct horse")).map(|key| *key.bytes()), Some(*key.bytes()));
        assert!(read.unwrap(&phrase("correct horsf")).is_none());
        let cheaper = Wrapped { cost: Cost { passes: 2, ..COST }, ..read };
        assert!(cheaper.unwrap(&phrase("correct horse")).is_none());
    }

    #[test]
    fn a_file_cannot_ask_for_the_whole_machine() {
        assert_eq!(Cost::parse("m=65536,t=3,p=1"), Some(COST));
        for cost in [
            "m=4294967295,t=3,p=1",
            "m=65536,t=4294967295,p=1",
            "m=65536,t=3,p=16777215",
            "m=1048577,t=3,p=1",
            "m=7,t=3,p=1",
            "m=65536,t=0,p=1",
            "m=65536,t=3",
            "m=65536,t=3,p=1,",
            "t=3,m=65536,p=1",
            "",
        ] {
            assert_eq!(Cost::parse(cost), None, "{cost}");
        }
    }

    #[test]
    fn a_passphrase_file_may_have_been_saved_by_any_editor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase.txt");
        let passphrase = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_from(&PassphraseSource::File(path.clone()), &[], &path, |_| || ())
        };
        for text in ["correct horse", "correct horse\n", "\u{feff}correct horse\r\n", " correct horse \n\n"] {
            assert_eq!(passphrase(text).unwrap().expose(), "correct horse", "{text:?}");
        }
        assert!(passphrase("\u{feff}\r\n").unwrap_err().to_string().ends_with(" gives an empty passphrase"));
    }
}
