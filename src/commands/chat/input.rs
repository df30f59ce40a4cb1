//! What is asked: words, stdin, or both. Settled before anything else is touched.

use crate::commands::chat::Args;
use crate::failure::{Failure, Result};
use crate::world::World;

/// The words, a blank line, what was piped in; whichever of the two there is.
///
/// # Errors
/// [`Failure::Usage`] where there is no question.
pub(super) fn prompt(args: &Args, world: &World) -> Result<String> {
    let dash = args.prompt.iter().any(|word| word == "-");
    let prompt = match &*args.prompt {
        _ if dash && args.no_stdin => {
            return Err(Failure::Usage("`-` reads the question from stdin, which --no-stdin leaves alone".into()));
        }
        [] if args.no_stdin || world.stdin_is_terminal() => String::new(),
        [] => world.stdin()?,
        [_] if dash => world.stdin()?,
        _ if dash => return Err(Failure::Usage("`-` reads the question from stdin and stands alone".into())),
        words => {
            let words = words.join(" ");
            let piped = if args.no_stdin { None } else { world.piped()? };
            match piped {
                Some(piped) if !piped.trim().is_empty() => format!("{words}\n\n{piped}"),
                _ => words,
            }
        }
    };
    if prompt.trim().is_empty() {
        return Err(Failure::Usage("there is no question: write one behind `nexus chat`, or pipe one into it".into()));
    }
    Ok(prompt)
}
