//! What a command gets from its surroundings: the configured client, the stores, HTTP, the standard streams and the
//! browser.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(feature = "postgres")]
use crate::cli::config::StorePlace;
use crate::cli::config::document::header;
use crate::cli::config::{self, ConfigFiles, Configured, StoreConfig};
#[cfg(feature = "postgres")]
use crate::cli::environment::add_secret_variable;
use crate::cli::environment::{secret_variables, variable};
use crate::cli::error::{CliError, Providers, Result, run_start, set_providers};
use crate::cli::history::layout::Screen;
use crate::cli::history::store::History;
use crate::cli::paths::Paths;
use nexus::internal::clean;
use nexus::internal::http::{Http, Roots};
use nexus::internal::private_fs::Privacy;
use nexus::internal::session::PendingSaves;
use nexus::key::KeyConfig;
use nexus::store::Listed;
use nexus::{Client, EarlierSession, Folders, Notice, NoticeFn, ProviderConfig, SealedSessions, Session};
#[cfg(feature = "postgres")]
use nexus::{
    key::Keystore,
    store::{PostgresStore, PostgresUrl},
};

use crate::cli::error::session::session_hint;
use crate::cli::terminal::browser::{self, Browser, browsers};
use crate::cli::terminal::{
    Progress, for_stderr, hidden_input, log_to_stderr, progress, qr_code, screen, stdin, wrap, wrapped_for_stderr,
    write_stderr,
};

/// The process's surroundings.
#[derive(Clone)]
pub(crate) struct Context {
    /// Whether to log HTTP to stderr.
    pub(crate) verbose: bool,
    /// Whether to print warnings about the configuration.
    config_warnings: bool,
    /// Whether files that are open to other users stay as they are.
    only_looks: bool,
    pub(crate) pending_saves: PendingSaves,
    /// The notes and warnings that were printed.
    printed: Arc<Mutex<Vec<String>>>,
}

/// Makes this process's memory, which holds tokens and keys, unreadable for other programs of the account, and disables
/// core dumps. Linux only.
pub(crate) fn hide_memory() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // Some sandboxes refuse this.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

impl Context {
    pub(crate) fn new(verbose: bool) -> Self {
        Self {
            verbose,
            config_warnings: verbose,
            only_looks: false,
            pending_saves: PendingSaves::default(),
            printed: Arc::default(),
        }
    }

    /// A context that prints warnings about the configuration. Only commands about the session itself use it: warnings
    /// in every chat and every cron mail would be overlooked.
    pub(crate) fn with_config_warnings(&self) -> Self {
        Self { config_warnings: true, ..self.clone() }
    }

    /// A context that leaves files that are open to other users as they are.
    pub(crate) fn only_looking(&self) -> Self {
        Self { only_looks: true, ..self.clone() }
    }

    /// How the files of this provider's sessions are checked.
    fn privacy(&self, provider: &str) -> Privacy {
        match self.only_looks {
            true => Privacy::default().only_looking(),
            false => Privacy::default().reporting(Notice::of_closed_files(notice(provider.to_owned()))),
        }
    }

    /// The client of this provider, or of the default one.
    pub(crate) fn client(&self, provider: Option<&str>) -> Result<Client> {
        self.client_and_history(provider).map(|(client, _)| client)
    }

    /// The client of this provider, and whether conversations at a terminal are saved.
    pub(crate) fn client_and_history(&self, provider: Option<&str>) -> Result<(Client, bool)> {
        let (configured, folders) = self.load(provider)?;
        self.introduce(&configured);
        let history = configured.history;
        Ok((self.client_as(configured, &folders), history))
    }

    /// This provider, or the default one, for a sign-in, which may register its client, and the folders of its sessions,
    /// for [`client_as`](Self::client_as).
    pub(crate) fn configured_for_sign_in(&self, provider: Option<&str>) -> Result<(Configured, Folders)> {
        let (mut configured, folders) = self.load(provider)?;
        configured.read_registration_token()?;
        self.introduce(&configured);
        Ok((configured, folders))
    }

    /// This provider, or the default one, and the folders of its sessions. An account without a home folder has only
    /// providers that need no user.
    fn load(&self, provider: Option<&str>) -> Result<(Configured, Folders)> {
        self.with_paths(|config| config::load(config, &variable, provider, &|| self.stored()))
    }

    fn with_paths(&self, load: impl FnOnce(&ConfigFiles) -> Result<Configured>) -> Result<(Configured, Folders)> {
        let found = Paths::find();
        let no_home = found.as_ref().err().cloned();
        let Paths { config, folders } = found.unwrap_or_else(|_| Paths::nowhere());
        let configured = load(&config)?;
        match no_home.filter(|_| configured.provider.grant.needs_user()) {
            Some(no_home) => Err(no_home),
            None => Ok((configured, folders)),
        }
    }

    /// A client for commands that need only the stored session. A broken configuration, or one without this provider,
    /// is a warning.
    pub(crate) fn stored_client(&self, provider: Option<&str>) -> Result<Client> {
        let (configured, folders) = self.with_paths(|config| {
            let (configured, broken) = config::load_stored(config, &variable, provider, &|| self.stored())?;
            if let Some(failure) = broken {
                self.warn_error(&failure);
            }
            Ok(configured)
        })?;
        self.introduce(&configured);
        Ok(self.client_as(configured, &folders))
    }

    /// Prepares hints about this provider, and prints the warnings about its configuration.
    pub(crate) fn introduce(&self, configured: &Configured) {
        set_providers(Providers {
            current: configured.provider.name.clone(),
            default: configured.default.clone(),
            is_new: configured.is_new,
        });
        if configured.is_by_environment && self.config_warnings {
            self.note(&format!(
                "using {}, because its environment variables are set and nothing else is configured",
                configured.provider.name
            ));
        }
        for warning in configured.warnings.iter().filter(|_| self.config_warnings) {
            self.warn(warning);
        }
    }

    /// The client of this provider, with its sessions in these folders.
    pub(crate) fn client_as(&self, configured: Configured, folders: &Folders) -> Client {
        let Configured { provider, sources, store, owner, .. } = configured;
        let of = |provider: ProviderConfig, other: Option<Client>| {
            let notice = notice(provider.name.clone());
            let in_memory = self.sessions_in_memory(&provider, folders).filter(|_| !store.is_shared());
            let sessions = in_memory.unwrap_or_else(|| sessions(&store, folders, self.privacy(&provider.name)));
            let client = Client::with_sessions(provider, sessions, nexus::now, notice).with_default_owner(&owner);
            let client = client.with_http(self.http()).with_pending_saves(self.pending_saves.clone());
            match other {
                Some(other) => client.with_assertions_from(other, ""),
                None => client,
            }
        };
        let other = sources.into_iter().rev().fold(None, |other, source| Some(of(source, other)));
        of(provider, other)
    }

    /// Sessions that end with this process, if none can be saved and no user has to sign in again.
    fn sessions_in_memory(&self, provider: &ProviderConfig, folders: &Folders) -> Option<SealedSessions> {
        let folder = Some(provider).filter(|provider| !provider.grant.needs_user()).and(folders.read_only())?;
        let sessions = SealedSessions::in_memory(nexus::now).ok()?;
        if self.verbose {
            self.note(&format!("{} cannot be written, so the token is kept in memory only", folder.display()));
        }
        Some(sessions)
    }

    /// The session with this provider.
    pub(crate) fn session(&self, client: &Client) -> Result<Session> {
        match client.try_load("") {
            Some(loaded) => Ok(loaded?),
            None => Ok(runtime()?.block_on(client.load(""))?),
        }
    }

    /// The session with this provider, in whatever state.
    pub(crate) fn find_session(&self, client: &Client) -> Result<Option<Session>> {
        match client.try_find("") {
            Some(found) => Ok(found?),
            None => Ok(runtime()?.block_on(client.find(""))?),
        }
    }

    /// The providers that there is a token of.
    pub(crate) fn signed_in_providers(&self) -> Result<Vec<String>> {
        let listed = self.list_sessions()?.into_iter().filter(Listed::has_token);
        Ok(listed.map(|listed| listed.key.provider).collect())
    }

    /// The providers that something is stored of, be it that their last request for a first token failed.
    pub(crate) fn stored_providers(&self) -> Result<Vec<String>> {
        Ok(self.list_sessions()?.into_iter().map(|listed| listed.key.provider).collect())
    }

    fn list_sessions(&self) -> Result<Vec<Listed>> {
        let Paths { config, folders } = Paths::find()?;
        let (store, _) = config::usable_store_config(&config, &variable)?;
        let (sessions, owner) = (sessions(&store, &folders, Privacy::default().only_looking()), store.owner()?);
        let listed = match sessions.try_list(&owner) {
            Some(listed) => listed,
            None => runtime()?.block_on(sessions.list(&owner)),
        };
        Ok(listed?)
    }

    /// [`signed_in_providers`](Self::signed_in_providers). If the store cannot be read, the next use of it fails.
    pub(crate) fn stored(&self) -> Vec<String> {
        self.signed_in_providers().unwrap_or_default()
    }

    /// The session store, and the configuration of its key.
    pub(crate) fn sessions(&self) -> Result<(SealedSessions, KeyConfig)> {
        let Paths { config, folders } = Paths::find()?;
        let (store, warnings) = config::store_config(&config, &variable)?;
        for warning in warnings {
            self.warn(&warning);
        }
        let sessions = sessions(&store, &folders, self.privacy(""));
        Ok((sessions.reporting_waits(notice(String::new())), store.key))
    }

    /// The configuration of the store.
    #[cfg(feature = "postgres")]
    pub(crate) fn store_config(&self) -> Result<StoreConfig> {
        Ok(config::store_config(&Paths::find()?.config, &variable)?.0)
    }

    /// The store that a flag names.
    #[cfg(feature = "postgres")]
    pub(crate) fn named_store(&self, flag: &str, value: &str) -> Result<StorePlace> {
        if let Some(name) = value.strip_prefix("env:") {
            add_secret_variable(name);
        }
        StorePlace::parse(flag, value, &variable)
    }

    /// The store that is configured.
    #[cfg(feature = "postgres")]
    pub(crate) fn configured_store(&self) -> Result<StorePlace> {
        Ok(match self.store_config()?.postgres {
            Some(url) => StorePlace::Postgres(Box::new(url)),
            None => StorePlace::Sqlite(Paths::find()?.folders.data.join("sessions.db")),
        })
    }

    /// The sessions of a store. Those of a PostgreSQL database are opened with the key of this account. A SQLite file in the
    /// folder `data` of another home has its key in the folder `key` beside that.
    #[cfg(feature = "postgres")]
    pub(crate) fn sessions_at(&self, place: &StorePlace) -> Result<SealedSessions> {
        let Paths { config, folders } = Paths::find()?;
        let (mut config, _) = config::store_config(&config, &variable)?;
        let privacy = self.privacy("");
        let sessions = match place {
            StorePlace::Postgres(url) => {
                config.postgres = Some(PostgresUrl::clone(url));
                sessions(&config, &folders, privacy)
            }
            StorePlace::Sqlite(path) => folders.around(path).sessions_in(path, config.key, nexus::now, privacy),
        };
        Ok(sessions.reporting_waits(notice(String::new())).tracked_by(self.pending_saves.clone()))
    }

    /// Checks that the key opens the stored sessions.
    pub(crate) fn check_readable(&self, sessions: &SealedSessions) -> Result<()> {
        Ok(runtime()?.block_on(sessions.check_readable())?)
    }

    pub(crate) fn history(&self) -> Result<History> {
        Ok(History::new(&Paths::find()?.folders.data, self.privacy("")))
    }

    /// An HTTP client. It is built on its first request.
    pub(crate) fn http(&self) -> Http {
        let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().any(|name| variable(name).is_some());
        let roots = if named { Roots::All } else { Roots::Bundle };
        let trace: Option<nexus::internal::http::Trace> =
            if self.verbose { Some(Arc::new(log_to_stderr)) } else { None };
        let http = Http::new(roots, variable, trace);
        if progress::is_supported() { http.with_connecting(Arc::new(progress::connecting)) } else { http }
    }

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

    /// Writes a QR code of this text to stderr, if that is a terminal, and large enough for the code, these lines and the
    /// status. Returns whether it did.
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

/// The sessions of this store. Nothing is read or connected yet.
fn sessions(store: &StoreConfig, folders: &Folders, privacy: Privacy) -> SealedSessions {
    #[cfg(feature = "postgres")]
    if let Some(url) = &store.postgres {
        let keys = Keystore::new(&folders.key, &folders.state).with_config(store.key.clone());
        let keys = keys.with_privacy(privacy.with_root(&folders.state));
        return SealedSessions::new(Arc::new(PostgresStore::new(url)), keys);
    }
    folders.sessions_in(&folders.data.join("sessions.db"), store.key.clone(), nexus::now, privacy)
}

/// Prints notices about this provider's sessions to stderr.
fn notice(provider: String) -> NoticeFn {
    Arc::new(move |notice| write_stderr(&format!("note: {}", notice_text(notice, &provider))))
}

fn notice_text(notice: &Notice, provider: &str) -> String {
    match notice {
        Notice::NotSaved { error } => format!(
            "the refreshed session could not be saved and will be lost when this command ends: {error}; {}, then {}",
            session_hint(error),
            run_start(provider)
        ),
        Notice::EarlierSession { provider, host, end: EarlierSession::PerhapsShared } => format!(
            "the earlier session stays valid at {host} until it expires; if revoking it does not end the new one \
             there, set `revoke_replaced = true` under {section} to revoke it next time",
            section = header(provider)
        ),
        Notice::NoRefreshToken { provider, host, consent_asked: false } => format!(
            "{host} issued no refresh token, although `offline_access` was requested: sign in again when the token \
             expires; many servers issue one with `prompt = \"consent\"` under {section} in config.toml",
            section = header(provider)
        ),
        other => other.to_string(),
    }
}

/// A runtime for this thread.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::system("starting the runtime"))
}
