//! The prompt: arguments, stdin, or both.

use std::path::Path;

use super::Args;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::question::{PromptFrame, PromptInput, attachment};
use crate::cli::text::typed;

/// Whether nothing is asked and a terminal can hold a conversation.
pub(super) fn is_absent(args: &Args, context: &Context) -> bool {
    let absent = args.prompt.is_empty() && args.attach.is_empty() && args.question.template.is_none() && !args.no_stdin;
    absent && context.stdin_is_terminal() && context.stdout_is_terminal()
}

/// Reads the prompt and the attachments.
///
/// # Errors
/// [`CliError::Usage`] without a prompt, [`CliError::Attachment`] for a file that cannot be attached.
pub(super) fn read(args: &Args, frame: &PromptFrame, context: &Context) -> Result<PromptInput> {
    if !args.attach.is_empty() {
        warn_of_files(&args.prompt, context);
    }
    frame.input(text(args, context)?, &[], |prompt| {
        if prompt.trim().is_empty() {
            return Err(CliError::usage("chat", "no question: pass one as an argument or pipe it in"));
        }
        attachment::parts(&args.attach, prompt, context)
    })
}

/// Warns of words that are the names of files, as after `-a *.txt`.
fn warn_of_files(words: &[String], context: &Context) {
    let mut files = words.iter().filter(|word| Path::new(word).is_file());
    let Some(first) = files.next() else { return };
    let quoted = if first.contains(char::is_whitespace) { format!("'{first}'") } else { first.clone() };
    context.warn(&match files.count() {
        0 => format!("`{first}` is taken as a word of the question: to attach it, write -a {quoted}"),
        _ => format!(
            "`{first}` and other names of files are taken as words of the question: to attach a file, write -a before \
             it, as in -a {quoted}"
        ),
    });
}

/// The arguments, a blank line and the piped input, or whichever of the two there is.
fn text(args: &Args, context: &Context) -> Result<String> {
    let dash = args.prompt.iter().any(|word| word == "-");
    let attached = args.attach.iter().filter(|file| attachment::is_stdin(file)).count();
    let usage = |message: &str| Err(CliError::usage("chat", message));
    Ok(match &*args.prompt {
        _ if dash && args.no_stdin => return usage("`-` reads the question from stdin, which --no-stdin forbids"),
        _ if attached > 0 && args.no_stdin => return usage("`-a -` attaches stdin, which --no-stdin forbids"),
        _ if attached > 1 => return usage("stdin can be attached only once"),
        _ if dash && attached > 0 => return usage("stdin is attached, so pass the question as an argument"),
        words if attached > 0 => typed(&words.join(" ")).to_owned(),
        // With an attachment and a terminal, the question is typed; a template may have one already.
        [] if !args.no_stdin && !args.attach.is_empty() && args.question.template.is_none() => context.stdin()?,
        [] if args.no_stdin || context.stdin_is_terminal() => String::new(),
        [] => context.stdin()?,
        [_] if dash => context.stdin()?,
        _ if dash => return usage("`-` reads the question from stdin and must be the only argument"),
        words => {
            let words = words.join(" ");
            let words = typed(&words);
            let piped = if args.no_stdin { None } else { context.piped()? };
            match piped {
                Some(piped) if !piped.trim().is_empty() => format!("{words}\n\n{piped}"),
                _ => words.to_owned(),
            }
        }
    })
}
