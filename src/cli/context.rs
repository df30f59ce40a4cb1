//! What a command gets from its surroundings: the configured client, the stores and HTTP.

mod terminal;

#[cfg(feature = "postgres")]
use std::sync::PoisonError;
use std::sync::{Arc, Mutex};

#[cfg(feature = "postgres")]
use crate::cli::config::StorePlace;
use crate::cli::config::document::header;
use crate::cli::config::{self, ConfigFiles, Configured, StoreConfig};
#[cfg(feature = "postgres")]
use crate::cli::environment::add_secret_variable;
use crate::cli::environment::variable;
use crate::cli::error::session::session_hint;
use crate::cli::error::{CliError, Providers, Result, run_start, set_providers};
use crate::cli::history::store::History;
use crate::cli::paths::Paths;
use crate::cli::terminal::{log_to_stderr, progress, write_stderr};
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
    /// The PostgreSQL stores that were used. They remember that their server cannot be reached, so that a command waits
    /// for it once.
    #[cfg(feature = "postgres")]
    stores: Arc<Mutex<Vec<(PostgresUrl, PostgresStore)>>>,
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
            #[cfg(feature = "postgres")]
            stores: Arc::default(),
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

    /// This provider, or the default one, for a sign-in, which may register its client, and the folders of its
    /// sessions, for [`client_as`](Self::client_as).
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
        let (Paths { config, folders }, no_home) = Paths::find_or_nowhere()?;
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
            let sessions = in_memory.unwrap_or_else(|| self.sessions_in(&store, folders, self.privacy(&provider.name)));
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
        let sessions = self.sessions_in(&store, &folders, Privacy::default().only_looking());
        let (sessions, owner) = (sessions.reporting_waits(notice(String::new())), store.owner()?);
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
        let sessions = self.sessions_in(&store, &folders, self.privacy(""));
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

    /// The sessions of a store. Those of a PostgreSQL database are opened with the key of this account. A SQLite file
    /// in the folder `data` of another home has its key in the folder `key` beside that.
    #[cfg(feature = "postgres")]
    pub(crate) fn sessions_at(&self, place: &StorePlace) -> Result<SealedSessions> {
        let Paths { config, folders } = Paths::find()?;
        let (mut config, _) = config::store_config(&config, &variable)?;
        let privacy = self.privacy("");
        let sessions = match place {
            StorePlace::Postgres(url) => {
                config.postgres = Some(PostgresUrl::clone(url));
                self.sessions_in(&config, &folders, privacy)
            }
            StorePlace::Sqlite(path) => folders.around(path).sessions_in(path, config.key, nexus::now, privacy),
        };
        Ok(sessions.reporting_waits(notice(String::new())).tracked_by(self.pending_saves.clone()))
    }

    /// The sessions of this store. Nothing is read or connected yet.
    fn sessions_in(&self, store: &StoreConfig, folders: &Folders, privacy: Privacy) -> SealedSessions {
        #[cfg(feature = "postgres")]
        if let Some(url) = &store.postgres {
            let keys = Keystore::new(&folders.key, &folders.state).with_config(store.key.clone());
            let keys = keys.with_privacy(privacy.with_root(&folders.state));
            return SealedSessions::new(Arc::new(self.postgres_store(url)), keys);
        }
        folders.sessions_in(&folders.data.join("sessions.db"), store.key.clone(), nexus::now, privacy)
    }

    /// The PostgreSQL store with this URL, the same for the whole process.
    #[cfg(feature = "postgres")]
    pub(crate) fn postgres_store(&self, url: &PostgresUrl) -> PostgresStore {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, store)) = stores.iter().find(|(used, _)| used == url) {
            return store.clone();
        }
        let store = PostgresStore::new(url);
        stores.push((url.clone(), store.clone()));
        store
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
