//! What `nexus chat` and `nexus batch` have in common: the flags that shape a question, and how a question is put
//! together from them, a template and the configuration.

use std::path::PathBuf;
use std::time::Duration;

use clap_complete::engine::ArgValueCandidates;

use crate::cli::completion::candidates;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::paths::Paths;
use crate::cli::template_files;
use crate::cli::text::typed;
use nexus::internal::{invisible, time};
use nexus::{Part, RetryPolicy};

pub(crate) mod answer_state;
pub(crate) mod attachment;
pub(crate) mod model;
pub(crate) mod progress;
pub(crate) mod schema;
mod template;

use template::{Filled, Template};

/// The flags that `nexus chat` and `nexus batch` share.
#[derive(Debug, clap::Args)]
pub(crate) struct QuestionArgs {
    /// System prompt
    #[arg(long, short, value_name = "TEXT", help_heading = "Prompt")]
    pub(crate) system: Option<String>,

    /// Read the system prompt from a file
    #[arg(long, value_name = "FILE", conflicts_with = "system", help_heading = "Prompt", hide_short_help = true)]
    pub(crate) system_file: Option<PathBuf>,

    /// Use templates/NAME.toml, beside config.toml
    ///
    /// A template has `prompt`, `system`, `model`, `max_tokens` and, under [vars], defaults for its variables. {{name}}
    /// in its texts stands for a variable, {{input}} for the prompt and piped input, which otherwise follow the
    /// template's prompt. Flags override the template.
    #[arg(long, short, value_name = "NAME", help_heading = "Prompt")]
    #[arg(add = ArgValueCandidates::new(candidates::templates))]
    pub(crate) template: Option<String>,

    /// Set a variable of the template
    #[arg(long = "var", value_name = "NAME=VALUE", requires = "template", value_parser = template::variable)]
    #[arg(help_heading = "Prompt", hide_short_help = true)]
    vars: Vec<(String, String)>,

    /// Model id or alias
    ///
    /// The default is the template's, the configured, or the newest available model.
    #[arg(long, short, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    #[arg(help_heading = "Model")]
    #[arg(add = ArgValueCandidates::new(candidates::models))]
    pub(crate) model: Option<String>,

    /// Maximum length of the answer, in tokens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Model")]
    #[arg(hide_short_help = true)]
    max_tokens: Option<u32>,

    /// Provider of config.toml to use
    #[arg(long, short, value_name = "NAME", help_heading = "Model")]
    #[arg(add = ArgValueCandidates::new(candidates::providers))]
    pub(crate) provider: Option<String>,

    #[command(flatten)]
    pub(crate) retry: RetryArgs,
}

/// How long a request is retried.
#[derive(Debug, clap::Args)]
pub(crate) struct RetryArgs {
    /// Maximum number of retries after transient failures [default: no limit, but `batch` retries a line twice]
    #[arg(long, value_name = "N", help_heading = "Network", hide_short_help = true)]
    pub(crate) retries: Option<u32>,

    /// Maximum time until an answer begins, retries included (90s, 5m, 1h)
    ///
    /// Retries end after 10 seconds if a name does not resolve or a connection is refused.
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = time::parse_duration)]
    #[arg(help_heading = "Network", hide_short_help = true)]
    pub(crate) deadline: Duration,
}

impl RetryArgs {
    /// The policy that the flags ask for.
    pub(crate) fn policy(&self) -> RetryPolicy {
        RetryPolicy { retries: self.retries, deadline: self.deadline, ..RetryPolicy::default() }
    }
}

/// A question before its model is known.
#[derive(Debug)]
pub(crate) struct PromptInput {
    pub(crate) model: Option<String>,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) system: Option<String>,
    /// The attachments, then the prompt.
    pub(crate) parts: Vec<Part>,
}

/// The parts of a question that do not depend on its prompt: the template and the system prompt.
pub(crate) struct PromptFrame {
    template: Option<Template>,
    system: Option<String>,
    model: Option<String>,
    max_tokens: Option<u32>,
}

impl PromptFrame {
    /// Reads the files that the flags name.
    ///
    /// # Errors
    /// [`CliError::Configuration`](crate::cli::error::CliError) for a template or a system prompt that cannot be used.
    pub(crate) fn read(args: &QuestionArgs, context: &Context) -> Result<Self> {
        let template = match &args.template {
            Some(name) => {
                let folder = template_files::folder(&Paths::find()?.config);
                Some(template::load(name, &args.vars, &folder)?)
            }
            None => None,
        };
        let system = match (&args.system, &args.system_file) {
            (Some(text), _) => Some(typed(text).to_owned()),
            (None, Some(path)) => Some(attachment::system_prompt(path, context)?),
            (None, None) => None,
        };
        let (model, max_tokens) =
            template.as_ref().map_or((None, None), |template| (template.model.clone(), template.max_tokens));
        let named = args.model.as_deref().map(|model| invisible::trim(model).to_owned());
        let (model, max_tokens) = (named.or(model), args.max_tokens.or(max_tokens));
        Ok(Self { template, system, model, max_tokens })
    }

    /// Checks that the template has a value for each variable, for questions that bring none.
    ///
    /// # Errors
    /// [`CliError::Configuration`](crate::cli::error::CliError).
    pub(crate) fn complete(self) -> Result<Self> {
        if let Some(template) = &self.template {
            template.check_complete(&[])?;
        }
        Ok(self)
    }

    /// The model that a flag or the template names.
    pub(crate) fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// A question with this prompt and these variables of the template, which come before those of the flags.
    /// `attachments` are read once the prompt is known.
    ///
    /// # Errors
    /// [`CliError::Usage`](crate::cli::error::CliError) for a template without its input,
    /// [`CliError::Configuration`](crate::cli::error::CliError) for variables that are missing or unknown, or what
    /// `attachments` returns.
    pub(crate) fn input(
        &self,
        prompt: String,
        vars: &[(String, String)],
        attachments: impl FnOnce(&str) -> Result<Vec<Part>>,
    ) -> Result<PromptInput> {
        let Filled { system, prompt } = match &self.template {
            Some(template) => template.fill(&prompt, vars)?,
            None if !vars.is_empty() => return Err(template::without_template()),
            None => Filled { system: None, prompt },
        };
        let mut parts = attachments(&prompt)?;
        parts.push(Part::Text(prompt));
        let system = self.system.clone().or(system).filter(|system| !system.trim().is_empty());
        Ok(PromptInput { model: self.model.clone(), max_tokens: self.max_tokens, system, parts })
    }
}
