//! Reads stdin to its end, and prints a note if that takes long: the other end of the pipe may have been left open.

use std::io::{self, BufRead as _, ErrorKind, IsTerminal as _};
use std::time::Duration;

use crate::cli::error::{CliError, Result};
use crate::cli::text::{self, NotUtf8};

/// The largest input in bytes, which is the limit of a request to the Messages API.
const LARGEST: usize = 32 * 1024 * 1024;

/// How long stdin may be silent before the note.
const NOTE_AFTER: Duration = Duration::from_secs(2);

/// All of stdin, as text. `print` gets a note if stdin is a terminal, or silent; `advice` is inserted into the latter.
pub(crate) fn text(print: impl Fn(&str), advice: &str) -> Result<String> {
    let bytes = read(LARGEST + 1, print, advice)?;
    if bytes.len() > LARGEST {
        return Err(CliError::usage("chat", "stdin has more than 32 MB, the limit of a request"));
    }
    text::decode(bytes).map_err(|why| CliError::Usage {
        message: format!("stdin is not text: {why}"),
        hint: match why {
            NotUtf8::Encoding(_) => why.hint(),
            NotUtf8::At(_) => {
                "attach an image or a PDF with `-a -` and pass the question as an argument; convert text \
                               with `iconv -t UTF-8`"
                    .into()
            }
        },
    })
}

/// Stdin, up to this many bytes.
pub(crate) fn read(limit: usize, print: impl Fn(&str), advice: &str) -> Result<Vec<u8>> {
    let mut input = io::stdin().lock();
    let mut noted = input.is_terminal();
    if noted {
        print("note: reading the question from the terminal; end it with Ctrl-D on an empty line");
    }
    let mut bytes = Vec::new();
    loop {
        if !noted && is_silent() {
            noted = true;
            print(&format!("note: still reading stdin{advice}; Ctrl-C cancels"));
        }
        let read = match input.fill_buf() {
            Ok([]) => return Ok(bytes),
            Ok(piece) => {
                let wanted = piece.len().min(limit - bytes.len());
                bytes.extend_from_slice(&piece[..wanted]);
                wanted
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => 0,
            Err(error) => return Err(CliError::system("reading stdin")(error)),
        };
        input.consume(read);
        if bytes.len() == limit {
            return Ok(bytes);
        }
    }
}

/// Waits until stdin is readable or at its end. True if that took too long.
#[cfg(unix)]
fn is_silent() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdin = io::stdin();
    let limit = Timespec { tv_sec: NOTE_AFTER.as_secs().cast_signed(), tv_nsec: 0 };
    // Errors of poll show up when reading.
    matches!(poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&limit)), Ok(0))
}

#[cfg(not(unix))]
fn is_silent() -> bool {
    false
}

/// Drops what is typed or pasted, until the terminal is silent for a moment. Nothing of it is echoed.
#[cfg(unix)]
pub(crate) fn discard_input() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::termios::{LocalModes, OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr};
    const MOMENT: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
    let stdin = io::stdin();
    let Ok(found) = tcgetattr(&stdin) else { return };
    let mut quiet = found.clone();
    quiet.local_modes -= LocalModes::ECHO | LocalModes::ICANON;
    let _ = tcsetattr(&stdin, OptionalActions::Now, &quiet);
    while tcflush(&stdin, QueueSelector::IFlush).is_ok()
        && matches!(poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&MOMENT)), Ok(1..))
    {}
    let _ = tcsetattr(&stdin, OptionalActions::Now, &found);
}

#[cfg(not(unix))]
pub(crate) fn discard_input() {}
