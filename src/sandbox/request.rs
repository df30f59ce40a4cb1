//! Recorded requests.

use hyper::http::request::Parts;
use serde_json::Value;

use super::Endpoint;

/// A recorded request.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// The endpoint, if the path is that of one.
    pub endpoint: Option<Endpoint>,
    /// The method.
    pub method: String,
    /// The path as sent.
    pub path: String,
    /// The query as sent, without its question mark.
    pub query: String,
    /// The header fields in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl RecordedRequest {
    pub(super) fn new(endpoint: Option<Endpoint>, head: &Parts, body: &[u8]) -> Self {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        Self {
            endpoint,
            method: head.method.to_string(),
            path: head.uri.path().into(),
            query: head.uri.query().unwrap_or_default().into(),
            headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect(),
            body: body.to_vec(),
        }
    }

    /// The first header field of this name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, or null.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The fields of a form or JSON body. `None` if it is neither, or if a JSON member is not a string.
    pub fn fields(&self) -> Option<Vec<(String, String)>> {
        let kind = self.header("content-type")?.split(';').next()?.trim().to_ascii_lowercase();
        match kind.as_str() {
            "application/x-www-form-urlencoded" => Some(pairs(&self.body)),
            "application/json" => {
                let Value::Object(members) = self.json() else { return None };
                members.into_iter().map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect()
            }
            _ => None,
        }
    }

    /// One field of the body.
    pub fn field(&self, name: &str) -> Option<String> {
        self.fields()?.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The parameters of the query.
    pub fn parameters(&self) -> Vec<(String, String)> {
        pairs(self.query.as_bytes())
    }
}

fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(encoded).into_owned().collect()
}

/// The value of a parameter. A repeated parameter is an error (RFC 6749, sections 3.1 and 3.2).
pub(super) fn only<'a>(fields: &'a [(String, String)], name: &str) -> Result<Option<&'a str>, String> {
    let mut values = fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
    match (values.next(), values.next()) {
        (Some(_), Some(_)) => Err(format!("`{name}` is repeated")),
        // RFC 6749 treats a parameter without a value as if it were omitted.
        (first, _) => Ok(first.filter(|value| !value.is_empty())),
    }
}
