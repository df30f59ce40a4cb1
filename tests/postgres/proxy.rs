//! A TCP proxy in front of the server, which knows the clients' messages and interferes at one of them.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use crate::server::Server;

/// How long a test waits for a message at most.
const LIMIT: Duration = Duration::from_secs(60);

/// What happens at a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection is closed.
    Break,
    /// Nothing more is forwarded on this connection.
    Stall,
}

/// Whether the server still gets that message. If it does, its answer is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Before,
    After,
}

pub(crate) const SIDES: [Side; 2] = [Side::Before, Side::After];

#[derive(Default)]
struct State {
    /// The messages of the clients, since [`Proxy::interfere`] or [`Proxy::forward_all`].
    messages: Vec<Message>,
    fault: Option<(usize, Side, Fault)>,
    /// Whether nothing is forwarded.
    silent: bool,
    /// Whether the fault has happened.
    happened: bool,
}

/// A message of the PostgreSQL protocol (PostgreSQL documentation, section 55.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    /// The first message of a connection.
    StartUp,
    /// A statement without parameters (`Query`).
    Simple(String),
    /// A statement with parameters (`Parse` and what follows), and the name that it is prepared under.
    Statement { name: String, text: String },
    /// The end of the connection.
    Terminate,
    /// Another type of message.
    Other(u8),
}

impl Message {
    fn read(bytes: &[u8], is_first: bool) -> Self {
        if is_first {
            return Self::StartUp;
        }
        let mut texts = bytes.get(5..).unwrap_or_default().split(|byte| *byte == 0);
        let mut text = || String::from_utf8_lossy(texts.next().unwrap_or_default()).into_owned();
        match bytes[0] {
            b'Q' => Self::Simple(text()),
            b'P' => Self::Statement { name: text(), text: text() },
            b'X' => Self::Terminate,
            other => Self::Other(other),
        }
    }
}

/// The proxy. It runs until the tests end.
pub(crate) struct Proxy {
    server: u16,
    port: u16,
    state: Mutex<State>,
    changed: Condvar,
}

impl Proxy {
    pub(crate) fn start(server: &Server) -> Arc<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Arc::new(Self { server: server.port(), port, state: Mutex::default(), changed: Condvar::new() });
        let shared = proxy.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (proxy, client) = (shared.clone(), client.unwrap());
                thread::spawn(move || proxy.serve(&client));
            }
        });
        proxy
    }

    /// The URL of the same database behind this proxy.
    pub(crate) fn url(&self, url: &str) -> String {
        url.replace(&format!(":{}/", self.server), &format!(":{}/", self.port))
    }

    /// Interferes at the message with this number, once.
    pub(crate) fn interfere(&self, at: usize, side: Side, fault: Fault) {
        *self.state() = State { fault: Some((at, side, fault)), ..State::default() };
    }

    /// Forwards nothing more, on no connection, old or new.
    pub(crate) fn silence(&self) {
        *self.state() = State { silent: true, ..State::default() };
    }

    /// Interferes no more.
    pub(crate) fn forward_all(&self) {
        *self.state() = State::default();
    }

    /// The messages so far.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.state().messages.clone()
    }

    /// Whether the fault has happened.
    pub(crate) fn has_happened(&self) -> bool {
        self.state().happened
    }

    /// Waits until the condition holds, which is about the messages so far and whether the fault has happened.
    pub(crate) fn wait_until(&self, holds: impl Fn(&[Message], bool) -> bool) {
        let waiting = |state: &mut State| !holds(&state.messages, state.happened);
        let (_state, timeout) = self.changed.wait_timeout_while(self.state(), LIMIT, waiting).unwrap();
        assert!(!timeout.timed_out(), "the proxy waits in vain");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn set_happened(&self) {
        self.state().happened = true;
        self.changed.notify_all();
    }

    /// Notes a message, and returns what happens at it.
    fn note(&self, message: Message) -> Option<(Side, Fault)> {
        let mut state = self.state();
        state.messages.push(message);
        self.changed.notify_all();
        if state.silent {
            return Some((Side::Before, Fault::Stall));
        }
        let at = state.messages.len() - 1;
        state.fault.filter(|fault| fault.0 == at && !state.happened).map(|(_, side, fault)| (side, fault))
    }

    fn serve(&self, client: &TcpStream) {
        // While it is down, the server refuses connections.
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.server)) else { return };
        let end = || {
            let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
        };
        // The fault whose message the server got, on this connection.
        let lost = Mutex::new(None);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut to_client = client;
                copy(&server, |answer| match *lost.lock().unwrap() {
                    None => to_client.write_all(answer).is_ok(),
                    Some(fault) => {
                        self.set_happened();
                        fault == Fault::Stall
                    }
                });
                end();
            });
            let (mut is_first, mut stalled) = (true, false);
            copy(client, |bytes| {
                if stalled {
                    return true;
                }
                match self.note(Message::read(bytes, std::mem::take(&mut is_first))) {
                    Some((Side::Before, fault)) => {
                        self.set_happened();
                        stalled = fault == Fault::Stall;
                        stalled
                    }
                    Some((Side::After, fault)) => {
                        *lost.lock().unwrap() = Some(fault);
                        stalled = true;
                        (&server).write_all(bytes).is_ok()
                    }
                    None => (&server).write_all(bytes).is_ok(),
                }
            });
            // The server executes a message that it got although the client is gone.
            if lost.lock().unwrap().is_some() {
                let _ = server.shutdown(Shutdown::Write);
            } else {
                end();
            }
        });
    }
}

/// Reads pieces until `forward` is false or the connection ends.
fn copy(mut from: &TcpStream, mut forward: impl FnMut(&[u8]) -> bool) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if !forward(&buffer[..length]) {
            return;
        }
    }
}
