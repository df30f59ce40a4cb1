//! One process at a time: the lock around refresh, save and logout.
//!
//! An operating system's lock on a file of its own, not SQLite's: it queues fairly, may be held
//! over the network without making readers wait, and the kernel frees it when its holder is killed.
//! The file is never deleted, because a process that waits on a deleted file waits on nothing.
//!
//! Only another process is waited for by a thread. Whoever waits in the same process queues in
//! memory first ([`Queue`]), so that a web application with a thousand requests for one expired
//! session has at most one thread waiting for it. Who gives up leaves the thread to the next one, and
//! its place in the kernel's queue with it: a process that holds the lock for hours costs one thread,
//! not one for every ninety seconds. A library with very many owners has as many lock
//! files, each empty: one inode an owner that ever refreshed, in `state/locks/`, which may be cleared
//! while nothing runs.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::failure::{Failure, Result};
use crate::private_fs::Privacy;
use crate::session::Key;

/// How long to wait for the lock: the holder may be using up a whole token request, and one more
/// may have been ahead in the queue.
pub const WAIT: Duration = Duration::from_secs(90);

/// The lock, for as long as this lives.
#[derive(Debug)]
pub struct Hold {
    // Let go in this order: whoever is next in this process finds the file unlocked.
    _file: File,
    _turn: tokio::sync::OwnedMutexGuard<()>,
    // While somebody holds it, it is not forgotten.
    _line: Arc<Line>,
}

/// Who of this process waits for which session. One that nobody waits for is forgotten.
#[derive(Debug, Default)]
pub struct Queue(Mutex<BTreeMap<String, Weak<Line>>>);

impl Queue {
    fn of(&self, name: &str) -> Arc<Line> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(name).and_then(Weak::upgrade) {
            return line;
        }
        lines.retain(|_, line| line.strong_count() > 0);
        let line = Arc::default();
        lines.insert(name.to_owned(), Arc::downgrade(&line));
        line
    }
}

/// Those of this process who wait for one session.
#[derive(Debug, Default)]
struct Line {
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Whom the thread that waits for the lock hands it to; none while no thread waits.
    waiter: Mutex<Option<oneshot::Sender<io::Result<File>>>>,
}

impl Line {
    /// Where the locked file comes in. For whoever has the turn, as there is one place for it.
    fn wait_for(self: &Arc<Self>, name: &str, file: File) -> io::Result<oneshot::Receiver<io::Result<File>>> {
        let (send, receive) = oneshot::channel();
        let mut waiter = self.waiter.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = waiter.replace(send).is_some();
        if !waiting {
            let line = self.clone();
            // `std::thread::spawn` would panic where there are too many threads.
            let spawned = std::thread::Builder::new().name(thread_name(name)).spawn(move || line.lock(file));
            if let Err(error) = spawned {
                *waiter = None;
                return Err(error);
            }
        }
        Ok(receive)
    }

    fn lock(&self, file: File) {
        let locked = file.lock().map(|()| file);
        let mut waiter = self.waiter.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiter) = waiter.take() {
            // Where nobody receives it any more, dropping the file frees the lock.
            let _ = waiter.send(locked);
        }
    }
}

impl Hold {
    /// Waits for its turn on this session.
    ///
    /// The waiting is done by a thread of its own: a blocking wait queues where polling would
    /// starve, and a thread that is left behind in it neither blocks a runtime nor its end.
    ///
    /// # Errors
    /// [`Failure::Busy`] after this limit, [`Failure::Store`] where the lock file cannot be used.
    pub(super) async fn wait(
        folder: &Path,
        key: &Key,
        limit: Duration,
        queue: &Queue,
        privacy: &Privacy,
    ) -> Result<Self> {
        let name = name(key);
        let path = folder.join(format!("{name}.lock"));
        let busy = || Failure::Busy { waited: limit.as_secs().try_into().unwrap_or(i64::MAX) };
        let broken = |error: io::Error| Failure::Store {
            path: path.clone(),
            why: format!("the lock cannot be taken: {error}"),
            cure: "make the folder writable, then run the command again".into(),
        };
        let line = queue.of(&name);
        let until = Instant::now() + limit;
        let turn = match line.turn.clone().try_lock_owned() {
            Ok(turn) => turn,
            Err(_) if limit.is_zero() => return Err(busy()),
            Err(_) => tokio::time::timeout_at(until, line.turn.clone().lock_owned()).await.map_err(|_| busy())?,
        };
        privacy.folder(folder).map_err(broken)?;
        let file = privacy.open_or_create(&path).map_err(broken)?;
        match file.try_lock() {
            Ok(()) => return Ok(Self { _file: file, _turn: turn, _line: line }),
            Err(std::fs::TryLockError::WouldBlock) if limit.is_zero() => return Err(busy()),
            Err(std::fs::TryLockError::WouldBlock) => {}
            Err(std::fs::TryLockError::Error(error)) => return Err(broken(error)),
        }
        let receive = line.wait_for(&name, file).map_err(broken)?;
        match tokio::time::timeout_at(until, receive).await {
            Ok(Ok(Ok(file))) => Ok(Self { _file: file, _turn: turn, _line: line }),
            Ok(Ok(Err(error))) => Err(broken(error)),
            Ok(Err(_)) => Err(Failure::System { sentence: "the thread that waits for the lock ended".into() }),
            Err(_) => Err(busy()),
        }
    }
}

/// A name for the session's own files that any file system takes, whatever the owner is called.
pub(super) fn name(key: &Key) -> String {
    let mut hash = Sha256::new();
    hash.update((key.provider.len() as u64).to_le_bytes());
    hash.update(&key.provider);
    hash.update(&key.owner);
    let hex: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("session-{hex}")
}

/// What the thread that waits for a session's lock is called. The kernel keeps fifteen letters.
fn thread_name(name: &str) -> String {
    name.replace("session-", "turn-").chars().take(15).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many threads of this process wait for this session's lock.
    #[cfg(target_os = "linux")]
    fn waiting(key: &Key) -> usize {
        let waiter = thread_name(&super::name(key));
        let names = std::fs::read_dir("/proc/self/task").unwrap();
        let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        names.map(|task| name(task.unwrap())).filter(|name| name.trim_end() == waiter).count()
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_process_waits_with_one_thread_however_many_want_their_turn() {
        let folder = tempfile::tempdir().unwrap();
        let key = Key { provider: "work".into(), owner: "ada".into() };
        let queue = Arc::new(Queue::default());
        // Held by somebody who is not in the queue, as another process is not.
        let other = Hold::wait(folder.path(), &key, WAIT, &Queue::default(), &Privacy::default()).await.unwrap();
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let (folder, key, queue) = (folder.path().to_owned(), key.clone(), queue.clone());
                tokio::spawn(
                    async move { Hold::wait(&folder, &key, WAIT, &queue, &Privacy::default()).await.map(drop) },
                )
            })
            .collect();
        // The first of them has its thread once it has a name; by then the others have been here, too.
        while waiting(&key) == 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(waiting(&key), 1);
        assert_eq!(
            Hold::wait(folder.path(), &key, Duration::ZERO, &queue, &Privacy::default()).await.map(drop),
            Err(Failure::Busy { waited: 0 })
        );
        drop(other);
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        // The system lets a thread go a moment after its last word.
        while waiting(&key) > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[cfg(target_os = "linux")]
    fn is_busy(held: Result<Hold>) {
        assert!(matches!(held, Err(Failure::Busy { .. })), "{held:?}");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn who_gives_up_leaves_the_thread_to_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let key = Key { provider: "work".into(), owner: "grace".into() };
        let (queue, privacy) = (Queue::default(), Privacy::default());
        let waits = |limit| Hold::wait(folder.path(), &key, limit, &queue, &privacy);
        let other = Hold::wait(folder.path(), &key, WAIT, &Queue::default(), &privacy).await.unwrap();
        let soon = Duration::from_millis(1);
        is_busy(waits(soon).await);
        while waiting(&key) == 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..10 {
            is_busy(waits(soon).await);
        }
        assert_eq!(waiting(&key), 1);
        let (next, ()) = tokio::join!(waits(WAIT), async { drop(other) });
        drop(next.unwrap());
        while waiting(&key) > 0 {
            tokio::task::yield_now().await;
        }
        // A lock that comes when nobody wants it any more is given back.
        let other = Hold::wait(folder.path(), &key, WAIT, &Queue::default(), &privacy).await.unwrap();
        is_busy(waits(soon).await);
        drop(other);
        Hold::wait(folder.path(), &key, WAIT, &Queue::default(), &privacy).await.unwrap();
    }
}
