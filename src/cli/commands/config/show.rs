//! `nexus config show`: each value of the configuration, and where it comes from.

use serde_json::{Value, json};

use clap_complete::engine::ArgValueCandidates;

use crate::cli::commands::Done;
use crate::cli::completion::candidates;
use crate::cli::config;
use crate::cli::config::show::{Origin, Shown, values};
use crate::cli::context::Context;
use crate::cli::environment::variable;
use crate::cli::paths::Paths;

const EXAMPLES: &str = "\
Examples:
  nexus config show
  nexus config show --provider work --json";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Provider whose section to show, as named in config.toml
    #[arg(long, short, value_name = "NAME")]
    #[arg(add = ArgValueCandidates::new(candidates::providers))]
    provider: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let Paths { config: files, folders } = Paths::find()?;
    let configured = config::load(&files, &variable, args.provider.as_deref(), &|| context.stored())?;
    context.introduce(&configured);
    let provider = configured.provider.name;
    let values = values(&files, &variable, &provider)?;
    let system = files.system().map(|path| path.display().to_string());
    let paths = [
        ("config", Some(files.display().to_string())),
        ("system_config", system),
        ("data", Some(folders.data.display().to_string())),
        ("state", Some(folders.state.display().to_string())),
        ("key", Some(folders.key.display().to_string())),
    ];
    if args.json {
        let paths: serde_json::Map<String, Value> =
            paths.into_iter().map(|(name, path)| (name.to_owned(), json!(path))).collect();
        let values: Vec<_> = values.iter().map(object).collect();
        context.print_object(&json!({ "version": 1, "provider": provider, "paths": paths, "values": values }))?;
        return Ok(0);
    }
    let mut text = String::new();
    for (name, path) in paths {
        let path = path.unwrap_or_else(|| "not read, because NEXUS_HOME is set".into());
        text += &format!("{name}: {path}\n");
    }
    text.push('\n');
    values.iter().for_each(|shown| text += &line(shown));
    context.print(&text)?;
    Ok(0)
}

fn line(shown: &Shown) -> String {
    let origin = match &shown.origin {
        Origin::Variable(name) => (*name).to_owned(),
        Origin::File { path, line } => format!("{}, line {line}", path.display()),
        Origin::Default => "default".into(),
    };
    format!("{} = {}  ({origin})\n", shown.key, shown.value)
}

fn object(shown: &Shown) -> Value {
    let mut object = json!({ "key": shown.key, "value": shown.value });
    match &shown.origin {
        Origin::Variable(name) => {
            object["source"] = "variable".into();
            object["variable"] = json!(name);
        }
        Origin::File { path, line } => {
            object["source"] = "file".into();
            object["path"] = path.to_string_lossy().into();
            object["line"] = json!(line);
        }
        Origin::Default => object["source"] = "default".into(),
    }
    object
}
