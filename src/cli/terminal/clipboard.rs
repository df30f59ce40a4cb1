//! The clipboard of the terminal, which works over SSH too: OSC 52 (XTerm Control Sequences).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::cli::context::Context;
use crate::cli::environment::variable;
use crate::cli::error::Result;
use nexus::internal::clean;

/// The longest text in bytes that common terminals take: 100,000 bytes with the escape sequence.
const LONGEST: usize = 74_994;

/// Why a text is not copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotCopied {
    TooLong,
    /// `TERM` is `dumb` or not set.
    Unsupported,
}

impl Context {
    /// Sends text to the clipboard of the terminal, which does not say whether it took it. Controls in it become
    /// visible, because the text may be pasted into a terminal.
    ///
    /// # Errors
    /// A terminal that cannot be written.
    pub(crate) fn copy(&self, text: &str) -> Result<std::result::Result<(), NotCopied>> {
        let text = clean::visible(text);
        if variable("TERM").is_none_or(|term| term == "dumb") {
            return Ok(Err(NotCopied::Unsupported));
        }
        if text.len() > LONGEST {
            return Ok(Err(NotCopied::TooLong));
        }
        self.print_laid_out(&sequence(&text, variable("TMUX").is_some())).map(Ok)
    }
}

/// tmux takes the sequence itself if its `set-clipboard` is on, and passes it on to the terminal in a wrapper if its
/// `allow-passthrough` is on. It ignores the other one.
fn sequence(text: &str, in_tmux: bool) -> String {
    let copy = format!("\u{1b}]52;c;{}\u{7}", BASE64_STANDARD.encode(text));
    if in_tmux { format!("{copy}\u{1b}Ptmux;\u{1b}{copy}\u{1b}\\") } else { copy }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tmux_gets_the_sequence_in_its_wrapper_too() {
        assert_eq!(sequence("hi", false), "\u{1b}]52;c;aGk=\u{7}");
        assert_eq!(sequence("hi", true), "\u{1b}]52;c;aGk=\u{7}\u{1b}Ptmux;\u{1b}\u{1b}]52;c;aGk=\u{7}\u{1b}\\");
    }
}
