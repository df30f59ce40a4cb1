//! The models that a token may use.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::message::figure;
use super::{Client, content_type, is_json, request};
use crate::failure::{Failure, Result};
use crate::provider::Dialect;
use crate::secret::AccessToken;
use crate::time;

/// As many models as the API gives on one page.
const PAGE: &str = "1000";

/// More pages than any service has models for.
const MAX_PAGES: usize = 20;

/// A model. Only the id is certain: gateways and older servers leave out the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// What a question calls it.
    pub id: String,
    /// What people call it.
    pub display_name: Option<String>,
    /// When it came out (RFC 3339).
    pub created_at: Option<String>,
    /// The longest question, in tokens.
    #[serde(default, deserialize_with = "figure")]
    pub max_input_tokens: Option<u64>,
    /// The longest answer, in tokens.
    #[serde(default, deserialize_with = "figure")]
    pub max_tokens: Option<u64>,
    /// Whether it thinks as much as it finds useful, and shows a summary of that where it is asked to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub thinks_adaptively: bool,
    /// What the list says that it cannot do, of what it can be asked for here: `effort`, `effort.max`,
    /// `structured_outputs`, `image_input` ... What the list is silent about is not in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cannot: Vec<String>,
}

/// The capabilities that a question may need, as the list calls them; a dot leads into one.
const ASKED_FOR: &[&str] = &[
    "effort",
    "effort.low",
    "effort.medium",
    "effort.high",
    "effort.xhigh",
    "effort.max",
    "structured_outputs",
    "image_input",
    "pdf_input",
];

/// Those of them that an item of the list denies.
fn denied(item: &Value) -> Vec<String> {
    let says_no = |name: &&&str| {
        let path = format!("/capabilities/{}/supported", name.replace('.', "/"));
        item.pointer(&path) == Some(&Value::Bool(false))
    };
    ASKED_FOR.iter().filter(says_no).map(|name| (*name).to_owned()).collect()
}

impl Model {
    /// A model as a list has it. OpenAI's shape gives the time in Unix seconds, whichever dialect the
    /// service speaks otherwise.
    fn of(item: Value) -> Option<Self> {
        let created = item.get("created").and_then(Value::as_i64).filter(|seconds| *seconds > 0);
        let adaptive = item.pointer("/capabilities/thinking/types/adaptive/supported") == Some(&Value::Bool(true));
        let denied = denied(&item);
        let model = Self::deserialize(item).ok()?;
        let thinks_adaptively = adaptive || model.thinks_adaptively;
        let created_at = model.created_at.or_else(|| created.map(time::rfc3339));
        // A list that has our own word for it is not asked twice.
        let cannot = if denied.is_empty() { model.cannot } else { denied };
        Some(Self { created_at, thinks_adaptively, cannot, ..model })
    }
}

/// A page of the list, in Anthropic's shape or OpenAI's, which has no further pages.
#[derive(Deserialize)]
struct Page {
    data: Option<Vec<Value>>,
    has_more: Option<bool>,
    last_id: Option<String>,
}

impl Client<'_> {
    /// Lists the models in the service's own order: Anthropic's newest first.
    ///
    /// # Errors
    /// Those of [`ask`](Self::ask); [`Failure::Nonsense`] also for a list without end.
    pub async fn models(&self, token: &AccessToken) -> Result<Vec<Model>> {
        let mut models: Vec<Model> = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let page = self.page(token, after.as_deref()).await?;
            // What has no id cannot be asked.
            let named = page.data.unwrap_or_default().into_iter().filter_map(Model::of);
            models.extend(named.filter(|model| !model.id.is_empty()));
            let last = page.last_id.or_else(|| models.last().map(|model| model.id.clone()));
            // A page that leads to itself would lead there for ever.
            if page.has_more != Some(true) || last == after {
                return Ok(models);
            }
            after = last;
        }
        Err(Failure::Nonsense {
            host: crate::provider::host(self.base),
            what: format!("with a list of models that goes on after {MAX_PAGES} pages"),
        })
    }

    async fn page(&self, token: &AccessToken, after: Option<&str>) -> Result<Page> {
        let mut url = self.url("models");
        if self.dialect == Dialect::Anthropic {
            url.query_pairs_mut().append_pair("limit", PAGE).extend_pairs(after.map(|id| ("after_id", id)));
        }
        let (mut response, peer) = self.send(token, request(Method::GET, url, "application/json", None)).await?;
        if !is_json(content_type(&response)) {
            return Err(peer.unexpected(response).await);
        }
        let body = peer.whole(&mut response).await?;
        match serde_json::from_slice::<Page>(&body) {
            Ok(page) if page.data.is_some() => Ok(page),
            _ => Err(peer.strange_json("no list of models", &body)),
        }
    }
}
