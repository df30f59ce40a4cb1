//! What Tab completes in a conversation: slash commands, and the file names of those that take one.

use std::fs;
use std::path::PathBuf;

use crate::cli::commands::chat::attached;
use crate::cli::commands::chat::slash::COMMANDS;
use nexus::internal::clean;

/// The slash commands that take the name of a file.
const TAKE_FILE: &[&str] = &["attach", "save"];

/// What the end of the line before the cursor can be replaced by, and where that begins, in bytes.
pub(super) fn candidates(before: &str) -> (usize, Vec<String>) {
    let Some(command) = before.strip_prefix('/') else { return (before.len(), Vec::new()) };
    let Some((command, text)) = command.split_once(' ') else {
        let commands = COMMANDS.iter().filter(|known| known.starts_with(command));
        return (1, commands.map(|command| (*command).to_owned()).collect());
    };
    match TAKE_FILE.contains(&command) {
        true => files(text.trim_start(), before.len()),
        false => (before.len(), Vec::new()),
    }
}

/// The files of a folder whose names begin like this. `end` is where the text ends in the line.
fn files(text: &str, end: usize) -> (usize, Vec<String>) {
    let (folder, start) = text.rsplit_once('/').map_or(("", text), |(folder, start)| (folder, start));
    let folder = match folder {
        "" if text.starts_with('/') => PathBuf::from("/"),
        "" => PathBuf::from("."),
        folder => attached::path(folder),
    };
    let named = fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let is_meant = name.starts_with(start) && (start.starts_with('.') || !name.starts_with('.'));
        // The terminal would obey the controls in a name.
        let is_plain = clean::visible(&name) == name.as_str() && !name.contains(['\n', '\t']);
        let is_folder = || entry.path().is_dir();
        (is_meant && is_plain).then(|| if is_folder() { format!("{name}/") } else { name.clone() })
    });
    let mut names: Vec<_> = named.collect();
    names.sort();
    (end - start.len(), names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_file_names_are_completed() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("notes")).unwrap();
        for name in ["my notes.txt", "my plan.pdf", ".hidden", "bad\u{1b}[31m.txt"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let at = folder.path().display().to_string();
        for (line, begins, found) in [
            ("/a", 1, &["attach"][..]),
            ("/e", 1, &["exit"]),
            ("/s", 1, &["system", "save"]),
            ("/xy", 1, &[]),
            ("a/s", 3, &[]),
            ("/system /", 9, &[]),
            (&format!("/attach {at}/my"), 9 + at.len(), &["my notes.txt", "my plan.pdf"]),
            (&format!("/save  {at}/my n"), 8 + at.len(), &["my notes.txt"]),
            (&format!("/attach {at}/"), 9 + at.len(), &["my notes.txt", "my plan.pdf", "notes/"]),
            (&format!("/attach {at}/."), 9 + at.len(), &[".hidden"]),
            (&format!("/attach {at}/none/"), 14 + at.len(), &[]),
        ] {
            assert_eq!(candidates(line), (begins, found.iter().map(|name| (*name).to_owned()).collect()), "{line}");
        }
    }
}
