//! Where the templates are: one file each in a folder beside `config.toml`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the templates of this configuration.
pub(crate) fn folder(config: &Path) -> PathBuf {
    config.with_file_name("templates")
}

/// The names of the templates in this folder.
pub(crate) fn names(folder: &Path) -> BTreeSet<String> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| PathBuf::from(entry.file_name()));
    let templates = files.filter(|file| file.extension().is_some_and(|kind| kind == "toml"));
    templates.filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned())).collect()
}
