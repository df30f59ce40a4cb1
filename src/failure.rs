//! What can go wrong for a person: the sentence, the exit code, the stable reason, the way out.
//!
//! A variant exists because its reason, its exit code or its cure differs from the others'; what a
//! failure means is decided here and nowhere else. The matches have no wildcard, so a new variant
//! does not compile until somebody has chosen all four.
//!
//! Text that came from a server was cleaned and cut ([`crate::clean::clean`]) before it entered a
//! failure; no variant ever holds a secret, a URL's query or a response body.

use std::fmt;
use std::path::PathBuf;

use crate::provider::Name;
use crate::time;

pub use crate::api::{Refusal, RefusalReason};
pub use crate::oauth::Failed;

/// What rooms return.
pub type Result<T> = std::result::Result<T, Failure>;

/// Something that went wrong, as far as it matters to the person who has to do something about it.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// The command line asks for something that makes no sense.
    Usage {
        /// What is wrong with it.
        sentence: String,
        /// What to write instead, or where that is told.
        cure: String,
    },
    /// A file cannot be sent along with a question.
    Attachment {
        /// What it is called.
        file: String,
        /// What is wrong with it.
        why: String,
        /// What to do about it.
        cure: String,
    },
    /// A question wants something of a model that it cannot do.
    Incapable {
        /// The model's id.
        model: String,
        /// What is wanted, by the words that ask for it.
        wanted: String,
    },
    /// The configuration says something that cannot be used: which setting, where it stands, and why.
    Configuration {
        /// What is wrong, naming the setting and its place.
        sentence: String,
        /// What to write instead.
        cure: String,
    },
    /// No client id is configured for this provider.
    NoClientId {
        /// The provider's name.
        provider: Name,
        /// The other ones that are configured, one of which may be meant.
        others: Vec<String>,
    },
    /// The authorization server does not know the client, or its authentication failed.
    ClientRefused {
        /// The provider's name.
        provider: Name,
        /// The client id as sent.
        client_id: String,
        /// Who refused it.
        host: String,
        /// The server's own words.
        said: String,
    },
    /// The redirect URI is none that nexus can listen on.
    RedirectUnusable {
        /// The URI as configured.
        uri: String,
        /// Why not.
        why: String,
    },
    /// The server says the redirect URI is not the registered one.
    RedirectMismatch {
        /// The URI exactly as sent.
        uri: String,
        /// Who says so.
        host: String,
        /// The server's own words.
        said: String,
    },
    /// No model was named and none is known.
    NoModel {
        /// The provider's name.
        provider: Name,
        /// What the API answered, where it has no list of models to choose from.
        unlisted: Option<Box<Refusal>>,
    },
    /// The API has no list of models, as many gateways have none.
    NoModelList {
        /// The provider's name.
        provider: Name,
        /// What the API answered.
        refusal: Box<Refusal>,
    },
    /// No session is stored.
    NotSignedIn {
        /// The provider's name.
        provider: Name,
        /// Those there is a session with.
        others: Vec<String>,
    },
    /// The server ended the session: its refresh token is no longer good.
    SessionEnded {
        /// The provider's name.
        provider: Name,
        /// When that was found out, in Unix seconds.
        at: i64,
        /// When a refresh before that was sent whose answer was never saved, in Unix seconds: most
        /// likely the server holds its token for the good one.
        cut_off: Option<i64>,
    },
    /// The access token has expired and there is nothing to renew it with.
    NoRefreshToken {
        /// The provider's name.
        provider: Name,
        /// When it expired, in Unix seconds.
        expired_at: i64,
        /// When that was looked at, in Unix seconds.
        now: i64,
    },
    /// The session belongs to another client or server than the configuration names now.
    SessionElsewhere {
        /// The provider's name.
        provider: Name,
        /// Which setting differs.
        setting: &'static str,
        /// What the session was made with.
        was: String,
        /// What the configuration says.
        is: String,
    },
    /// The person or the authorization server said no.
    SignInRefused {
        /// The provider's name.
        provider: Name,
        /// The `error` code (RFC 6749, section 4.1.2.1).
        error: String,
        /// The server's own words.
        said: String,
    },
    /// Nobody finished the sign-in in time.
    SignInTimedOut {
        /// The provider's name.
        provider: Name,
        /// How long was waited, in seconds.
        waited: i64,
        /// The client id exactly as sent.
        client_id: String,
        /// The redirect URI exactly as sent.
        redirect_uri: String,
        /// How many answers with a wrong or missing `state` were turned away.
        turned_away: u32,
    },
    /// The answer names another issuer than the one that was asked (RFC 9207).
    IssuerMismatch {
        /// The issuer that was asked.
        expected: String,
        /// The issuer that the answer names, or nothing.
        got: String,
    },
    /// The server would not redeem the authorization code.
    CodeRefused {
        /// The provider's name.
        provider: Name,
        /// Who refused it.
        host: String,
        /// The server's own words.
        said: String,
    },
    /// The API refuses even a fresh access token.
    TokenRejected {
        /// The provider's name.
        provider: Name,
        /// What the API answered.
        refusal: Box<Refusal>,
    },
    /// The redirect URI's port belongs to another program.
    PortTaken {
        /// The address that could not be bound.
        address: String,
        /// The provider's name.
        provider: Name,
    },
    /// The session store cannot be read or written.
    Store {
        /// The file.
        path: PathBuf,
        /// What happened.
        why: String,
        /// What to do about it.
        cure: String,
    },
    /// The same, for as long as another program does something.
    Locked {
        /// The file.
        path: PathBuf,
        /// What that program does.
        why: String,
        /// What to do about it.
        cure: String,
    },
    /// The stream ended before the answer did.
    AnswerCut {
        /// Who was answering.
        host: String,
        /// How it ended; empty where nothing came at all.
        why: String,
    },
    /// The model declined to answer (`stop_reason` `refusal`).
    Declined {
        /// The service's explanation, where it gives one.
        said: String,
    },
    /// No conversation that was kept is meant, or more than one.
    NoConversation {
        /// The id as typed, made harmless; empty where the last one was meant.
        wanted: String,
        /// How many begin like that.
        several: usize,
    },
    /// The answer does not fit the JSON Schema that was given.
    Misfit {
        /// Where it does not.
        why: String,
        /// Whether it broke off because it reached the longest that it could be.
        cut: bool,
    },
    /// The conversation no longer fits into the model's context.
    ContextFull,
    /// An answer that is collected has more text than is kept in memory.
    TooLong {
        /// Who answers.
        host: String,
        /// The most that is kept, in MiB.
        limit: usize,
    },
    /// The API refused the request.
    Refused(Box<Refusal>),
    /// The API knows no such model, but a name that nexus knows is almost the same.
    NoSuchModel {
        /// The name that may be meant: an alias or a model's id.
        nearest: String,
        /// What the API answered.
        refusal: Box<Refusal>,
    },
    /// A server answered something that is not what its protocol says.
    Nonsense {
        /// Who answered.
        host: String,
        /// What came instead.
        what: String,
    },
    /// A server could not be reached, or the connection broke.
    Unreachable {
        /// Who was called.
        host: String,
        /// What happened.
        why: String,
    },
    /// A server did not begin to answer within the deadline.
    Overdue {
        /// Who was asked.
        host: String,
        /// The deadline, in seconds.
        waited: i64,
    },
    /// A server proves to be who it is with a certificate that proves nothing here.
    Untrusted {
        /// Who was called.
        host: String,
        /// What is wrong with the certificate.
        why: String,
    },
    /// An https address leads to a server that speaks something else.
    NotTls {
        /// Who was called.
        host: String,
    },
    /// The token endpoint did not redeem the authorization code, for no fault of the code's.
    ExchangeFailed {
        /// The provider's name.
        provider: Name,
        /// Who was asked.
        host: String,
        /// What came back.
        failed: Failed,
    },
    /// The token endpoint did not do its work, but may later; the session is kept.
    RefreshFailed {
        /// The provider's name.
        provider: Name,
        /// Who was asked.
        host: String,
        /// What came back.
        failed: Failed,
    },
    /// Another nexus holds the session and did not finish in time.
    Busy {
        /// How long was waited, in seconds.
        waited: i64,
    },
    /// A file that the person named cannot be used.
    File {
        /// The file.
        path: PathBuf,
        /// What happened.
        why: String,
        /// What to do about it.
        cure: String,
    },
    /// Another process writes the file that this one was to write.
    OutputBusy {
        /// The file.
        path: PathBuf,
    },
    /// A line of a batch asks nothing that can be understood.
    BadLine {
        /// Its number; the first is 1.
        number: u64,
        /// What is wrong with it.
        why: String,
    },
    /// A batch went through, but not everything in it was answered.
    Incomplete {
        /// How many lines have no answer.
        missing: u64,
        /// Whether all of these may be answered later as they are.
        temporary: bool,
    },
    /// The machine would not do what any machine does (a folder, a random number, a child process).
    System {
        /// What was attempted, and what happened.
        sentence: String,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Failure::*;
        match self {
            Usage { sentence, .. } | System { sentence } | Configuration { sentence, .. } => f.write_str(sentence),
            Attachment { file, why, .. } => write!(f, "cannot attach {file}: {why}"),
            Incapable { model, wanted } => {
                write!(f, "the model {model} cannot be asked with {wanted}: its provider's list of models says so")
            }
            NoClientId { provider, .. } => write!(f, "no client id is configured for {provider}"),
            ClientRefused { client_id, host, said, .. } => {
                write!(f, "{host} does not accept the client id `{client_id}`{}", quoted(said))
            }
            RedirectUnusable { uri, why } => write!(f, "nexus cannot listen on the redirect URI `{uri}`: {why}"),
            RedirectMismatch { uri, host, said } => {
                write!(f, "{host} does not accept the redirect URI `{uri}`{}", quoted(said))
            }
            NoModel { provider, unlisted: None } => {
                write!(f, "no model is named and none is known for {provider}")
            }
            NoModel { provider, unlisted: Some(refusal) } => {
                write!(f, "no model is named, and {provider} has no list of them: {refusal}")
            }
            NoModelList { provider, refusal } => write!(f, "{provider} has no list of models: {refusal}"),
            NotSignedIn { provider, .. } => write!(f, "not signed in to {provider}"),
            SessionEnded { provider, at, cut_off } => {
                write!(f, "the session with {provider} was ended by the server at {}", time::rfc3339(*at))?;
                match cut_off {
                    Some(at) => write!(
                        f,
                        ", probably because a refresh at {} was cut off before its answer could be saved",
                        time::rfc3339(*at)
                    ),
                    None => Ok(()),
                }
            }
            // Rejected, or its age is anybody's guess because the clock was set back.
            NoRefreshToken { expired_at, now, .. } if expired_at > now => {
                write!(f, "the token is no longer good and there is no refresh token")
            }
            NoRefreshToken { expired_at, now, .. } => {
                write!(
                    f,
                    "the token expired {} ago and there is no refresh token",
                    time::span(now.saturating_sub(*expired_at))
                )
            }
            SessionElsewhere { provider, setting, was, is } => write!(
                f,
                "the session with {provider} belongs to {setting} `{was}`, but the configuration now says `{is}`; \
                 it was not sent there"
            ),
            SignInRefused { provider, error, said } => {
                write!(f, "{provider} refused the sign-in ({error}){}", quoted(said))
            }
            SignInTimedOut { waited, client_id, redirect_uri, turned_away, .. } => {
                write!(f, "nobody signed in within {}", time::span(*waited))?;
                match turned_away {
                    0 => {}
                    1 => f.write_str(" (1 answer with a wrong state was turned away)")?,
                    _ => write!(f, " ({turned_away} answers with a wrong state were turned away)")?,
                }
                write!(
                    f,
                    "; a server that dislikes the client id or the redirect URI cannot tell nexus so. \
                     Sent were client id `{client_id}` and redirect URI `{redirect_uri}`"
                )
            }
            IssuerMismatch { expected, got } if got.is_empty() => {
                write!(f, "the answer to the sign-in names no issuer, but {expected} promises to")
            }
            IssuerMismatch { expected, got } => {
                write!(f, "the answer to the sign-in comes from `{got}`, but `{expected}` was asked")
            }
            CodeRefused { host, said, .. } => {
                write!(f, "{host} would not redeem the authorization code{}", quoted(said))
            }
            TokenRejected { refusal, .. } => write!(f, "a fresh access token was refused: {refusal}"),
            PortTaken { address, .. } => write!(f, "another program is listening on {address}"),
            Store { path, why, .. } | Locked { path, why, .. } => write!(f, "{}: {why}", path.display()),
            AnswerCut { host, why } if why.is_empty() => write!(f, "{host} answered with nothing at all"),
            AnswerCut { host, why } => write!(f, "{host} stopped in the middle of its answer: {why}"),
            Declined { said } => write!(f, "the model declined to answer{}", quoted(said)),
            NoConversation { wanted, .. } if wanted.is_empty() => f.write_str("no conversation is kept yet"),
            NoConversation { wanted, several: 0 } => write!(f, "no conversation is called `{wanted}`"),
            NoConversation { wanted, several } => write!(f, "{several} conversations begin with `{wanted}`"),
            Misfit { why, cut: false } => write!(f, "the answer does not fit the schema: {why}"),
            Misfit { why, cut: true } => {
                write!(f, "the answer reached --max-tokens and was cut, so it does not fit the schema: {why}")
            }
            ContextFull => f.write_str("the conversation no longer fits into the model's context"),
            TooLong { host, limit } => {
                write!(
                    f,
                    "the answer of {host} has more than {limit} MiB of text, which is more than is kept in memory"
                )
            }
            Refused(refusal) | NoSuchModel { refusal, .. } => refusal.fmt(f),
            Nonsense { host, what } => write!(f, "{host} answered {what}"),
            Unreachable { host, why } => write!(f, "cannot reach {host}: {why}"),
            Overdue { host, waited } => {
                write!(f, "{host} did not begin to answer within {}", time::span(*waited))
            }
            Untrusted { host, why } => write!(f, "{host} is not trusted: {why}"),
            NotTls { host } => write!(f, "{host} does not speak TLS, as an https:// address wants it to"),
            ExchangeFailed { host, failed, .. } => {
                write!(f, "the authorization code could not be redeemed: {host} {}", failed.why)
            }
            RefreshFailed { host, failed, .. } => {
                write!(f, "the token could not be refreshed: {host} {}; the session is kept", failed.why)
            }
            File { path, why, .. } => write!(f, "{}: {why}", path.display()),
            OutputBusy { path } => write!(f, "{}: another nexus is writing it", path.display()),
            BadLine { number, why } => write!(f, "line {number} of the input: {why}"),
            Incomplete { missing: 1, .. } => f.write_str("one line has no answer"),
            Incomplete { missing, .. } => write!(f, "{missing} lines have no answer"),
            Busy { waited } => {
                write!(f, "another nexus has been renewing this session for {} and is not done", time::span(*waited))
            }
        }
    }
}

impl std::error::Error for Failure {}

/// The server's words as the end of a sentence, or nothing if it had none.
fn quoted(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

/// `nexus oauth start` as it must be typed for this provider.
fn start(provider: &Name) -> String {
    format!("run `nexus oauth start{}`", provider.option())
}

/// How long to leave a server alone that says how long, or does not.
fn patience(retry_after: Option<i64>) -> String {
    retry_after.map_or_else(|| "a minute".into(), time::span)
}

impl Failure {
    /// Something that makes no sense, and the command whose help tells what does: `chat`, `oauth start`.
    pub fn usage(command: &str, sentence: impl Into<String>) -> Self {
        Self::Usage { sentence: sentence.into(), cure: format!("see `nexus {command} --help`") }
    }

    /// The process's exit code, from the table in the README.
    pub fn exit_code(&self) -> u8 {
        use Failure::*;
        match self {
            Usage { .. }
            | Attachment { .. }
            | Incapable { .. }
            | Configuration { .. }
            | NoClientId { .. }
            | ClientRefused { .. }
            | RedirectUnusable { .. }
            | RedirectMismatch { .. }
            | NoModel { .. } => 2,
            NotSignedIn { .. }
            | SessionEnded { .. }
            | NoRefreshToken { .. }
            | SessionElsewhere { .. }
            | SignInTimedOut { .. }
            | IssuerMismatch { .. }
            | CodeRefused { .. }
            | TokenRejected { .. } => 4,
            SignInRefused { error, .. } => match error.as_str() {
                "server_error" | "temporarily_unavailable" => 75,
                "invalid_scope" | "invalid_request" | "unsupported_response_type" => 2,
                _ => 4,
            },
            PortTaken { .. }
            | NoModelList { .. }
            | Store { .. }
            | AnswerCut { .. }
            | Declined { .. }
            | NoConversation { .. }
            | Misfit { .. }
            | ContextFull
            | TooLong { .. }
            | Nonsense { .. }
            | File { .. }
            | BadLine { .. }
            | Untrusted { .. }
            | NotTls { .. }
            | NoSuchModel { .. }
            | System { .. } => 1,
            Refused(refusal) if refusal.is_unauthorized() => 4,
            Refused(refusal) if refusal.is_temporary() => 75,
            Refused(_) => 1,
            ExchangeFailed { failed: Failed { temporary, .. }, .. }
            | RefreshFailed { failed: Failed { temporary, .. }, .. }
            | Incomplete { temporary, .. } => {
                if *temporary {
                    75
                } else {
                    1
                }
            }
            Unreachable { .. } | Overdue { .. } | Busy { .. } | Locked { .. } | OutputBusy { .. } => 75,
        }
    }

    /// The name programs go by (`error.reason`). Never changes once released.
    pub fn reason(&self) -> &'static str {
        use Failure::*;
        match self {
            Usage { .. } => "usage",
            Attachment { .. } => "attachment",
            Incapable { .. } => "unsupported",
            Configuration { .. } => "configuration",
            NoClientId { .. } => "no_client_id",
            ClientRefused { .. } => "invalid_client",
            RedirectUnusable { .. } => "redirect_uri",
            RedirectMismatch { .. } => "redirect_uri_mismatch",
            NoModel { .. } => "no_model",
            NoModelList { .. } => "no_model_list",
            NotSignedIn { .. } => "not_signed_in",
            SessionEnded { .. } => "session_ended",
            NoRefreshToken { .. } => "no_refresh_token",
            SessionElsewhere { .. } => "session_elsewhere",
            SignInRefused { .. } => "sign_in_refused",
            SignInTimedOut { .. } => "sign_in_timed_out",
            IssuerMismatch { .. } => "issuer_mismatch",
            CodeRefused { .. } => "code_refused",
            TokenRejected { .. } => "token_rejected",
            PortTaken { .. } => "port_taken",
            Store { .. } | Locked { .. } => "store",
            AnswerCut { .. } => "answer_cut",
            Declined { .. } => "refusal",
            NoConversation { .. } => "no_conversation",
            Misfit { .. } => "schema_mismatch",
            ContextFull => "context_exceeded",
            TooLong { .. } => "too_long",
            Refused(refusal) | NoSuchModel { refusal, .. } => refusal.reason().code(),
            Nonsense { .. } => "nonsense",
            Unreachable { .. } => "unreachable",
            Overdue { .. } => "overdue",
            Untrusted { .. } => "untrusted",
            NotTls { .. } => "not_tls",
            ExchangeFailed { .. } => "exchange_failed",
            RefreshFailed { .. } => "refresh_failed",
            Busy { .. } => "busy",
            File { .. } => "file",
            OutputBusy { .. } => "output_busy",
            BadLine { .. } => "bad_line",
            Incomplete { .. } => "incomplete",
            System { .. } => "system",
        }
    }

    /// The way out: what to type or change next.
    pub fn hint(&self) -> String {
        use Failure::*;
        match self {
            Usage { cure, .. }
            | Configuration { cure, .. }
            | Attachment { cure, .. }
            | Store { cure, .. }
            | Locked { cure, .. }
            | File { cure, .. } => cure.clone(),
            NoClientId { provider, others } if provider == crate::provider::BUILT_IN => {
                let register = "register an OAuth client, then set CLAUDE_CODE_CLIENT_ID, or write \
                                `client_id = \"...\"` under [provider.claude_code] in config.toml";
                match &**others {
                    [] => format!("{register}; `nexus demo` shows the whole job without any"),
                    [other, ..] => format!(
                        "config.toml has {}: say `--provider {other}`, or write `default = \"{other}\"` at its top; or \
                         {register}",
                        others.join(", ")
                    ),
                }
            }
            NoClientId { provider, .. } => {
                format!("write `client_id = \"...\"` under [provider.{provider}] in config.toml")
            }
            ClientRefused { provider, .. } if provider == crate::provider::BUILT_IN => {
                "compare CLAUDE_CODE_CLIENT_ID and CLAUDE_CODE_CLIENT_SECRET with the registered client, then run \
                 `nexus oauth start`"
                    .into()
            }
            ClientRefused { provider, .. } => format!(
                "compare `client_id`, `client_secret` and `client_auth` under [provider.{provider}] with the \
                 registered client, then {}",
                start(provider)
            ),
            RedirectUnusable { .. } => {
                "use one like `http://localhost:4000/oauth/claude/callback` or `http://127.0.0.1:0/callback`, and \
                 register the same"
                    .into()
            }
            RedirectMismatch { .. } => {
                "register exactly this redirect URI with the client, or configure the registered one".into()
            }
            NoModelList { provider, .. } | NoModel { provider, unlisted: Some(_) } => format!(
                "name a model with --model, or write `model = \"...\"` under [provider.{provider}] in config.toml; \
                 check `api_url` if chat fails all the same"
            ),
            NoModel { provider, unlisted: None } => {
                let option = provider.option();
                format!(
                    "`nexus models{option}` lists them: name one with --model, or as `model = \"...\"` in config.toml"
                )
            }
            NotSignedIn { provider, others } => match &**others {
                [] => start(provider),
                [other, ..] => format!(
                    "you are signed in to {}: say `--provider {other}`, or write `default = \"{other}\"` at the top of \
                     config.toml; or {}",
                    others.join(", "),
                    start(provider)
                ),
            },
            SessionEnded { provider, .. }
            | NoRefreshToken { provider, .. }
            | CodeRefused { provider, .. }
            | TokenRejected { provider, .. } => start(provider),
            SessionElsewhere { provider, .. } => {
                format!("undo the change, or {} to sign in there", start(provider))
            }
            SignInRefused { provider, error, .. } => match error.as_str() {
                "invalid_scope" => format!("check `scopes` under [provider.{provider}] in config.toml"),
                "server_error" | "temporarily_unavailable" => format!("later, {} again", start(provider)),
                "invalid_request" | "unsupported_response_type" => format!(
                    "compare `client_id`, `redirect_uri` and `authorize_params` under [provider.{provider}] in config.toml \
                     with what the server's operator registered, then {}",
                    start(provider)
                ),
                _ => format!("{} again to allow it", start(provider)),
            },
            SignInTimedOut { provider, .. } => {
                format!("compare both with the registered client, then {}", start(provider))
            }
            IssuerMismatch { .. } => {
                "if both are the same server, write the one that answers as `issuer` in config.toml; if not, \
                 somebody mixed up two sign-ins: start again"
                    .into()
            }
            PortTaken { provider, .. } if provider == crate::provider::BUILT_IN => {
                "end that program, or register another redirect URI and set CLAUDE_CODE_REDIRECT_URI".into()
            }
            PortTaken { provider, .. } => format!(
                "end that program, or register another redirect URI and write it as `redirect_uri` under \
                 [provider.{provider}]; port 0 takes any free one"
            ),
            AnswerCut { .. } => "the same question may be answered whole another time".into(),
            Declined { .. } => "ask differently, or another --model".into(),
            NoConversation { wanted, .. } if wanted.is_empty() => {
                "begin one with `nexus chat`; at a terminal it is kept, elsewhere with --history".into()
            }
            NoConversation { .. } => "`nexus history list` lists them".into(),
            Incapable { .. } => {
                "leave that out, or name another model with -m; `nexus models` lists them and asks anew what they can"
                    .into()
            }
            Misfit { cut: true, .. } => "give it more room with --max-tokens; `--json` tells what came".into(),
            Misfit { .. } => "ask again, or differently; `--json` tells what came".into(),
            TooLong { .. } => "bound it with --max-tokens, or print it as it comes: `nexus chat` without --json".into(),
            ContextFull => "ask with less text, or a model with a larger context".into(),
            Refused(refusal) => match refusal.reason().code() {
                "unauthorized" => "run `nexus oauth start`".into(),
                "not_found" => "`nexus models` lists the models; check `api_url` if that fails too".into(),
                "too_large" => "send less text".into(),
                "context_exceeded" => Failure::ContextFull.hint(),
                "rate_limited" | "overloaded" | "server_error" | "timeout" | "conflict" => match refusal.retry_after {
                    Some(wait) => format!("try again in {}", time::span(time::rounded_up(wait))),
                    None => "try again in a minute".into(),
                },
                "redirected" => {
                    "check `api_url`: nexus sends a token to no other address than the configured one".into()
                }
                "forbidden" => {
                    "this account may not do that: try another --model, or ask whoever runs the account".into()
                }
                "billing" | "spend_cap" => "raise the limit with whoever pays for the account".into(),
                _ => "the server's words above say what it dislikes".into(),
            },
            NoSuchModel { nearest, .. } => format!(
                "did you mean `{nearest}`? If not, `nexus models` lists the models; check `api_url` if that fails too"
            ),
            Nonsense { .. } => "check the provider's URLs in config.toml".into(),
            Overdue { .. } => "give it longer with --deadline, or try again later".into(),
            Unreachable { .. } => {
                "check the network, the proxy variables and the address in config.toml, then try again".into()
            }
            Untrusted { why, .. } if why.contains("an authority's own") => {
                "have a certificate made for the server and signed by that authority; SSL_CERT_FILE names the authority's"
                    .into()
            }
            Untrusted { .. } => {
                "if an authority of your own signed it, set SSL_CERT_FILE to a file with that authority's \
                 certificate; if not, have the server's mended, or check the address in config.toml"
                    .into()
            }
            NotTls { .. } => {
                "check the address and its port in config.toml; a server on this machine that speaks http is written as \
                 `http://`, which nexus speaks on loopback only"
                    .into()
            }
            ExchangeFailed { provider, failed, .. } if failed.temporary => {
                format!("in {}, {} again", patience(failed.retry_after), start(provider))
            }
            ExchangeFailed { provider, failed: Failed { status: Some(400 | 422), .. }, .. } => format!(
                "the server's words above say what it dislikes; `scopes`, `client_auth`, `code_request` and \
                 `code_params` under [provider.{provider}] in config.toml say what it is asked, and how"
            ),
            ExchangeFailed { provider, .. } => {
                format!("check `token_url` under [provider.{provider}] in config.toml, then {}", start(provider))
            }
            RefreshFailed { failed, .. } if failed.temporary => {
                format!("try again in {}", patience(failed.retry_after))
            }
            RefreshFailed { provider, .. } => format!("if it stays so, {}", start(provider)),
            Busy { .. } => "try again; if it stays so, look for a hanging nexus process".into(),
            OutputBusy { .. } => "wait until it is done, or name another file with --out".into(),
            BadLine { .. } => "mend the line, then run the same command again".into(),
            Incomplete { temporary: true, .. } => {
                "run the same command again: it asks only what has no answer yet".into()
            }
            Incomplete { .. } => "each of their results says why: mend that, then run the same command again".into(),
            System { .. } => "mend that, then run the command again".into(),
        }
    }

    /// What a token endpoint did, for the fields that only an HTTP answer has.
    pub fn failed(&self) -> Option<&Failed> {
        match self {
            Failure::ExchangeFailed { failed, .. } | Failure::RefreshFailed { failed, .. } => Some(failed),
            _ => None,
        }
    }

    /// The refusal inside, for the fields that only an HTTP answer has.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Failure::Refused(refusal)
            | Failure::NoSuchModel { refusal, .. }
            | Failure::TokenRejected { refusal, .. }
            | Failure::NoModelList { refusal, .. }
            | Failure::NoModel { unlisted: Some(refusal), .. } => Some(refusal),
            _ => None,
        }
    }
}
