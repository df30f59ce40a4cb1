//! `nexus proxy`: lends the session to programs that take only a static key.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;

use clap_complete::engine::ArgValueCandidates;

use crate::cli::commands::Done;
use crate::cli::completion::candidates;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::listen_address;
use crate::cli::local_proxy::{bind, new_key};
use crate::cli::quoted::quoted;
use crate::cli::text::read_trusted;
use nexus::ProxyKey;
use nexus::internal::private_fs;

/// How long requests may be in flight after Ctrl-C before a note says so.
const NOTE_AFTER: Duration = Duration::from_secs(1);

/// The shortest key that is accepted, in characters. A shorter one could be guessed.
const SHORTEST_KEY: usize = 16;

const EXAMPLES: &str = "\
Examples:
  nexus proxy --key-file proxy.key
  nexus proxy --listen 127.0.0.1:8080 --key-file proxy.key";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Provider to use, as named in config.toml
    #[arg(long, short, value_name = "NAME")]
    #[arg(add = ArgValueCandidates::new(candidates::providers))]
    provider: Option<String>,

    /// Address on loopback to listen on; port 0 is any free port
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    listen: String,

    /// File with the key, created with a new one if it does not exist; without it, the key is new for each run
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let listen = listen_address::parse(&args.listen)
        .map_err(|problem| CliError::usage("proxy", format!("--listen {problem}")))?;
    let client = context.client(args.provider.as_deref())?;
    context.session(&client)?;
    let key = match &args.key_file {
        Some(path) => key_in(path)?,
        None => new_key()?,
    };
    let served = context.block_on_with_signals(async |signals| {
        let printed = key.expose().to_owned();
        let proxy = bind(client.clone(), key, &listen.host, listen.port).await?;
        match args.json {
            true => context.print_object(&json!({
                "version": 1,
                "provider": client.provider().name,
                "url": proxy.url(),
                "key": printed,
            }))?,
            false => context.print(&format!("{}\n{printed}\n", proxy.url()))?,
        }
        context.say(&format!("Listening on {}. Ctrl-C ends it.", proxy.url()));
        let (end, ended) = oneshot::channel::<()>();
        let mut serving = std::pin::pin!(proxy.serve(async {
            let _ = ended.await;
        }));
        let signal = tokio::select! {
            () = &mut serving => return Ok(0),
            signal = signals.next() => signal,
        };
        drop(end);
        let mut note_due = std::pin::pin!(tokio::time::sleep(NOTE_AFTER));
        let mut noted = false;
        loop {
            tokio::select! {
                () = &mut serving => break,
                _ = signals.next() => break,
                () = &mut note_due, if !noted => {
                    noted = true;
                    context.note("finishing the requests in flight; a second Ctrl-C ends them");
                }
            }
        }
        Err(signal.into())
    });
    match served {
        // A signal is how a proxy ends.
        Err(ended @ CliError::Interrupted(_)) => Ok(ended.exit_code()),
        served => served,
    }
}

/// The key in a file. A file that does not exist is created with a new key.
fn key_in(path: &Path) -> Result<ProxyKey> {
    let failed = |reason: String, hint: String| CliError::File { path: path.to_owned(), reason, hint };
    let another = || "name another file with --key-file".to_owned();
    let text = match read_trusted(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return create_key(path),
        Err(_) if path.is_dir() => {
            let file = quoted(&path.join("proxy.key").to_string_lossy());
            return Err(failed("it is a folder".into(), format!("pass a file in it: `--key-file {file}`")));
        }
        Err(error) => {
            let unreadable = || failed(format!("it cannot be read: {error}"), another());
            return Err(CliError::untrusted(path, &error).unwrap_or_else(unreadable));
        }
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0) {
            let hint = format!("run `chmod 600 {}`, or {}", quoted(&path.to_string_lossy()), another());
            return Err(failed("other users can read this key".into(), hint));
        }
    }
    let key = text.trim();
    if key.len() < SHORTEST_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        let problem = match key.is_empty() {
            true => "it is empty; ".to_owned(),
            false => String::new(),
        };
        let reason =
            format!("{problem}a key is one line of at least {SHORTEST_KEY} printable ASCII characters without blanks");
        let hint = format!("remove the file to get a new key in it, or {}", another());
        return Err(failed(reason, hint));
    }
    Ok(ProxyKey::new(key.to_owned()))
}

/// Creates a file with a new key.
fn create_key(path: &Path) -> Result<ProxyKey> {
    let failed = |reason: String, hint: String| CliError::File { path: path.to_owned(), reason, hint };
    if let Ok(target) = path.read_link() {
        let reason = format!("it is a link to {}, which does not exist", target.display());
        return Err(failed(reason, "remove the link, or name another file with --key-file".into()));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    if let Some(folder) = folder {
        let hint = format!(
            "run `mkdir -p {}`, or name a file in another folder with --key-file",
            quoted(&folder.to_string_lossy())
        );
        return Err(failed("its folder does not exist".into(), hint));
    }
    let key = new_key()?;
    let written = private_fs::create(path).and_then(|mut file| {
        file.write_all(format!("{}\n", key.expose()).as_bytes())?;
        file.sync_all()
    });
    let hint = "name a file in a folder that you can write to with --key-file";
    written.map(|()| key).map_err(|error| failed(format!("it cannot be created: {error}"), hint.into()))
}
