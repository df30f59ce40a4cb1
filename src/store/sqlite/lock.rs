//! The lock of a session: a file lock of the operating system.
//!
//! It serves waiting processes in order, does not block readers, and is released when its holder is killed. The lock
//! file is not deleted, because another process may be waiting for it.
//!
//! Tasks of one process wait in memory first ([`Queue`]), so at most one thread waits for each file. A task that gives
//! up leaves the waiting thread to the next task.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::private_fs::Privacy;
use crate::store::contract::SessionKey;
use crate::store::error::{FileProblem, StoreError};

/// A session's lock; dropping it releases the lock.
#[derive(Debug)]
pub(super) struct SessionLock {
    // Dropped in this order: the next task of this process finds the file unlocked.
    _file: File,
    _permit: tokio::sync::OwnedMutexGuard<()>,
    // Keeps the entry in the queue.
    _waiters: Arc<Waiters>,
}

/// The tasks of this process that wait, by session.
#[derive(Debug, Default)]
pub(super) struct Queue(Mutex<BTreeMap<String, Weak<Waiters>>>);

impl Queue {
    fn of(&self, name: &str) -> Arc<Waiters> {
        let mut by_name = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiters) = by_name.get(name).and_then(Weak::upgrade) {
            return waiters;
        }
        by_name.retain(|_, waiters| waiters.strong_count() > 0);
        let waiters = Arc::default();
        by_name.insert(name.to_owned(), Arc::downgrade(&waiters));
        waiters
    }
}

/// The tasks of this process that wait for one session.
#[derive(Debug, Default)]
struct Waiters {
    permit: Arc<tokio::sync::Mutex<()>>,
    /// Where the waiting thread sends the locked file; none while no thread waits.
    waiter: Mutex<Option<oneshot::Sender<io::Result<File>>>>,
}

impl Waiters {
    /// Receives the locked file. Only the task with the permit may call this.
    fn wait_for(self: &Arc<Self>, name: &str, file: File) -> io::Result<oneshot::Receiver<io::Result<File>>> {
        let (send, receive) = oneshot::channel();
        let mut waiter = self.waiter.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = waiter.replace(send).is_some();
        if !waiting {
            let waiters = self.clone();
            // `std::thread::spawn` panics if the thread cannot be created.
            let spawned = std::thread::Builder::new().name(thread_name(name)).spawn(move || waiters.lock(file));
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
            // If the receiver is gone, the dropped file releases the lock.
            let _ = waiter.send(locked);
        }
    }
}

impl SessionLock {
    /// Waits for the lock.
    ///
    /// A thread waits for other processes: unlike polling, a blocking wait is served in order, and a waiting thread
    /// blocks neither the runtime nor its shutdown.
    ///
    /// # Errors
    /// [`StoreError::Busy`] after `wait`, [`FileProblem::Lock`] if the lock file cannot be used.
    pub(super) async fn acquire(
        folder: &Path,
        key: &SessionKey,
        wait: Duration,
        queue: &Queue,
        privacy: &Privacy,
    ) -> Result<Self, StoreError> {
        let name = name(key);
        let path = folder.join(format!("{name}.lock"));
        let busy = || StoreError::Busy { waited: wait };
        let broken = |error: io::Error| {
            let problem = match FileProblem::refused(error) {
                FileProblem::Refused(error) => FileProblem::Lock(error),
                untrusted => untrusted,
            };
            StoreError::file(&path, problem)
        };
        let waiters = queue.of(&name);
        let until = Instant::now() + wait;
        let permit = match waiters.permit.clone().try_lock_owned() {
            Ok(permit) => permit,
            Err(_) if wait.is_zero() => return Err(busy()),
            Err(_) => tokio::time::timeout_at(until, waiters.permit.clone().lock_owned()).await.map_err(|_| busy())?,
        };
        privacy.folder(folder).map_err(broken)?;
        let file = privacy.open_or_create(&path).map_err(broken)?;
        match file.try_lock() {
            Ok(()) => return Ok(Self { _file: file, _permit: permit, _waiters: waiters }),
            Err(std::fs::TryLockError::WouldBlock) if wait.is_zero() => return Err(busy()),
            Err(std::fs::TryLockError::WouldBlock) => {}
            Err(std::fs::TryLockError::Error(error)) => return Err(broken(error)),
        }
        let receive = waiters.wait_for(&name, file).map_err(broken)?;
        match tokio::time::timeout_at(until, receive).await {
            Ok(Ok(Ok(file))) => Ok(Self { _file: file, _permit: permit, _waiters: waiters }),
            Ok(Ok(Err(error))) => Err(broken(error)),
            Ok(Err(_)) => Err(broken(io::Error::other("the thread that waits for the lock ended"))),
            Err(_) => Err(busy()),
        }
    }
}

/// A name for the session's files that every file system accepts, whatever the owner's name.
pub(super) fn name(key: &SessionKey) -> String {
    let mut hash = Sha256::new();
    hash.update((key.provider.len() as u64).to_le_bytes());
    hash.update(&key.provider);
    hash.update(&key.owner);
    let hex: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("session-{hex}")
}

/// The name of the thread that waits for a session's lock. The kernel keeps 15 bytes of it.
fn thread_name(name: &str) -> String {
    name.replace("session-", "lock-").chars().take(15).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(90);

    /// How many threads of this process wait for this session's lock.
    #[cfg(target_os = "linux")]
    fn waiting(key: &SessionKey) -> usize {
        let waiter = thread_name(&super::name(key));
        let names = std::fs::read_dir("/proc/self/task").unwrap();
        let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        names.map(|task| name(task.unwrap())).filter(|name| name.trim_end() == waiter).count()
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_process_waits_with_one_thread_however_many_want_their_turn() {
        let folder = tempfile::tempdir().unwrap();
        let key = SessionKey { provider: "work".into(), owner: "ada".into() };
        let queue = Arc::new(Queue::default());
        // Held outside of the queue, as by another process.
        let other =
            SessionLock::acquire(folder.path(), &key, WAIT, &Queue::default(), &Privacy::default()).await.unwrap();
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let (folder, key, queue) = (folder.path().to_owned(), key.clone(), queue.clone());
                tokio::spawn(async move {
                    SessionLock::acquire(&folder, &key, WAIT, &queue, &Privacy::default()).await.map(drop)
                })
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
        is_busy(SessionLock::acquire(folder.path(), &key, Duration::ZERO, &queue, &Privacy::default()).await);
        drop(other);
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        // A thread ends a moment after its last statement.
        while waiting(&key) > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[cfg(target_os = "linux")]
    fn is_busy(held: Result<SessionLock, StoreError>) {
        assert!(matches!(held, Err(StoreError::Busy { .. })), "{held:?}");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn who_gives_up_leaves_the_thread_to_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let key = SessionKey { provider: "work".into(), owner: "grace".into() };
        let (queue, privacy) = (Queue::default(), Privacy::default());
        let waits = |limit| SessionLock::acquire(folder.path(), &key, limit, &queue, &privacy);
        let other = SessionLock::acquire(folder.path(), &key, WAIT, &Queue::default(), &privacy).await.unwrap();
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
        // A lock that no task waits for any more is released.
        let other = SessionLock::acquire(folder.path(), &key, WAIT, &Queue::default(), &privacy).await.unwrap();
        is_busy(waits(soon).await);
        drop(other);
        SessionLock::acquire(folder.path(), &key, WAIT, &Queue::default(), &privacy).await.unwrap();
    }
}
