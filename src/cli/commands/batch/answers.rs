//! The output file of a batch: one JSON object per line, each written by one call.
//!
//! A line is in the file once its write returns, so `kill -9` loses no counted result. With a [`sync`](Answers::sync)
//! each second, a power failure loses at most that second. A rewritten file is complete before it gets the name. The
//! answer to a changed question is added first, and the one to the earlier question removed at the end.
//!
//! The lock is on the file itself, so there is no lock file: a new file is locked before it gets the name, and a
//! process that waited for the old one checks whether that still has the name.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::fingerprint::Fingerprint;
use super::ledger::{IdHash, Ledger};
use super::prompts::Id;
use crate::cli::error::{CliError, Result};
use nexus::internal::private_fs::survive_file_limit;

/// The beginning of each result, by which an incomplete last line is recognized.
const BEGINNING: &[u8] = br#"{"version":1,"id":"#;

/// The locked file.
#[derive(Debug)]
pub(super) struct Answers {
    file: File,
    path: PathBuf,
    /// The end of the last complete line. None for a pipe or a device.
    end: Option<u64>,
    dirty: bool,
}

/// What the file had already.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// Ids with an answer.
    pub answered: usize,
    /// Errors, which were removed from the file.
    pub failed: usize,
    /// Whether an incomplete last line was removed.
    pub repaired: bool,
}

/// The fields of a line that matter here.
#[derive(Deserialize)]
struct ResultLine {
    #[serde(rename = "version")]
    _version: u32,
    id: Option<Id>,
    question_hash: Option<Fingerprint>,
    answer: Option<IgnoredAny>,
    #[serde(rename = "error")]
    error: Option<IgnoredAny>,
}

/// How a walk through the file ended.
#[derive(Debug, Default)]
struct Walked {
    /// The end of the last complete line.
    end: u64,
    /// Whether the last complete line has no newline, as a full disk or an editor leaves it.
    lacks_newline: bool,
    /// Whether an incomplete line follows.
    torn: bool,
}

/// What to do with a part of the file.
#[derive(Debug, PartialEq)]
enum Verdict {
    Answer(Id, Option<Fingerprint>),
    Failure(Option<Id>),
    Unknown,
}

impl Answers {
    /// Opens or creates the file and reads it: answers are noted in the ledger, errors and an incomplete last line are
    /// removed.
    ///
    /// # Errors
    /// [`CliError::OutputBusy`] while another process writes it, [`CliError::File`] if it cannot be written, is the
    /// input, or has anything but results.
    pub(super) fn open(path: &Path, input: Option<&Metadata>, ledger: &mut Ledger) -> Result<(Self, Found)> {
        survive_file_limit();
        // A symbolic link is kept, and its target is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let file = locked(&path)?;
        let refused = |error: io::Error| unwritable(&path, &error);
        let metadata = file.metadata().map_err(refused)?;
        if input.is_some_and(|input| is_same(input, &metadata)) {
            return Err(CliError::File {
                path,
                reason: "this is the input file".into(),
                hint: "name another file with --out".into(),
            });
        }
        if !metadata.is_file() {
            return Ok((Self { file, path, end: None, dirty: false }, Found::default()));
        }
        let mut answers = Self { file, path, end: Some(0), dirty: false };
        let found = answers.scan(ledger)?;
        Ok((answers, found))
    }

    /// Writes one line, the newline included.
    ///
    /// # Errors
    /// [`CliError::File`]. An incomplete line is removed again.
    pub(super) fn append(&mut self, line: &[u8]) -> Result<()> {
        if let Err(error) = self.file.write_all(line) {
            if let Some(end) = self.end {
                // If this fails, the next run removes it.
                let _ = self.file.set_len(end);
            }
            return Err(unwritable(&self.path, &error));
        }
        self.end = self.end.map(|end| end + line.len() as u64);
        self.dirty = true;
        Ok(())
    }

    /// A function that syncs the file, if there are lines to sync. It may block.
    pub(super) fn sync(&mut self) -> Option<impl FnOnce() + Send + use<>> {
        if !std::mem::take(&mut self.dirty) || self.end.is_none() {
            return None;
        }
        let file = self.file.try_clone().ok()?;
        // After an error, the next sync tries again; the lines are written.
        Some(move || drop(file.sync_data()))
    }

    /// Removes each result that a later line of the same id replaces.
    ///
    /// # Errors
    /// [`CliError::File`]. The file is then as it was.
    pub(super) fn drop_replaced(&mut self) -> Result<()> {
        if self.end.is_none() {
            return Ok(());
        }
        let mut latest: HashMap<IdHash, Range<u64>> = HashMap::new();
        let mut dropped = Vec::new();
        let walked = self.walk(|verdict, line| {
            if let Verdict::Answer(id, _) | Verdict::Failure(Some(id)) = verdict {
                dropped.extend(latest.insert(IdHash::of(&id), line));
            }
        })?;
        self.remove(dropped, walked.end)
    }

    fn scan(&mut self, ledger: &mut Ledger) -> Result<Found> {
        let mut found = Found::default();
        let (mut dropped, mut has_replaced) = (Vec::new(), false);
        let walked = self.walk(|verdict, line| match verdict {
            Verdict::Answer(id, asked) => match ledger.answered(&id, asked) {
                true => found.answered += 1,
                // A run that was killed had asked a changed question.
                false => has_replaced = true,
            },
            _ => {
                found.failed += 1;
                dropped.push(line);
            }
        })?;
        found.repaired = walked.torn;
        let last_is_kept = dropped.last().is_none_or(|line| line.end < walked.end);
        self.remove(dropped, walked.end)?;
        if walked.lacks_newline && last_is_kept {
            self.append(b"\n")?;
        }
        if has_replaced {
            self.drop_replaced()?;
        }
        Ok(found)
    }

    /// Visits each complete line of the file, with its place.
    fn walk(&self, mut visit: impl FnMut(Verdict, Range<u64>)) -> Result<Walked> {
        let unreadable = |error: io::Error| unwritable(&self.path, &error);
        let mut walked = Walked::default();
        let (mut number, mut line) = (0, Vec::new());
        let mut reader = BufReader::with_capacity(1 << 16, &self.file);
        reader.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line).map_err(unreadable)?;
            if length == 0 {
                return Ok(walked);
            }
            number += 1;
            let verdict = verdict(&line);
            if line.last() != Some(&b'\n') {
                if is_torn(&line) && verdict == Verdict::Unknown {
                    walked.torn = true;
                    return Ok(walked);
                }
                walked.lacks_newline = true;
            }
            if verdict == Verdict::Unknown {
                return Err(CliError::File {
                    path: self.path.clone(),
                    reason: format!("line {number} is not a result of `nexus batch`; nothing was changed"),
                    hint: "name another file with --out, or remove that line".into(),
                });
            }
            let start = walked.end;
            walked.end += length as u64;
            visit(verdict, start..walked.end);
        }
    }

    /// Removes these lines, and everything from `end` on.
    fn remove(&mut self, mut lines: Vec<Range<u64>>, end: u64) -> Result<()> {
        if lines.is_empty() {
            return self.cut(end);
        }
        lines.sort_by_key(|line| line.start);
        // The pieces of the file between them.
        let starts = std::iter::once(0).chain(lines.iter().map(|line| line.end));
        let ends = lines.iter().map(|line| line.start).chain([end]);
        let kept: Vec<_> = starts.zip(ends).map(|(start, end)| start..end).filter(|piece| !piece.is_empty()).collect();
        self.rewrite(&kept)
    }

    fn cut(&mut self, end: u64) -> Result<()> {
        self.end = Some(end);
        let length = self.file.metadata().map(|metadata| metadata.len());
        let cut = length.and_then(|length| if length > end { self.file.set_len(end) } else { Ok(()) });
        cut.map_err(|error| unwritable(&self.path, &error))
    }

    /// Replaces the file by one with only these pieces.
    fn rewrite(&mut self, kept: &[Range<u64>]) -> Result<()> {
        let mut name = OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(".new");
        let beside = self.path.with_file_name(name);
        let mut old = &self.file;
        let written = (|| {
            // A run that was killed at this point leaves the file behind.
            if let Err(error) = fs::remove_file(&beside)
                && error.kind() != io::ErrorKind::NotFound
            {
                return Err(error);
            }
            let mut new = OpenOptions::new().read(true).append(true).create_new(true).open(&beside)?;
            lock(&new)?;
            new.set_permissions(old.metadata()?.permissions())?;
            for piece in kept {
                old.seek(SeekFrom::Start(piece.start))?;
                io::copy(&mut old.take(piece.end - piece.start), &mut new)?;
            }
            new.sync_all()?;
            fs::rename(&beside, &self.path)?;
            Ok(new)
        })();
        match written {
            Ok(new) => {
                self.file = new;
                self.end = Some(kept.iter().map(|piece| piece.end - piece.start).sum());
                if let Some(folder) = self.path.parent().filter(|_| cfg!(unix)) {
                    // Without this the old file may reappear after a power failure; it has the same answers.
                    let _ = File::open(folder).and_then(|folder| folder.sync_all());
                }
                Ok(())
            }
            Err(error) => {
                let _ = fs::remove_file(&beside);
                Err(unwritable(&self.path, &error))
            }
        }
    }
}

/// Opens and locks the file with this name.
fn locked(path: &Path) -> Result<File> {
    let refused = |error: io::Error| unwritable(path, &error);
    // Another process may replace the file in between; then the new one is tried.
    for _ in 0..10 {
        let existing = fs::metadata(path).ok();
        let file = if existing.as_ref().is_none_or(Metadata::is_file) {
            OpenOptions::new().read(true).append(true).create(true).open(path).map_err(refused)?
        } else {
            // A pipe or a device: nothing to read there, and nothing to lock.
            return OpenOptions::new().append(true).open(path).map_err(refused);
        };
        match lock(&file) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            locked => locked.map_err(refused)?,
        }
        let (ours, named) = (file.metadata().map_err(refused)?, fs::metadata(path));
        if named.is_ok_and(|named| is_same(&ours, &named) || !cfg!(unix)) {
            return Ok(file);
        }
    }
    Err(CliError::OutputBusy { path: path.to_owned() })
}

fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        // Some network file systems have no locks.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    // A pipe or a device may be input and output.
    one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    false
}

fn verdict(line: &[u8]) -> Verdict {
    match serde_json::from_slice(line) {
        Ok(ResultLine { id: Some(id), question_hash, answer: Some(_), error: None, .. }) => {
            Verdict::Answer(id, question_hash)
        }
        Ok(ResultLine { id, error: Some(_), .. }) => Verdict::Failure(id),
        _ => Verdict::Unknown,
    }
}

/// Whether a last line without a newline is an incomplete result, or the zeros that a file system leaves after a power
/// failure.
fn is_torn(line: &[u8]) -> bool {
    let length = line.len().min(BEGINNING.len());
    line[..length] == BEGINNING[..length] || line.iter().all(|byte| *byte == 0)
}

fn unwritable(path: &Path, error: &io::Error) -> CliError {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space, then run the same command to resume"
        }
        io::ErrorKind::NotFound => "create the folder first",
        io::ErrorKind::IsADirectory => "name a file",
        _ => "make it writable, or name another file with --out",
    };
    CliError::File { path: path.to_owned(), reason: error.to_string(), hint: hint.into() }
}

#[cfg(test)]
mod tests {
    use nexus::ErrorInfo as _;

    use super::*;

    fn answer(id: &str) -> String {
        format!("{{\"version\":1,\"id\":\"{id}\",\"answer\":\"yes, {id}\",\"model\":\"m\"}}\n")
    }

    fn failure(id: &str) -> String {
        format!("{{\"version\":1,\"id\":\"{id}\",\"answer\":null,\"partial\":\"y\",\"error\":{{\"reason\":\"x\"}}}}\n")
    }

    fn bad_line() -> String {
        "{\"version\":1,\"id\":null,\"answer\":null,\"error\":{\"reason\":\"bad_line\"}}\n".into()
    }

    fn open(path: &Path) -> Result<(Answers, Found)> {
        Answers::open(path, None, &mut Ledger::default())
    }

    fn file(text: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.jsonl");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn answers_stay_and_everything_else_makes_room() {
        let (a, b, c) = (answer("a"), answer("b"), answer("c"));
        let torn = &c[..c.len() - 9];
        for (text, left, answered, failed, repaired) in [
            (String::new(), String::new(), 0, 0, false),
            (format!("{a}{b}"), format!("{a}{b}"), 2, 0, false),
            (format!("{a}{}{b}{}", failure("f"), failure("g")), format!("{a}{b}"), 2, 2, false),
            (format!("{}{a}{a}", bad_line()), a.clone(), 1, 1, false),
            (failure("a") + &a, a.clone(), 1, 1, false),
            (failure("a"), String::new(), 0, 1, false),
            (format!("{a}{torn}"), a.clone(), 1, 0, true),
            (format!("{a}{}{b}{torn}", failure("f")), format!("{a}{b}"), 2, 1, true),
            (torn.into(), String::new(), 0, 0, true),
            ("{\"ver".into(), String::new(), 0, 0, true),
            (format!("{a}{}", b.trim_end()), format!("{a}{b}"), 2, 0, false),
            (format!("{}{}", failure("f"), b.trim_end()), b.clone(), 1, 1, false),
            (format!("{a}{}", failure("f").trim_end()), a.clone(), 1, 1, false),
            (a.trim_end().into(), a.clone(), 1, 0, false),
            (format!("{a}\0\0\0\0"), a.clone(), 1, 0, true),
        ] {
            let (folder, path) = file(&text);
            let mut ledger = Ledger::default();
            let (mut answers, found) = Answers::open(&path, None, &mut ledger).unwrap();
            assert_eq!(found, Found { answered, failed, repaired }, "{text}");
            assert_eq!(ledger.unseen(), answered);
            assert_eq!(fs::read_to_string(&path).unwrap(), left, "{text}");
            answers.append(answer("new").as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), left + &answer("new"), "{text}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        }
    }

    /// This is how a run that was killed leaves the answer to a changed question, and the error of another.
    #[test]
    fn the_last_answer_of_an_id_stays() {
        let changed = "{\"version\":1,\"id\":\"a\",\"question_hash\":\"00000000000000ff\",\"answer\":\"no\"}\n";
        let (_folder, path) = file(answer("a") + &answer("b") + changed + &failure("b"));
        let (_, found) = open(&path).unwrap();
        assert_eq!(found, Found { answered: 2, failed: 1, repaired: false });
        assert_eq!(fs::read_to_string(&path).unwrap(), answer("b") + changed);

        let (mut answers, _) = open(&path).unwrap();
        answers.append(failure("b").as_bytes()).unwrap();
        answers.drop_replaced().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), changed.to_owned() + &failure("b"));
        answers.append(answer("c").as_bytes()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), changed.to_owned() + &failure("b") + &answer("c"));
    }

    /// Every file that a killed process can leave: the answers before the cut are there, the line that
    /// was cut is not, unless it lacks nothing but its newline.
    #[test]
    fn a_line_may_break_off_anywhere() {
        let whole = answer("a") + &answer("b");
        for length in 0..=whole.len() {
            let (_folder, path) = file(&whole[..length]);
            let (_, found) = open(&path).unwrap();
            // The newline alone may be missing.
            let lines = (whole[..length].to_owned() + "\n").matches("}\n").count();
            assert_eq!(found.answered, lines, "{length}");
            assert_eq!(fs::read_to_string(&path).unwrap(), whole.split_inclusive('\n').take(lines).collect::<String>());
        }
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone() {
        for text in ["my notes\n", "my notes", "{\"id\":\"a\",\"prompt\":\"p\"}\n", "[1]\n", "{}\n", "\n", "\0\n"] {
            for text in [text.to_owned(), answer("a") + text, failure("a") + text] {
                let (_folder, path) = file(&text);
                let refused = open(&path).unwrap_err();
                assert_eq!(refused.code(), "file", "{text}: {refused}");
                assert_eq!(fs::read_to_string(&path).unwrap(), text);
            }
        }
    }

    #[test]
    fn one_at_a_time_also_when_the_file_is_replaced() {
        let (_folder, path) = file(answer("a") + &failure("b"));
        let (first, _) = open(&path).unwrap();
        assert_eq!(open(&path).unwrap_err().code(), "output_busy");
        drop(first);
        open(&path).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_the_mode_stays_too() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let (folder, path) = file(answer("a") + &failure("b"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        open(&link).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_to_string(&path).unwrap(), answer("a"));
        // What was left by a run that was killed, wherever it leads.
        fs::write(&path, failure("a")).unwrap();
        symlink("elsewhere", folder.path().join(".answers.jsonl.new")).unwrap();
        open(&link).unwrap();
        assert!(!folder.path().join("elsewhere").exists());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_no_file_is_written_and_never_read() {
        let (mut answers, found) = open(Path::new("/dev/null")).unwrap();
        assert_eq!(found, Found::default());
        answers.append(b"x\n").unwrap();
        assert!(answers.sync().is_none());
        let (mut full, _) = open(Path::new("/dev/full")).unwrap();
        assert_eq!(full.append(b"x\n").unwrap_err().code(), "file");
    }

    #[test]
    fn the_input_is_never_the_output() {
        let (_folder, path) = file("");
        let input = fs::metadata(&path).unwrap();
        let refused = Answers::open(&path, Some(&input), &mut Ledger::default()).unwrap_err();
        assert!(refused.to_string().contains("this is the input file"), "{refused}");
    }
}
