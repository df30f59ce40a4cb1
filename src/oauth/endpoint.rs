//! stub
use crate::failure::{Failure, Result};
use crate::http::Http;
use crate::provider::Provider;
use crate::secret::{AuthorizationCode, Verifier};
/// x
#[derive(Debug)]
pub struct Grant {}
pub(crate) async fn redeem(
    _h: &Http,
    _p: &Provider,
    _c: AuthorizationCode,
    _v: Verifier,
    _s: &str,
    _r: &str,
) -> Result<Grant> {
    Err(Failure::ContextFull)
}
