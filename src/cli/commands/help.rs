//! `nexus help config`: the reference of the configuration keys. All other help is `--help` of a command.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;

use clap::CommandFactory as _;
use clap::error::ErrorKind;

use crate::cli::commands::Done;
use crate::cli::config::reference;
use crate::cli::context::Context;
use crate::cli::paths::Paths;
use crate::cli::{AFTER_HELP, Cli};
use nexus::internal::clean;

/// The maximum line width, as in the help of the commands.
const WIDEST: usize = 100;

/// Whether the command line is `nexus help config`.
pub(crate) fn is_config(args: &[OsString]) -> bool {
    matches!(args, [_, help, config] if help == "help" && config == "config")
}

/// Prints the reference, at a terminal in the pager. It needs no configuration and no home folder.
pub(crate) fn config(context: &Context) -> Done {
    let columns = if context.stdout_is_terminal() { context.columns().min(WIDEST) } else { WIDEST };
    let reference = reference::text(columns);
    let text = match Paths::find() {
        Ok(paths) => format!("config.toml of this account: {}\n\n{reference}", shown(&paths.config)),
        Err(_) => reference,
    };
    match context.stdout_is_terminal() {
        true => context.page(&text)?,
        false => context.print(&text)?,
    }
    Ok(0)
}

/// Adds the files of this account to the help text at the top. They are looked up for nothing else.
pub(crate) fn with_files(error: clap::Error, args: Vec<OsString>) -> clap::Error {
    if error.kind() != ErrorKind::DisplayHelp {
        return error;
    }
    let Ok(Paths { config, folders }) = Paths::find() else { return error };
    let mut text = format!("{AFTER_HELP}\n\nFiles:\n");
    for (path, what) in [
        (Some(&*config), "the configuration"),
        (config.system(), "an administrator's configuration, below yours"),
        (Some(&config.with_file_name("templates")), "the templates of `nexus chat -t`"),
        (Some(&folders.data), "the sessions and the conversations"),
        (Some(&folders.key), "the key that seals the sessions"),
    ] {
        let _ = path.map(|path| write!(text, "  {}\n      {what}\n", shown(path)));
    }
    Cli::command().after_long_help(text).try_get_matches_from(args).err().unwrap_or(error)
}

fn shown(path: &Path) -> String {
    clean::visible(&path.to_string_lossy()).into_owned()
}
