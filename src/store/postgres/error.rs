//! What an error of PostgreSQL means for the caller.

use std::error::Error;
use std::io;

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

    /// Why no connection could be made. What the server refuses for good is in the URL.
    pub(super) fn of_connecting(error: tokio_postgres::Error) -> Self {
        let mut failure = Self::from(error);
        if let ServerProblem::Database(message) | ServerProblem::NotPermitted(message) = failure.problem {
            failure.problem = ServerProblem::Refused(message);
        }
        failure
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(answer) = error.as_db_error() {
            return of_server(answer.code().code(), clean::clean(answer.message()));
        }
        if let Some(problem) = http::untrusted(&error) {
            let problem = match problem {
                CertificateProblem::UnknownIssuer => "its certificate is from an unknown issuer".into(),
                problem => problem.to_string(),
            };
            return Self::permanent(ServerProblem::Untrusted(problem));
        }
        if let Some(setup) = cause::<super::tls::SetUpError>(&error) {
            return Self::permanent(setup.problem());
        }
        match error.source() {
            None => Self::temporary(clean::clean(&error.to_string())),
            Some(_) if cause::<io::Error>(&error).is_some() => Self::temporary(http::reason(&error)),
            Some(source) => Self::permanent(ServerProblem::Database(clean::clean(&source.to_string()))),
        }
    }
}

/// What the server answered, by its SQLSTATE (PostgreSQL documentation, appendix A).
fn of_server(state: &str, message: String) -> Failure {
    let class = state.get(..2).unwrap_or_default();
    let problem = match (state, class) {
        ("53300", _) => ServerProblem::TooManyConnections,
        ("08P01", _) if has_any(&message, FULL_POOLER) => ServerProblem::TooManyConnections,
        ("42P01" | "3F000", _) => ServerProblem::NoTables,
        ("42501", _) => ServerProblem::NotPermitted(message),
        ("08P01", _) if has_any(&message, REFUSALS_BY_POOLER) => ServerProblem::Refused(message),
        // The sign-in at the server; the name of the database.
        (_, "28" | "3D") => ServerProblem::Refused(message),
        // A lost connection; a standby; a serialization failure; a full disk; a server that starts, stops or fails
        // over. A lock that another transaction holds.
        ("55P03", _) | (_, "08" | "25" | "40" | "53" | "57") => ServerProblem::Unreachable(message),
        _ => ServerProblem::Database(message),
    };
    let is_temporary = matches!(problem, ServerProblem::TooManyConnections | ServerProblem::Unreachable(_));
    Failure { problem, is_temporary }
}

/// What pgbouncer says, in its own words or those of the server, when it or the server has no free connection. It has
/// one SQLSTATE for everything.
const FULL_POOLER: &[&str] =
    &["no more connections allowed", "remaining connection slots", "too many clients", "too many connections"];

/// What it says when it refuses a user, a password, a database or a parameter.
const REFUSALS_BY_POOLER: &[&str] = &[
    "SSL required",
    "TLS required",
    "authentication failed",
    "does not exist",
    "login rejected",
    "no pg_hba.conf entry",
    "no such database",
    "no such user",
    "not allowed",
    "permission denied",
    "unsupported startup parameter",
];

fn has_any(message: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| message.contains(part))
}

/// Whether the client library refused a server because its transactions are read-only.
pub(super) fn is_read_only(error: &tokio_postgres::Error) -> bool {
    // An error of the operating system has a number.
    cause::<io::Error>(error)
        .is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none())
}

/// The first error of a kind among the causes of an error.
fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    error.downcast_ref().or_else(|| error.source().and_then(cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_the_server_is_an_outage_or_an_error_of_the_configuration() {
        use ServerProblem::{Database, NoTables, NotPermitted, Refused, TooManyConnections, Unreachable};
        for (state, message, expected) in [
            ("28P01", "password authentication failed for user \"a\"", Refused as fn(String) -> ServerProblem),
            ("28000", "role \"a\" does not exist", Refused),
            ("3D000", "database \"n\" does not exist", Refused),
            ("08P01", "no such database: n", Refused),
            ("08P01", "no such user: a", Refused),
            ("08P01", "SASL authentication failed", Refused),
            ("08P01", "\"trust\" authentication failed", Refused),
            ("08P01", "database \"n\" does not exist", Refused),
            ("08P01", "password authentication failed for user \"a\"", Refused),
            ("08P01", "unsupported startup parameter: options", Refused),
            ("08P01", "unsupported startup parameter in options: x", Refused),
            ("08P01", "server login has been failing, try again later (server_login_retry)", Unreachable),
            ("08P01", "pgbouncer cannot connect to server", Unreachable),
            ("08P01", "query_wait_timeout", Unreachable),
            ("08P01", "no more connections allowed (max_client_conn)", |_| TooManyConnections),
            ("08P01", "too many connections for role \"a\"", |_| TooManyConnections),
            ("08P01", "sorry, too many clients already", |_| TooManyConnections),
            ("08P01", "remaining connection slots are reserved for roles with the SUPERUSER attribute", |_| {
                TooManyConnections
            }),
            ("08006", "the connection failed", Unreachable),
            ("25006", "cannot execute UPDATE in a read-only transaction", Unreachable),
            ("40001", "could not serialize access", Unreachable),
            ("53100", "could not extend file: No space left on device", Unreachable),
            ("57P03", "the database system is starting up", Unreachable),
            ("55P03", "canceling statement due to lock timeout", Unreachable),
            ("42501", "permission denied for table session", NotPermitted),
            ("42P01", "relation \"nexus.version\" does not exist", |_| NoTables),
            ("3F000", "schema \"nexus\" does not exist", |_| NoTables),
            ("53300", "sorry, too many clients already", |_| TooManyConnections),
            ("22021", "invalid byte sequence", Database),
            ("XX000", "could not read block 0", Database),
            ("", "", Database),
        ] {
            let failure = of_server(state, message.into());
            assert_eq!(failure.problem, expected(message.into()), "{state} {message}");
            let is_outage = matches!(failure.problem, Unreachable(_) | TooManyConnections);
            assert_eq!(failure.is_temporary, is_outage, "{state} {message}");
        }
    }
}
