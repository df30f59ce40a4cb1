//! Who can read the stored files.

use std::path::Path;

use super::{Finding, Findings};
use nexus::{ErrorClass, Folders};

/// Checks the folders of the sessions and the key, and what is in them.
pub(crate) fn check_modes(folders: &Folders, findings: &mut Findings) {
    for folder in [&folders.data, &folders.state, &folders.key] {
        check_mode(folder, findings);
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        paths.iter().for_each(|path| check_mode(path, findings));
    }
}

#[cfg(unix)]
fn check_mode(path: &Path, findings: &mut Findings) {
    use std::os::unix::fs::PermissionsExt as _;

    let Ok(found) = path.symlink_metadata() else { return };
    let mode = found.permissions().mode();
    if found.is_symlink() || mode & 0o077 == 0 {
        return;
    }
    let (path, private) = (path.display(), if found.is_dir() { 700 } else { 600 });
    findings.add(Finding::new(
        "open_file",
        ErrorClass::Configuration,
        format!("other users can open {path} (mode {:o})", mode & 0o777),
        format!("run `chmod {private} {path}`"),
    ));
}

/// Other systems than Unix protect the folder of the user's profile.
#[cfg(not(unix))]
fn check_mode(_path: &Path, _findings: &mut Findings) {}
