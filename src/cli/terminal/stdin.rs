//! Reading stdin to its end, with a word where that takes long: whoever left a pipe open that nobody
//! writes to must find out why nothing happens.

use std::io::{self, BufRead as _, ErrorKind, IsTerminal as _};
use std::time::Duration;

use crate::cli::error::{CliError, Result};

/// The most that is read, in bytes: the Messages API's limit of a request.
const LARGEST: usize = 32 * 1024 * 1024;

/// How long it may be silent before that is worth a word.
const SILENCE: Duration = Duration::from_secs(2);

/// All of stdin, as text. `say` is told once if it is a terminal, or silent for two seconds;
/// `instead` is what a person could do about a pipe that does not end.
///
/// # Errors
/// [`CliError::System`] where it cannot be read, [`CliError::Usage`] where it holds more than a
/// request may, or is not UTF-8; the offset is named.
pub(crate) fn text(say: impl Fn(&str), instead: &str) -> Result<String> {
    let bytes = read(LARGEST + 1, say, instead)?;
    if bytes.len() > LARGEST {
        return Err(CliError::usage("chat", "stdin has more than 32 MB, the limit of a request"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        CliError::Usage {
            message: format!("stdin is not text: invalid UTF-8 at byte {at}"),
            hint: "attach an image or a PDF with `-a -` and pass the question as an argument; convert text with \
                   `iconv -t UTF-8`"
                .into(),
        }
    })
}

/// So many bytes of stdin, or as many as there are.
///
/// # Errors
/// [`CliError::System`] where it cannot be read.
pub(crate) fn read(most: usize, say: impl Fn(&str), instead: &str) -> Result<Vec<u8>> {
    let mut input = io::stdin().lock();
    let mut told = input.is_terminal();
    if told {
        say("note: reading the question from the terminal; end it with Ctrl-D on an empty line");
    }
    let mut bytes = Vec::new();
    loop {
        if !told && is_silent() {
            told = true;
            say(&format!("note: still reading stdin{instead}; Ctrl-C cancels"));
        }
        let read = match input.fill_buf() {
            Ok([]) => return Ok(bytes),
            Ok(piece) => {
                let wanted = piece.len().min(most - bytes.len());
                bytes.extend_from_slice(&piece[..wanted]);
                wanted
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => 0,
            Err(error) => return Err(CliError::system("reading stdin")(error)),
        };
        input.consume(read);
        if bytes.len() == most {
            return Ok(bytes);
        }
    }
}

/// Waits until there is something to read, the end included; says whether it was not to be had in
/// time. No thread is needed for that, and none is made.
#[cfg(unix)]
fn is_silent() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdin = io::stdin();
    let limit = Timespec { tv_sec: SILENCE.as_secs().cast_signed(), tv_nsec: 0 };
    // Whatever else poll has to say is said by reading, too.
    matches!(poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&limit)), Ok(0))
}

#[cfg(not(unix))]
fn is_silent() -> bool {
    false
}
