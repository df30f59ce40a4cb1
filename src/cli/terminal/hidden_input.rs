//! Lines that are typed or pasted at the controlling terminal and not shown. Stdin is not read.

#[cfg(unix)]
pub(crate) use unix::{HiddenInput, has_terminal};
#[cfg(not(unix))]
pub(crate) use without_terminal::{HiddenInput, has_terminal};

#[cfg(unix)]
mod unix {
    use std::fs::{File, OpenOptions};
    use std::io::{self, IsTerminal as _, PipeReader, PipeWriter, Read as _};
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::process::getpgrp;
    use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr};
    use tokio::signal::unix::{Signal, SignalKind, signal};
    use tokio::sync::mpsc;
    use zeroize::Zeroizing;

    use super::line::Line;

    /// The value of a special character that is turned off (POSIX `_POSIX_VDISABLE`).
    const DISABLED: u8 = if cfg!(target_os = "linux") { 0 } else { 0xff };

    /// How often a program in the background looks whether it is in the foreground again.
    const IN_BACKGROUND: Duration = Duration::from_millis(200);

    /// Reads lines until it is dropped, which restores the terminal.
    pub(crate) struct HiddenInput {
        lines: mpsc::UnboundedReceiver<Zeroizing<String>>,
        mode: Mode,
        /// SIGCONT: the shell may have changed the settings while the program was stopped.
        continued: Signal,
        /// Closing it ends the thread that reads.
        _open: PipeWriter,
    }

    impl HiddenInput {
        /// Nothing without a terminal, or in the background, where reading it would stop this program.
        pub(crate) fn open() -> Option<Self> {
            let terminal = Arc::new(terminal().filter(is_in_foreground)?);
            let (ended, open) = io::pipe().ok()?;
            let continued = signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw())).ok()?;
            let mode = Mode::hidden(terminal.clone())?;
            let (send, lines) = mpsc::unbounded_channel();
            thread::Builder::new().spawn(move || read(&terminal, &ended, &send)).ok()?;
            Some(Self { lines, mode, continued, _open: open })
        }

        /// Waits for the next line, without its end. Does not return once the terminal is closed.
        pub(crate) async fn next(&mut self) -> Zeroizing<String> {
            loop {
                tokio::select! {
                    line = self.lines.recv() => match line {
                        Some(line) => return line,
                        None => return std::future::pending().await,
                    },
                    Some(()) = self.continued.recv() => self.mode.hide(),
                }
            }
        }
    }

    /// Whether someone can type: there is a controlling terminal, and not all streams were redirected away from it.
    pub(crate) fn has_terminal() -> bool {
        terminal().is_some()
    }

    fn terminal() -> Option<File> {
        if !io::stdin().is_terminal() && !io::stderr().is_terminal() {
            return None;
        }
        OpenOptions::new().read(true).write(true).open("/dev/tty").ok()
    }

    fn is_in_foreground(terminal: &File) -> bool {
        tcgetpgrp(terminal).is_ok_and(|group| group == getpgrp())
    }

    /// Restores the settings of the terminal when dropped.
    struct Mode {
        terminal: Arc<File>,
        found: Termios,
    }

    impl Mode {
        /// Turns off echo, and the limit of a line, which is 4,095 bytes on Linux: a redirect may be longer. Signals
        /// stay, except the one of Ctrl-\, after which nothing could be restored.
        fn hidden(terminal: Arc<File>) -> Option<Self> {
            let found = tcgetattr(&terminal).ok()?;
            let mode = Self { terminal, found };
            mode.hide();
            Some(mode)
        }

        fn hide(&self) {
            let mut hidden = self.found.clone();
            hidden.local_modes -= LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON;
            hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
            hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
            hidden.special_codes[SpecialCodeIndex::VQUIT] = DISABLED;
            self.set(OptionalActions::Now, &hidden);
        }

        /// In the background the terminal belongs to the shell.
        fn set(&self, when: OptionalActions, settings: &Termios) {
            if is_in_foreground(&self.terminal) {
                let _ = tcsetattr(&self.terminal, when, settings);
            }
        }
    }

    impl Drop for Mode {
        fn drop(&mut self) {
            // What was pasted and not read is dropped, or the shell would show it.
            self.set(OptionalActions::Flush, &self.found);
        }
    }

    /// Sends each line, until the pipe or the terminal is closed.
    fn read(mut terminal: &File, ended: &PipeReader, lines: &mpsc::UnboundedSender<Zeroizing<String>>) {
        let mut line = Line::default();
        let mut bytes = Zeroizing::new([0; 4_096]);
        loop {
            let mut ready = [PollFd::new(ended, PollFlags::IN), PollFd::new(terminal, PollFlags::IN)];
            match poll(&mut ready, None) {
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return,
                Ok(_) if !ready[0].revents().is_empty() => return,
                Ok(_) => {}
            }
            if !is_in_foreground(terminal) {
                thread::sleep(IN_BACKGROUND);
                continue;
            }
            let read = match terminal.read(&mut *bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(0) | Err(_) => return,
                Ok(read) => read,
            };
            for line in bytes[..read].iter().filter_map(|byte| line.add(*byte)) {
                if lines.send(line).is_err() {
                    return;
                }
            }
        }
    }
}

#[cfg(unix)]
mod line {
    use std::mem;

    use zeroize::Zeroizing;

    /// The longest line in bytes. The listener accepts no longer redirect either.
    const LONGEST: usize = 64 * 1024;

    /// What a terminal sends before and after pasted text, if a program before this one asked for it.
    const BRACKETS: [&str; 2] = ["\x1b[200~", "\x1b[201~"];

    /// A line that is typed.
    #[derive(Default)]
    pub(super) struct Line(Zeroizing<Vec<u8>>);

    impl Line {
        /// Adds what a key sends. Returns the line when it is complete. What is too long is cut off.
        pub(super) fn add(&mut self, byte: u8) -> Option<Zeroizing<String>> {
            let line = &mut *self.0;
            match byte {
                b'\n' | b'\r' => {
                    let bytes = mem::take(&mut self.0);
                    let mut text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
                    for bracket in BRACKETS {
                        text = Zeroizing::new(text.replace(bracket, ""));
                    }
                    return Some(text);
                }
                // Backspace: the bytes of one character.
                0x7f | 0x08 => while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
                // Ctrl-U.
                0x15 => line.clear(),
                _ if line.len() < LONGEST => {
                    if line.capacity() == 0 {
                        // Growing would leave copies behind.
                        line.reserve_exact(LONGEST);
                    }
                    line.push(byte);
                }
                _ => {}
            }
            None
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn keys_make_lines() {
            for (keys, lines) in [
                ("abc\n", &["abc"][..]),
                ("abc\r\n", &["abc", ""]),
                ("ax\x7fb\u{e9}\x08c\n", &["abc"]),
                ("wrong\x15right\n", &["right"]),
                ("\x1b[200~pasted\x1b[201~\n", &["pasted"]),
                ("\x7f\x7fa\n", &["a"]),
                ("unfinished", &[]),
            ] {
                let mut line = Line::default();
                let made: Vec<_> =
                    keys.bytes().filter_map(|byte| line.add(byte)).map(|line| line.to_string()).collect();
                assert_eq!(made, lines, "{keys:?}");
            }
        }

        #[test]
        fn a_line_has_a_longest_length() {
            let mut line = Line::default();
            let made = "x".repeat(LONGEST + 10).bytes().chain([b'\n']).find_map(|byte| line.add(byte));
            assert_eq!(made.unwrap().len(), LONGEST);
        }
    }
}

#[cfg(not(unix))]
mod without_terminal {
    use zeroize::Zeroizing;

    /// Input is never hidden here: turning off echo needs system calls that safe code cannot make.
    pub(crate) struct HiddenInput(std::convert::Infallible);

    impl HiddenInput {
        pub(crate) fn open() -> Option<Self> {
            None
        }

        pub(crate) async fn next(&mut self) -> Zeroizing<String> {
            match self.0 {}
        }
    }

    pub(crate) fn has_terminal() -> bool {
        false
    }
}
