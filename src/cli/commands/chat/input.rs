//! What is said: words, stdin, or both.

use crate::cli::commands::chat::{Args, attachment};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};

/// Whether there is no question, but a person to have a conversation with.
pub(super) fn is_conversation(args: &Args, context: &Context) -> bool {
    let nothing = args.prompt.is_empty() && args.attach.is_empty() && args.template.is_none() && !args.no_stdin;
    nothing && context.stdin_is_terminal() && context.stdout_is_terminal()
}

/// The words, a blank line, what was piped in; whichever of the two there is, if any.
///
/// # Errors
/// [`CliError::Usage`] where stdin is wanted twice, or wanted and not to be touched.
pub(super) fn said(args: &Args, context: &Context) -> Result<String> {
    let dash = args.prompt.iter().any(|word| word == "-");
    let attached = args.attach.iter().filter(|file| attachment::is_stdin(file)).count();
    let usage = |message: &str| Err(CliError::usage("chat", message));
    Ok(match &*args.prompt {
        _ if dash && args.no_stdin => return usage("`-` reads the question from stdin, which --no-stdin leaves alone"),
        _ if attached > 0 && args.no_stdin => return usage("`-a -` attaches stdin, which --no-stdin leaves alone"),
        _ if attached > 1 => return usage("stdin can be attached only once"),
        _ if dash && attached > 0 => {
            return usage("stdin is attached, so it cannot be the question too: write that as words");
        }
        words if attached > 0 => words.join(" "),
        // Whoever names a file at a terminal has yet to say what to do with it; a template may know that itself.
        [] if !args.no_stdin && !args.attach.is_empty() && args.template.is_none() => context.stdin()?,
        [] if args.no_stdin || context.stdin_is_terminal() => String::new(),
        [] => context.stdin()?,
        [_] if dash => context.stdin()?,
        _ if dash => return usage("`-` reads the question from stdin and stands alone"),
        words => {
            let words = words.join(" ");
            let piped = if args.no_stdin { None } else { context.piped()? };
            match piped {
                Some(piped) if !piped.trim().is_empty() => format!("{words}\n\n{piped}"),
                _ => words,
            }
        }
    })
}
