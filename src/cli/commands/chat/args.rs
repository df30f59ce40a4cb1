//! The grammar of `nexus chat`.

use std::path::PathBuf;

use clap_complete::engine::ArgValueCandidates;

use super::sink::OutputFormat;
use crate::cli::completion::candidates;
use crate::cli::question::QuestionArgs;

const EXAMPLES: &str = "\
Examples:
  nexus chat \"why does this fail?\" < build.log
  nexus chat -a report.pdf \"what does this say about costs?\"
  nexus chat -c \"and in French?\"    # continues the most recent conversation
  nexus chat -- \"$question\"         # any text but a hyphen alone
  nexus chat                        # a conversation, at a terminal";

/// Ask a question and stream the answer
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The question; `-` alone reads it from stdin
    ///
    /// Its words are joined by spaces. Piped input is appended after a blank line.
    pub(super) prompt: Vec<String>,

    #[command(flatten)]
    pub(super) question: QuestionArgs,

    /// Attach text, an image or a PDF; `-` is stdin
    ///
    /// The type is recognized by the content: text, PNG, JPEG, GIF, WebP or PDF.
    #[arg(long, short, value_name = "FILE", help_heading = "Prompt")]
    pub(super) attach: Vec<PathBuf>,

    /// Do not read stdin
    #[arg(long, help_heading = "Prompt", hide_short_help = true)]
    pub(super) no_stdin: bool,

    /// Effort to put into the answer
    #[arg(long, value_name = "LEVEL", value_parser = ["low", "medium", "high", "xhigh", "max"], help_heading = "Model")]
    #[arg(hide_short_help = true)]
    pub(super) effort: Option<String>,

    /// Show the model's thinking on stderr, if the API returns it
    #[arg(long, value_name = "WHEN", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "auto")]
    #[arg(help_heading = "Model", hide_short_help = true)]
    pub(super) thinking: Option<Thinking>,

    /// Continue the most recent conversation
    #[arg(long = "continue", short = 'c', conflicts_with = "conversation", help_heading = "Conversation")]
    pub(super) continues: bool,

    /// Continue the conversation with this id, or a prefix of one
    #[arg(long, value_name = "ID", help_heading = "Conversation", hide_short_help = true)]
    #[arg(add = ArgValueCandidates::new(candidates::conversations))]
    pub(super) conversation: Option<String>,

    /// Save to the history even if stdout is not a terminal
    #[arg(long, help_heading = "Conversation", hide_short_help = true)]
    pub(super) history: bool,

    /// Do not save to the history
    #[arg(long, conflicts_with_all = ["history", "continues", "conversation"], help_heading = "Conversation")]
    #[arg(hide_short_help = true)]
    pub(super) no_history: bool,

    /// Output format
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Text, help_heading = "Output")]
    #[arg(hide_short_help = true)]
    pub(super) output: OutputFormat,

    /// Alias for --output json
    #[arg(long, conflicts_with = "output", help_heading = "Output")]
    pub(super) json: bool,

    /// JSON Schema, or a file with one, that the answer must match
    #[arg(long, value_name = "SCHEMA", help_heading = "Output", hide_short_help = true)]
    pub(super) schema: Option<String>,

    /// Do not render Markdown (piped output is never rendered)
    #[arg(long, help_heading = "Output", hide_short_help = true)]
    pub(super) raw: bool,

    /// Print tokens and time to stderr
    #[arg(long, help_heading = "Output", hide_short_help = true)]
    pub(super) usage: bool,
}

/// When the model is asked to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Thinking {
    /// If the list of models says that it supports thinking
    Auto,
    /// Whatever the list of models says
    Always,
}

impl Args {
    /// The format of the output.
    pub(super) fn format(&self) -> OutputFormat {
        if self.json { OutputFormat::Json } else { self.output }
    }
}
