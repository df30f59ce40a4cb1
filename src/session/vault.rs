//! The SQLite file: one row a session, its secrets sealed. The only home of rusqlite.
//!
//! Reading takes no lock and one `SELECT`. Everything that changes a session goes through [`Held`],
//! which exists only while the lock between processes is held, so that what was read is still true
//! when it is written. Rollback journal, `synchronous=EXTRA` and `secure_delete`: a saved token
//! survives a power cut, and a replaced one does not linger in free pages. What is about to be saved
//! has its room on the disk before anything is spent on it (`room.rs`).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, Row, params};
use serde_json::Value;

use crate::failure::{Failed, Failure, Result};
use crate::private::{self, Notice, Privacy};
use crate::provider::keeping::Keeping;
use crate::provider::{ClientAuth, Name, Url};
use crate::secret::{AccessToken, ClientSecret, RefreshToken};
use crate::session::hold::{self, Hold, Queue};
use crate::session::key::Keystore;
use crate::session::room::{self, Room};
use crate::session::seal::{Place, Seal};
use crate::session::{HeldSession, Home, Key, Session, schema};

/// Where sessions are kept.
#[derive(Debug, Clone)]
pub struct Vault {
    database: PathBuf,
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
    issued_at, expires_at, ended_at, client_id, client_auth, token_url, revoke_url, api_url, attempts, failure, models, \
    flight_at";

impl Vault {
    /// A vault in these folders. Nothing is read or made yet.
    pub fn new(data: &Path, key: &Path, state: &Path) -> Self {
        let locks = state.join("locks");
        Self {
            database: data.join("sessions.db"),
            keystore: Keystore::new(key, &locks),
            locks,
            queue: Arc::default(),
            privacy: Privacy::default(),
        }
    }

    /// The same vault, with a word to the person about what had to be mended.
    pub fn telling(self, notice: Notice) -> Self {
        let privacy = Privacy::telling(notice);
        Self { keystore: self.keystore.guarded(privacy.clone()), privacy, ..self }
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
        let Some(connection) = self.open_existing()? else { return Ok(Vec::new()) };
        let listed = connection
            .prepare("SELECT provider FROM session WHERE owner = '' ORDER BY provider")
            .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect());
        match listed {
            Err(error) if is_missing_table(&error) => Ok(Vec::new()),
            listed => listed.map_err(|error| self.broken(&error)),
        }
    }

    /// Keeps the list of models beside a session, as long as it is still this generation's: after
    /// another sign-in it may be another account's.
    ///
    /// # Errors
    /// [`Failure::Store`] where it cannot be written.
    pub fn keep_models(&self, key: &Key, generation: i64, models: &str) -> Result<()> {
        let connection = self.open_for_writing()?;
        connection
            .execute(
                "UPDATE session SET models = ?4 WHERE provider = ?1 AND owner = ?2 AND generation = ?3",
                params![key.provider, key.owner, generation, models],
            )
            .map(drop)
            .map_err(|error| self.broken(&error))
    }

    /// Makes sure that the key opens what is stored; of a great many sessions the first hundred.
    ///
    /// # Errors
    /// [`Failure::Store`] where the key is missing or another one.
    pub fn prove_readable(&self) -> Result<()> {
        self.keystore.check()?;
        let Some(connection) = self.open_existing()? else { return Ok(()) };
        let keys = connection
            .prepare("SELECT provider, owner FROM session ORDER BY owner, provider LIMIT 100")
            .and_then(|mut statement| {
                statement.query_map([], |row| Ok(Key { provider: row.get(0)?, owner: row.get(1)? }))?.collect()
            });
        let keys: Vec<Key> = match keys {
            Err(error) if is_missing_table(&error) => return Ok(()),
            keys => keys.map_err(|error| self.broken(&error))?,
        };
        keys.iter().try_for_each(|key| self.read(key, Stored::unseal_held).map(drop))
    }

    /// Makes the file if need be and a key if there is none, and writes its header once more.
    ///
    /// # Errors
    /// [`Failure::Store`] where a session could not be saved.
    pub fn prove_writable(&self) -> Result<()> {
        let room = || {
            self.database.parent().map_or(Ok(()), |folder| self.privacy.folder(folder))?;
            Room::take(self.database.with_extension("room"), 0, &self.privacy)
        };
        let proven = self.keystore.open_or_make().and_then(|_| {
            drop(room().map_err(|error| self.unusable(&error))?);
            let connection = self.open_for_writing()?;
            let written = connection.pragma_update(None, "user_version", schema::current());
            written.map_err(|error| self.broken(&error))
        });
        // Whatever it was that failed first: a folder that takes no file is the reason.
        proven.map_err(|failure| self.unusable_folder().unwrap_or(failure))
    }

    /// The folder that cannot be made or written to, if there is one.
    fn unusable_folder(&self) -> Option<Failure> {
        let folders = [self.database.parent(), self.keystore.path().parent(), Some(&*self.locks)];
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
        let existing = self.open_existing().map_err(|failure| self.unusable_folder().unwrap_or(failure))?;
        existing.map_or(Ok(()), |connection| self.sound(&connection))
    }

    fn sound(&self, connection: &Connection) -> Result<()> {
        match connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)) {
            Ok(found) if found == "ok" => Ok(()),
            Ok(_) => Err(self.damaged()),
            Err(error) => Err(self.broken(&error)),
        }
    }

    /// A database without our table is one whose first schema never got committed, or is damaged.
    fn empty(&self, connection: &Connection) -> Result<()> {
        match connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)) {
            Ok(0) => self.sound(connection),
            Ok(_) => Err(self.newer(connection).unwrap_or_else(|| self.damaged())),
            Err(error) => Err(self.broken(&error)),
        }
    }

    fn open_existing(&self) -> Result<Option<Connection>> {
        match self.privacy.check(&self.database) {
            Ok(()) => self.connect().map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.unusable(&error)),
        }
    }

    fn open_for_writing(&self) -> Result<Connection> {
        let made = || {
            private::survive_file_limit();
            self.database.parent().map_or(Ok(()), |folder| self.privacy.folder(folder))?;
            // SQLite gives its journal the database's mode, so the database must be born private. A
            // database that is there is not opened here: to close it would, by the rules of POSIX,
            // free every lock that another thread of this process has on it through SQLite.
            match private::create(&self.database) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                _ => self.privacy.check(&self.database),
            }
        };
        made().map_err(|error| self.unusable(&error))?;
        let mut connection = self.connect()?;
        // EXTRA, because FULL does not sync the folder after the journal is deleted: a power cut
        // could bring the journal back, and with it the refresh token that was just spent.
        let prepared = connection
            .execute_batch("PRAGMA secure_delete = ON; PRAGMA synchronous = EXTRA;")
            .and_then(|()| schema::migrate(&mut connection));
        match prepared {
            Ok(version) => self.check_version(version).map(|()| connection),
            Err(error) => Err(self.broken(&error)),
        }
    }

    fn connect(&self) -> Result<Connection> {
        // No SQLITE_OPEN_URI: a path that begins with `file:` is a path. No CREATE: see above.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.database, flags)
            // A folder that cannot be written to can still be read from.
            .or_else(|_| {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                Connection::open_with_flags(&self.database, flags)
            });
        let connection = connection.map_err(|error| self.broken(&error))?;
        connection.busy_timeout(Duration::from_secs(10)).map_err(|error| self.broken(&error))?;
        Ok(connection)
    }

    /// Reads a session's row and opens as much of it as `unseal` does.
    fn read<T>(&self, key: &Key, unseal: impl Fn(Stored, &Seal, &Key) -> Option<T>) -> Result<Option<T>> {
        let Some(connection) = self.open_existing()? else { return Ok(None) };
        let query = format!("SELECT {COLUMNS} FROM session WHERE provider = ?1 AND owner = ?2");
        let row = connection
            .prepare(&query)
            .and_then(|mut statement| statement.query_row([&key.provider, &key.owner], Stored::read).optional());
        let stored = match row {
            Ok(Some(stored)) => stored,
            // Before anybody is told that there is none: damage hides rows, too.
            Ok(None) => return self.sound(&connection).map(|()| None),
            Err(error) if is_missing_table(&error) => return self.empty(&connection).map(|()| None),
            Err(error) => return Err(self.newer(&connection).unwrap_or_else(|| self.broken(&error))),
        };
        let seal = self.keystore.open()?.ok_or_else(|| Failure::Store {
            path: self.keystore.path().to_owned(),
            why: "the key to the stored session is missing".into(),
            cure: format!("put the key file back, or {}", self.keystore.sign_in_anew()),
        })?;
        unseal(stored, &seal, key).map(Some).ok_or_else(|| {
            self.newer(&connection).unwrap_or_else(|| Failure::Store {
                path: self.database.clone(),
                why: format!("the stored session does not open with the key of {}", self.keystore.path().display()),
                cure: format!("put the right key back, or {}", self.keystore.sign_in_anew()),
            })
        })
    }

    /// Why a file could not be understood, if it is because a newer nexus wrote it. Asked only when
    /// something was not understood: the hot path pays nothing for it.
    fn newer(&self, connection: &Connection) -> Option<Failure> {
        let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).ok()?;
        self.check_version(version).err()
    }

    fn check_version(&self, version: i64) -> Result<()> {
        if version <= schema::current() {
            return Ok(());
        }
        Err(Failure::Store {
            path: self.database.clone(),
            why: format!("a newer nexus wrote this file (version {version}); this one leaves it alone"),
            cure: "upgrade nexus".into(),
        })
    }

    fn unusable(&self, error: &io::Error) -> Failure {
        unusable(&self.database, &self.database, error)
    }

    fn damaged(&self) -> Failure {
        Failure::Store {
            path: self.database.clone(),
            why: "this file is damaged; nothing in it was changed".into(),
            cure: "move it away, then run `nexus oauth start` to sign in anew".into(),
        }
    }

    fn broken(&self, error: &rusqlite::Error) -> Failure {
        let path = self.database.clone();
        let (why, cure) = match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => return self.damaged(),
            Some(ErrorCode::DiskFull) => {
                ("the disk is full".to_owned(), "free some space, then run the command again".to_owned())
            }
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => (
                "this file or its folder cannot be written".to_owned(),
                "make both writable, then run the command again".to_owned(),
            ),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
                "another program keeps this file locked".to_owned(),
                "end that program, then run the command again".to_owned(),
            ),
            _ => (error.to_string(), "mend that, then run the command again".to_owned()),
        };
        Failure::Store { path, why, cure }
    }
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
        let database = &self.vault.database;
        let path = database.with_file_name(format!("{}.room", hold::name(&self.key)));
        let size = database.metadata().map_or(0, |found| found.len());
        let room = Room::take(path.clone(), size, &self.vault.privacy);
        let room = room.map_err(|error| unusable(&path, database, &error))?;
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
        self.update("flight_at = COALESCE(flight_at, ?3), attempts = attempts + 1, failure = NULL", now, None::<i64>)
    }

    /// Remembers that the refresh failed, for those who wait for the lock, and since when an answer
    /// may be lost, if one may. Where no failure is given, nothing was sent, and they try for themselves.
    ///
    /// # Errors
    /// [`Failure::Store`].
    pub fn end_refresh(&self, failed: Option<&Failed>, in_doubt: Option<i64>) -> Result<()> {
        let failure = failed.and_then(|failed| serde_json::to_string(failed).ok());
        self.update("flight_at = ?3, failure = ?4", in_doubt, failure)
    }

    /// Marks the session as ended by the server, and which refresh was cut off before, if one was. It
    /// is not deleted: a cron job that finds it so stops knocking.
    ///
    /// # Errors
    /// [`Failure::Store`].
    pub fn mark_ended(&self, now: i64, cut_off: Option<i64>) -> Result<()> {
        self.update("flight_at = ?3, ended_at = ?4", cut_off, Some(now))
    }

    fn update(
        &self,
        assignments: &str,
        flight_at: impl rusqlite::ToSql,
        value: Option<impl rusqlite::ToSql>,
    ) -> Result<()> {
        let connection = self.vault.open_for_writing()?;
        let statement = format!("UPDATE session SET {assignments} WHERE provider = ?1 AND owner = ?2");
        let updated = match value {
            Some(value) => connection.execute(&statement, params![self.key.provider, self.key.owner, flight_at, value]),
            None => connection.execute(&statement, params![self.key.provider, self.key.owner, flight_at]),
        };
        updated.map(drop).map_err(|error| self.vault.broken(&error))
    }

    /// Writes the session whole, in one transaction.
    ///
    /// # Errors
    /// [`Failure::Store`].
    pub fn keep(&self, held: &HeldSession) -> Result<()> {
        self.give_room();
        let seal = self.vault.keystore.open_or_make()?;
        let HeldSession { session, refresh_token, client_secret } = held;
        let sealed = |column, plain: &str| {
            let (provider, owner, generation) = (&*self.key.provider, &*self.key.owner, session.generation);
            seal.seal(Place { provider, owner, column, generation }, plain)
        };
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
        self.vault
            .open_for_writing()?
            .execute(
                "INSERT OR REPLACE INTO session (provider, owner, generation, access_token, refresh_token,
                     client_secret, metadata, token_type, scopes, issued_at, expires_at, client_id, client_auth,
                     token_url, revoke_url, api_url, attempts, models)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
                values,
            )
            .map(drop)
            .map_err(|error| self.vault.broken(&error))
    }

    /// Deletes the session.
    ///
    /// # Errors
    /// [`Failure::Store`].
    pub fn forget(&self) -> Result<()> {
        self.vault
            .open_for_writing()?
            .execute(
                "DELETE FROM session WHERE provider = ?1 AND owner = ?2",
                params![self.key.provider, self.key.owner],
            )
            .map(drop)
            .map_err(|error| self.vault.broken(&error))
    }
}

/// What to do about a file that cannot be used; of a disk without room, what lies beside the database
/// is no file that anybody knows of.
fn unusable(path: &Path, database: &Path, error: &io::Error) -> Failure {
    match room::lacking(error, database) {
        Some((why, cure)) => Failure::Store { path: database.to_owned(), why, cure },
        None => Failure::Store {
            path: path.to_owned(),
            why: error.to_string(),
            cure: "make the file and its folder yours and writable, then run the command again".into(),
        },
    }
}

fn is_missing_table(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(_, Some(text)) if text.starts_with("no such table"))
        || matches!(error, rusqlite::Error::SqlInputError { msg, .. } if msg.starts_with("no such table"))
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
    failure: Option<String>,
    models: Option<String>,
    flight_at: Option<i64>,
}

impl Stored {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
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
            failure: row.get(16)?,
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
        let failed = self.failure.as_deref().and_then(|failure| serde_json::from_str(failure).ok());
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
