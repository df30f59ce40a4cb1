//! The sessions' file: one row a session, its secrets sealed.
//!
//! Reading takes no lock and one `SELECT`. Everything that changes a session goes through [`Held`],
//! which exists only while the lock between processes is held, so that what was read is still true
//! when it is written. The list of models alone is kept without it ([`Vault::keep_models`]): that is
//! one statement, which does nothing where the generation has moved on. Rollback journal,
//! `synchronous=EXTRA` and `secure_delete`: a saved token survives a power cut, and a replaced one does
//! not linger in free pages. What is about to be saved has its room on the disk before anything is
//! spent on it (`room.rs`).

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::private_fs::{Notice, Privacy};
use crate::provider::{ClientAuth, Name, Url};
use crate::secret::{AccessToken, ClientSecret, RefreshToken};
use crate::session::hold::{self, Hold, Queue};
use crate::session::key::Keeping;
use crate::session::key::Keystore;
use crate::session::room::Room;
use crate::session::schema::SESSIONS;
use crate::session::seal::{Place, Seal};
use crate::session::{FailedRefresh, HeldSession, Home, Key, Session};
use crate::store::database::{Connection, Database, Older, OptionalExtension as _, Row, Rows, params};

/// Where sessions are kept.
#[derive(Debug, Clone)]
pub struct Vault {
    database: Database,
    keystore: Keystore,
    locks: PathBuf,
    queue: Arc<Queue>,
    privacy: Privacy,
}

/// A session while its lock is held: the only way to its refresh token and to changing it.
#[derive(Debug)]
pub struct Held {
    vault: Vault,
    key: Key,
    // Given back before the next one has its turn.
    room: Mutex<Option<Room>>,
    _hold: Hold,
}

const COLUMNS: &str = "generation, access_token, refresh_token, client_secret, metadata, token_type, scopes, \
    issued_at, expires_at, ended_at, client_id, client_auth, token_url, revoke_url, api_url, attempts, failed, models, \
    flight_at";

impl Vault {
    /// A vault in these folders. Nothing is read or made yet.
    pub fn new(data: &Path, key: &Path, state: &Path) -> Self {
        let locks = state.join("locks");
        Self {
            database: Database::new(data.join("sessions.db"), &SESSIONS, Privacy::default()),
            keystore: Keystore::new(key, &locks),
            locks,
            queue: Arc::default(),
            privacy: Privacy::default(),
        }
    }

    /// The same vault, with a word to the person about what had to be mended.
    pub fn telling(self, notice: Notice) -> Self {
        let privacy = Privacy::telling(notice);
        let (database, keystore) = (self.database.guarded(privacy.clone()), self.keystore.guarded(privacy.clone()));
        Self { database, keystore, privacy, ..self }
    }

    /// The same vault, its key kept as the configuration says.
    pub fn keeping(self, keeping: Keeping) -> Self {
        Self { keystore: self.keystore.keeping(keeping), ..self }
    }

    /// The same vault, asked for a session with this provider: what it complains of names the command that
    /// signs in there.
    pub fn naming(self, provider: &Name) -> Self {
        Self { keystore: self.keystore.naming(provider), ..self }
    }

    /// The key to it.
    pub fn keystore(&self) -> &Keystore {
        &self.keystore
    }

    /// The session under this key, if there is one. Its refresh token stays sealed.
    ///
    /// # Errors
    /// [`Failure::Store`] where the file or its key cannot be used.
    pub fn look(&self, key: &Key) -> Result<Option<Session>> {
        self.read(key, Stored::unseal)
    }

    /// Waits for this session's turn, so long at most.
    ///
    /// # Errors
    /// [`Failure::Busy`] or [`Failure::Store`].
    pub async fn hold(&self, key: &Key, limit: Duration) -> Result<Held> {
        let hold = Hold::wait(&self.locks, key, limit, &self.queue, &self.privacy).await?;
        Ok(Held { vault: self.clone(), key: key.clone(), room: Mutex::default(), _hold: hold })
    }

    /// Every provider that the command line's owner has a session with.
    ///
    /// # Errors
    /// [`Failure::Store`] where the file cannot be read.
    pub fn providers(&self) -> Result<Vec<String>> {
        let query = "SELECT provider FROM session WHERE owner = '' ORDER BY provider";
        self.database.rows(query, [], |row| row.get(0))
    }

    /// Keeps the list of models beside a session, as long as it is still this generation's: after
    /// another sign-in it may be another account's.
    ///
    /// # Errors
    /// [`Failure::Store`] where it cannot be written.
    pub fn keep_models(&self, key: &Key, generation: i64, models: &str) -> Result<()> {
        self.database.execute(
            "UPDATE session SET models = ?4 WHERE provider = ?1 AND owner = ?2 AND generation = ?3",
            params![key.provider, key.owner, generation, models],
        )
    }

    /// Makes sure that the key opens what is stored; of a great many sessions the first hundred.
    ///
    /// # Errors
    /// [`Failure::Store`] where the key is missing or another one.
    pub fn prove_readable(&self) -> Result<()> {
        self.keystore.check()?;
        let query = "SELECT provider, owner FROM session ORDER BY owner, provider LIMIT 100";
        let keys = self.database.rows(query, [], |row| Ok(Key { provider: row.get(0)?, owner: row.get(1)? }))?;
        keys.iter().try_for_each(|key| self.read(key, Stored::unseal_held).map(drop))
    }

    /// Makes the file if need be and a key if there is none, and writes its header once more.
    ///
    /// # Errors
    /// [`Failure::Store`] where a session could not be saved.
    pub fn prove_writable(&self) -> Result<()> {
        let path = self.database.path();
        let room = || {
            path.parent().map_or(Ok(()), |folder| self.privacy.folder(folder))?;
            Room::take(path.with_extension("room"), 0, &self.privacy)
        };
        let proven = self.keystore.open_or_make().and_then(|_| {
            drop(room().map_err(|error| self.database.unusable(&error))?);
            self.database.prove_writable()
        });
        // Whatever it was that failed first: a folder that takes no file is the reason.
        proven.map_err(|failure| self.unusable_folder().unwrap_or(failure))
    }

    /// The folder that cannot be made or written to, if there is one.
    fn unusable_folder(&self) -> Option<Failure> {
        let folders = [self.database.path().parent(), self.keystore.path().parent(), Some(&*self.locks)];
        folders.into_iter().flatten().find_map(|folder| {
            let why = self.privacy.prove_folder(folder).err()?;
            let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(folder);
            let cure = format!(
                "make {} a folder of yours that can be written to, or set NEXUS_HOME to another one",
                there.display()
            );
            Some(Failure::Store { path: folder.to_owned(), why, cure })
        })
    }

    /// Makes sure that the file, if there is one, is whole: damage that a session would be saved into
    /// is found before anybody is sent to sign in.
    ///
    /// # Errors
    /// [`Failure::Store`] where it is damaged.
    pub fn prove_sound(&self) -> Result<()> {
        let existing = self.database.open_existing();
        let existing = existing.map_err(|failure| self.unusable_folder().unwrap_or(failure))?;
        existing.map_or(Ok(()), |connection| self.database.sound(&connection))
    }

    /// Reads a session's row and opens as much of it as `unseal` does.
    fn read<T>(&self, key: &Key, unseal: impl Fn(Stored, &Seal, &Key) -> Option<T>) -> Result<Option<T>> {
        let Some(connection) = self.database.open_existing()? else { return Ok(None) };
        let row = match row(&connection, key) {
            Err(error) => match self.database.misunderstood(&connection, &error)? {
                Older::Empty => return Ok(None),
                Older::Mended => row(&connection, key).map_err(|error| self.database.broken(&error))?,
            },
            Ok(row) => row,
        };
        // Before anybody is told that there is none: damage hides rows, too.
        let Some(stored) = row else { return self.database.sound(&connection).map(|()| None) };
        let seal = self.keystore.open()?.ok_or_else(|| Failure::Store {
            path: self.keystore.path().to_owned(),
            why: "the key to the stored session is missing".into(),
            cure: format!("put the key file back, or {}", self.keystore.sign_in_anew()),
        })?;
        unseal(stored, &seal, key).map(Some).ok_or_else(|| {
            self.database.newer(&connection).unwrap_or_else(|| Failure::Store {
                path: self.database.path().to_owned(),
                why: format!("the stored session does not open with the key of {}", self.keystore.path().display()),
                cure: format!("put the right key back, or {}", self.keystore.sign_in_anew()),
            })
        })
    }
}

fn row(connection: &Connection, key: &Key) -> Rows<Option<Stored>> {
    connection
        .prepare(&format!("SELECT {COLUMNS} FROM session WHERE provider = ?1 AND owner = ?2"))
        .and_then(|mut statement| statement.query_row([&key.provider, &key.owner], Stored::read).optional())
}

impl Held {
    /// The session as it is now, with what only the holder may see.
    ///
    /// # Errors
    /// [`Failure::Store`] where the file or its key cannot be used.
    pub fn look(&self) -> Result<Option<HeldSession>> {
        self.vault.read(&self.key, Stored::unseal_held)
    }

    /// Holds room on the disk for what is about to be bought, until it is kept or this ends.
    ///
    /// # Errors
    /// [`Failure::Store`]; then nothing must be spent.
    pub fn make_room(&self) -> Result<()> {
        let database = self.vault.database.path();
        let path = database.with_file_name(format!("{}.room", hold::name(&self.key)));
        let size = database.metadata().map_or(0, |found| found.len());
        let room = Room::take(path.clone(), size, &self.vault.privacy);
        let room = room.map_err(|error| self.vault.database.unusable_beside(&path, &error))?;
        *self.room.lock().unwrap_or_else(PoisonError::into_inner) = Some(room);
        Ok(())
    }

    fn give_room(&self) {
        drop(self.room.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Commits that a refresh token is about to be spent. This proves that the store can be
    /// written, and tells the next process what may have happened should this one die. The answer to
    /// an earlier one may be lost already; then that one's time stays.
    ///
    /// # Errors
    /// [`Failure::Store`]; then the token must not be spent.
    pub fn begin_refresh(&self, now: i64) -> Result<()> {
        self.make_room()?;
        self.vault.database.execute(
            "UPDATE session SET flight_at = COALESCE(flight_at, ?3), attempts = attempts + 1, failed = NULL
             WHERE provider = ?1 AND owner = ?2",
            params![self.key.provider, self.key.owner, now],
        )
    }

    /// Remembers that the refresh of this generation failed, for those who wait for the lock, and since
    /// when an answer may be lost, if one may. Where no failure is given, nothing was sent, and they try
    /// for themselves.
    ///
    /// # Errors
    /// [`Failure::Store`].
    pub fn end_refresh(&self, generation: i64, failed: Option<&FailedRefresh>, in_doubt: Option<i64>) -> Result<()> {
        // What cannot be sealed is not told, as a server's words may name the account.
        let failed = failed.and_then(|failed| {
            let told = serde_json::to_string(failed).ok()?;
            self.sealed(&self.vault.keystore.open().ok()??, generation, "failed", &told).ok()
        });
        self.vault.database.execute(
            "UPDATE session SET flight_at = ?3, failed = ?4 WHERE provider = ?1 AND owner = ?2",
            params![self.key.provider, self.key.owner, in_doubt, failed],
        )
    }

    /// Marks the session as ended by the server, and which refresh was cut off before, if one was. It
    /// is not deleted: a cron job that finds it so stops knocking.
    ///
    /// # Errors
    /// [`Failure::Store`].
    pub fn mark_ended(&self, now: i64, cut_off: Option<i64>) -> Result<()> {
        self.vault.database.execute(
            "UPDATE session SET flight_at = ?3, ended_at = ?4 WHERE provider = ?1 AND owner = ?2",
            params![self.key.provider, self.key.owner, cut_off, now],
        )
    }

    fn sealed(&self, seal: &Seal, generation: i64, column: &str, plain: &str) -> Result<Vec<u8>> {
        let (provider, owner) = (&*self.key.provider, &*self.key.owner);
        seal.seal(Place { provider, owner, column, generation }, plain)
    }

    /// Writes the session whole, in one transaction.
    ///
    /// # Errors
    /// [`Failure::Store`].
    pub fn keep(&self, held: &HeldSession) -> Result<()> {
        self.give_room();
        let seal = self.vault.keystore.open_or_make()?;
        let HeldSession { session, refresh_token, client_secret } = held;
        let sealed = |column, plain: &str| self.sealed(&seal, session.generation, column, plain);
        let optional = |column, plain: Option<&str>| plain.map(|plain| sealed(column, plain)).transpose();
        let metadata = Value::Object(session.metadata.clone()).to_string();
        let home = &session.home;
        let values = params![
            self.key.provider,
            self.key.owner,
            session.generation,
            sealed("access_token", session.access_token.expose())?,
            optional("refresh_token", refresh_token.as_ref().map(RefreshToken::expose))?,
            optional("client_secret", client_secret.as_ref().map(ClientSecret::expose))?,
            sealed("metadata", &metadata)?,
            session.token_type,
            session.scopes.join(" "),
            session.issued_at,
            session.expires_at,
            home.client_id,
            home.client_auth.as_str(),
            home.token_url.as_str(),
            home.revoke_url.as_ref().map(Url::as_str),
            home.api_url.as_ref().map(Url::as_str),
            session.attempts,
            session.models,
        ];
        self.vault.database.execute(
            "INSERT OR REPLACE INTO session (provider, owner, generation, access_token, refresh_token, client_secret,
                 metadata, token_type, scopes, issued_at, expires_at, client_id, client_auth, token_url, revoke_url,
                 api_url, attempts, models)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
            values,
        )
    }

    /// Deletes the session.
    ///
    /// # Errors
    /// [`Failure::Store`].
    pub fn forget(&self) -> Result<()> {
        self.vault.database.execute(
            "DELETE FROM session WHERE provider = ?1 AND owner = ?2",
            params![self.key.provider, self.key.owner],
        )
    }
}

/// A time that can be reckoned with: anybody may have written into the file.
fn within_time(at: i64) -> i64 {
    /// The end of the year 9999.
    const END: i64 = 253_402_300_799;
    at.clamp(-END, END)
}

/// A row as it lies in the file.
struct Stored {
    generation: i64,
    access_token: Vec<u8>,
    refresh_token: Option<Vec<u8>>,
    client_secret: Option<Vec<u8>>,
    metadata: Vec<u8>,
    token_type: String,
    scopes: String,
    issued_at: i64,
    expires_at: Option<i64>,
    ended_at: Option<i64>,
    client_id: String,
    client_auth: String,
    token_url: String,
    revoke_url: Option<String>,
    api_url: Option<String>,
    attempts: i64,
    failed: Option<Vec<u8>>,
    models: Option<String>,
    flight_at: Option<i64>,
}

impl Stored {
    fn read(row: &Row<'_>) -> Rows<Self> {
        Ok(Self {
            generation: row.get(0)?,
            access_token: row.get(1)?,
            refresh_token: row.get(2)?,
            client_secret: row.get(3)?,
            metadata: row.get(4)?,
            token_type: row.get(5)?,
            scopes: row.get(6)?,
            issued_at: row.get(7)?,
            expires_at: row.get(8)?,
            ended_at: row.get(9)?,
            client_id: row.get(10)?,
            client_auth: row.get(11)?,
            token_url: row.get(12)?,
            revoke_url: row.get(13)?,
            api_url: row.get(14)?,
            attempts: row.get(15)?,
            failed: row.get(16)?,
            models: row.get(17)?,
            flight_at: row.get(18)?,
        })
    }

    /// The session without what only its holder may see, if it opens with this key and means
    /// something.
    fn unseal(self, seal: &Seal, key: &Key) -> Option<Session> {
        let url = |text: Option<String>| match text {
            Some(text) => Url::parse(&text).ok().map(Some),
            None => Some(None),
        };
        // One that means nothing is none: whoever waited tries for himself.
        let failed = self.failed.as_deref().and_then(|failed| self.open(seal, key, "failed", failed));
        let failed = failed.and_then(|failed| serde_json::from_str(&failed).ok());
        Some(Session {
            generation: self.generation,
            access_token: AccessToken::new(self.open(seal, key, "access_token", &self.access_token)?),
            metadata: serde_json::from_str(&self.open(seal, key, "metadata", &self.metadata)?).ok()?,
            token_type: self.token_type,
            scopes: self.scopes.split_whitespace().map(String::from).collect(),
            issued_at: within_time(self.issued_at),
            expires_at: self.expires_at.map(within_time),
            home: Home {
                client_id: self.client_id,
                client_auth: ClientAuth::from_word(&self.client_auth)?,
                token_url: Url::parse(&self.token_url).ok()?,
                revoke_url: url(self.revoke_url)?,
                api_url: url(self.api_url)?,
            },
            refreshable: self.refresh_token.is_some(),
            ended_at: self.ended_at,
            attempts: self.attempts,
            failed,
            models: self.models,
            flight_at: self.flight_at,
        })
    }

    /// The session with what only its holder may see.
    fn unseal_held(self, seal: &Seal, key: &Key) -> Option<HeldSession> {
        let optional = |column, sealed: &Option<Vec<u8>>| match sealed {
            Some(sealed) => self.open(seal, key, column, sealed).map(Some),
            None => Some(None),
        };
        let refresh_token = optional("refresh_token", &self.refresh_token)?.map(RefreshToken::new);
        let client_secret = optional("client_secret", &self.client_secret)?.map(ClientSecret::new);
        Some(HeldSession { session: self.unseal(seal, key)?, refresh_token, client_secret })
    }

    fn open(&self, seal: &Seal, key: &Key, column: &str, sealed: &[u8]) -> Option<String> {
        let (provider, owner, generation) = (&*key.provider, &*key.owner, self.generation);
        seal.unseal(Place { provider, owner, column, generation }, sealed)
    }
}
