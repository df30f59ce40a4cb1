//! The operating system's keyring. The only home of `keyring`.
//!
//! It is asked only where the key file says that it keeps the key, and never waited for without a
//! limit: a Secret Service may be locked, or stuck. Each entry's service is `nexus`, its user name
//! the id of the key.

use zeroize::Zeroizing;

/// Why the keyring was of no use, as the end of "the operating system's keyring ...".
pub(super) type Asked<T> = std::result::Result<T, String>;

/// The service that entries are filed under.
pub(super) const SERVICE: &str = "nexus";

/// The text of an entry, if there is one.
pub(super) fn load(id: &str) -> Asked<Option<Zeroizing<String>>> {
    ask::load(id.to_owned())
}

/// Writes an entry, over one of the same id.
pub(super) fn save(id: &str, text: &str) -> Asked<()> {
    ask::save(id.to_owned(), Zeroizing::new(text.to_owned()))
}

/// Removes an entry. That there is none is as good.
pub(super) fn remove(id: &str) -> Asked<()> {
    ask::remove(id.to_owned())
}

#[cfg(feature = "keyring")]
mod ask {
    use std::sync::LazyLock;
    use std::time::Duration;

    use keyring::v1::{Entry, Error};
    use zeroize::Zeroizing;

    use super::{Asked, SERVICE};
    use crate::session::key::bounded::{Inside, with_deadline};

    /// How long the keyring may take for one answer.
    const LIMIT: Duration = Duration::from_secs(5);

    pub(super) fn load(id: String) -> Asked<Option<Zeroizing<String>>> {
        bounded(move || match entry(&id)?.get_password() {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(why(&error)),
        })
    }

    pub(super) fn save(id: String, text: Zeroizing<String>) -> Asked<()> {
        bounded(move || entry(&id)?.set_password(&text).map_err(|error| why(&error)))
    }

    pub(super) fn remove(id: String) -> Asked<()> {
        bounded(move || match entry(&id)?.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(why(&error)),
        })
    }

    fn bounded<T: Send + 'static>(work: impl FnOnce() -> Asked<T> + Send + 'static) -> Asked<T> {
        static INSIDE: LazyLock<Inside> = LazyLock::new(Inside::default);
        let seconds = LIMIT.as_secs();
        with_deadline(&INSIDE, LIMIT, work).unwrap_or_else(|| {
            Err(format!("did not answer within {seconds} seconds; it may be locked or asking for its password"))
        })
    }

    fn entry(id: &str) -> Asked<Entry> {
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
mod ask {
    use zeroize::Zeroizing;

    use super::Asked;

    pub(super) fn load(_: String) -> Asked<Option<Zeroizing<String>>> {
        Err(absent())
    }

    pub(super) fn save(_: String, _: Zeroizing<String>) -> Asked<()> {
        Err(absent())
    }

    pub(super) fn remove(_: String) -> Asked<()> {
        Err(absent())
    }

    fn absent() -> String {
        "is not supported by this build (cargo feature `keyring`)".into()
    }
}
