//! `nexus completions SHELL`: the scripts of `completions/`, which a test keeps equal to the grammar.

use clap::ValueEnum;

use crate::cli::commands::Done;
use crate::cli::context::Context;

/// Print the completion script for a shell
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

/// The shells that have a script.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

/// Prints it.
///
/// # Errors
/// A stdout that takes nothing.
pub(crate) fn run(args: &Args, context: &Context) -> Done {
    context.print(match args.shell {
        Shell::Bash => include_str!("../../../completions/nexus.bash"),
        Shell::Elvish => include_str!("../../../completions/nexus.elv"),
        Shell::Fish => include_str!("../../../completions/nexus.fish"),
        Shell::Powershell => include_str!("../../../completions/_nexus.ps1"),
        Shell::Zsh => include_str!("../../../completions/_nexus"),
    })?;
    Ok(0)
}
