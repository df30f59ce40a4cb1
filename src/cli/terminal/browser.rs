//! Opens a URL with one of several commands: those of the `BROWSER` variable, or the system's.

use std::future::pending;
use std::io;
use std::path::Path;
use std::process::Command;
use std::vec;

use tokio::process::Child;

use nexus::internal::clean::clean;

/// The commands of a `BROWSER` list, which are run without a shell: separated by colons (on Windows by semicolons),
/// with quotes and backslashes as in a shell. `%s` stands for the URL, which is appended to a command without one; `%%`
/// stands for `%`. A `&` at the end has no effect.
///
/// # Errors
/// What is wrong with the list.
pub(crate) fn browsers(list: &str, url: &str) -> Result<Vec<Command>, &'static str> {
    let mut commands = Vec::new();
    for (entry, mut words) in entries(list)? {
        words.pop_if(|word| word == "&");
        // An unquoted path with a space, as installers write it.
        if Path::new(entry.trim()).is_absolute() && Path::new(entry.trim()).is_file() {
            words = vec![entry.trim().to_owned()];
        }
        let Some((program, arguments)) = words.split_first() else { continue };
        let mut command = Command::new(program);
        let filled = |word: &String| word.split("%%").map(|part| part.replace("%s", url)).collect::<Vec<_>>().join("%");
        command.args(arguments.iter().map(filled));
        if !arguments.iter().any(|word| word.replace("%%", "").contains("%s")) {
            command.arg(url);
        }
        commands.push(command);
    }
    if commands.is_empty() { Err("BROWSER names no program") } else { Ok(commands) }
}

/// The entries of a list: as written, and split into words.
fn entries(list: &str) -> Result<Vec<(&str, Vec<String>)>, &'static str> {
    const SEPARATOR: char = if cfg!(windows) { ';' } else { ':' };
    let (mut entries, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
    let (mut start, mut quote) = (0, None);
    let mut chars = list.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, SEPARATOR) => {
                words.extend(word.take());
                entries.push((&list[start..at], std::mem::take(&mut words)));
                start = at + c.len_utf8();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            // Inside double quotes, a backslash escapes only these two; on Windows it separates folders.
            (None | Some('"'), '\\') if !cfg!(windows) => {
                let escaped = chars.next_if(|(_, next)| quote.is_none() || matches!(next, '"' | '\\'));
                word.get_or_insert_default().push(escaped.map_or(c, |(_, escaped)| escaped));
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("BROWSER has a quote that is not closed");
    }
    words.extend(word);
    entries.push((&list[start..], words));
    Ok(entries)
}

/// Whether windows can be shown: always, except on a Unix without a display server. A Linux in WSL opens a browser of
/// Windows, unless it may not start Windows programs.
pub(crate) fn has_display(variable: impl Fn(&'static str) -> Option<String>) -> bool {
    !cfg!(all(unix, not(target_os = "macos")))
        || ["DISPLAY", "WAYLAND_DISPLAY", "WSL_INTEROP"].into_iter().any(|name| variable(name).is_some())
}

/// A browser that is being opened. Dropping it does not end the browser.
#[derive(Debug, Default)]
pub(crate) struct Browser {
    /// The commands to try if this one fails.
    others: vec::IntoIter<Command>,
    running: Option<(String, Child)>,
    not_found: Vec<String>,
    failed: Vec<String>,
}

impl Browser {
    /// Starts the first of these commands that can be started.
    pub(crate) fn open(commands: Vec<Command>) -> Self {
        let mut browser = Self { others: commands.into_iter(), ..Self::default() };
        browser.start_next();
        browser
    }

    /// No browser, for this reason.
    pub(crate) fn unusable(why: &str) -> Self {
        Self { failed: vec![why.to_owned()], ..Self::default() }
    }

    /// Whether a command was started and has not failed yet.
    pub(crate) fn is_open(&self) -> bool {
        self.running.is_some()
    }

    /// Why no command could open a browser, if all were tried.
    pub(crate) fn failure(&self) -> Option<String> {
        match (&*self.failed, &*self.not_found) {
            _ if self.is_open() => None,
            ([], []) => None,
            ([], not_found) => Some(format!("{} not found", not_found.join(", "))),
            (failed, _) => Some(failed.join("; ")),
        }
    }

    /// Waits until every command has failed. Does not return if one succeeds.
    pub(crate) async fn failed(&mut self) -> String {
        while let Some((name, child)) = &mut self.running {
            match child.wait().await {
                Ok(status) if !status.success() => self.failed.push(format!("{name} failed ({status})")),
                _ => return pending().await,
            }
            self.running = None;
            self.start_next();
        }
        match self.failure() {
            Some(why) => why,
            None => pending().await,
        }
    }

    fn start_next(&mut self) {
        for command in self.others.by_ref() {
            let name = format!("`{}`", clean(&command.get_program().to_string_lossy()));
            match tokio::process::Command::from(command).spawn() {
                Ok(child) => {
                    self.running = Some((name, child));
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.not_found.push(name),
                Err(error) => self.failed.push(format!("{name} cannot be started: {error}")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "http://h/?a&b=%s";

    fn read(list: &str) -> Result<Vec<Vec<String>>, &'static str> {
        let words = |command: &Command| {
            let program = [command.get_program()].into_iter();
            program.chain(command.get_args()).map(|word| word.to_str().unwrap().to_owned()).collect()
        };
        browsers(list, URL).map(|commands| commands.iter().map(words).collect())
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_display_and_windows_interop_are_recognized() {
        for (set, has) in [
            (&[][..], false),
            (&["DISPLAY"], true),
            (&["WAYLAND_DISPLAY"], true),
            (&["WSL_DISTRO_NAME", "WSL_INTEROP"], true),
            (&["WSL_DISTRO_NAME"], false),
            (&["SSH_CONNECTION", "SSH_TTY", "TERM"], false),
        ] {
            let variable = |name| set.contains(&name).then(|| "x".to_owned());
            assert_eq!(has_display(variable), has, "{set:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn browsers_are_read_as_a_shell_reads_words_but_without_a_shell() {
        for (list, commands) in [
            ("firefox --new-window %s::lynx", &[&["firefox", "--new-window", URL][..], &["lynx", URL]][..]),
            ("x --url=%s;reboot $HOME `id`", &[&["x", "--url=http://h/?a&b=%s;reboot", "$HOME", "`id`"]]),
            ("'/opt/my browser/run' -P 'two words'", &[&["/opt/my browser/run", "-P", "two words", URL]]),
            ("\"/opt/my browser/run\" \"a\\\"b\\c\"", &[&["/opt/my browser/run", "a\"b\\c", URL]]),
            ("/opt/my\\ browser/run '' a\\:b", &[&["/opt/my browser/run", "", "a:b", URL]]),
            ("sh -c 'exec x \"%s\"':y", &[&["sh", "-c", "exec x \"http://h/?a&b=%s\""], &["y", URL]]),
            ("x 100%% &", &[&["x", "100%", URL]]),
            ("x %%s", &[&["x", "%s", URL]]),
        ] {
            assert_eq!(read(list).unwrap(), commands, "{list}");
        }
        assert_eq!(read("x 'y"), Err("BROWSER has a quote that is not closed"));
        for nothing in [":", " : ", "&"] {
            assert_eq!(read(nothing), Err("BROWSER names no program"), "{nothing}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_path_with_a_space_needs_no_quotes_if_it_exists() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my browser");
        std::fs::write(&path, "").unwrap();
        let path = path.to_str().unwrap();
        assert_eq!(read(path).unwrap(), [[path, URL]]);
    }
}
