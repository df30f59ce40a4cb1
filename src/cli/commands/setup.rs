//! `nexus setup PROGRAM`: prints what to put where, so that another program uses the session. Writes nothing.

use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::json;

use clap_complete::engine::ArgValueCandidates;

use crate::cli::child_environment::{base_url, names};
use crate::cli::commands::Done;
use crate::cli::completion::candidates;
use crate::cli::context::Context;
use crate::cli::environment::variable;
use crate::cli::error::{CliError, Result};
use crate::cli::quoted::quoted;
use nexus::{Dialect, ProviderConfig};

const EXAMPLES: &str = "\
Examples:
  nexus setup claude-code
  nexus setup sdk --provider work";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Program that shall use the session
    program: Program,

    /// Provider to use, as named in config.toml
    #[arg(long, short, value_name = "NAME")]
    #[arg(add = ArgValueCandidates::new(candidates::providers))]
    provider: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Program {
    /// Claude Code
    ClaudeCode,
    /// Codex
    Codex,
    /// The command-line tool `llm`
    Llm,
    /// Your own program, with an official SDK or curl
    Sdk,
}

pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let client = context.client(args.provider.as_deref())?;
    let nexus = Nexus::find(&client.provider().name)?;
    context.print(&match args.program {
        Program::ClaudeCode => claude_code(client.provider(), &nexus)?,
        Program::Codex => codex(client.provider(), &nexus)?,
        Program::Llm => llm(client.provider(), &nexus),
        Program::Sdk => sdk(client.provider(), &nexus),
    })?;
    Ok(0)
}

/// How other programs start this one.
struct Nexus {
    program: String,
    home: Option<String>,
    provider: String,
}

impl Nexus {
    fn find(provider: &str) -> Result<Self> {
        let program = std::env::current_exe().map_err(CliError::system("finding the nexus program"))?;
        let home = variable("NEXUS_HOME").map(|home| {
            let home = std::path::absolute(&home).unwrap_or_else(|_| PathBuf::from(home));
            home.to_string_lossy().into_owned()
        });
        Ok(Self { program: program.to_string_lossy().into_owned(), home, provider: provider.to_owned() })
    }

    /// The program and the arguments of a command. With `NEXUS_HOME`, env sets that first.
    fn words(&self, command: &[&str]) -> Vec<String> {
        let home = self.home.iter().flat_map(|home| ["env".to_owned(), format!("NEXUS_HOME={home}")]);
        let own = [self.program.clone()].into_iter().chain(command.iter().map(|word| (*word).to_owned()));
        home.chain(own).chain(["--provider".to_owned(), self.provider.clone()]).collect()
    }

    /// A command as typed in a shell.
    fn line(&self, command: &[&str]) -> String {
        self.words(command).iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }

    /// The line that runs a program with the session.
    fn exec(&self, program: &str) -> String {
        format!("{} -- {program}", self.line(&["exec"]))
    }
}

/// A file of another program: below the folder that its variable names, else below the home folder.
fn file(variable_name: &'static str, folder: &str, name: &str) -> String {
    let named = variable(variable_name).map(PathBuf::from);
    let own = || std::env::home_dir().unwrap_or_else(|| PathBuf::from("~")).join(folder);
    named.unwrap_or_else(own).join(name).to_string_lossy().into_owned()
}

/// The line of a shell that sends the header that a command prints. It goes to curl through a pipe, where `ps` does not
/// show it.
fn request(header: &str, url: &str) -> String {
    format!("{header} | curl --fail --silent --show-error --header @- {url}")
}

/// The path of the list of models below a base URL.
fn models(dialect: Dialect) -> &'static str {
    if dialect == Dialect::Openai { "/models" } else { "/v1/models" }
}

/// The part that checks a program that sends its requests to the API itself.
fn check(base: &str, provider: &ProviderConfig, nexus: &Nexus) -> String {
    let token = nexus.line(&["oauth", "token", "--format", "header"]);
    let line = request(&token, &quoted(&format!("{base}{}", models(provider.api.dialect))));
    format!("Check that the token opens the API:\n\n  {line} > /dev/null && echo works\n")
}

/// The part that checks a program that `nexus exec` starts.
fn check_exec(provider: &ProviderConfig, nexus: &Nexus) -> String {
    let [url, key] = names(provider.api.dialect);
    let header = format!("printf \"authorization: Bearer %s\\n\" \"${key}\"");
    let line = request(&header, &format!("\"${url}{}\"", models(provider.api.dialect)));
    let run = nexus.exec(&format!("sh -c {}", quoted(&line)));
    format!("Check that a program that is started like this reaches the API:\n\n  {run} > /dev/null && echo works\n")
}

/// What to do for an API that needs more than a token and its usual paths, and why.
fn by_exec(why: &str, program: &str, provider: &ProviderConfig, nexus: &Nexus) -> String {
    let (line, name) = (nexus.exec(program), &provider.name);
    format!(
        "{program} cannot use {name} by itself: {why}. Start it with a proxy that adds what is needed:\n\n  \
         {line}\n\n{}",
        check_exec(provider, nexus)
    )
}

/// The base URL for a program that sends its requests to the API itself.
///
/// # Errors
/// Why it cannot, as a clause.
fn own_base_url(provider: &ProviderConfig) -> std::result::Result<String, String> {
    match provider.tls.has_authorities() {
        true => Err("it does not know the certificate authority of its API (`ca_file`)".into()),
        false => base_url(provider),
    }
}

fn wants(dialect: Dialect, provider: &ProviderConfig, program: &str, api: &str) -> Result<()> {
    if provider.api.dialect == dialect {
        return Ok(());
    }
    Err(CliError::Configuration {
        message: format!("{program} needs {api}, and {} has another dialect", provider.name),
        hint: "choose another provider with --provider, or set `dialect` if that is wrong".into(),
    })
}

fn claude_code(provider: &ProviderConfig, nexus: &Nexus) -> Result<String> {
    wants(Dialect::Anthropic, provider, "Claude Code", "the Messages API")?;
    let base = match own_base_url(provider) {
        Ok(base) => base,
        Err(why) => return Ok(by_exec(&why, "claude", provider, nexus)),
    };
    let settings = json!({ "apiKeyHelper": nexus.line(&["oauth", "token"]), "env": { "ANTHROPIC_BASE_URL": base } });
    Ok(format!(
        "Put this into {}:\n\n{settings:#}\n\nClaude Code then asks nexus for a token every five minutes, and after a 401.\n\n{}",
        file("CLAUDE_CONFIG_DIR", ".claude", "settings.json"),
        check(&base, provider, nexus)
    ))
}

fn codex(provider: &ProviderConfig, nexus: &Nexus) -> Result<String> {
    wants(Dialect::Openai, provider, "Codex", "an OpenAI API")?;
    let base = match own_base_url(provider) {
        Ok(base) => base,
        Err(why) => return Ok(by_exec(&why, "codex", provider, nexus)),
    };
    let words = nexus.words(&["oauth", "token"]);
    let (command, arguments) = words.split_at(1);
    Ok(format!(
        "Put this into {}:\n\n\
         model_provider = \"nexus\"\n\n\
         [model_providers.nexus]\n\
         name = \"nexus\"\n\
         base_url = {}\n\
         wire_api = \"responses\"\n\n\
         [model_providers.nexus.auth]\n\
         command = {}\n\
         args = {}\n\
         refresh_interval_ms = 300000\n\n\
         The gateway must have the Responses API, which is the only one that Codex uses.\n\n{}",
        file("CODEX_HOME", ".codex", "config.toml"),
        json!(base),
        json!(command[0]),
        json!(arguments),
        check(&base, provider, nexus)
    ))
}

fn llm(provider: &ProviderConfig, nexus: &Nexus) -> String {
    let (needs, run) = match provider.api.dialect {
        Dialect::Openai => ("", "llm \"$@\"".to_owned()),
        // The plug-in takes its key from this variable only.
        _ => (
            " It needs the plug-in llm-anthropic.",
            "sh -c 'ANTHROPIC_API_KEY=$ANTHROPIC_AUTH_TOKEN exec llm \"$@\"' llm \"$@\"".to_owned(),
        ),
    };
    format!(
        "Put this function into the start-up file of bash or zsh. It runs llm with the session.{needs}\n\n  \
         llm() {{ {}; }}\n\n{}",
        nexus.exec(&run),
        check_exec(provider, nexus)
    )
}

fn sdk(provider: &ProviderConfig, nexus: &Nexus) -> String {
    let [url, key] = names(provider.api.dialect);
    let curl = match own_base_url(provider) {
        Ok(base) => {
            let url = format!("{base}{}", models(provider.api.dialect));
            let header = nexus.line(&["oauth", "token", "--format", "header"]);
            format!("With curl, in bash or zsh:\n\n  curl --fail -H @<({header}) {}\n\n", quoted(&url))
        }
        Err(_) => String::new(),
    };
    format!(
        "Run a program that uses an official SDK, without a change:\n\n  {}\n\n\
         It finds {url} and {key} in its environment. A program that is started otherwise gets both from a proxy,\n\
         which prints the URL and the key:\n\n  {}\n\n{curl}{}",
        nexus.exec("python app.py"),
        nexus.line(&["proxy"]),
        check_exec(provider, nexus)
    )
}
