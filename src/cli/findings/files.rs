//! Who can read the stored files.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Finding, Findings};
use crate::cli::error::session::own_file;
use crate::cli::quoted::quoted;
use nexus::{ErrorClass, Folders};

/// Checks the folders of the sessions and the key, and what is in them.
pub(crate) fn check_modes(folders: &Folders, findings: &mut Findings) {
    let folders = [&folders.data, &folders.state, &folders.key];
    for folder in folders.into_iter().filter(|folder| folder.is_dir()) {
        check_mode(folder, findings);
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        paths.iter().for_each(|path| check_mode(path, findings));
    }
}

/// Checks that this user can write to the files that are there. The folders are checked for new ones.
#[cfg(unix)]
pub(crate) fn check_access(folders: &Folders, findings: &mut Findings) {
    use rustix::fs::{Access, access};
    use rustix::io::Errno;

    let mut ahead = vec![folders.data.clone(), folders.state.clone()];
    while let Some(folder) = ahead.pop() {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let mut entries: Vec<_> = entries.map(|entry| entry.path()).filter(|path| !path.is_symlink()).collect();
        entries.sort();
        for path in entries {
            let is_denied = |access_to| access(&path, access_to) == Err(Errno::ACCESS);
            // A database that cannot be read is a finding of who opens it.
            let is_told = path.starts_with(&folders.data) && is_denied(Access::READ_OK);
            if is_denied(Access::WRITE_OK) && !is_told {
                let mode = if path.is_dir() { 700 } else { 600 };
                let problem = format!("you cannot write to {}", path.display());
                findings.add(Finding::new("unwritable_file", ErrorClass::Permanent, problem, own_file(&path, mode)));
            }
            if path.is_dir() {
                ahead.push(path);
            }
        }
    }
}

#[cfg(not(unix))]
pub(crate) fn check_access(_folders: &Folders, _findings: &mut Findings) {}

/// Whether the folders can be looked into, as far as they exist.
pub(crate) fn are_readable(folders: &Folders) -> bool {
    let is_readable = |folder: &PathBuf| match std::fs::read_dir(folder) {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::NotFound,
    };
    [&folders.data, &folders.state, &folders.key].into_iter().all(is_readable)
}

#[cfg(unix)]
fn check_mode(path: &Path, findings: &mut Findings) {
    use std::os::unix::fs::PermissionsExt as _;

    let Ok(found) = path.symlink_metadata() else { return };
    let mode = found.permissions().mode();
    if found.is_symlink() || mode & 0o077 == 0 {
        return;
    }
    let private = if found.is_dir() { 700 } else { 600 };
    findings.add(Finding::new(
        "open_file",
        ErrorClass::Configuration,
        format!("other users can open {} (mode {:o})", path.display(), mode & 0o777),
        format!("run `chmod {private} {}`", quoted(&path.to_string_lossy())),
    ));
}

/// Other systems than Unix protect the folder of the user's profile.
#[cfg(not(unix))]
fn check_mode(_path: &Path, _findings: &mut Findings) {}
