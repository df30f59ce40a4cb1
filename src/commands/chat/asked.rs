//! Everything that is asked, before it is known whom: the words in their template, the system prompt,
//! the files. Settled before the session and the network are touched.

use std::path::PathBuf;

use crate::api::Part;
use crate::commands::chat::template::{self, Filled, Template};
use crate::commands::chat::{Args, attachment, input};
use crate::failure::{Failure, Result};
use crate::world::World;

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
/// [`Failure::Usage`] where there is no question, [`Failure::Configuration`] for a template or a
/// system prompt that will not do, [`Failure::Attachment`] for a file.
pub(super) fn settle(args: &Args, world: &World) -> Result<Asked> {
    let template = match &args.template {
        Some(name) => Some(template::load(name, &args.vars, &templates(world)?)?),
        None => None,
    };
    let said = input::said(args, world)?;
    let Filled { system, prompt } = match &template {
        Some(template) => template.fill(&said)?,
        None => Filled { system: None, prompt: said },
    };
    if prompt.trim().is_empty() {
        return Err(Failure::Usage("there is no question: write one behind `nexus chat`, or pipe one into it".into()));
    }
    let system = match (&args.system, &args.system_file) {
        (Some(text), _) => Some(text.clone()),
        (None, Some(path)) => Some(attachment::system_prompt(path)?),
        (None, None) => system,
    };
    let mut parts = attachment::parts(&args.attach, &prompt, world)?;
    parts.push(Part::Text(prompt));
    let (model, max_tokens) = template.map_or((None, None), |Template { model, max_tokens, .. }| (model, max_tokens));
    Ok(Asked { model, max_tokens, system: system.filter(|system| !system.trim().is_empty()), parts })
}

/// Where templates lie: beside the configuration file.
fn templates(world: &World) -> Result<PathBuf> {
    Ok(world.folders()?.config.with_file_name("templates"))
}
