//! Everything that is asked, before it is known whom: the words in their template, the system prompt,
//! the files. Settled before the session and the network are touched.

use std::path::PathBuf;

use crate::cli::commands::chat::batch::prompts::Prompt;
use crate::cli::commands::chat::template::{self, Filled, Template};
use crate::cli::commands::chat::{Args, attachment, input};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::paths::Paths;
use nexus::Part;

/// What is asked, and what a template says about whom.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) model: Option<String>,
    pub(super) max_tokens: Option<u32>,
    pub(super) system: Option<String>,
    /// The files, and then the words.
    pub(super) parts: Vec<Part>,
}

/// Reads whatever the command line names.
///
/// # Errors
/// [`CliError::Usage`] where there is no question, [`CliError::Configuration`] for a template or a
/// system prompt that will not do, [`CliError::Attachment`] for a file.
pub(super) fn settle(args: &Args, context: &Context) -> Result<Asked> {
    let frame = Frame::of(args, context)?;
    let Filled { system, prompt } = frame.fill(input::said(args, context)?)?;
    if prompt.trim().is_empty() {
        return Err(CliError::usage(
            "chat",
            "there is no question: write one behind `nexus chat`, or pipe one into it",
        ));
    }
    let mut parts = attachment::parts(&args.attach, &prompt, context)?;
    parts.push(Part::Text(prompt));
    let (model, max_tokens) = frame.template.map_or((None, None), |template| (template.model, template.max_tokens));
    Ok(Asked { model, max_tokens, system, parts })
}

/// What the command line says around every question: the template and the system prompt.
pub(super) struct Frame {
    template: Option<Template>,
    system: Option<String>,
}

impl Frame {
    /// Reads the files that the command line names for it.
    ///
    /// # Errors
    /// [`CliError::Configuration`] for a template or a system prompt that will not do.
    pub(super) fn of(args: &Args, context: &Context) -> Result<Self> {
        let template = match &args.template {
            Some(name) => Some(template::load(name, &args.vars, &templates()?)?),
            None => None,
        };
        let system = match (&args.system, &args.system_file) {
            (Some(text), _) => Some(text.clone()),
            (None, Some(path)) => Some(attachment::system_prompt(path, context)?),
            (None, None) => None,
        };
        Ok(Self { template, system })
    }

    /// Whether its template names a model.
    pub(super) fn names_a_model(&self) -> bool {
        self.template.as_ref().is_some_and(|template| template.model.is_some())
    }

    /// The words in the template, and what the model is told before them.
    fn fill(&self, said: String) -> Result<Filled> {
        let Filled { system, prompt } = match &self.template {
            Some(template) => template.fill(&said)?,
            None => Filled { system: None, prompt: said },
        };
        let system = self.system.clone().or(system).filter(|system| !system.trim().is_empty());
        Ok(Filled { system, prompt })
    }

    /// A line of a batch; what it says itself beats the command line, which beats the template.
    ///
    /// # Errors
    /// [`CliError::Usage`] for a variable that has no value.
    pub(super) fn around(&self, line: Prompt, args: &Args) -> Result<Asked> {
        let Filled { system, prompt } = self.fill(line.prompt)?;
        let template = self.template.as_ref();
        Ok(Asked {
            model: line.model.or_else(|| args.model.clone()).or_else(|| template?.model.clone()),
            max_tokens: line.max_tokens.or(args.max_tokens).or_else(|| template?.max_tokens),
            system: line.system.or(system).filter(|system| !system.trim().is_empty()),
            parts: vec![Part::Text(prompt)],
        })
    }
}

/// Where templates lie: beside the configuration file.
fn templates() -> Result<PathBuf> {
    Ok(Paths::find()?.config.with_file_name("templates"))
}
