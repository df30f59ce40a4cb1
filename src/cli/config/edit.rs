//! Changes the configuration file: under a lock, through a temporary file in the same folder that replaces it, with its
//! mode.
//!
//! A file that is a link, or that cannot be written, is left alone: another program manages it. Then the caller prints
//! the change for the user to make.

use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use toml::de::DeTable;

use super::document::Document;
use super::file::malformed;
use super::invalid;
use crate::cli::error::{CliError, Result};
use crate::cli::paths::Paths;
use nexus::internal::private_fs::{self, Privacy};
use nexus::internal::trusted_file;

/// How long to wait for another process that changes the file. It takes some milliseconds.
const WAIT: Duration = Duration::from_secs(5);

/// The result of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Edited {
    /// The file has been that way before.
    Unchanged,
    Written,
    /// The file was not changed, for this reason, which follows its path in a sentence.
    Refused(String),
}

/// Changes the configuration file, which need not exist yet.
///
/// # Errors
/// If the file is not TOML or is not trusted, and those of `change`.
pub(crate) fn edit(paths: &Paths, change: impl FnOnce(&mut Document) -> Result<()>) -> Result<Edited> {
    let path = &*paths.config;
    let lock = match lock(paths, WAIT) {
        Ok(lock) => lock,
        Err((folder, error)) => match CliError::untrusted(&folder, &error) {
            Some(untrusted) => return Err(untrusted),
            // The reason matters only if there is something to change.
            None => {
                let why = format!("was not changed: {error}");
                return Ok(changed(path, change)?.map_or(Edited::Unchanged, |_| Edited::Refused(why)));
            }
        },
    };
    let Some(text) = changed(path, change)? else { return Ok(Edited::Unchanged) };
    let written = match unwritable(path) {
        Ok((_, Some(why))) => return Ok(Edited::Refused(why)),
        Ok((found, None)) => replace(path, found.as_ref(), &text),
        Err(error) => Err(error),
    };
    drop(lock);
    match written {
        Ok(()) => Ok(Edited::Written),
        Err(error) => match CliError::untrusted(path, &error) {
            Some(untrusted) => Err(untrusted),
            None => Ok(Edited::Refused(format!("cannot be written: {error}"))),
        },
    }
}

/// Whether the configuration file has anything of this provider.
///
/// # Errors
/// If the file is not TOML or is not trusted.
pub(crate) fn has_section(path: &Path, name: &str) -> Result<bool> {
    let mut found = false;
    changed(path, |document| {
        found = document.has_section(name);
        Ok(())
    })?;
    Ok(found)
}

/// The text of the file with this change. `None` if it changes nothing.
fn changed(path: &Path, change: impl FnOnce(&mut Document) -> Result<()>) -> Result<Option<String>> {
    let before = super::file::text(path)?.unwrap_or_default();
    DeTable::parse(&before).map_err(|error| malformed(&error, &before, path))?;
    let cannot = || {
        let message = format!("{} cannot be changed by nexus", path.display());
        invalid(message, "write it as `nexus help config` shows, or change it with an editor")
    };
    let mut document = Document::parse(&before).ok_or_else(cannot)?;
    change(&mut document)?;
    let after = document.text();
    DeTable::parse(&after).map_err(|_| cannot())?;
    Ok((after != *before).then_some(after))
}

/// The lock that every change holds, or its folder and why it cannot be taken.
fn lock(paths: &Paths, wait: Duration) -> std::result::Result<File, (PathBuf, io::Error)> {
    let folder = paths.folders.state.join("locks");
    let privacy = Privacy::default();
    let opened = privacy.folder(&folder).and_then(|()| privacy.open_or_create(&folder.join("config.lock")));
    let until = Instant::now() + wait;
    let locked = opened.and_then(|file| {
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                    return Err(io::Error::other("another nexus process is changing it"));
                }
                Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(20)),
            }
        }
    });
    locked.map_err(|error| (folder, error))
}

/// The file as it is, if there is one, and why it is left alone.
fn unwritable(path: &Path) -> io::Result<(Option<Metadata>, Option<String>)> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((None, None)),
        found => found?,
    };
    let why = if found.is_symlink() {
        Some("is a symbolic link, so nexus does not change it".to_owned())
    } else if is_linked(&found) {
        Some("has a second name (a hard link), so nexus does not change it".to_owned())
    } else if found.permissions().readonly() {
        Some("is read-only, so nexus does not change it".to_owned())
    } else {
        // Nothing is written: this only asks whether it could be.
        let opened = fs::OpenOptions::new().append(true).open(path);
        opened.err().map(|error| format!("cannot be written: {error}"))
    };
    Ok((Some(found), why))
}

/// Whether the file has other names, which would keep the old content.
#[cfg(unix)]
fn is_linked(found: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(found) > 1
}

#[cfg(not(unix))]
fn is_linked(_: &Metadata) -> bool {
    false
}

/// Replaces the file.
fn replace(path: &Path, found: Option<&Metadata>, text: &str) -> io::Result<()> {
    private_fs::survive_file_limit();
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    if !folder.is_dir() {
        Privacy::default().folder(folder)?;
    }
    // A process that was killed may have left one.
    let draft = folder.join(".config.toml.new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = private_fs::create(&draft)?;
    let written = (|| {
        file.write_all(text.as_bytes())?;
        found.map_or(Ok(()), |found| keep_mode(&file, found))?;
        file.sync_all()?;
        // The file itself would be refused in a folder that other users can write to.
        if **trusted_file::read(&draft)? != *text.as_bytes() {
            return Err(io::Error::other("it does not read back as written"));
        }
        fs::rename(&draft, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written?;
    // It is replaced, whatever this says.
    let _ = private_fs::sync_folder(folder);
    Ok(())
}

/// Gives the new file the group and the mode of the old one.
#[cfg(unix)]
fn keep_mode(file: &File, found: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
    if file.metadata()?.gid() != found.gid() {
        fchown(file, None, Some(found.gid()))?;
    }
    file.set_permissions(fs::Permissions::from_mode(found.mode() & 0o7777))
}

#[cfg(not(unix))]
fn keep_mode(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use nexus::Folders;

    use super::*;
    use crate::cli::config::ConfigFiles;

    #[test]
    fn a_change_waits_for_another_one_but_not_without_end() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths {
            config: ConfigFiles::of_user(home.path().join("config.toml")),
            folders: Folders::under(home.path()),
        };
        let held = lock(&paths, Duration::ZERO).unwrap();
        let (_, error) = lock(&paths, Duration::ZERO).unwrap_err();
        assert_eq!(error.to_string(), "another nexus process is changing it");
        drop(held);
        lock(&paths, Duration::ZERO).unwrap();
    }
}
