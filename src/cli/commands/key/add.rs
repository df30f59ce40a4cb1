//! `nexus key add`: makes a new key, which is not used until it is activated.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::commands::Done;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use nexus::internal::private_fs;
use nexus::key::{KeyOrigin, NewKey};

const EXAMPLES: &str = "\
Examples:
  nexus key add
  nexus key add --out new-key.txt";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Write the line of the new key to this new file, or to stdout if it is `-`, and leave the keys of this machine as
    /// they are
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let (sessions, _) = context.sessions()?;
    let keystore = sessions.keystore();
    let origin = keystore.origin();
    let id = match (&args.out, &origin) {
        (Some(out), _) if out == Path::new("-") => {
            if args.json {
                return Err(CliError::Usage {
                    message: "`--out -` prints the key, not JSON".into(),
                    hint: "leave out `--json`".into(),
                });
            }
            context.print(&format!("{}\n", &*keystore.generate()?.line))?;
            return Ok(0);
        }
        (Some(out), _) => write(out, keystore.generate()?)?,
        (None, KeyOrigin::File(_)) => keystore.add()?,
        (None, KeyOrigin::Command(program)) => {
            return Err(CliError::Usage {
                message: format!("the keys are printed by key_command `{program}`, so the new key has no place here"),
                hint: "say where to write its line: `nexus key add --out FILE`, or `--out -` for stdout".into(),
            });
        }
    };
    let place = args.out.as_ref().map_or_else(|| origin.to_string(), |out| out.display().to_string());
    match args.json {
        true => context.print_object(&json!({ "version": 1, "id": id, "path": place }))?,
        false => context.print(&format!("{id}\n"))?,
    }
    context.say(&format!(
        "The new key is in {place}; when every machine that shares the store has it, run `nexus key activate {id}`"
    ));
    Ok(0)
}

/// Writes the line of a key to a new private file, and returns the key's id.
fn write(path: &Path, key: NewKey) -> Result<String> {
    let written = private_fs::create(path).and_then(|mut file| {
        file.write_all(key.line.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    });
    match written {
        Ok(()) => Ok(key.id),
        Err(error) => Err(CliError::Usage {
            message: format!("{}: the key cannot be written: {error}", path.display()),
            hint: "name a new file in a folder that you can write to".into(),
        }),
    }
}
