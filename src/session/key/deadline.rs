//! A time limit for blocking calls that may never return, such as those of a keyring.

use std::sync::{Arc, mpsc};
use std::time::Duration;

/// How many threads may be stuck in calls of one kind. A program that keeps trying must not accumulate them.
const MOST_LEFT_BEHIND: usize = 4;

/// Counts the threads in calls of one kind by its clones.
pub(super) type Threads = Arc<()>;

/// Runs `work` on a thread and waits at most `limit` for its result. A stuck thread ends with the process.
pub(super) fn with_deadline<T: Send + 'static>(
    threads: &Threads,
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    if Arc::strong_count(threads) > MOST_LEFT_BEHIND {
        return None;
    }
    let (send, receive) = mpsc::channel();
    let place = threads.clone();
    // `std::thread::spawn` panics if the thread cannot be created.
    let waiting = std::thread::Builder::new().spawn(move || {
        let result = work();
        drop(place);
        // The caller has given up.
        let _ = send.send(result);
    });
    waiting.ok()?;
    receive.recv_timeout(limit).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn what_never_ends_keeps_a_few_threads_and_no_more() {
        let threads = Threads::default();
        let (release, released) = mpsc::channel::<()>();
        let released = Arc::new(Mutex::new(released));
        for _ in 0..MOST_LEFT_BEHIND {
            let released = released.clone();
            let stuck = move || drop(released.lock().map(|released| released.recv()));
            assert_eq!(with_deadline(&threads, Duration::from_millis(1), stuck), None);
        }
        assert_eq!(with_deadline(&threads, Duration::from_secs(90), || "begun"), None);
        drop(release);
        while Arc::strong_count(&threads) > 1 {
            std::thread::yield_now();
        }
        assert_eq!(with_deadline(&threads, Duration::from_secs(90), || "done"), Some("done"));
    }
}
