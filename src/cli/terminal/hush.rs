//! What a panic may say.

use super::complain;

/// Lets a panic say where it happened and nothing else: its message may quote what was being worked
/// on, a token for one.
pub(crate) fn hush_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, |place| format!(" ({}:{})", place.file(), place.line()));
        complain(&format!("error: this is a bug in nexus{place}\n  please report it, with the command you ran"));
    }));
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// The test's program runs itself once more, and that one panics.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the second run is told by its environment that it is one")]
    fn a_panic_says_where_and_quotes_nothing() {
        const SECOND: &str = "NEXUS_TEST_PANICS";
        if std::env::var_os(SECOND).is_some() {
            hush_panics();
            let token = String::from("hush-4711-\u{fc}");
            // What the standard library says of this quotes the whole text.
            let _ = &token[..11];
        }
        let words = ["--exact", "cli::terminal::hush::tests::a_panic_says_where_and_quotes_nothing", "--nocapture"];
        let ran = Command::new(std::env::current_exe().unwrap()).args(words).env(SECOND, "1").output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert!(!ran.status.success());
        assert!(said.contains("error: this is a bug in nexus (src/cli/terminal/hush.rs:"), "{said}");
        assert!(!said.contains("4711"), "{said}");
    }
}
