//! What a command writes, reads and asks: the standard streams, the status, the browser.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::Stdio;
use std::sync::PoisonError;
use std::time::Duration;

use super::Context;
use crate::cli::environment::{secret_variables, variable};
use crate::cli::error::{CliError, Result};
use crate::cli::history::layout::Screen;
use crate::cli::terminal::browser::{self, Browser, browsers};
use crate::cli::terminal::{
    Progress, for_stderr, hidden_input, progress, qr_code, screen, stdin, wrap, wrapped_for_stderr, write_stderr,
};
use nexus::internal::clean;

impl Context {
    /// Writes data to stdout and flushes it. On a terminal, escape sequences in it are made visible.
    pub(crate) fn print(&self, data: &str) -> Result<()> {
        self.print_laid_out(&self.fit(data))
    }

    /// Writes sentences to stdout like [`print`](Self::print). A terminal gets them wrapped.
    pub(crate) fn print_prose(&self, text: &str) -> Result<()> {
        match self.stdout_is_terminal() {
            true => self.print_laid_out(&wrap::wrapped(&clean::visible(text), self.columns())),
            false => self.print_laid_out(text),
        }
    }

    /// Writes text to stdout that may contain escape sequences of nexus, and flushes it.
    pub(crate) fn print_laid_out(&self, text: &str) -> Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::stdout)
    }

    /// Data as printed to stdout: on a terminal, escape sequences in it are made visible.
    pub(crate) fn fit<'d>(&self, data: &'d str) -> Cow<'d, str> {
        if self.stdout_is_terminal() { clean::visible(data) } else { data.into() }
    }

    /// Lines of JSON as printed to stdout: on a terminal, control characters are escaped as JSON escapes them.
    pub(crate) fn fit_json<'d>(&self, lines: &'d str) -> Cow<'d, str> {
        if self.stdout_is_terminal() { clean::visible_json(lines) } else { lines.into() }
    }

    /// Writes a JSON object to stdout, on one line.
    pub(crate) fn print_object(&self, object: &serde_json::Value) -> Result<()> {
        self.print_json(&format!("{object}\n"))
    }

    /// Writes lines of JSON to stdout.
    pub(crate) fn print_json(&self, lines: &str) -> Result<()> {
        self.print(&self.fit_json(lines))
    }

    /// Writes a line to stderr.
    pub(crate) fn say(&self, line: &str) {
        write_stderr(line);
    }

    /// Writes lines to stderr that may contain escape sequences of nexus.
    pub(crate) fn say_styled(&self, lines: &str) {
        let lines = if io::stderr().is_terminal() { wrapped_for_stderr(lines) } else { lines.to_owned() };
        let _ = progress::above(|| write!(anstream::stderr(), "{lines}"));
    }

    /// Writes a warning to stderr, once.
    pub(crate) fn warn(&self, message: &str) {
        self.say_once(format!("warning: {message}"));
    }

    /// Writes a note to stderr, once.
    pub(crate) fn note(&self, message: &str) {
        self.say_once(format!("note: {message}"));
    }

    fn say_once(&self, line: String) {
        let mut printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
        if !printed.contains(&line) {
            self.say(&line);
            printed.push(line);
        }
    }

    /// Writes an error and its hint to stderr as a warning.
    pub(crate) fn warn_error(&self, failure: &CliError) {
        self.warn(&format!("{failure}\n  {}", failure.hint()));
    }

    /// Writes an error and its hint to stderr.
    pub(crate) fn fail(&self, failure: &CliError) {
        const TITLE: &str = "error:";
        const LABEL: anstyle::Style =
            anstyle::Style::new().bold().fg_color(Some(anstyle::Color::Ansi(anstyle::AnsiColor::Red)));
        let mut err = anstream::stderr();
        let message = format!("{TITLE} {failure}");
        let message = for_stderr(&message);
        let message = message.strip_prefix(TITLE).unwrap_or(&message);
        let _ = progress::above(|| writeln!(err, "{LABEL}{TITLE}{LABEL:#}{message}"));
        let hint = failure.hint();
        if !hint.is_empty() {
            self.say(&format!("  {hint}"));
        }
    }

    pub(crate) fn stdout_is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Whether stdout shows colors.
    pub(crate) fn is_colored(&self) -> bool {
        screen::is_colored()
    }

    /// The current width of the terminal: `COLUMNS` if that is set.
    pub(crate) fn columns(&self) -> usize {
        screen::width_of(&io::stdout())
    }

    /// How data is laid out on stdout, if that is a terminal.
    pub(crate) fn screen(&self) -> Option<Screen> {
        self.stdout_is_terminal().then(|| Screen { columns: self.columns(), colored: self.is_colored() })
    }

    /// Shows the [status](Self::waiting) on a terminal until the result is dropped.
    pub(crate) fn progress(&self) -> Progress {
        Progress::begin()
    }

    /// Whether the status is shown.
    pub(crate) fn shows_progress(&self) -> bool {
        progress::is_enabled()
    }

    /// Sets the status, such as "refreshing the token".
    pub(crate) fn waiting(&self, what: impl Display) {
        progress::waiting(what);
    }

    /// Sets the status to what is done again after a pause.
    pub(crate) fn pausing(&self, what: impl Display, pause: Duration) {
        progress::pausing(what, pause);
    }

    /// Sets the status to how far the work is, such as "3/9".
    pub(crate) fn working(&self, what: impl Display) {
        progress::working(what);
    }

    /// Whether stdout and stderr are the same terminal, pipe (`2>&1`) or file.
    pub(crate) fn streams_are_one(&self) -> bool {
        screen::stdout_is_stderr()
    }

    pub(crate) fn stdin_is_terminal(&self) -> bool {
        io::stdin().is_terminal()
    }

    /// Whether stdin and stderr are terminals.
    pub(crate) fn is_attended(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks at the terminal. Only "y" and "yes" are a yes.
    pub(crate) fn confirm(&self, question: &str) -> Result<bool> {
        let _ = progress::above(|| write!(io::stderr(), "{}", for_stderr(&format!("{question} [y/N] "))));
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer);
        read.map_err(CliError::system("reading the terminal"))?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    pub(crate) fn has_browser(&self) -> bool {
        variable("BROWSER").is_some() || self.has_display()
    }

    /// All of stdin as text, unless it is a terminal.
    pub(crate) fn piped(&self) -> Result<Option<String>> {
        if self.stdin_is_terminal() { Ok(None) } else { stdin::text(write_stderr, "; --no-stdin ignores it").map(Some) }
    }

    /// Stdin, up to this many bytes.
    pub(crate) fn stdin_bytes(&self, limit: usize) -> Result<Vec<u8>> {
        stdin::read(limit, write_stderr, "")
    }

    /// All of stdin as text.
    pub(crate) fn stdin(&self) -> Result<String> {
        stdin::text(write_stderr, "")
    }

    pub(crate) fn stdin_reader(&self) -> Box<dyn io::Read + Send> {
        Box::new(io::stdin())
    }

    /// Opens a URL in the browser: the first program of `BROWSER` that works, else the system's default. It gets no
    /// stream, and no variable that holds a secret.
    pub(crate) fn browse(&self, url: &str) -> Browser {
        let commands = match variable("BROWSER") {
            Some(list) => browsers(&list, url),
            None if self.has_display() => Ok(open::commands(url)),
            None => return Browser::default(),
        };
        let mut commands = match commands {
            Ok(commands) => commands,
            Err(why) => return Browser::unusable(why),
        };
        for command in &mut commands {
            for name in secret_variables() {
                command.env_remove(name);
            }
            // Ctrl-C must not close the browser.
            #[cfg(unix)]
            std::os::unix::process::CommandExt::process_group(command, 0);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        }
        Browser::open(commands)
    }

    /// Whether windows can be shown.
    fn has_display(&self) -> bool {
        browser::has_display(variable)
    }

    /// Whether a user can paste at a terminal.
    pub(crate) fn has_terminal(&self) -> bool {
        hidden_input::has_terminal()
    }

    /// The name of this machine, if the user is connected to it with SSH or `always`.
    pub(crate) fn ssh_host(&self, always: bool) -> Option<String> {
        (always || variable("SSH_CONNECTION").is_some()).then(machine_name)
    }

    /// Writes a QR code of this text to stderr, if that is a terminal, and large enough for the code, these lines and
    /// the status. Returns whether it did.
    pub(crate) fn show_qr_code(&self, text: &str, beside: &[&str]) -> bool {
        let Some((columns, rows)) = screen::size_of(&io::stderr()) else { return false };
        let taken = 1 + beside.iter().map(|lines| wrap::rows(lines, columns)).sum::<usize>();
        let Some(lines) = qr_code::drawn(text, columns, rows.saturating_sub(taken)) else { return false };
        let _ = progress::above(|| {
            let mut err = anstream::stderr();
            lines.iter().try_for_each(|line| writeln!(err, "{}{line}{:#}", qr_code::COLORS, qr_code::COLORS))
        });
        true
    }
}

/// The name of this machine.
fn machine_name() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let name = String::new();
    if name.is_empty() { "HOST".into() } else { name }
}
