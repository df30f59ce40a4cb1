//! What a sign-in by URL adds to the configuration: the section of the provider, or keys of it.

use toml_edit::Value;

use crate::cli::config::document::{Document, line};
use crate::cli::config::edit::{Edited, edit};
use crate::cli::config::place_for;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::paths::Paths;
use nexus::Url;

/// What is added to the configuration.
pub(super) struct Addition {
    pub(super) paths: Paths,
    /// What a section is written for.
    pub(super) url: Option<Url>,
    pub(super) name: String,
    pub(super) is_new: bool,
    pub(super) keys: Vec<(&'static str, Value)>,
    pub(super) sets_default: bool,
    pub(super) has_api: bool,
}

impl Addition {
    /// Checks that no other sign-in has taken the name of the provider meanwhile: one session would replace the other.
    pub(super) fn check(&self) -> Result<()> {
        if let Some(url) = self.url.as_ref().filter(|_| self.is_new) {
            place_for(&self.paths.config, url, Some(&self.name), |_| false)?;
        }
        Ok(())
    }

    /// Adds it. The session is saved, so what fails here is no error.
    pub(super) fn save(&self, context: &Context) {
        let path = self.paths.config.display();
        if !self.keys.is_empty() {
            let edited = edit(&self.paths, |document| {
                self.change(document);
                Ok(())
            });
            match edited {
                Ok(Edited::Unchanged) => {}
                Ok(Edited::Written) => context.say(&format!("Added to {path}:\n\n{}", self.text())),
                Ok(Edited::Refused(why)) => context.say(&format!("{path} {why}\nAdd {}", self.by_hand("it"))),
                Err(error) => {
                    context.warn_error(&error);
                    context.say(&format!("Then add {}", self.by_hand(&path.to_string())));
                }
            }
        }
        if self.is_new && !self.sets_default {
            let name = &self.name;
            context.say(&format!(
                "Use it with `--provider {name}`, or make it the default: `nexus provider default {name}`."
            ));
        }
        if !self.has_api {
            context.note("chatting needs the URL of an API: run the same command with --api-url");
        }
    }

    /// Says how the section begins whose keys a hint names, because the file has no section of this provider yet.
    pub(super) fn suggest(&self, context: &Context) {
        if self.is_new {
            let path = self.paths.config.display();
            context.say(&format!("{path} has no section for this server yet. It begins with:\n\n{}", self.text()));
        }
    }

    fn change(&self, document: &mut Document) {
        if self.sets_default && document.text_at_top("default").is_none() {
            document.set_at_top("default", self.name.as_str());
        }
        if self.is_new && !document.has_section(&self.name) {
            document.add_section(&self.name, &self.keys);
        } else {
            document.add_to_section(&self.name, &self.keys);
        }
    }

    /// What to add to the file, as the end of a sentence: a key that is not in a section must come before all sections.
    fn by_hand(&self, file: &str) -> String {
        match self.sets_default {
            true => format!(
                "this line at the beginning of {file}:\n\n{}\n\nand these lines at its end:\n\n{}",
                line("default", self.name.as_str()),
                self.section()
            ),
            false => format!("these lines at the end of {file}:\n\n{}", self.section()),
        }
    }

    /// The lines that are added.
    fn text(&self) -> String {
        match self.sets_default {
            true => format!("{}\n\n{}", line("default", self.name.as_str()), self.section()),
            false => self.section(),
        }
    }

    fn section(&self) -> String {
        let Some(mut document) = Document::parse("") else { return String::new() };
        document.add_section(&self.name, &self.keys);
        document.text()
    }
}
