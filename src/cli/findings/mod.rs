//! What `nexus doctor` checks, one file for each subject.

use serde_json::{Value, json};

use crate::cli::error::{CliError, exit_code};
use nexus::error::{Fault, Subject, Untrusted};
use nexus::{ErrorClass, ErrorInfo as _};

pub(crate) mod files;
pub(crate) mod network;
pub(crate) mod session;
pub(crate) mod variables;

/// Something that is wrong, and its cure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// A stable name for programs.
    reason: &'static str,
    problem: String,
    cure: String,
    exit_code: u8,
}

impl Finding {
    pub(crate) fn new(
        reason: &'static str,
        class: ErrorClass,
        problem: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self { reason, problem: problem.into(), cure: cure.into(), exit_code: exit_code(class) }
    }

    /// The lines for a person.
    pub(crate) fn lines(&self) -> String {
        format!("{}\n  {}\n", self.problem, self.cure)
    }

    pub(crate) fn object(&self) -> Value {
        json!({
            "reason": self.reason,
            "problem": self.problem,
            "cure": self.cure,
            "exit_code": self.exit_code,
        })
    }
}

impl From<CliError> for Finding {
    fn from(error: CliError) -> Self {
        let (reason, problem) = match error.untrusted_problem() {
            // One folder may be the reason why many files are refused.
            Some(untrusted) => ("untrusted_file", untrusted_text(untrusted)),
            None => (error.code(), error.to_string()),
        };
        Self { reason, problem, cure: error.hint(), exit_code: error.exit_code() }
    }
}

/// What is wrong with a file, a folder or a link, whatever it was to be read for.
fn untrusted_text(untrusted: &Untrusted) -> String {
    let kind = match untrusted.subject {
        Subject::File | Subject::Target => "the file",
        Subject::Folder => "the folder",
        Subject::Link => "the link",
    };
    let path = untrusted.path.display();
    match untrusted.fault {
        Fault::Owner => format!("{kind} {path} belongs to another user"),
        Fault::Writable => format!("other users can write to {kind} {path}"),
    }
}

/// All findings, each once.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn add(&mut self, finding: impl Into<Finding>) {
        let finding = finding.into();
        if !self.0.contains(&finding) {
            self.0.push(finding);
        }
    }

    /// The value, or nothing and a finding.
    pub(crate) fn ok<T>(&mut self, result: Result<T, impl Into<CliError>>) -> Option<T> {
        result.map_err(|error| self.add(error.into())).ok()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }

    /// The exit code of the most severe finding: what has to be configured comes before what has to be signed in to,
    /// and a failure that stays before one that may pass.
    pub(crate) fn exit_code(&self) -> u8 {
        let is_found = |code: &u8| self.0.iter().any(|finding| finding.exit_code == *code);
        [2, 4, 1, 75].into_iter().find(is_found).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_severe_finding_decides() {
        let of = |class| Finding::new("reason", class, format!("{class:?}"), "cure");
        let mut findings = Findings::default();
        assert_eq!(findings.exit_code(), 0);
        for (class, code) in [
            (ErrorClass::Temporary, 75),
            (ErrorClass::Permanent, 1),
            (ErrorClass::SignIn, 4),
            (ErrorClass::Configuration, 2),
            (ErrorClass::Temporary, 2),
        ] {
            findings.add(of(class));
            assert_eq!(findings.exit_code(), code, "{class:?}");
        }
        assert_eq!(findings.iter().count(), 4, "each once");
    }
}
