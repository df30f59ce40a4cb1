//! Where a program is.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::cli::environment::variable;

/// The file of a program: at its path, or for a mere name the first in the folders of `PATH`.
pub(crate) fn find(program: &OsStr) -> Option<PathBuf> {
    let path = Path::new(program);
    if path.parent() != Some(Path::new("")) {
        return Some(path.to_owned()).filter(|path| path.is_file());
    }
    std::env::split_paths(&variable("PATH")?).map(|folder| folder.join(path)).find(|path| path.is_file())
}
