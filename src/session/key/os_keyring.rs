//! The operating system's keyring. Every call has a time limit, because a Secret Service may be locked or hang. The
//! service of an entry is `nexus`, its user name is the id of the key.

use zeroize::Zeroizing;

/// An error completes a sentence that begins with "the operating system's keyring".
pub(super) type Result<T> = std::result::Result<T, String>;

/// The service of all entries.
pub(super) const SERVICE: &str = "nexus";

/// The text of an entry, if there is one.
pub(super) fn load(id: &str) -> Result<Option<Zeroizing<String>>> {
    backend::load(id.to_owned())
}

/// Writes an entry, replacing one with the same id.
pub(super) fn save(id: &str, text: &str) -> Result<()> {
    backend::save(id.to_owned(), Zeroizing::new(text.to_owned()))
}

/// Removes an entry if it exists.
pub(super) fn remove(id: &str) -> Result<()> {
    backend::remove(id.to_owned())
}

#[cfg(feature = "keyring")]
mod backend {
    use std::sync::LazyLock;
    use std::time::Duration;

    use keyring::v1::{Entry, Error};
    use zeroize::Zeroizing;

    use super::{Result, SERVICE};
    use crate::session::key::deadline::{Threads, with_deadline};

    /// The time limit of one call.
    const LIMIT: Duration = Duration::from_secs(5);

    pub(super) fn load(id: String) -> Result<Option<Zeroizing<String>>> {
        bounded(move || match entry(&id)?.get_password() {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(why(&error)),
        })
    }

    pub(super) fn save(id: String, text: Zeroizing<String>) -> Result<()> {
        bounded(move || entry(&id)?.set_password(&text).map_err(|error| why(&error)))
    }

    pub(super) fn remove(id: String) -> Result<()> {
        bounded(move || match entry(&id)?.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(why(&error)),
        })
    }

    fn bounded<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        static THREADS: LazyLock<Threads> = LazyLock::new(Threads::default);
        let seconds = LIMIT.as_secs();
        with_deadline(&THREADS, LIMIT, work).unwrap_or_else(|| {
            Err(format!("did not answer within {seconds} seconds; it may be locked or asking for its password"))
        })
    }

    fn entry(id: &str) -> Result<Entry> {
        if let Err(error) = Entry::store_status() {
            return Err(why(error));
        }
        Entry::new(SERVICE, id).map_err(|error| why(&error))
    }

    fn why(error: &Error) -> String {
        format!("cannot be used: {}", crate::clean::clean(&error.to_string()))
    }
}

#[cfg(not(feature = "keyring"))]
mod backend {
    use zeroize::Zeroizing;

    use super::Result;

    pub(super) fn load(_: String) -> Result<Option<Zeroizing<String>>> {
        Err(absent())
    }

    pub(super) fn save(_: String, _: Zeroizing<String>) -> Result<()> {
        Err(absent())
    }

    pub(super) fn remove(_: String) -> Result<()> {
        Err(absent())
    }

    fn absent() -> String {
        "is not supported by this build (cargo feature `keyring`)".into()
    }
}
