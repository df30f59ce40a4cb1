//! The pager: the program of `PAGER`, or `less`.

use std::io::{self, ErrorKind, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::cli::context::Context;
use crate::cli::environment::{is_empty, secret_variables, variable};
use crate::cli::error::Result;

/// What `less` and `lv` do unless their variables say otherwise, as with git: show colors, end at once if the text fits
/// the screen, and leave it there.
const SETTINGS: [(&str, &str); 2] = [("LESS", "FRX"), ("LV", "-c")];

/// The exit codes of a shell for a program that cannot be run, or that does not exist.
const NOT_RUN: [i32; 2] = [126, 127];

impl Context {
    /// Shows text on the terminal in the pager. It may contain escape sequences of nexus. If there is no pager, or it
    /// cannot run, the text is printed.
    pub(crate) fn page(&self, text: &str) -> Result<()> {
        let shown = match pager() {
            None => false,
            Some(Pager::Default) => show(Command::new(DEFAULT), text).is_ok(),
            Some(Pager::Named(command)) => {
                let shown = show(shell(&command), text).is_ok();
                if !shown {
                    self.note(&format!("the pager `{command}` (PAGER) cannot be run; printing without it"));
                }
                shown
            }
        };
        if shown { Ok(()) } else { self.print_laid_out(text) }
    }
}

const DEFAULT: &str = "less";

enum Pager {
    Default,
    /// A command line of the shell.
    Named(String),
}

/// None if `PAGER` is empty or `cat`, or if the terminal cannot move its cursor.
fn pager() -> Option<Pager> {
    let can_page = variable("TERM").is_some_and(|term| term != "dumb");
    match variable("PAGER") {
        _ if !can_page => None,
        None if is_empty("PAGER") => None,
        None => Some(Pager::Default),
        Some(command) if command == "cat" => None,
        Some(command) => Some(Pager::Named(command)),
    }
}

fn shell(command: &str) -> Command {
    let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let mut shell = Command::new(shell);
    shell.args([flag, command]);
    shell
}

/// Runs the pager to its end. The user may leave it before it has read everything.
///
/// # Errors
/// Why it cannot run. Then it has shown nothing.
fn show(mut command: Command, text: &str) -> io::Result<()> {
    for (name, value) in SETTINGS {
        if variable(name).is_none() {
            command.env(name, value);
        }
    }
    for name in secret_variables() {
        command.env_remove(name);
    }
    // Ctrl-C is for the pager, which gives the terminal back.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::default());
    let mut pager = command.stdin(Stdio::piped()).spawn()?;
    // What the user did not want to read any more is not written.
    let _ = pager.stdin.take().map(|mut input| input.write_all(text.as_bytes()));
    let status = pager.wait()?;
    match status.code() {
        Some(code) if NOT_RUN.contains(&code) => Err(ErrorKind::NotFound.into()),
        _ => Ok(()),
    }
}
