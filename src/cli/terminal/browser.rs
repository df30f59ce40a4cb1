//! What `$BROWSER` says.

use std::process::Command;

/// The commands of a `$BROWSER` list: separated by colons, `%s` for the URL or the URL appended,
/// and no shell to reinterpret either.
pub(crate) fn browsers(list: &str, url: &str) -> Vec<Command> {
    list.split(':')
        .filter_map(|entry| {
            let mut words = entry.split_whitespace();
            let mut command = Command::new(words.next()?);
            let mut placed = false;
            for word in words {
                placed |= word.contains("%s");
                command.arg(word.replace("%s", url));
            }
            if !placed {
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
        let said: Vec<_> = browsers("firefox --new-window %s::lynx:x --url=%s;reboot", "http://h/?a&b")
            .iter()
            .map(|command| format!("{command:?}"))
            .collect();
        assert_eq!(
            said,
            [
                r#""firefox" "--new-window" "http://h/?a&b""#,
                r#""lynx" "http://h/?a&b""#,
                r#""x" "--url=http://h/?a&b;reboot""#,
            ]
        );
    }
}
