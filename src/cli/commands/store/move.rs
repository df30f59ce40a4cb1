//! `nexus store move`: moves the sessions to another store.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::cli::commands::Done;
use crate::cli::config::StorePlace;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use nexus::{MovedSessions, SealedSessions};

const EXAMPLES: &str = "\
Examples:
  nexus store move --from ~/.local/share/nexus/sessions.db
  nexus store move --from env:OLD_STORE --to env:NEW_STORE
  nexus store move --to sessions.db --json";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store that the sessions are in; without it, the configured one
    #[arg(long, value_name = "STORE")]
    from: Option<String>,

    /// The store to move them to; without it, the configured one
    #[arg(long, value_name = "STORE")]
    to: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Done {
    if args.from.is_none() && args.to.is_none() {
        let message = "`store move` needs --from or --to; the configured store is the other one";
        return Err(CliError::usage("store move", message));
    }
    let from = place("--from", args.from.as_deref(), context)?;
    let to = place("--to", args.to.as_deref(), context)?;
    if let StorePlace::Sqlite(path) = &from
        && !fs::exists(path).unwrap_or(true)
    {
        return Err(CliError::Usage {
            message: format!("{}: there is no such file", path.display()),
            hint: "pass the path of the SQLite file with the sessions to --from".into(),
        });
    }
    let (source, target) = (context.sessions_at(&from)?, context.sessions_at(&to)?);
    if source.store().name() == target.store().name() {
        return Err(CliError::usage("store move", format!("--from and --to are both {}", source.store().name())));
    }
    check_private(&from)?;
    check_private(&to)?;
    let progress = context.progress();
    let (owner, moved) = context.block_on(async {
        let owner = match (&from, &to) {
            (StorePlace::Sqlite(_), StorePlace::Postgres(_)) => new_owner(&source, context).await?,
            _ => None,
        };
        let moved = source.move_to(&target, owner.as_deref(), |at, all| context.working(format!("{at}/{all}"))).await?;
        Ok((owner, moved))
    })?;
    drop(progress);
    let names = [source.store().name(), target.store().name()];
    if args.json {
        context.print_object(&json!({
            "version": 1,
            "from": names[0],
            "to": names[1],
            "owner": owner,
            "sessions": moved.sessions,
            "earlier": moved.earlier,
            "elsewhere": moved.elsewhere,
            "clients": moved.clients,
        }))?;
    }
    say(&moved, &names, owner.as_deref(), context);
    if moved.sessions > 0 && target.store().name() != context.sessions_at(&context.configured_store()?)?.store().name()
    {
        context.say(match to {
            StorePlace::Postgres(_) => {
                "Set NEXUS_STORE, or `store` or `store_file` in config.toml, so that it is used from now on"
            }
            StorePlace::Sqlite(_) => {
                "A file is used from now on if it is `sessions.db` in the data folder that `nexus config show` names, and no \
                 PostgreSQL store is configured"
            }
        });
    }
    Ok(0)
}

/// Refuses a file in a folder that other users can open. A store makes its folder private, and this one may not be its
/// own.
fn check_private(place: &StorePlace) -> Result<()> {
    #[cfg(unix)]
    if let StorePlace::Sqlite(path) = place {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let Ok(found) = fs::metadata(folder)
            && found.permissions().mode() & 0o077 != 0
        {
            return Err(CliError::Usage {
                message: format!("{}: other users can open this folder", folder.display()),
                hint: "name a file in a private folder, which `mkdir -m 700` creates".into(),
            });
        }
    }
    Ok(())
}

/// The store that a flag names, or the configured one.
fn place(flag: &str, value: Option<&str>, context: &Context) -> Result<StorePlace> {
    match value {
        Some(value) => context.named_store(flag, value),
        None => context.configured_store(),
    }
}

/// The owner that sessions without one get in PostgreSQL, if there are such sessions.
async fn new_owner(source: &SealedSessions, context: &Context) -> Result<Option<String>> {
    if source.list("").await?.is_empty() {
        return Ok(None);
    }
    let owner = context.store_config()?.configured_owner().map(str::to_owned);
    owner.map(Some).ok_or_else(|| CliError::Configuration {
        message: format!("the sessions in {} have no owner, and PostgreSQL needs one", source.store().name()),
        hint: "set NEXUS_OWNER, or `owner = \"...\"` at the top of config.toml, to the name that they get there".into(),
    })
}

fn say(moved: &MovedSessions, names: &[String; 2], owner: Option<&str>, context: &Context) {
    let [from, to] = names;
    let sessions = count(moved.sessions, "session");
    context.say(&match moved.clients {
        0 => format!("Moved {sessions} from {from} to {to}"),
        clients => format!("Moved {sessions} and {} from {from} to {to}", count(clients, "registered client")),
    });
    if let Some(owner) = owner {
        context.say(&format!("Sessions without an owner belong to `{owner}` there"));
    }
    if moved.earlier > 0 {
        context.say(&format!("An earlier move had moved {} there", count(moved.earlier, "session")));
    }
    if moved.elsewhere > 0 {
        context.say(&format!("An earlier move had moved {} to another store", count(moved.elsewhere, "session")));
    }
    context.say("Sign-ins that were not finished in the old store have to be started again");
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
