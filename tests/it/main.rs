//! The tests that drive the built program, or the library from outside, against the sandbox on
//! loopback. One program, so that they link once; this is its table of contents.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

#[macro_use]
mod nexus;

/// `nexus chat -a`.
mod attachments;
/// `nexus batch`.
mod batch;
/// `nexus chat` and `nexus models`.
mod chat;
/// What `nexus chat` is asked for beside the answer: its cost, its thinking, its effort, its form.
mod chat_flags;
/// `nexus chat` for scripts: what programs are told, what is asked again, stdin and signals.
mod chat_script;
/// Time that passes, jumps and is told differently.
mod clocks;
/// The completion scripts: what the command prints, and what bash makes of one.
mod completions;
/// Conversations: gone on with, and kept while they are had.
mod conversation;
/// `nexus demo`.
mod demo;
/// Limits on what may be written (Linux).
mod disk;
/// Every failure: its sentence, exit code, reason and way out.
/// What gateways do differently.
mod gateways;
/// `nexus history`: what was kept, found, taken along and deleted.
mod history;
/// Servers, pages, programs and files that mean harm.
mod hostile;
/// The plan of the code, as far as a machine can hold it to it.
mod house;
/// `nexus key`.
mod key;
/// No secret anywhere but where it belongs.
mod leaks;
/// A refresh, a sign-in and a sign-out that meet.
mod meetings;
/// The memory of a running command (Linux).
mod memory;
/// Proxies, certificate authorities, redirects, and nobody at home.
mod network;
/// `nexus oauth logout`.
mod oauth_logout;
/// `nexus oauth start`.
mod oauth_start;
/// `nexus oauth status`.
mod oauth_status;
/// `nexus oauth token`.
mod oauth_token;
/// A provider that speaks the Chat Completions API.
mod openai;
/// A reader of stdout who pauses (Unix).
mod paused;
/// The authorization code flow with PKCE, case by case.
mod pkce;
/// What other users and programs of this machine can get at.
mod private;
/// What holds of anything that comes from outside.
mod properties;
/// The stored session, opened and sealed anew.
mod stored;
/// A conversation at a terminal: lines, answers, words with the program, and how it ends.
mod talk;
/// `nexus chat -t`, `--system-file`, and aliases.
mod templates;
/// The program in a real pseudo-terminal, and the screen a person would see (Unix).
mod terminal;
/// What a terminal is shown of text from elsewhere.
mod terminals;
/// Many processes on one session.
mod turns;

/// The library's front door, where things go wrong between "sent" and "saved".
mod account;

/// What is said wrongly, a fresh home and broken streams.
mod usage;
/// The library from outside: the web application of `examples/`, with browsers in front of it.
mod web_app;
