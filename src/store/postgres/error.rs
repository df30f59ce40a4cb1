//! What an error of PostgreSQL means for the caller.

use std::error::Error;
use std::io;

use tokio_postgres::error::SqlState;

use crate::clean;
use crate::http::{self, CertificateProblem};
use crate::store::error::ServerProblem;

/// Why a statement failed.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) problem: ServerProblem,
    /// Whether the same statement may succeed soon, on another connection.
    pub(super) is_temporary: bool,
}

impl Failure {
    pub(super) fn temporary(reason: impl Into<String>) -> Self {
        Self { problem: ServerProblem::Unreachable(reason.into()), is_temporary: true }
    }

    pub(super) fn permanent(problem: ServerProblem) -> Self {
        Self { problem, is_temporary: false }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(answer) = error.as_db_error() {
            return of_server(answer.code(), clean::clean(answer.message()));
        }
        if let Some(problem) = http::untrusted(&error) {
            let problem = match problem {
                CertificateProblem::UnknownIssuer => "its certificate is from an unknown issuer".into(),
                problem => problem.to_string(),
            };
            return Self::permanent(ServerProblem::Untrusted(problem));
        }
        if let Some(setup) = cause::<super::tls::SetUpError>(&error) {
            return Self::permanent(ServerProblem::Untrusted(setup.to_string()));
        }
        match error.source() {
            None => Self::temporary(clean::clean(&error.to_string())),
            Some(_) if cause::<io::Error>(&error).is_some() => Self::temporary(http::reason(&error)),
            Some(source) => Self::permanent(ServerProblem::Database(clean::clean(&source.to_string()))),
        }
    }
}

/// What the server answered, by its SQLSTATE (PostgreSQL documentation, appendix A).
fn of_server(state: &SqlState, message: String) -> Failure {
    let class = state.code().get(..2).unwrap_or_default();
    let problem = match state.code() {
        code if code == SqlState::TOO_MANY_CONNECTIONS.code() => ServerProblem::TooManyConnections,
        code if code == SqlState::UNDEFINED_TABLE.code() || code == SqlState::INVALID_SCHEMA_NAME.code() => {
            ServerProblem::NoTables
        }
        code if code == SqlState::INSUFFICIENT_PRIVILEGE.code() => ServerProblem::NotPermitted(message),
        code if code == SqlState::INVALID_CATALOG_NAME.code() => ServerProblem::Refused(message),
        _ => match class {
            // The sign-in at the server.
            "28" => ServerProblem::Refused(message),
            // A lost connection; a standby; a serialization failure; a server that starts, stops or fails over.
            "08" | "25" | "40" | "57" => ServerProblem::Unreachable(message),
            _ => ServerProblem::Database(message),
        },
    };
    let is_temporary = matches!(problem, ServerProblem::TooManyConnections | ServerProblem::Unreachable(_));
    Failure { problem, is_temporary }
}

/// The first error of a kind among the causes of an error.
fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    error.downcast_ref().or_else(|| error.source().and_then(cause))
}
