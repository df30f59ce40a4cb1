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
use crate::cli::local_proxy::{bind, new_key};
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
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0", value_parser = parse_address)]
    listen: Address,

    /// File with the key, created with a new one if it does not exist; without it, the key is new for each run
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone)]
struct Address {
    host: String,
    port: u16,
}

pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let client = context.client(args.provider.as_deref())?;
    context.session(&client)?;
    let key = match &args.key_file {
        Some(path) => key_in(path)?,
        None => new_key()?,
    };
    context.block_on_with_signals(async |signals| {
        let printed = key.expose().to_owned();
        let proxy = bind(client.clone(), key, &args.listen.host, args.listen.port).await?;
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
    })
}

/// `HOST:PORT`, or `HOST` for any free port.
fn parse_address(text: &str) -> std::result::Result<Address, String> {
    // A colon before `]` belongs to an IPv6 address.
    let (host, port) = match text.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
        Some((host, port)) => (host, port.parse().map_err(|_| format!("`{port}` is not a port"))?),
        None => (text, 0),
    };
    Ok(Address { host: host.to_owned(), port })
}

/// The key in a file. A file that does not exist is created with a new key.
fn key_in(path: &Path) -> Result<ProxyKey> {
    let failed = |reason: String, hint: &str| CliError::File { path: path.to_owned(), reason, hint: hint.into() };
    let text = match read_trusted(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = new_key()?;
            let written = private_fs::create(path).and_then(|mut file| {
                file.write_all(format!("{}\n", key.expose()).as_bytes())?;
                file.sync_all()
            });
            let hint = "name a file in a folder that you can write to";
            return written.map(|()| key).map_err(|error| failed(format!("it cannot be created: {error}"), hint));
        }
        Err(error) => {
            let unreadable = || failed(format!("it cannot be read: {error}"), "name another file");
            return Err(CliError::untrusted(path, &error).unwrap_or_else(unreadable));
        }
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0) {
            let hint = format!("run `chmod 600 {}`", path.display());
            return Err(failed("other users can read this key".into(), &hint));
        }
    }
    let key = text.trim();
    if key.len() < SHORTEST_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        let reason = format!("a key is one line of at least {SHORTEST_KEY} printable ASCII characters without blanks");
        return Err(failed(reason, "remove the file, and a new key is created"));
    }
    Ok(ProxyKey::new(key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_perhaps_a_port() {
        for (text, host, port) in [
            ("127.0.0.1:8080", "127.0.0.1", 8_080),
            ("localhost", "localhost", 0),
            ("[::1]:9", "[::1]", 9),
            ("[::1]", "[::1]", 0),
        ] {
            let address = parse_address(text).unwrap();
            assert_eq!((&*address.host, address.port), (host, port), "{text}");
        }
        assert!(parse_address("127.0.0.1:http").is_err());
        assert!(parse_address("127.0.0.1:70000").is_err());
    }
}
