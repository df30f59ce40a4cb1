//! Everything that comes from outside: the clock, the environment, the folders, the browser, the
//! HTTP client, and the three streams. The only home of the environment, of `open` and of
//! `directories`; commands see it, rooms are handed plain values.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use crate::cli::config::{self, Configured};
use crate::cli::environment::variable;
use crate::cli::error::{CliError, Result};
use crate::cli::history::store::History;
use crate::cli::paths::Paths;
use nexus::internal::clean;
use nexus::internal::http::{Http, Roots};
use nexus::internal::secret;
use nexus::internal::session::PendingSaves;
use nexus::{Client, EarlierSession, Folders, KeyBackend, KeyConfig, Notice, NoticeFn, SealedSessions, Session};

use crate::cli::error::session::session_hint;
use crate::cli::error::start;
use crate::cli::terminal::browser::browsers;
use crate::cli::terminal::{Progress, complain, progress, screen, stdin};

/// The process's surroundings.
#[derive(Clone)]
pub(crate) struct Context {
    /// Whether to tell on stderr what happens on the wire.
    pub(crate) verbose: bool,
    /// Whether to tell what is odd about the configuration.
    telling: bool,
    pub(crate) pending_saves: PendingSaves,
    /// What was said already, and is said once.
    said: Arc<Mutex<Vec<String>>>,
}

/// Lets no other program of this account read this process's memory, and leaves no core dump of it:
/// tokens and keys pass through. Children are as they ever were. Linux alone can do that.
pub(crate) fn hide_memory() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // A kernel that will not is the kernel of a sandbox, which has its own ideas.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

impl Context {
    /// The real one.
    pub(crate) fn new(verbose: bool) -> Self {
        Self { verbose, telling: verbose, pending_saves: PendingSaves::default(), said: Arc::default() }
    }

    /// The same for a command where somebody attends to the session itself. What is odd about the
    /// configuration and keeps nobody from their work is told there; every chat and every cron job's mail
    /// would only teach people to overlook it.
    pub(crate) fn telling(&self) -> Self {
        Self { telling: true, ..self.clone() }
    }

    /// The client of the provider that was asked for.
    ///
    /// # Errors
    /// [`CliError::Configuration`].
    pub(crate) fn client(&self, provider: Option<&str>) -> Result<Client> {
        self.client_and_history(provider).map(|(client, _)| client)
    }

    /// The same, and whether what is said at a terminal is to be kept.
    ///
    /// # Errors
    /// As [`client`](Self::client).
    pub(crate) fn client_and_history(&self, provider: Option<&str>) -> Result<(Client, bool)> {
        let Paths { config, folders } = Paths::find()?;
        let configured = config::load(&config, &variable, provider)?;
        let history = configured.history;
        Ok((self.client_as(configured, &folders), history))
    }

    /// The same for commands that need no more than what is stored, which a broken configuration, or
    /// one that knows this provider no more, does not keep from their work.
    ///
    /// # Errors
    /// [`CliError::Configuration`] where neither the configuration nor the store knows the provider.
    pub(crate) fn stored_client(&self, provider: Option<&str>) -> Result<Client> {
        let Paths { config, folders } = Paths::find()?;
        // A store that cannot be read is a failure of whoever needs it next.
        let stored = || self.providers().unwrap_or_default();
        let (configured, broken) = config::load_stored(&config, &variable, provider, &stored)?;
        if let Some(failure) = broken {
            self.warn_of(&failure);
        }
        Ok(self.client_as(configured, &folders))
    }

    fn client_as(&self, configured: Configured, folders: &Folders) -> Client {
        let notice = notice(configured.provider.name.clone());
        let closed = Notice::of_closed_files(notice.clone());
        let sessions = folders.sessions(configured.key_config, nexus::now, closed);
        let oddities = if self.telling { configured.warnings } else { Vec::new() };
        for warning in oddities.into_iter().chain(sessions.keystore().mismatch().map(key_mismatch)) {
            self.warn(&warning);
        }
        let client = Client::with_sessions(configured.provider, sessions, nexus::now, notice);
        client.with_http(self.http()).with_pending_saves(self.pending_saves.clone())
    }

    /// The session that the command line has with this provider.
    ///
    /// # Errors
    /// Why there is no usable one.
    pub(crate) fn session(&self, client: &Client) -> Result<Session> {
        match client.try_load("") {
            Some(loaded) => Ok(loaded?),
            None => Ok(runtime()?.block_on(client.load(""))?),
        }
    }

    /// The session with this provider, whatever its state; none if there is none.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) fn found(&self, client: &Client) -> Result<Option<Session>> {
        match client.try_find("") {
            Some(found) => Ok(found?),
            None => Ok(runtime()?.block_on(client.find(""))?),
        }
    }

    /// The providers that the command line is signed in to.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) fn providers(&self) -> Result<Vec<String>> {
        let sessions = Paths::find()?.folders.sessions(KeyConfig::default(), nexus::now, Arc::new(|_, _| {}));
        let listed = match sessions.try_list("") {
            Some(listed) => listed,
            None => runtime()?.block_on(sessions.list("")),
        };
        Ok(listed?.into_iter().map(|listed| listed.key.provider).collect())
    }

    /// The store as the configuration wants it, for those who need no provider, and what the
    /// configuration says of its key.
    ///
    /// # Errors
    /// [`CliError::Configuration`].
    pub(crate) fn sessions(&self) -> Result<(SealedSessions, KeyConfig)> {
        let Paths { config, folders } = Paths::find()?;
        let (key_config, warnings) = config::key_config(&config)?;
        for warning in warnings {
            self.warn(&warning);
        }
        let closed = Notice::of_closed_files(notice(String::new()));
        Ok((folders.sessions(key_config.clone(), nexus::now, closed), key_config))
    }

    /// Checks that the key opens what is stored.
    ///
    /// # Errors
    /// A key that is missing or another one.
    pub(crate) fn check_readable(&self, sessions: &SealedSessions) -> Result<()> {
        Ok(runtime()?.block_on(sessions.check_readable())?)
    }

    /// The conversations that were kept.
    ///
    /// # Errors
    /// As [`Paths::find`].
    pub(crate) fn history(&self) -> Result<History> {
        Ok(History::new(&Paths::find()?.folders.data, Notice::of_closed_files(notice(String::new()))))
    }

    /// An HTTP client; nothing is built before its first request.
    pub(crate) fn http(&self) -> Http {
        let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().any(|name| variable(name).is_some());
        let roots = if named { Roots::All } else { Roots::Bundle };
        let trace: Option<nexus::internal::http::Trace> =
            if self.verbose { Some(Arc::new(|line: &str| complain(line))) } else { None };
        let http = Http::new(roots, variable, trace);
        // Where nobody sees it, a connection is made as it always was.
        if progress::could_be_seen() { http.with_connecting(Arc::new(progress::connecting)) } else { http }
    }

    /// Writes data to stdout at once.
    ///
    /// # Errors
    /// What the stream answers; [`crate::cli::commands::report`] knows that a reader who has gone is no failure.
    pub(crate) fn print(&self, data: &str) -> Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(self.fit(data).as_bytes()).and_then(|()| out.flush()).map_err(CliError::stdout)
    }

    /// Data as stdout should get it: on a terminal nothing of it acts.
    pub(crate) fn fit<'d>(&self, data: &'d str) -> Cow<'d, str> {
        // Text from elsewhere may be in it. Whether a person sees it is asked only where that matters.
        match clean::visible(data) {
            shown @ Cow::Owned(_) if self.stdout_is_terminal() => shown,
            _ => data.into(),
        }
    }

    /// The same for lines of JSON, which stay what they are.
    pub(crate) fn fit_json<'d>(&self, lines: &'d str) -> Cow<'d, str> {
        if self.stdout_is_terminal() { clean::visible_json(lines) } else { lines.into() }
    }

    /// Writes an object for programs to stdout, on a line of its own. On a terminal no character of
    /// it acts.
    ///
    /// # Errors
    /// As [`print`](Self::print).
    pub(crate) fn print_object(&self, object: &serde_json::Value) -> Result<()> {
        self.print_json(&format!("{object}\n"))
    }

    /// The same for lines that were written already, each of them an object.
    ///
    /// # Errors
    /// As [`print`](Self::print).
    pub(crate) fn print_json(&self, lines: &str) -> Result<()> {
        self.print(&self.fit_json(lines))
    }

    /// Says a line of conversation on stderr.
    pub(crate) fn say(&self, line: &str) {
        complain(line);
    }

    /// Says on stderr what is odd, once.
    pub(crate) fn warn(&self, message: &str) {
        self.say_once(format!("warning: {message}"));
    }

    /// Says on stderr what is good to know, once.
    pub(crate) fn note(&self, message: &str) {
        self.say_once(format!("note: {message}"));
    }

    fn say_once(&self, line: String) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if !said.contains(&line) {
            self.say(&line);
            said.push(line);
        }
    }

    /// Says on stderr what failed and keeps nobody from their work, and the way out.
    pub(crate) fn warn_of(&self, failure: &CliError) {
        self.warn(&format!("{failure}\n  {}", failure.hint()));
    }

    /// Says on stderr what went wrong and the way out, under a label that stands out where colour is
    /// welcome.
    pub(crate) fn fail(&self, failure: &CliError) {
        let message = failure.to_string();
        const LABEL: anstyle::Style =
            anstyle::Style::new().bold().fg_color(Some(anstyle::Color::Ansi(anstyle::AnsiColor::Red)));
        let mut err = anstream::stderr();
        let message = if io::stderr().is_terminal() { clean::visible(&message) } else { message.into() };
        // Nobody reads it: then there is nobody to tell.
        let _ = progress::above(|| writeln!(err, "{LABEL}error:{LABEL:#} {message}"));
        let hint = failure.hint();
        if !hint.is_empty() {
            self.say(&format!("  {hint}"));
        }
    }

    /// Whether a person sees stdout.
    pub(crate) fn stdout_is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Whether stdout shows colours, bold and the like: not under `NO_COLOR` or `TERM=dumb`.
    pub(crate) fn is_coloured(&self) -> bool {
        screen::is_coloured()
    }

    /// The columns of the terminal: what `COLUMNS` says, else what the terminal does. It may be asked
    /// again, as the person may make it wider or narrower.
    pub(crate) fn columns(&self) -> usize {
        screen::width_of(&io::stdout())
    }

    /// From now on a person sees what is [waited](Self::waiting) for, if one is there.
    pub(crate) fn progress(&self) -> Progress {
        Progress::begin()
    }

    /// Whether a person sees what is waited for.
    pub(crate) fn shows_progress(&self) -> bool {
        progress::is_wanted()
    }

    /// From now on this is waited for, such as "refreshing the token". It is shown while there is a
    /// [progress](Self::progress).
    pub(crate) fn waiting(&self, what: impl Display) {
        progress::waiting(what);
    }

    /// What is waited for, from a function that is told how many columns there are.
    pub(crate) fn waiting_within(&self, what: impl Fn(usize) -> String + Send + 'static) {
        progress::waiting_within(what);
    }

    /// Whether what is said on stderr lands among what is printed: on one terminal, in one pipe (`2>&1`), in one file.
    pub(crate) fn streams_are_one(&self) -> bool {
        screen::stdout_is_stderr()
    }

    /// Whether a person types into stdin.
    pub(crate) fn stdin_is_terminal(&self) -> bool {
        io::stdin().is_terminal()
    }

    /// Whether a person is there to be asked.
    pub(crate) fn is_attended(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Whether there is a browser to be opened.
    pub(crate) fn has_browser(&self) -> bool {
        variable("BROWSER").is_some() || self.has_display()
    }

    /// Text from elsewhere as stdout should get it: untouched in a pipe, harmless on a terminal.
    pub(crate) fn shown<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.stdout_is_terminal() { clean::visible(text) } else { text.into() }
    }

    /// What was piped in beside words, as text; none at a terminal.
    ///
    /// # Errors
    /// As [`stdin`](Self::stdin).
    pub(crate) fn piped(&self) -> Result<Option<String>> {
        if self.stdin_is_terminal() {
            Ok(None)
        } else {
            stdin::text(complain, "; --no-stdin leaves it alone").map(Some)
        }
    }

    /// So many bytes of stdin, or as many as there are.
    ///
    /// # Errors
    /// [`CliError::System`] where it cannot be read.
    pub(crate) fn stdin_bytes(&self, most: usize) -> Result<Vec<u8>> {
        stdin::read(most, complain, "")
    }

    /// All of stdin, as text.
    ///
    /// # Errors
    /// [`CliError::Usage`] where it is not UTF-8, naming the offset, or too large for a request.
    pub(crate) fn stdin(&self) -> Result<String> {
        stdin::text(complain, "")
    }

    /// Stdin, to be read as it comes.
    pub(crate) fn stdin_reader(&self) -> Box<dyn io::Read + Send> {
        Box::new(io::stdin())
    }

    /// Opens a URL in the person's browser: `$BROWSER`'s programs in order, else the system's own.
    /// Says whether one was started; none is waited for, and none is given a secret or a stream.
    pub(crate) fn browse(&self, url: &str) -> bool {
        let commands = match variable("BROWSER") {
            Some(list) => browsers(&list, url),
            None if self.has_display() => open::commands(url),
            None => return false,
        };
        commands.into_iter().any(|mut command| {
            for name in secret::VARIABLES {
                command.env_remove(name);
            }
            // Whoever ends the wait with Ctrl-C keeps the window that they are reading.
            #[cfg(unix)]
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().is_ok()
        })
    }

    /// Whether a window could be seen: always but on a Unix without a display server.
    pub(crate) fn has_display(&self) -> bool {
        !cfg!(all(unix, not(target_os = "macos")))
            || ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"].into_iter().any(|name| variable(name).is_some())
    }
}

/// Prints notices about this provider's sessions on stderr, with what to type where that helps.
fn notice(provider: String) -> NoticeFn {
    Arc::new(move |notice| complain(&format!("note: {}", in_words(notice, &provider))))
}

fn in_words(notice: &Notice, provider: &str) -> String {
    match notice {
        Notice::NotSaved { error } => format!(
            "the refreshed session could not be saved and is lost with the next refresh or the end of this command: \
             {error}; {}, then {}",
            session_hint(error),
            start(provider)
        ),
        Notice::EarlierSession { provider, host, end: EarlierSession::PerhapsShared } => format!(
            "the earlier session stays valid at {host} until it expires; where this server keeps sign-ins apart, \
             `revoke_replaced = true` under [provider.{provider}] revokes it next time"
        ),
        other => other.to_string(),
    }
}

/// What to say where the configuration names another place for the key than the one that has it.
pub(crate) fn key_mismatch((configured, found): (KeyBackend, KeyBackend)) -> String {
    let (configured, found) = (configured.as_str(), found.as_str());
    format!(
        "config.toml says `key = \"{configured}\"`, but the key is kept by `{found}`, and that is used: run `nexus key \
         move {configured}`, or write `key = \"{found}\"`"
    )
}

/// The runtime of this thread. It is built only for commands that wait for something.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::system("starting the runtime"))
}
