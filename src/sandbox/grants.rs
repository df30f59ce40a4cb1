//! The state of the authorization server: tickets, codes, tokens and token families.

use std::collections::HashMap;
use std::io;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng as _;
use rand::rngs::SysRng;
use sha2::{Digest as _, Sha256};

use super::script::{Answer, Piece};
use super::{Endpoint, RecordedRequest};

/// The secrets in a request to the authorization server.
const SECRET_FIELDS: &[&str] = &[
    "assertion",
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "device_code",
    "refresh_token",
    "subject_token",
    "token",
];

/// The parameters of an authorization request.
pub(super) type Parameters = Vec<(String, String)>;

/// A valid authorization request.
#[derive(Debug, Clone)]
pub(super) struct ApprovalRequest {
    pub(super) client_id: String,
    /// What the page calls the client.
    pub(super) client_name: String,
    pub(super) redirect_uri: String,
    pub(super) state: String,
    pub(super) challenge: String,
    pub(super) scope: String,
    pub(super) nonce: Option<String>,
    /// Whether the user was asked to consent (`prompt`).
    pub(super) consent: bool,
}

#[derive(Debug)]
pub(super) struct Code {
    pub(super) approval: ApprovalRequest,
    pub(super) issued: Instant,
    /// The family of its tokens, once it was exchanged.
    pub(super) spent_on: Option<Family>,
}

/// All tokens that descend from one approval.
pub(super) type Family = usize;

/// A sign-in on another device.
#[derive(Debug, Clone)]
pub(super) struct DeviceRequest {
    pub(super) client_id: String,
    pub(super) scope: String,
    pub(super) decision: Decision,
}

/// What the user has decided about a device code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Pending,
    Approved,
    Denied,
}

#[derive(Debug)]
struct Refresh {
    client_id: String,
    family: Family,
    scope: String,
    /// How often it was used.
    uses: u32,
}

#[derive(Debug)]
pub(super) struct Grants {
    /// All codes, tokens and tickets are derived from this.
    seed: [u8; 32],
    drawn: u64,
    /// Pushed authorization requests by `request_uri`.
    pushed: HashMap<String, Parameters>,
    tickets: HashMap<String, ApprovalRequest>,
    codes: HashMap<String, Code>,
    /// Sign-ins on other devices by device code.
    devices: HashMap<String, DeviceRequest>,
    /// Device codes by user code.
    user_codes: HashMap<String, String>,
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
    /// It was issued to another client.
    Foreign,
    /// It was used before, so it may be stolen. The family was revoked.
    Reused,
}

impl Grants {
    pub(super) fn new() -> io::Result<Self> {
        let mut seed = [0; 32];
        SysRng.try_fill_bytes(&mut seed).map_err(io::Error::other)?;
        Ok(Self {
            seed,
            drawn: 0,
            pushed: HashMap::new(),
            tickets: HashMap::new(),
            codes: HashMap::new(),
            devices: HashMap::new(),
            user_codes: HashMap::new(),
            access: HashMap::new(),
            refresh: HashMap::new(),
            families: 0,
            secrets: Vec::new(),
        })
    }

    /// A unique random text.
    pub(super) fn draw(&mut self, what: &str) -> String {
        self.drawn += 1;
        let digest = Sha256::new().chain_update(self.seed).chain_update(self.drawn.to_be_bytes()).finalize();
        format!("sandbox-{what}-{}", URL_SAFE_NO_PAD.encode(digest))
    }

    pub(super) fn draw_secret(&mut self, what: &str) -> String {
        let secret = self.draw(what);
        self.secrets.push(secret.clone());
        secret
    }

    /// A single-use `request_uri` for these parameters.
    pub(super) fn push(&mut self, parameters: Parameters) -> String {
        let uri = format!("urn:ietf:params:oauth:request_uri:{}", self.draw("request"));
        self.pushed.insert(uri.clone(), parameters);
        uri
    }

    pub(super) fn take_pushed(&mut self, uri: &str) -> Option<Parameters> {
        self.pushed.remove(uri)
    }

    /// A single-use ticket for the decision about this request.
    pub(super) fn ticket(&mut self, approval: ApprovalRequest) -> String {
        let ticket = self.draw("ticket");
        self.tickets.insert(ticket.clone(), approval);
        ticket
    }

    pub(super) fn take_ticket(&mut self, ticket: &str) -> Option<ApprovalRequest> {
        self.tickets.remove(ticket)
    }

    pub(super) fn code(&mut self, approval: ApprovalRequest) -> String {
        let code = self.draw_secret("code");
        self.codes.insert(code.clone(), Code { approval, issued: Instant::now(), spent_on: None });
        code
    }

    pub(super) fn find_code(&self, code: &str) -> Option<&Code> {
        self.codes.get(code)
    }

    /// The device code and the user code of a sign-in on another device.
    pub(super) fn device(&mut self, request: DeviceRequest) -> (String, String) {
        let device_code = self.draw_secret("device");
        let letters: Vec<char> = Sha256::digest(&device_code).iter().take(8).map(|byte| letter(*byte)).collect();
        let user_code = format!("{}-{}", String::from_iter(&letters[..4]), String::from_iter(&letters[4..]));
        self.devices.insert(device_code.clone(), request);
        self.user_codes.insert(user_code.clone(), device_code.clone());
        (device_code, user_code)
    }

    /// Decides about a sign-in on another device, once. Returns whether it waited for a decision.
    pub(super) fn decide_device(&mut self, user_code: &str, decision: Decision) -> bool {
        let device_code = self.user_codes.remove(&user_code.trim().to_ascii_uppercase());
        match device_code.and_then(|device_code| self.devices.get_mut(&device_code)) {
            Some(request) => {
                request.decision = decision;
                true
            }
            None => false,
        }
    }

    pub(super) fn find_device(&self, device_code: &str) -> Option<&DeviceRequest> {
        self.devices.get(device_code)
    }

    /// Uses up an approved device code. Its tokens form a new family, or join the only one.
    pub(super) fn spend_device(&mut self, device_code: &str, one_grant: bool) -> Family {
        self.devices.remove(device_code);
        self.new_family(one_grant)
    }

    /// A new family, or the only one.
    pub(super) fn new_family(&mut self, one_grant: bool) -> Family {
        if !one_grant || self.families == 0 {
            self.families += 1;
        }
        self.families
    }

    /// Uses up a code. Its tokens form a new family, or join the only one.
    pub(super) fn spend_code(&mut self, code: &str, one_grant: bool) -> Family {
        let family = self.new_family(one_grant);
        if let Some(code) = self.codes.get_mut(code) {
            code.spent_on = Some(family);
        }
        family
    }

    pub(super) fn access_token(&mut self, family: Family) -> String {
        let token = self.draw_secret("access");
        self.access.insert(token.clone(), family);
        token
    }

    pub(super) fn refresh_token(&mut self, client_id: &str, family: Family, scope: &str) -> String {
        let token = self.draw_secret("refresh");
        let refresh = Refresh { client_id: client_id.into(), family, scope: scope.into(), uses: 0 };
        self.refresh.insert(token.clone(), refresh);
        token
    }

    /// Uses a refresh token. Reuse beyond the grace revokes its family (RFC 9700, section 4.14.2).
    pub(super) fn use_refresh(&mut self, client_id: &str, token: &str, rotate: bool, grace: u32) -> Use {
        let Some(refresh) = self.refresh.get_mut(token) else { return Use::Unknown };
        if refresh.client_id != client_id {
            return Use::Foreign;
        }
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

    /// Whether this is a refresh token of another client.
    pub(super) fn is_foreign(&self, client_id: &str, token: &str) -> bool {
        self.refresh.get(token).is_some_and(|refresh| refresh.client_id != client_id)
    }

    /// Revokes an access token, or the family of a refresh token (RFC 7009, section 2.1). Returns whether it was known.
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

    /// Records the secrets in a request.
    pub(super) fn record_secrets(&mut self, request: &RecordedRequest) {
        use Endpoint::{DeviceAuthorization, Par, Revoke, Token};
        if !matches!(request.endpoint, Some(Par | DeviceAuthorization | Token | Revoke)) {
            return;
        }
        for name in SECRET_FIELDS {
            self.keep(request.field(name));
        }
    }

    /// Records the tokens in a scripted answer.
    pub(super) fn record_tokens(&mut self, answer: &Answer) {
        for piece in &answer.body {
            let Piece::Bytes(bytes) = piece else { continue };
            let Ok(body) = serde_json::from_slice::<serde_json::Value>(bytes) else { continue };
            for name in ["access_token", "refresh_token", "id_token", "device_code"] {
                self.keep(body.get(name).and_then(|value| value.as_str()).map(str::to_owned));
            }
        }
    }

    /// Records a secret that was not drawn here.
    pub(super) fn keep(&mut self, secret: Option<String>) {
        if let Some(secret) = secret.filter(|secret| !secret.is_empty() && !self.knows(secret)) {
            self.secrets.push(secret);
        }
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(String::as_str)
    }
}

/// A letter of a user code: consonants only, so that no words appear (RFC 8628, section 6.1).
fn letter(byte: u8) -> char {
    const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
    char::from(LETTERS[usize::from(byte) % LETTERS.len()])
}
