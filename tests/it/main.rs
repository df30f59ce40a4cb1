//! Tests that run the built program or the library against the sandbox on loopback. They are one program, so they link
//! once; this is its table of contents.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

#[macro_use]
mod nexus;

/// `nexus oauth start URL` and an API.
mod api_by_url;
/// Claude apps gateways.
mod apps_gateway;
/// `nexus chat -a`.
mod attachments;
/// `nexus batch`.
mod batch;
/// `nexus batch` with a service that limits or refuses its requests.
mod batch_service;
/// The browser that `nexus oauth start` opens.
mod browser;
/// The running example `web_app`, and browsers with cookies.
mod browsers;
/// `nexus oauth start URL`.
mod by_url;
/// `nexus chat`.
mod chat;
/// Flags of `nexus chat`: cost, thinking, effort, schema.
mod chat_flags;
/// The prompt of `nexus chat`: words and stdin.
mod chat_prompt;
/// `nexus chat` in scripts: JSON, retries and signals.
mod chat_script;
/// Claude Platform OAuth.
mod claude_platform;
/// `private_key_jwt`, and client secrets in environment variables.
mod client_assertion;
/// HTTP Basic at the token endpoint.
mod client_auth;
/// When a token is refreshed, and wrong clocks.
mod clocks;
/// The completion scripts.
mod completions;
/// `nexus config show`, and the file of the system.
mod config_show;
/// Conversations: continued and saved.
mod conversation;
/// `nexus demo`.
mod demo;
/// `nexus oauth start --device`.
mod device;
/// What servers publish about themselves.
mod discovery;
/// A limit on the size of files (Linux).
mod disk;
/// `nexus doctor`.
#[cfg(unix)]
mod doctor;
/// The examples of the README and of `docs/`.
mod documentation;
/// `nexus exec`.
#[cfg(unix)]
mod exec;
/// A store whose first commits fail.
mod failing_store;
/// Workload Identity Federation.
mod federation;
/// Responses of gateways that differ from the Messages API.
mod gateways;
/// Tokens without a user.
mod grants;
/// `--help`, `--version` and `nexus help`.
mod help;
/// `nexus history`.
mod history;
/// Misbehaving servers, web pages, programs and files.
mod hostile;
/// Rules of the code.
mod house;
/// `nexus key`.
mod key;
/// The key in the operating system's keyring (Linux).
#[cfg(target_os = "linux")]
mod keyring;
/// No secret in outputs, request lines and files.
mod leaks;
/// A refresh, a sign-in and a sign-out at the same time.
mod meetings;
/// The memory of a running command (Linux).
mod memory;
/// `nexus models`, and the model that is asked.
mod models;
/// Proxies, certificate authorities, redirects and unreachable servers.
mod network;
/// Signing in where there is no browser (Unix).
#[cfg(unix)]
mod no_browser;
/// `nexus oauth logout`.
mod oauth_logout;
/// `nexus oauth refresh`.
mod oauth_refresh;
/// `nexus oauth start`.
mod oauth_start;
/// `nexus oauth status`.
mod oauth_status;
/// `nexus oauth token`.
mod oauth_token;
/// Answers of servers that differ from the APIs.
mod odd_answers;
/// A provider that speaks the Chat Completions API.
mod openai;
/// OpenID Connect in a sign-in.
mod openid;
/// `nexus history` at a terminal: layout, pager, questions.
mod paging;
/// A reader of stdout that pauses (Unix).
mod paused;
/// The picture of a terminal in the README.
mod picture;
/// The authorization code flow with PKCE.
mod pkce;
/// Placeholders of examples in the configuration.
mod placeholders;
/// What other users and programs of this machine can read.
mod private;
/// The words of `nexus chat` and its stdin.
mod prompt_words;
/// Properties of all input from outside.
mod properties;
/// `nexus provider`.
mod provider;
/// `nexus proxy`.
#[cfg(unix)]
mod proxy;
/// The library in the README.
mod readme_library;
/// A server that refuses to refresh a session.
mod refusals;
/// Clients that the authorization server registers.
mod registration;
/// The session that a sign-in replaces.
mod replaced_sessions;
/// The keys `resource`, `prompt` and `par_url`.
mod request_parameters;
/// `nexus setup`.
#[cfg(unix)]
mod setup;
/// Slash commands of a conversation.
mod slash;
/// `nexus store move` between SQLite files.
#[cfg(feature = "postgres")]
mod store;
/// Reads and writes the stored session without the program's code.
mod stored;
/// A conversation at a terminal: lines, answers, commands, and how it ends.
mod talk;
/// `nexus chat -t`, `--system-file`, and aliases.
mod templates;
/// The program in a pseudo-terminal, and its screen (Unix).
mod terminal;
/// Control characters on a terminal.
mod terminals;
/// Tokens that a command prints (Unix).
#[cfg(unix)]
mod token_command;
/// Files that other users can change (Unix).
mod trust;
/// Many processes on one session.
mod turns;

/// `Client` when its caller gives up or a session cannot be saved.
mod account;

/// Usage errors, a new home and closed streams.
mod usage;
/// The web application of `examples/`.
mod web_app;
