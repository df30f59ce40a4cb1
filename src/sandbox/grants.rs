//! What was granted and what has become of it: tickets, codes, tokens and their families.

use std::collections::HashMap;
use std::io;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng as _;
use rand::rngs::SysRng;
use sha2::{Digest as _, Sha256};

use super::script::{Answer, Piece};
use super::{Endpoint, Seen};

/// An authorization request that passed all checks, as far as the rest of the way needs it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) redirect_uri: String,
    pub(super) state: String,
    pub(super) challenge: String,
    pub(super) scope: String,
}

#[derive(Debug)]
pub(super) struct Code {
    pub(super) asked: Asked,
    pub(super) issued: Instant,
    /// The family of the tokens that were bought with it, once it is spent.
    pub(super) spent_on: Option<Family>,
}

/// All tokens that descend from one approval.
pub(super) type Family = usize;

#[derive(Debug)]
struct Refresh {
    family: Family,
    scope: String,
    /// How often it was used.
    uses: u32,
}

#[derive(Debug)]
pub(super) struct Grants {
    /// Everything that nobody may guess is derived from this.
    seed: [u8; 32],
    drawn: u64,
    tickets: HashMap<String, Asked>,
    codes: HashMap<String, Code>,
    access: HashMap<String, Family>,
    refresh: HashMap<String, Refresh>,
    families: Family,
    secrets: Vec<String>,
}

/// Whether a refresh token may be used.
#[derive(Debug, PartialEq)]
pub(super) enum Use {
    Granted {
        family: Family,
        scope: String,
    },
    Unknown,
    /// It was used before, so one of the two users stole it: the family is dead now.
    Reused,
}

impl Grants {
    pub(super) fn new() -> io::Result<Self> {
        let mut seed = [0; 32];
        SysRng.try_fill_bytes(&mut seed).map_err(io::Error::other)?;
        Ok(Self {
            seed,
            drawn: 0,
            tickets: HashMap::new(),
            codes: HashMap::new(),
            access: HashMap::new(),
            refresh: HashMap::new(),
            families: 0,
            secrets: Vec::new(),
        })
    }

    /// Text that nobody can guess and that is never drawn twice.
    pub(super) fn draw(&mut self, what: &str) -> String {
        self.drawn += 1;
        let digest = Sha256::new().chain_update(self.seed).chain_update(self.drawn.to_be_bytes()).finalize();
        format!("sandbox-{what}-{}", URL_SAFE_NO_PAD.encode(digest))
    }

    fn draw_secret(&mut self, what: &str) -> String {
        let secret = self.draw(what);
        self.secrets.push(secret.clone());
        secret
    }

    /// A single-use ticket for the decision about this request.
    pub(super) fn ticket(&mut self, asked: Asked) -> String {
        let ticket = self.draw("ticket");
        self.tickets.insert(ticket.clone(), asked);
        ticket
    }

    pub(super) fn take_ticket(&mut self, ticket: &str) -> Option<Asked> {
        self.tickets.remove(ticket)
    }

    pub(super) fn code(&mut self, asked: Asked) -> String {
        let code = self.draw_secret("code");
        self.codes.insert(code.clone(), Code { asked, issued: Instant::now(), spent_on: None });
        code
    }

    pub(super) fn find_code(&self, code: &str) -> Option<&Code> {
        self.codes.get(code)
    }

    /// Spends a code: the tokens that are bought with it are a new family, or join the only one.
    pub(super) fn spend_code(&mut self, code: &str, one_grant: bool) -> Family {
        if !one_grant || self.families == 0 {
            self.families += 1;
        }
        if let Some(code) = self.codes.get_mut(code) {
            code.spent_on = Some(self.families);
        }
        self.families
    }

    pub(super) fn access_token(&mut self, family: Family) -> String {
        let token = self.draw_secret("access");
        self.access.insert(token.clone(), family);
        token
    }

    pub(super) fn refresh_token(&mut self, family: Family, scope: &str) -> String {
        let token = self.draw_secret("refresh");
        self.refresh.insert(token.clone(), Refresh { family, scope: scope.into(), uses: 0 });
        token
    }

    /// Uses a refresh token. Reuse beyond the grace ends its family (RFC 9700, section 4.14.2).
    pub(super) fn use_refresh(&mut self, token: &str, rotate: bool, grace: u32) -> Use {
        let Some(refresh) = self.refresh.get_mut(token) else { return Use::Unknown };
        let family = refresh.family;
        if rotate && refresh.uses > grace {
            self.end(family);
            return Use::Reused;
        }
        refresh.uses += 1;
        Use::Granted { family, scope: refresh.scope.clone() }
    }

    pub(super) fn access_is_good(&self, token: &str) -> bool {
        self.access.contains_key(token)
    }

    /// Whether this was ever an access token.
    pub(super) fn was_access(&self, token: &str) -> bool {
        token.starts_with("sandbox-access-") && self.knows(token)
    }

    fn knows(&self, secret: &str) -> bool {
        self.secrets.iter().any(|known| known == secret)
    }

    /// Revokes one token, or with a refresh token its whole family (RFC 7009, section 2.1). Says
    /// whether it was known.
    pub(super) fn revoke(&mut self, token: &str) -> bool {
        let known_refresh = self.refresh.get(token).map(|refresh| refresh.family);
        if let Some(family) = known_refresh {
            self.end(family);
        }
        self.access.remove(token).is_some() || known_refresh.is_some()
    }

    pub(super) fn end(&mut self, family: Family) {
        self.access.retain(|_, other| *other != family);
        self.refresh.retain(|_, other| other.family != family);
    }

    pub(super) fn expire_access(&mut self) {
        self.access.clear();
    }

    pub(super) fn end_all(&mut self) {
        self.access.clear();
        self.refresh.clear();
    }

    /// Keeps the secrets that a request brought.
    pub(super) fn notice(&mut self, seen: &Seen) {
        if !matches!(seen.endpoint, Some(Endpoint::Token | Endpoint::Revoke)) {
            return;
        }
        for name in ["code", "code_verifier", "refresh_token", "client_secret", "token"] {
            self.keep(seen.field(name));
        }
    }

    /// Keeps the tokens that a scripted answer gives out.
    pub(super) fn notice_tokens(&mut self, answer: &Answer) {
        for piece in &answer.body {
            let Piece::Bytes(bytes) = piece else { continue };
            let Ok(body) = serde_json::from_slice::<serde_json::Value>(bytes) else { continue };
            for name in ["access_token", "refresh_token", "id_token"] {
                self.keep(body.get(name).and_then(|value| value.as_str()).map(str::to_owned));
            }
        }
    }

    fn keep(&mut self, secret: Option<String>) {
        if let Some(secret) = secret.filter(|secret| !secret.is_empty() && !self.knows(secret)) {
            self.secrets.push(secret);
        }
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(String::as_str)
    }
}
