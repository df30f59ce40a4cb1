//! Checks of values, such as placeholders, reserved parameters and invalid headers. Without them, a mistake would show
//! up only after the user has approved the sign-in in the browser.

use std::path::Path;

use super::invalid;
use super::placeholder::is_placeholder;
use crate::cli::error::CliError;
use nexus::internal::{invisible, provider};

/// The headers of API requests that nexus sets.
pub(super) const API_REQUEST: &[&str] = &["accept", AUTHORIZATION];

/// The header of the access token, and of a client that authenticates with Basic (RFC 6749, section 2.3.1).
pub(super) const AUTHORIZATION: &str = "authorization";

/// The headers that frame a message, which the HTTP client sets.
const FRAMING: &[&str] = &["connection", "content-length", "content-type", "host", "transfer-encoding"];

pub(super) const SET_BY_NEXUS: &str = "is set by nexus itself";

pub(super) const USE_ANOTHER_HEADER: &str = "remove it; send a gateway's own key in another header";

/// Why a value cannot be used. `why` follows the key in the message.
pub(super) struct Unusable {
    /// The entry of a table, with its offset in the file.
    pub(super) entry: Option<(String, usize)>,
    pub(super) why: String,
    pub(super) hint: &'static str,
}

impl Unusable {
    pub(super) fn value(why: impl Into<String>, hint: &'static str) -> Self {
        Self { entry: None, why: why.into(), hint }
    }

    fn entry(entry: &Entry<'_>, why: impl Into<String>, hint: &'static str) -> Self {
        Self { entry: Some((entry.name.to_owned(), entry.at)), why: why.into(), hint }
    }
}

pub(super) struct Entry<'a> {
    /// Its offset in the file.
    pub(super) at: usize,
    pub(super) name: &'a str,
    pub(super) value: &'a str,
}

/// Why a text cannot be a client id. With a placeholder, the sign-in would time out. A client id may contain spaces
/// (RFC 6749, appendix A.1).
pub(crate) fn not_a_client_id(id: &str) -> Option<String> {
    if id.is_empty() {
        Some("is empty".into())
    } else if is_placeholder(id) {
        Some("is a placeholder".into())
    } else {
        invisible::inside(id, true)
    }
}

/// Rejects what cannot be a `resource` (RFC 8707, section 2). An empty text turns it off.
pub(super) fn resource(text: &str) -> Result<(), Unusable> {
    match provider::not_a_resource(text).filter(|_| !text.is_empty()) {
        Some(why) => {
            Err(Unusable::value(why, "use the API's identifier at the authorization server, or \"\" for none"))
        }
        None => Ok(()),
    }
}

/// The values of `prompt`: OpenID Connect Core, section 3.1.2.1, and Initiating User Registration 1.0.
const PROMPTS: &[&str] = &["none", "login", "consent", "select_account", "create"];

/// Rejects a `prompt` with other words. A misspelled one would be ignored by many servers.
pub(super) fn prompt(text: &str) -> Result<(), Unusable> {
    let words: Vec<_> = text.split(' ').filter(|_| !text.is_empty()).collect();
    if words.iter().any(|word| !PROMPTS.contains(word)) {
        let why =
            "must be \"none\", or of \"login\", \"consent\", \"select_account\" and \"create\", separated by spaces";
        return Err(Unusable::value(why, "fix it; a server's own value belongs in `authorize_params`"));
    }
    if words.len() > 1 && words.contains(&"none") {
        return Err(Unusable::value("combines \"none\" with another value", "keep one of the two"));
    }
    Ok(())
}

/// Rejects parameters that nexus sets.
pub(super) fn params<'a>(entries: impl Iterator<Item = Entry<'a>>, reserved: &[&str]) -> Result<(), Unusable> {
    for entry in entries {
        if reserved.contains(&entry.name) {
            return Err(Unusable::entry(&entry, SET_BY_NEXUS, "remove it"));
        }
    }
    Ok(())
}

/// Rejects headers that nexus sets, and invalid ones (RFC 9110, sections 5.1 and 5.5).
pub(super) fn headers<'a>(entries: impl Iterator<Item = Entry<'a>>, reserved: &[&str]) -> Result<(), Unusable> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    for entry in entries {
        let is_one_of = |names: &[&str]| names.iter().any(|name| entry.name.eq_ignore_ascii_case(name));
        let (why, hint) = if entry.name.is_empty() || !entry.name.bytes().all(token) {
            ("is not a valid header name".to_owned(), "fix or remove it")
        } else if is_one_of(FRAMING) || is_one_of(reserved) {
            (SET_BY_NEXUS.to_owned(), if is_one_of(&[AUTHORIZATION]) { USE_ANOTHER_HEADER } else { "remove it" })
        } else if let Some(c) = entry.value.chars().find(|c| !is_in_header_value(*c)) {
            let why = "has characters that are not allowed in a header, such as";
            (format!("{why} U+{:04X}", u32::from(c)), "fix or remove it")
        } else {
            continue;
        };
        return Err(Unusable::entry(&entry, why, hint));
    }
    Ok(())
}

/// Rejects what cannot be the header of a token.
pub(super) fn token_header(name: &str) -> Result<(), Unusable> {
    let entry = Entry { at: 0, name, value: "" };
    headers([entry].into_iter(), &["accept"]).map_err(|unusable| Unusable { entry: None, ..unusable })
}

/// Rejects what cannot be the value of a header.
pub(super) fn header_value(text: &str) -> Result<(), Unusable> {
    match !text.is_empty() && is_header_value(text) {
        true => Ok(()),
        false => Err(Unusable::value("cannot be sent in a header", "fix or remove it")),
    }
}

/// Rejects the value of a variable that has an invisible character in it.
pub(super) fn visible(variable: &str, fault: Option<String>) -> Result<(), CliError> {
    match fault {
        Some(why) => Err(invalid(format!("{variable} {why}"), "set it again, typed by hand instead of copied")),
        None => Ok(()),
    }
}

/// Whether a text can be the value of a header (RFC 9110, section 5.5).
pub(super) fn is_header_value(text: &str) -> bool {
    text.chars().all(is_in_header_value)
}

fn is_in_header_value(c: char) -> bool {
    matches!(c, '\t' | ' '..='~')
}

/// Adds a warning if other users can read a file that contains a secret.
pub(super) fn warn_if_readable(path: &Path, warnings: &mut Vec<String>) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0) {
            let path = path.display();
            warnings.push(format!("{path} contains a secret and others can read it: run `chmod 600 {path}`"));
        }
    }
    #[cfg(not(unix))]
    let _ = (path, warnings);
}
