//! `nexus help config`: the reference of the configuration keys. All other help is `--help` of a command.

use std::ffi::OsString;

use crate::cli::commands::Done;
use crate::cli::config::reference;
use crate::cli::context::Context;

/// The maximum line width, as in the help of the commands.
const WIDEST: usize = 100;

/// Whether the command line is `nexus help config`.
pub(crate) fn is_config(args: &[OsString]) -> bool {
    matches!(args, [_, help, config] if help == "help" && config == "config")
}

/// Prints the reference, which needs no configuration and no home folder.
pub(crate) fn config(context: &Context) -> Done {
    let columns = if context.stdout_is_terminal() { context.columns().min(WIDEST) } else { WIDEST };
    context.print(&reference::text(columns))?;
    Ok(0)
}
