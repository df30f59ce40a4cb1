//! The `BROWSER` variable.

use std::process::Command;

/// The commands of a `BROWSER` list: separated by colons, and run without a shell. `%s` stands for the URL, which is
/// appended to a command without one.
pub(crate) fn browsers(list: &str, url: &str) -> Vec<Command> {
    list.split(':')
        .filter_map(|entry| {
            let mut words = entry.split_whitespace();
            let mut command = Command::new(words.next()?);
            command.args(words.map(|word| word.replace("%s", url)));
            if !entry.contains("%s") {
                command.arg(url);
            }
            Some(command)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_read_without_a_shell() {
        let commands: Vec<_> = browsers("firefox --new-window %s::lynx:x --url=%s;reboot", "http://h/?a&b")
            .iter()
            .map(|command| format!("{command:?}"))
            .collect();
        assert_eq!(
            commands,
            [
                r#""firefox" "--new-window" "http://h/?a&b""#,
                r#""lynx" "http://h/?a&b""#,
                r#""x" "--url=http://h/?a&b;reboot""#,
            ]
        );
    }
}
