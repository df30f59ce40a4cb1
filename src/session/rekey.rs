//! Replaces the keys of a store by a new one in another backend.

use std::sync::Arc;

use super::error::SessionError;
use super::key::{Begun, KeyBackend, Moved};
use super::sealed::{SealedSessions, off_thread};
use crate::store::{Page, SessionKey, ValueKind};

impl SealedSessions {
    /// Whose sessions a move of the key seals again: each session's place, and its account where it is known. Opens the
    /// key in whatever backend it is, and changes nothing.
    ///
    /// # Errors
    /// If the store cannot be read, or a session does not open.
    pub async fn accounts(&self) -> Result<Vec<(SessionKey, Option<String>)>, SessionError> {
        let readable = self.of_any_backend();
        let mut accounts = Vec::new();
        for listed in self.store().list(None).await?.into_iter().filter(|listed| listed.moved_to.is_none()) {
            let Some(session) = readable.load(&listed.key).await? else { continue };
            accounts.push((listed.key, session.account().map(str::to_owned)));
        }
        Ok(accounts)
    }

    /// Replaces the keys by a new one in this backend, and seals everything in the store with it. Removes what a killed
    /// move left behind. Returns the result, and why the leftovers could not be removed.
    ///
    /// If it is interrupted, everything still opens, and the next move finishes it. Other processes that share the
    /// key's folder notice the new key. On other machines, replace their copy of the key file.
    ///
    /// # Errors
    /// If there are sessions and no key, if the keys do not open every session, or if the new backend does not accept a
    /// key: then nothing is changed. If the store cannot be written, all keys stay in use until the next move.
    pub async fn move_key(&self, backend: KeyBackend) -> Result<(Moved, Option<String>), SessionError> {
        if self.keystore().find()?.is_none() {
            self.check_readable().await?;
        }
        let (keys, active) = (self.keystore().clone(), self.store().active_key().await?);
        let begin = move || Ok(keys.begin_move(backend, active.as_deref())?);
        let rekey = match off_thread(begin).await? {
            Begun::Done(moved, left) => return Ok((moved, left)),
            Begun::Both(rekey) => Arc::new(rekey),
        };
        let readable = self.of_any_backend();
        let checked = readable.check_all(rekey.seal()).await;
        if let Err(error) = checked {
            off_thread(move || Ok(rekey.abandon()?)).await?;
            return Err(error);
        }
        self.store().activate_key(rekey.seal().id(), false).await?;
        readable.reseal_all(rekey.seal()).await?;
        let finishing = rekey.clone();
        let left = off_thread(move || Ok(finishing.finish()?)).await?;
        Ok((Moved::From(rekey.from()), left))
    }

    /// Removes the key from a plain file if nothing is sealed with it. The next session gets a new key.
    pub(super) async fn remove_unused_key(&self) -> Result<(), SessionError> {
        if self.keystore().is_shared() {
            return Ok(());
        }
        let keys = self.keystore().clone();
        // A process that uses the key is about to save something.
        let Some(held) = off_thread(move || Ok(keys.hold_plain()?)).await? else { return Ok(()) };
        for kind in ValueKind::ALL {
            let page = Page { kind, after: None, limit: 1, length: Some(0) };
            if !self.store().sealed_values(page).await?.is_empty() {
                return Ok(());
            }
        }
        off_thread(move || Ok(held.remove()?)).await
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;
    use crate::secret::RefreshToken;
    use crate::session::key::{KeyConfig, KeyError, Keystore, PassphraseSource};
    use crate::session::stored::tests::session;
    use crate::session::{Session, StoredSession};
    use crate::store::{MemoryStore, SqliteStore};

    const WAIT: Duration = Duration::from_secs(90);

    fn key(owner: &str) -> SessionKey {
        SessionKey { provider: "work".into(), owner: owner.into() }
    }

    fn keystore(home: &Path) -> Keystore {
        let passphrase = home.join("pass");
        fs::write(&passphrase, "correct horse").unwrap();
        let config = KeyConfig { passphrase: Some(PassphraseSource::File(passphrase)), ..KeyConfig::default() };
        Keystore::new(&home.join("key"), &home.join("state")).with_config(config)
    }

    /// The sessions of a home, as a new process opens them.
    fn sessions(home: &Path) -> SealedSessions {
        let store = SqliteStore::new(&home.join("data"), &home.join("state"), crate::time::now);
        SealedSessions::in_sqlite(store, keystore(home))
    }

    fn stored(generation: i64) -> StoredSession {
        let session = Session { generation, ..session(1_000, None) };
        StoredSession { id: [7; 16], session, refresh_token: Some(RefreshToken::new("r".into())), client_secret: None }
    }

    /// A home with a session of each owner.
    async fn signed_in(owners: &[&str]) -> (TempDir, SealedSessions) {
        let home = tempfile::tempdir().unwrap();
        let sessions = sessions(home.path());
        for owner in owners {
            sessions.lock(&key(owner), WAIT).await.unwrap().commit(0, &stored(1)).await.unwrap();
        }
        (home, sessions)
    }

    fn key_file(home: &Path) -> String {
        fs::read_to_string(home.join("key/session.key")).unwrap()
    }

    async fn assert_open(sessions: &SealedSessions, owner: &str, generation: i64) {
        let found = sessions.load(&key(owner)).await.unwrap().unwrap();
        assert_eq!(found.generation, generation, "{owner}");
    }

    #[tokio::test]
    async fn a_move_that_stops_anywhere_leaves_a_store_that_opens_and_the_next_one_finishes_it() {
        for (replaced, next) in [false, true]
            .into_iter()
            .flat_map(|replaced| [KeyBackend::Passphrase, KeyBackend::File].map(|next| (replaced, next)))
        {
            let (home, sessions) = signed_in(&["ada", "grace"]).await;
            let Ok(Begun::Both(rekey)) = sessions.keystore().begin_move(KeyBackend::Passphrase, None) else {
                panic!("there is a key in a file")
            };
            if replaced {
                sessions.of_any_backend().reseal_all(rekey.seal()).await.unwrap();
            }
            // The process ends here.
            drop((rekey, sessions));
            assert_eq!(key_file(home.path()).lines().count(), 2);
            let other = self::sessions(home.path());
            assert_open(&other, "ada", 1).await;
            let mut locked = other.lock(&key("grace"), WAIT).await.unwrap();
            locked.load().await.unwrap().session.unwrap().unwrap();
            locked.commit(1, &stored(2)).await.unwrap();
            drop(locked);
            assert_open(&other, "grace", 2).await;
            let (moved, left) = other.move_key(next).await.unwrap();
            assert!(matches!(moved, Moved::From(_)) && left.is_none(), "{moved:?} {left:?}");
            assert_eq!(key_file(home.path()).lines().count(), 1, "the old key is gone");
            assert_eq!(other.keystore().find().unwrap().unwrap().backend, next);
            assert_open(&other, "ada", 1).await;
            assert_open(&other, "grace", 2).await;
        }
    }

    #[tokio::test]
    async fn a_move_waits_for_a_session_that_is_being_saved() {
        let (home, sessions) = signed_in(&["ada"]).await;
        let other = self::sessions(home.path());
        let mut locked = other.lock(&key("ada"), WAIT).await.unwrap();
        let mut current = locked.load().await.unwrap().session.unwrap().unwrap();
        locked.begin_refresh(&mut current.session).await.unwrap();
        let moving = tokio::spawn(async move { sessions.move_key(KeyBackend::Passphrase).await });
        // The new tokens exist only here now, and only the key that is held can seal them.
        assert!(other.keystore().hold_plain().unwrap().is_none());
        tokio::task::yield_now().await;
        locked.commit(1, &stored(2)).await.unwrap();
        drop(locked);
        assert_eq!(moving.await.unwrap().unwrap().0, Moved::From(KeyBackend::File));
        assert_open(&other, "ada", 2).await;
    }

    #[tokio::test]
    async fn another_process_notices_the_new_key() {
        let (home, sessions) = signed_in(&["ada"]).await;
        let other = self::sessions(home.path());
        other.load(&key("ada")).await.unwrap().unwrap();
        for backend in [KeyBackend::Passphrase, KeyBackend::File] {
            sessions.move_key(backend).await.unwrap();
            other.load(&key("ada")).await.unwrap().unwrap();
            assert!(other.try_load(&key("ada")).unwrap().unwrap().is_some());
        }
    }

    #[tokio::test]
    async fn a_session_that_does_not_open_stops_the_move_and_nothing_is_changed() {
        let (home, sessions) = signed_in(&["ada"]).await;
        let right = key_file(home.path());
        fs::write(home.path().join("key/session.key"), format!("nexus-key-1 {}\n", "A".repeat(43))).unwrap();
        let wrong = key_file(home.path());
        let refused = sessions.move_key(KeyBackend::Passphrase).await;
        assert!(matches!(refused, Err(SessionError::Key(KeyError::NotHere { .. }))), "{refused:?}");
        assert_eq!(key_file(home.path()), wrong);
        fs::write(home.path().join("key/session.key"), right).unwrap();
        assert_open(&sessions, "ada", 1).await;
        fs::remove_file(home.path().join("key/session.key")).unwrap();
        let refused = sessions.move_key(KeyBackend::Passphrase).await;
        assert!(matches!(refused, Err(SessionError::Key(KeyError::Missing { .. }))), "{refused:?}");
    }

    #[tokio::test]
    async fn a_pending_sign_in_survives_a_move() {
        let (_home, sessions) = signed_in(&[]).await;
        sessions.put_pending(&key("ada"), "state", b"value", WAIT).await.unwrap();
        sessions.move_key(KeyBackend::Passphrase).await.unwrap();
        let elsewhere = SessionKey { provider: "play".into(), ..key("ada") };
        sessions.put_pending(&elsewhere, "other", b"value", WAIT).await.unwrap();
        assert!(sessions.take_pending(&key("ada"), "other").await.unwrap().is_none(), "another provider's");
        assert_eq!(sessions.take_pending(&key("ada"), "state").await.unwrap().unwrap().as_slice(), b"value");
    }

    #[tokio::test]
    async fn the_last_session_takes_its_key_along() {
        let (home, sessions) = signed_in(&["ada", "grace"]).await;
        let before = key_file(home.path());
        sessions.lock(&key("ada"), WAIT).await.unwrap().delete().await.unwrap();
        assert_eq!(key_file(home.path()), before, "another session needs it");
        sessions.put_pending(&key("alan"), "state", b"value", WAIT).await.unwrap();
        sessions.lock(&key("grace"), WAIT).await.unwrap().delete().await.unwrap();
        assert_eq!(key_file(home.path()), before, "a pending sign-in needs it");
        assert!(sessions.take_pending(&key("alan"), "state").await.unwrap().is_some());
        sessions.lock(&key("alan"), WAIT).await.unwrap().commit(0, &stored(1)).await.unwrap();
        sessions.lock(&key("alan"), WAIT).await.unwrap().delete().await.unwrap();
        assert!(sessions.keystore().find().unwrap().is_none());
        sessions.lock(&key("ada"), WAIT).await.unwrap().commit(0, &stored(1)).await.unwrap();
        assert_ne!(key_file(home.path()), before);
        assert_open(&sessions, "ada", 1).await;
    }

    #[tokio::test]
    async fn a_sign_in_beside_the_last_sign_out_keeps_or_creates_its_key() {
        let (home, sessions) = signed_in(&["ada"]).await;
        let other = self::sessions(home.path());
        other.check_writable().await.unwrap();
        let mut locked = other.lock(&key("grace"), WAIT).await.unwrap();
        locked.reserve().await.unwrap();
        sessions.lock(&key("ada"), WAIT).await.unwrap().delete().await.unwrap();
        locked.commit(0, &stored(1)).await.unwrap();
        drop(locked);
        assert_open(&sessions, "grace", 1).await;
        // The key disappears between the check and the reservation.
        other.check_writable().await.unwrap();
        sessions.lock(&key("grace"), WAIT).await.unwrap().delete().await.unwrap();
        assert!(sessions.keystore().find().unwrap().is_none());
        let mut locked = other.lock(&key("ada"), WAIT).await.unwrap();
        locked.reserve().await.unwrap();
        locked.commit(0, &stored(1)).await.unwrap();
        drop(locked);
        assert_open(&sessions, "ada", 1).await;
    }

    #[tokio::test]
    async fn a_key_that_other_machines_may_have_stays() {
        let home = tempfile::tempdir().unwrap();
        let sessions = SealedSessions::new(Arc::new(MemoryStore::new(crate::time::now)), keystore(home.path()));
        sessions.lock(&key("ada"), WAIT).await.unwrap().commit(0, &stored(1)).await.unwrap();
        sessions.lock(&key("ada"), WAIT).await.unwrap().delete().await.unwrap();
        assert!(sessions.keystore().find().unwrap().is_some());
        sessions.lock(&key("ada"), WAIT).await.unwrap().commit(0, &stored(1)).await.unwrap();
        sessions.move_key(KeyBackend::Passphrase).await.unwrap();
        assert!(sessions.load(&key("ada")).await.unwrap().is_some(), "a store in memory is sealed again, too");
    }
}
