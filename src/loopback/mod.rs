//! Listening safely on loopback. The only home of hyper's server.
//!
//! Whoever can open a web page here can also make it connect to our port, and so can every program
//! of every account on the machine. So a [`Listener`] is bounded in every direction, connections
//! that say nothing cannot keep out one that does, and [`addressed_to_us`] tells a request that
//! means this machine from one that a rebound name (DNS rebinding) led here.

use std::collections::VecDeque;
use std::error::Error;
use std::future::{Future, pending};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::header::HOST;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;

pub(crate) mod page;
mod wire;

use wire::Wire;

/// How long the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest head, in bytes. A browser sends along every cookie that anything on `localhost` ever
/// set, whatever its port, and a genuine answer must not be refused for them.
const HEAD_BYTES: usize = 64 * 1024;
/// The most header fields.
const HEAD_FIELDS: usize = 64;
/// The most connections at a time: half of the open files that each system allows, as signing in
/// needs a few for itself.
const CONNECTIONS: usize = if cfg!(target_os = "linux") { 512 } else { 128 };
/// How many connections may wait to be taken in; the system may have a smaller number. One that comes
/// when there is no room is tried again by its own side after a whole second.
const BACKLOG: u32 = 4_096;
/// How long a connection may at least be silent before another may push it out, so that a flood
/// cannot end a genuine request between its connect and its first byte. With as many connections as
/// there may be, that still takes in a hundred thousand a second, more than this machine can make.
const LEAST_SILENCE: Duration = Duration::from_millis(5);
/// The pause after an `accept` that failed, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// How long answers in flight may take once the listener is told to stop.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How many ports are tried until one is free on both families.
const PORT_TRIES: usize = 32;

/// One port of this machine, on one or both families of its loopback.
#[derive(Debug)]
pub(crate) struct Listener {
    v4: Option<TcpListener>,
    v6: Option<TcpListener>,
    port: u16,
    head_timeout: Duration,
    connections: usize,
}

/// Why a port cannot be listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BindError {
    /// Another program has this address.
    Taken(String),
    /// It is no loopback address, or this machine or account may not listen on it.
    Unusable(String),
}

impl Listener {
    /// Binds a loopback address; port 0 takes any free one.
    ///
    /// `localhost` means 127.0.0.1 and ::1, as browsers try either first, so both are bound to the
    /// same port: were one left to another program, that one would be sent the answers meant for
    /// us. On a machine without IPv6 it is 127.0.0.1 alone. A literal address is bound as it is.
    ///
    /// # Errors
    /// The address is taken, is none of loopback's, or may not be bound.
    pub(crate) async fn bind(host: &str, port: u16) -> Result<Self, BindError> {
        if !host.eq_ignore_ascii_case("localhost") {
            let literal = host.trim_start_matches('[').trim_end_matches(']');
            let address = literal.parse::<IpAddr>().ok().filter(IpAddr::is_loopback);
            let address = address.ok_or_else(|| BindError::Unusable(format!("`{host}` is not a loopback address")))?;
            let socket = listen(address, port).map_err(|error| refused(address, port, error))?;
            return Ok(match address {
                IpAddr::V4(_) => Self::new(Some(socket), None)?,
                IpAddr::V6(_) => Self::new(None, Some(socket))?,
            });
        }
        let mut tries = if port == 0 { PORT_TRIES } else { 1 };
        loop {
            tries -= 1;
            let (v4, v6) = (Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into());
            let bound = listen(v4, port).map_err(|error| refused(v4, port, error))?;
            let port = bound.local_addr().map_err(unusable)?.port();
            match listen(v6, port) {
                Ok(both) => return Self::new(Some(bound), Some(both)),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
                // In use, or, as Windows says it, not allowed: another program has it.
                Err(error) if matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) => {
                    return Err(BindError::Taken(SocketAddr::new(v6, port).to_string()));
                }
                // The same port could be bound a moment ago, so it is ::1 that this machine lacks.
                Err(_) => return Self::new(Some(bound), None),
            }
        }
    }

    fn new(v4: Option<TcpListener>, v6: Option<TcpListener>) -> Result<Self, BindError> {
        let address = v4.as_ref().or(v6.as_ref()).map(TcpListener::local_addr);
        let port = address.transpose().map_err(unusable)?.map_or(0, |address| address.port());
        Ok(Self { v4, v6, port, head_timeout: HEAD_TIMEOUT, connections: CONNECTIONS })
    }

    /// The port, also where any free one was asked for.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Answers requests until `end` is there; then the answers under way get half a second to be
    /// sent. Dropped before that, it drops its connections with it.
    ///
    /// Each connection has a task of its own and carries one request. An answer of `None` hangs up
    /// without a word. While an answer is under way its future is dropped as soon as the other side
    /// has gone.
    pub(crate) async fn serve<A, F, B>(self, answer: A, end: impl Future<Output = ()> + Send)
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Option<Response<B>>> + Send + 'static,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let mut connections = Connections { most: self.connections, ..Connections::default() };
        tokio::pin!(end);
        loop {
            let room = connections.room();
            let accepted = tokio::select! {
                biased;
                () = &mut end => break,
                Some(ended) = connections.tasks.join_next_with_id() => {
                    connections.forget(ended);
                    continue;
                }
                accepted = self.accept(), if room => accepted,
            };
            let Ok(stream) = accepted else {
                // Out of descriptors: what says nothing goes first. Without the pause this would spin.
                connections.drop_oldest_silent();
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            if let Some(since) = connections.oldest_silence_at_the_limit() {
                tokio::time::sleep_until(since + LEAST_SILENCE).await;
                connections.drop_oldest_silent();
            }
            let silent = Arc::new(AtomicBool::new(true));
            let task = connections.tasks.spawn(converse(stream, answer.clone(), silent.clone(), self.head_timeout));
            connections.open.push_back(Connection { task, silent, since: Instant::now() });
            // Lets the connections already here be read before the next one can push them out.
            tokio::task::yield_now().await;
        }
        drop(self);
        connections.finish().await;
    }

    async fn accept(&self) -> io::Result<TcpStream> {
        async fn next(socket: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
            match socket {
                Some(socket) => socket.accept().await,
                None => pending().await,
            }
        }
        // Whichever is ready, in random order: neither family can keep the other waiting.
        tokio::select! {
            accepted = next(self.v4.as_ref()) => accepted,
            accepted = next(self.v6.as_ref()) => accepted,
        }
        .map(|(stream, _)| stream)
    }
}

/// Whether a request means this machine: exactly one `Host`, naming loopback and our port. A page
/// whose name was rebound to 127.0.0.1 still sends its own name.
pub fn addressed_to_us<B>(request: &Request<B>, port: u16) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let ours = |authority: &str| is_our_authority(authority, port);
    host.to_str().is_ok_and(ours) && request.uri().authority().is_none_or(|authority| ours(authority.as_str()))
}

fn is_our_authority(authority: &str, port: u16) -> bool {
    // Behind `]` begins the port of an IPv6 literal; elsewhere a colon can only begin a port.
    let (name, said) = match authority.rfind(':').filter(|at| !authority[*at..].contains(']')) {
        Some(at) => (&authority[..at], authority[at + 1..].parse().ok()),
        None => (authority, Some(80)),
    };
    let loopback = match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(literal) => literal.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback()),
        None => {
            name.eq_ignore_ascii_case("localhost")
                || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        }
    };
    loopback && said == Some(port)
}

fn listen(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    let socket = match address {
        IpAddr::V4(_) => TcpSocket::new_v4()?,
        IpAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A connection that has just ended keeps no port; on Windows the same word would mean to share it.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(address, port))?;
    socket.listen(BACKLOG)
}

fn refused(address: IpAddr, port: u16, error: io::Error) -> BindError {
    match error.kind() {
        io::ErrorKind::AddrInUse => BindError::Taken(SocketAddr::new(address, port).to_string()),
        io::ErrorKind::PermissionDenied => BindError::Unusable(format!("this account may not listen on port {port}")),
        _ => unusable(error),
    }
}

fn unusable(error: io::Error) -> BindError {
    BindError::Unusable(error.to_string())
}

/// One connection: one request, one answer.
async fn converse<A, F, B>(stream: TcpStream, answer: A, silent: Arc<AtomicBool>, head_timeout: Duration)
where
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Option<Response<B>>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let wire = Wire::new(TokioIo::new(stream), silent.clone());
    let answered = service_fn(|request| {
        silent.store(false, Ordering::Relaxed);
        let answer = answer(request);
        // hyper hangs up when a service fails, which is what no answer means.
        async move { answer.await.ok_or(HungUp) }
    });
    // How a connection ends is nobody's concern: whoever waits for something waits for its answer.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS)
        .keep_alive(false)
        .serve_connection(wire, answered)
        .await;
}

/// Nothing is to be answered.
#[derive(Debug)]
struct HungUp;

impl std::fmt::Display for HungUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hung up without an answer")
    }
}

impl Error for HungUp {}

/// The connections there are, oldest first. Dropped, it ends them all.
#[derive(Default)]
struct Connections {
    most: usize,
    open: VecDeque<Connection>,
    tasks: JoinSet<()>,
}

struct Connection {
    task: AbortHandle,
    /// Whether it has yet to deliver the whole head of a request.
    silent: Arc<AtomicBool>,
    since: Instant,
}

impl Connections {
    fn oldest_silent(&self) -> Option<usize> {
        self.open.iter().position(|connection| connection.silent.load(Ordering::Relaxed))
    }

    /// Whether one more can be taken in: at the limit only in place of a silent one.
    fn room(&self) -> bool {
        self.open.len() < self.most || self.oldest_silent().is_some()
    }

    /// Since when the one that would have to go has been here, if one has to go.
    fn oldest_silence_at_the_limit(&self) -> Option<Instant> {
        if self.open.len() < self.most {
            return None;
        }
        self.oldest_silent().and_then(|at| self.open.get(at)).map(|connection| connection.since)
    }

    fn drop_oldest_silent(&mut self) {
        if let Some(connection) = self.oldest_silent().and_then(|at| self.open.remove(at)) {
            connection.task.abort();
        }
    }

    fn forget(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
        self.open.retain(|connection| connection.task.id() != id);
    }

    /// Lets answers under way be sent, within a bound.
    async fn finish(mut self) {
        while let Some(at) = self.oldest_silent() {
            if let Some(connection) = self.open.remove(at) {
                connection.task.abort();
            }
        }
        let sent = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_WORDS, sent).await;
    }
}

#[cfg(test)]
mod tests;
