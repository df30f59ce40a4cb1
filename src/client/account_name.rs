//! The name of the account that signed in, where the token response has none.

use serde_json::{Map, Value};

use super::Client;
use crate::oauth::{is_named, merge_metadata, userinfo};
use crate::provider;
use crate::session::{Notice, Session};

impl Client {
    /// Asks the provider's UserInfo endpoint for the name of the account, unless it is known or there is no endpoint.
    /// The name is saved with the session. A failure is a notice.
    pub(super) async fn with_account_name(&self, owner: &str, mut session: Session) -> Session {
        let Some(url) = self.provider().userinfo_url.as_ref().filter(|_| !is_named(&session.metadata)) else {
            return session;
        };
        let subject = session.metadata.get("id").and_then(|id| id.get("sub")?.as_str());
        let names = match userinfo(&self.http, url, &session.access_token, subject).await {
            Ok(names) => Map::from_iter([("userinfo".to_owned(), Value::Object(names))]),
            // A token for another resource is not good for this endpoint, and the ID token has told who signed in.
            Err(_) if session.account().is_some() && session.binding.resource.is_some() => return session,
            Err(description) => {
                (self.refresher.notice)(&Notice::NotNamed { host: provider::host(url), description });
                return session;
            }
        };
        session.metadata = merge_metadata(session.metadata, names);
        let metadata = session.metadata.clone();
        let saved = self.amend(owner, session.generation, |stored| stored.session.metadata = metadata).await;
        if let Err(error) = saved {
            (self.refresher.notice)(&Notice::NameNotKept { error });
        }
        session
    }
}
