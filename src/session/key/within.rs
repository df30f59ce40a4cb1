//! Work of others that may never end: another process that has the turn, a keyring that is stuck.

use std::sync::{Arc, mpsc};
use std::time::Duration;

/// How many threads may be left behind in work of one kind that does not end. What has not answered so
/// many does not answer another one, and a program that goes on asking must not pile them up.
const MOST_LEFT_BEHIND: usize = 4;

/// How many threads are in work of one kind.
pub(super) type Inside = Arc<()>;

/// Waits for work that may never end, so long and no longer. A thread that is left behind in it
/// ends with the process.
pub(super) fn within<T: Send + 'static>(
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
        // Nobody waits any more: then nobody wants the result.
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
            assert_eq!(within(&inside, Duration::from_millis(1), stuck), None);
        }
        assert_eq!(within(&inside, Duration::from_secs(90), || "begun"), None);
        drop(release);
        while Arc::strong_count(&inside) > 1 {
            std::thread::yield_now();
        }
        assert_eq!(within(&inside, Duration::from_secs(90), || "done"), Some("done"));
    }
}
