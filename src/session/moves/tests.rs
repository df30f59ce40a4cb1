//! The order of the steps, and moves between SQLite stores.

use std::future::{Future as _, poll_fn};
use std::path::Path;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::*;
use crate::oauth::ClientPlace;
use crate::secret::RefreshToken;
use crate::session::key::{KeyBackend, Keystore};
use crate::session::stored::tests::session;
use crate::session::{Session, StoredSession};
use crate::store::{Page, SqliteStore};

const WAIT: Duration = Duration::from_secs(90);

const ONE: &[u8] = &[2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 9];
const OTHER: &[u8] = &[2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 9];

fn record(generation: i64, bytes: &[u8], moved_to: Option<&str>) -> Option<Record> {
    let session = SealedSession { generation, issued_at: 0, expires_at: None, bytes: bytes.to_vec() };
    let moved_to = moved_to.map(str::to_owned);
    Some(Record { session, attempts: 0, refreshing_since: None, ended_at: None, moved_to })
}

#[test]
fn the_next_step_follows_from_the_two_records() {
    let erased = record::erased(ONE);
    let finished = record::finished(ONE);
    for (source, target, step) in [
        (None, None, Step::Gone),
        (None, record(1, ONE, None), Step::Gone),
        (record(1, ONE, None), None, Step::HandOver),
        // A move was interrupted before the source was marked: it may have been refreshed since.
        (record(2, ONE, None), record(1, ONE, Some("a")), Step::HandOver),
        (record(2, ONE, None), record(1, ONE, Some("another name of a")), Step::HandOver),
        (record(1, &erased, Some("b")), record(1, ONE, Some("a")), Step::Activate),
        (record(1, &erased, Some("another name of b")), record(1, ONE, Some("a")), Step::Activate),
        (record(1, &erased, Some("b")), record(5, ONE, None), Step::Finish),
        (record(1, &erased, Some("b")), record(1, OTHER, None), Step::Finish),
        (record(1, &erased, Some("b")), None, Step::Finish),
        (record(1, &finished, Some("b")), record(5, ONE, None), Step::Done),
        (record(1, &finished, Some("another name of b")), record(5, ONE, None), Step::Done),
        (record(1, &finished, Some("b")), record(1, OTHER, None), Step::Done),
        (record(1, &finished, Some("b")), None, Step::Done),
        // It moves back to where its mark is.
        (record(3, ONE, None), record(1, &erased, Some("a")), Step::HandOver),
        (record(3, ONE, Some("b")), record(1, &erased, Some("a")), Step::HandOver),
        (record(1, OTHER, None), record(1, &erased, Some("a")), Step::HandOver),
        (record(1, OTHER, None), record(1, &erased, Some("c")), Step::HandOver),
        (record(3, ONE, None), record(1, &finished, Some("a")), Step::HandOver),
        (record(1, &erased, Some("b")), record(1, &erased, Some("a")), Step::Finish),
        // The next generation was saved after the move, by the holder of a lost lock.
        (record(2, ONE, Some("b")), record(1, ONE, None), Step::HandOver),
        (record(2, ONE, Some("b")), record(1, ONE, Some("a")), Step::HandOver),
        (record(1, ONE, Some("b")), record(2, ONE, Some("a")), Step::Activate),
        (record(1, ONE, Some("b")), record(1, ONE, None), Step::Erase),
        (record(1, ONE, Some("b")), record(2, ONE, None), Step::Erase),
        (record(2, ONE, Some("b")), record(1, OTHER, None), Step::Done),
        (record(1, ONE, None), record(1, ONE, None), Step::Occupied),
        (record(1, ONE, None), record(1, OTHER, None), Step::Occupied),
        // Perhaps the only copy of a session of a third store.
        (record(1, OTHER, None), record(1, ONE, Some("c")), Step::Occupied),
        (record(1, &erased, Some("c")), None, Step::Elsewhere),
        (record(1, &finished, Some("c")), None, Step::Elsewhere),
        (record(1, ONE, Some("c")), record(1, OTHER, Some("a")), Step::Elsewhere),
    ] {
        assert_eq!(next_step(source.as_ref(), target.as_ref(), "a", "b"), step, "{source:?} {target:?}");
    }
}

fn key(owner: &str) -> SessionKey {
    SessionKey { provider: "work".into(), owner: owner.into() }
}

/// The sessions of a store in this home, as a new process opens them. All stores have one key.
fn sessions(home: &Path, store: &str) -> SealedSessions {
    let (data, state) = (home.join(store).join("data"), home.join(store).join("state"));
    let keys = Keystore::new(&home.join("key"), &home.join("state"));
    SealedSessions::in_sqlite(SqliteStore::new(&data, &state, crate::time::now), keys)
}

async fn sign_in(sessions: &SealedSessions, owner: &str, generation: i64) {
    let session = Session { generation, ..session(1_000, None) };
    let refresh_token = Some(RefreshToken::new("r".into()));
    let stored = StoredSession { id: [7; 16], session, refresh_token, client_secret: None };
    sessions.lock(&key(owner), WAIT).await.unwrap().commit(generation - 1, &stored).await.unwrap();
}

async fn is_usable(sessions: &SealedSessions, owner: &str) -> bool {
    match sessions.load(&key(owner)).await {
        Ok(found) => found.is_some(),
        Err(SessionError::Moved { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Whether there is a mark that a sign-in replaces.
async fn has_replaceable_mark(sessions: &SealedSessions, owner: &str) -> bool {
    match sessions.lock(&key(owner), WAIT).await.unwrap().load_to_replace().await {
        Ok(loaded) => loaded.generation > 0 && loaded.session.unwrap().is_none(),
        Err(SessionError::Moved { is_finished: false, .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_move_that_ends_anywhere_leaves_one_usable_session_at_most_and_the_next_one_finishes_it() {
    let signed_in = tempfile::tempdir().unwrap();
    sign_in(&sessions(signed_in.path(), "from"), "", 1).await;
    for polls in 1.. {
        let home = tempfile::tempdir().unwrap();
        for file in ["key/session.key", "from/data/sessions.db"] {
            let copy = home.path().join(file);
            std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
            std::fs::copy(signed_in.path().join(file), copy).unwrap();
        }
        let [from, to] = ["from", "to"].map(|store| sessions(home.path(), store));
        let done = {
            let mut moving = pin!(from.move_to(&to, Some("grace"), |_, _| ()));
            let mut left = polls;
            poll_fn(|cx| match moving.as_mut().poll(cx) {
                Poll::Ready(moved) => Poll::Ready(Some(moved)),
                Poll::Pending => {
                    left -= 1;
                    if left == 0 { Poll::Ready(None) } else { Poll::Pending }
                }
            })
            .await
        };
        assert!(!(is_usable(&from, "").await && is_usable(&to, "grace").await), "both after {polls}");
        let [from, to] = ["from", "to"].map(|store| sessions(home.path(), store));
        let is_replaceable = has_replaceable_mark(&from, "").await;
        assert!(!is_replaceable || is_usable(&to, "grace").await, "a mark of an unfinished move after {polls}");
        assert!(!has_replaceable_mark(&to, "grace").await, "the only copy after {polls}");
        // Another owner is configured meanwhile.
        let again = from.move_to(&to, Some("alan"), |_, _| ()).await.unwrap();
        assert_eq!(again.sessions + again.earlier, 1, "after {polls}");
        let usable = [is_usable(&from, "").await, is_usable(&to, "grace").await, is_usable(&to, "alan").await];
        assert!(usable == [false, true, false] || usable == [false, false, true], "{usable:?} after {polls}");
        assert!(has_replaceable_mark(&from, "").await, "after {polls}");
        if let Some(done) = done {
            assert_eq!(done.unwrap(), MovedSessions { sessions: 1, ..MovedSessions::default() });
            assert_eq!(again, MovedSessions { earlier: 1, ..MovedSessions::default() });
            assert!(polls > 10, "it ended at {polls} points only");
            return;
        }
    }
}

#[tokio::test]
async fn nothing_is_moved_if_one_session_cannot_be() {
    let home = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|store| sessions(home.path(), store));
    sign_in(&from, "", 1).await;
    sign_in(&from, "ada", 1).await;
    let both = from.move_to(&to, Some("ada"), |_, _| ()).await;
    assert!(matches!(both, Err(SessionError::OwnerTaken { .. })), "two sessions of one owner: {both:?}");
    sign_in(&to, "ada", 1).await;
    let occupied = from.move_to(&to, None, |_, _| ()).await;
    assert!(matches!(occupied, Err(SessionError::Occupied { .. })), "{occupied:?}");
    let with_other_key = {
        let keys = Keystore::new(&home.path().join("other"), &home.path().join("other"));
        let folder = home.path().join("third");
        SealedSessions::in_sqlite(SqliteStore::new(&folder, &folder, crate::time::now), keys)
    };
    for with_key in [false, true] {
        if with_key {
            sign_in(&with_other_key, "grace", 1).await;
        }
        let other = from.move_to(&with_other_key, None, |_, _| ()).await;
        assert!(matches!(other, Err(SessionError::OtherKey { .. })), "{other:?}");
    }
    assert!(is_usable(&from, "").await && is_usable(&from, "ada").await);
}

#[tokio::test]
async fn registered_clients_are_moved_and_those_of_the_target_stay() {
    let home = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|store| sessions(home.path(), store));
    sign_in(&from, "ada", 1).await;
    for (store, uri, bytes) in [(&from, "one", b"from"), (&from, "two", b"from"), (&to, "two", b"to..")] {
        store.store().save_client("issuer", uri, bytes.to_vec()).await.unwrap();
    }
    assert_eq!(from.move_to(&to, None, |_, _| ()).await.unwrap().clients, 2);
    for uri in ["one", "two"] {
        assert_eq!(from.store().load_client("issuer", uri).await.unwrap(), None);
    }
    for (uri, bytes) in [("one", b"from"), ("two", b"to..")] {
        assert_eq!(to.store().load_client("issuer", uri).await.unwrap().as_deref(), Some(&bytes[..]));
    }
}

#[tokio::test]
async fn a_store_is_recognized_under_another_name_and_stays_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let [from, to] = ["one", "one"].map(|store| sessions(home.path(), store));
    from.store().save_client("issuer", "uri", b"client".to_vec()).await.unwrap();
    for signed_in in [false, true] {
        if signed_in {
            sign_in(&from, "ada", 1).await;
        }
        let same = from.move_to(&to, None, |_, _| ()).await;
        assert!(matches!(same, Err(SessionError::SameStore { .. })), "{same:?}");
    }
    assert!(is_usable(&from, "ada").await);
    assert_eq!(from.store().load_client("issuer", "uri").await.unwrap().as_deref(), Some(&b"client"[..]));
    let pending = Page { kind: ValueKind::PendingSignIn, after: None, limit: 1, length: None };
    assert_eq!(from.store().sealed_values(pending).await.unwrap(), []);
}

#[tokio::test]
async fn a_session_moves_back_with_what_happened_to_it() {
    let home = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|store| sessions(home.path(), store));
    sign_in(&from, "ada", 1).await;
    from.move_to(&to, None, |_, _| ()).await.unwrap();
    sign_in(&to, "ada", 2).await;
    to.move_to(&from, None, |_, _| ()).await.unwrap();
    assert_eq!(from.load(&key("ada")).await.unwrap().unwrap().generation, 2);
    assert!(!is_usable(&to, "ada").await);
}

#[tokio::test]
async fn what_a_late_holder_saved_is_moved_after_it() {
    let home = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|store| sessions(home.path(), store));
    sign_in(&from, "ada", 1).await;
    let renewed = sessions(home.path(), "copy");
    sign_in(&renewed, "ada", 1).await;
    sign_in(&renewed, "ada", 2).await;
    let renewed = renewed.store().load(&key("ada")).await.unwrap().record.unwrap().session;
    from.move_to(&to, None, |_, _| ()).await.unwrap();
    from.store().lock(&key("ada"), WAIT).await.unwrap().commit(1, &renewed).await.unwrap();
    assert!(!is_usable(&from, "ada").await, "the mark stays");
    assert_eq!(from.move_to(&to, None, |_, _| ()).await.unwrap().sessions, 1);
    assert_eq!(to.load(&key("ada")).await.unwrap().unwrap().generation, 2);
}

#[tokio::test]
async fn the_key_of_a_moved_session_can_be_moved_and_stays() {
    let home = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|store| sessions(home.path(), store));
    sign_in(&from, "ada", 1).await;
    from.move_to(&to, None, |_, _| ()).await.unwrap();
    // The last session that is left takes the key along, which the other store needs.
    sign_in(&from, "grace", 1).await;
    from.lock(&key("grace"), WAIT).await.unwrap().delete().await.unwrap();
    assert!(is_usable(&to, "ada").await);
    // So does the sign-out of a session that replaced the mark.
    let mut locked = from.lock(&key("ada"), WAIT).await.unwrap();
    let generation = locked.load_to_replace().await.unwrap().generation;
    let stored = StoredSession { id: [8; 16], session: session(1_000, None), refresh_token: None, client_secret: None };
    let stored = StoredSession { session: Session { generation: generation + 1, ..stored.session }, ..stored };
    locked.commit(generation, &stored).await.unwrap();
    drop(locked);
    assert!(is_usable(&from, "ada").await);
    from.lock(&key("ada"), WAIT).await.unwrap().delete().await.unwrap();
    assert!(sessions(home.path(), "to").load(&key("ada")).await.unwrap().is_some());
    from.move_key(KeyBackend::File).await.unwrap();
    from.delete_client(&ClientPlace { issuer: "i".into(), redirect_uri: "u".into() }).await.unwrap();
    assert!(is_usable(&to, "ada").await);
}
