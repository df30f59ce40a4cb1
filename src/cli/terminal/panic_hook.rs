//! What a panic prints.

use super::write_stderr;

/// Makes a panic print where it happened, but not its message, which may quote a token.
pub(crate) fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, |place| format!(" ({}:{})", place.file(), place.line()));
        write_stderr(&format!("error: this is a bug in nexus{place}\n  please report it, with the command you ran"));
    }));
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Runs the test program a second time, which panics.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "a variable tells the second run to panic")]
    fn a_panic_prints_its_place_and_not_its_message() {
        const SECOND: &str = "NEXUS_TEST_PANICS";
        if std::env::var_os(SECOND).is_some() {
            install_panic_hook();
            let token = String::from("hush-4711-\u{fc}");
            // The standard library's message quotes the whole text.
            let _ = &token[..11];
        }
        let args = ["--exact", "cli::terminal::panic_hook::tests::a_panic_prints_its_place_and_not_its_message"];
        let program = std::env::current_exe().unwrap();
        let output = Command::new(program).args(args).arg("--nocapture").env(SECOND, "1").output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(stderr.contains("error: this is a bug in nexus (src/cli/terminal/panic_hook.rs:"), "{stderr}");
        assert!(!stderr.contains("4711"), "{stderr}");
    }
}
