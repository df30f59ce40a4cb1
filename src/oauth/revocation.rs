//! The revocation endpoint (RFC 7009).

use std::time::Duration;

use super::token::Endpoint;
use super::token_error::TokenError;
use crate::http::Http;
use crate::provider::RequestStyle;

/// How long a revocation may take, connecting included.
const TIME_LIMIT: Duration = Duration::from_secs(10);

impl Endpoint<'_> {
    /// Revokes a token (RFC 7009, section 2.1). An unknown token counts as revoked (section 2.2).
    ///
    /// `type_hint` is the `token_type_hint`: `access_token` or `refresh_token`.
    ///
    /// # Errors
    /// Why the token may still be good.
    pub(crate) async fn revoke(&self, http: &Http, token: &str, type_hint: &str) -> Result<(), TokenError> {
        let revoked = self.revoke_once(http, token, type_hint).await;
        match (&revoked, self.with_other_auth()) {
            (Err(error), Some(raw)) if error.is_client_refused() => raw.revoke_once(http, token, type_hint).await,
            _ => revoked,
        }
    }

    async fn revoke_once(&self, http: &Http, token: &str, type_hint: &str) -> Result<(), TokenError> {
        let fields = vec![("token", token), ("token_type_hint", type_hint)];
        let style = RequestStyle::default();
        let redactor = self.redactor(&fields, &style);
        let response = self.exchange(http, fields, &style, TIME_LIMIT).await?;
        match response.status.as_u16() {
            200..=299 => Ok(()),
            _ => Err(response.refusal(redactor)),
        }
    }
}
