//! Waits for blocking calls that may never return: a lock that another process holds, a keyring that hangs.

use std::sync::{Arc, mpsc};
use std::time::Duration;

/// How many threads may be left behind in calls of one kind. A program that keeps trying must not pile them up.
const MOST_LEFT_BEHIND: usize = 4;

/// Counts the threads in calls of one kind.
pub(super) type Inside = Arc<()>;

/// Runs `work` on a thread and waits for it until the deadline. A thread that is left behind ends with the process.
pub(super) fn with_deadline<T: Send + 'static>(
    inside: &Inside,
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    if Arc::strong_count(inside) > MOST_LEFT_BEHIND {
        return None;
    }
    let (send, receive) = mpsc::channel();
    let place = inside.clone();
    // `std::thread::spawn` would panic where there are too many threads.
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
        let inside = Inside::default();
        let (release, released) = mpsc::channel::<()>();
        let released = Arc::new(Mutex::new(released));
        for _ in 0..MOST_LEFT_BEHIND {
            let released = released.clone();
            let stuck = move || drop(released.lock().map(|released| released.recv()));
            assert_eq!(with_deadline(&inside, Duration::from_millis(1), stuck), None);
        }
        assert_eq!(with_deadline(&inside, Duration::from_secs(90), || "begun"), None);
        drop(release);
        while Arc::strong_count(&inside) > 1 {
            std::thread::yield_now();
        }
        assert_eq!(with_deadline(&inside, Duration::from_secs(90), || "done"), Some("done"));
    }
}
