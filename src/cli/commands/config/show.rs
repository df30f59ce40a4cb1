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
    let values = values(&files, &variable, &configured.provider)?;
    let provider = configured.provider.name;
    // The first value is the default provider.
    let chosen_by = match (&args.provider, values.first().map(|shown| &shown.origin)) {
        (Some(_), _) => Origin::Flag("--provider"),
        (None, Some(origin)) => origin.clone(),
        (None, None) => Origin::Default,
    };
    let system = files.system().map(|path| path.display().to_string());
    let paths = [
        ("home", variable("NEXUS_HOME")),
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
        context.print_object(&json!({
            "version": 1,
            "provider": provider,
            "provider_source": source(&chosen_by),
            "paths": paths,
            "values": values,
        }))?;
        return Ok(0);
    }
    let mut text = format!("provider: {provider}  ({})\n", words(&chosen_by));
    for (name, path) in paths {
        match (path, name) {
            (Some(path), "home") => text += &format!("home: {path}  (NEXUS_HOME)\n"),
            (None, "home") => {}
            (Some(path), _) => text += &format!("{name}: {path}\n"),
            (None, _) => text += &format!("{name}: not read, because NEXUS_HOME is set\n"),
        }
    }
    text.push('\n');
    values.iter().for_each(|shown| text += &line(shown));
    context.print(&text)?;
    Ok(0)
}

fn line(shown: &Shown) -> String {
    let origin = words(&shown.origin);
    let key = &shown.key;
    match (&shown.value, shown.otherwise) {
        (Some(value), _) => format!("{key} = {value}  ({origin})\n"),
        (None, Some(otherwise)) => format!("{key}: not set; {otherwise}  ({origin})\n"),
        (None, None) => format!("{key}: not set  ({origin})\n"),
    }
}

fn words(origin: &Origin) -> String {
    match origin {
        Origin::Flag(name) | Origin::Variable(name) => (*name).to_owned(),
        Origin::File { path, line } => format!("{}, line {line}", path.display()),
        Origin::Default => "default".into(),
    }
}

fn source(origin: &Origin) -> &'static str {
    match origin {
        Origin::Flag(_) => "flag",
        Origin::Variable(_) => "variable",
        Origin::File { .. } => "file",
        Origin::Default => "default",
    }
}

fn object(shown: &Shown) -> Value {
    let mut object = json!({ "key": shown.key, "value": shown.value, "source": source(&shown.origin) });
    if let Some(otherwise) = shown.otherwise {
        object["otherwise"] = json!(otherwise);
    }
    match &shown.origin {
        Origin::Variable(name) => object["variable"] = json!(name),
        Origin::File { path, line } => {
            object["path"] = path.to_string_lossy().into();
            object["line"] = json!(line);
        }
        Origin::Flag(_) | Origin::Default => {}
    }
    object
}
