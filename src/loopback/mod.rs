//! An HTTP server on loopback. The only module that uses hyper's server.
//!
//! Every web page in a local browser and every program on the machine can connect to it. So sizes and times are
//! limited, idle connections cannot block a request, and [`is_for_this_host`] rejects requests of DNS rebinding
//! attacks.

use std::collections::VecDeque;
use std::error::Error;
use std::future::{Future, pending};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::header::{HOST, HeaderMap, ORIGIN};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;

mod hardened_stream;
pub(crate) mod page;

use hardened_stream::HardenedStream;

/// The time limit for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest head, in bytes. A browser sends all cookies of `localhost`, whatever the port that set them.
const HEAD_BYTES: usize = 64 * 1024;
/// The most header fields.
const HEAD_FIELDS: usize = 64;
/// The most concurrent connections: half of the usual limit on open files.
const CONNECTIONS: usize = if cfg!(target_os = "linux") { 512 } else { 128 };
/// The listen backlog. A client whose connection does not fit retries only after a second.
const BACKLOG: u32 = 4_096;
/// How long an idle connection is kept before a new one may replace it. Without it, a flood could close a genuine
/// connection before its first byte.
const MIN_IDLE: Duration = Duration::from_millis(5);
/// The pause after a failed `accept`, usually for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// How long a connection that is kept alive may wait for its next request. Longer than HTTP clients keep theirs, so
/// that none sends a request while it is closed.
const KEPT_TIMEOUT: Duration = Duration::from_secs(120);
/// The time limit for responses in flight when the listener stops.
const SHUTDOWN_LIMIT: Duration = Duration::from_millis(500);
/// How many ports are tried until one is free for both IPv4 and IPv6.
const PORT_TRIES: usize = 32;

/// A port on loopback, for IPv4, IPv6 or both.
#[derive(Debug)]
pub(crate) struct Listener {
    v4: Option<TcpListener>,
    v6: Option<TcpListener>,
    port: u16,
    head_timeout: Duration,
    connections: usize,
    kept_alive: bool,
}

/// Why a port cannot be listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BindError {
    /// Another program listens on this address.
    Taken(String),
    /// The address is not on loopback, or may not be bound.
    Unusable(String),
}

impl Listener {
    /// Binds a loopback address. Port 0 binds any free port.
    ///
    /// `localhost` binds the same port of 127.0.0.1 and ::1, because browsers try either first: if another program had
    /// one of them, it would receive the authorization code. An address that this machine does not have is left out.
    ///
    /// # Errors
    /// An address is in use, is not on loopback, or may not be bound.
    pub(crate) async fn bind(host: &str, port: u16) -> Result<Self, BindError> {
        if !host.eq_ignore_ascii_case("localhost") {
            let literal = host.trim_start_matches('[').trim_end_matches(']');
            let address = literal.parse::<IpAddr>().ok().filter(IpAddr::is_loopback);
            let address = address.ok_or_else(|| BindError::Unusable(format!("`{host}` is not a loopback address")))?;
            let socket = listen(address, port).map_err(|error| bind_error(address, port, error))?;
            return Ok(match address {
                IpAddr::V4(_) => Self::new(Some(socket), None)?,
                IpAddr::V6(_) => Self::new(None, Some(socket))?,
            });
        }
        let mut tries = if port == 0 { PORT_TRIES } else { 1 };
        loop {
            tries -= 1;
            let (v4, v6) = (Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into());
            let bound = match listen(v4, port) {
                Err(error) if is_missing_address(&error) => {
                    let bound = listen(v6, port).map_err(|error| bind_error(v6, port, error))?;
                    return Self::new(None, Some(bound));
                }
                bound => bound.map_err(|error| bind_error(v4, port, error))?,
            };
            let port = bound.local_addr().map_err(io_error)?.port();
            match listen(v6, port) {
                Ok(both) => return Self::new(Some(bound), Some(both)),
                Err(error) if is_taken(&error) && tries > 0 => {}
                Err(error) if is_missing_address(&error) => return Self::new(Some(bound), None),
                Err(error) => return Err(bind_error(v6, port, error)),
            }
        }
    }

    fn new(v4: Option<TcpListener>, v6: Option<TcpListener>) -> Result<Self, BindError> {
        let address = v4.as_ref().or(v6.as_ref()).map(TcpListener::local_addr);
        let port = address.transpose().map_err(io_error)?.map_or(0, |address| address.port());
        Ok(Self { v4, v6, port, head_timeout: HEAD_TIMEOUT, connections: CONNECTIONS, kept_alive: false })
    }

    /// Lets connections carry many requests, and waits at the end for all responses in flight.
    pub(crate) fn kept_alive(self) -> Self {
        Self { kept_alive: true, head_timeout: KEPT_TIMEOUT, ..self }
    }

    /// The bound port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Answers requests until `end` completes. Responses in flight then have half a second, unless connections are
    /// [kept alive](Self::kept_alive). Dropping the future closes all connections.
    ///
    /// Each connection has its own task and carries one request, unless it is kept alive. If `answer` returns `None`,
    /// the connection is closed without a response. The future of `answer` is dropped when the client disconnects.
    pub(crate) async fn serve<A, F, B>(self, answer: A, end: impl Future<Output = ()> + Send)
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Option<Response<B>>> + Send + 'static,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let mut connections = Connections { most: self.connections, ..Connections::default() };
        let (closing, closed) = watch::channel(());
        let serving = Serving { head_timeout: self.head_timeout, kept_alive: self.kept_alive, closed };
        tokio::pin!(end);
        loop {
            let has_room = connections.has_room();
            let accepted = tokio::select! {
                biased;
                () = &mut end => break,
                Some(ended) = connections.tasks.join_next_with_id() => {
                    connections.remove(ended);
                    continue;
                }
                accepted = self.accept(), if has_room => accepted,
            };
            let Ok(stream) = accepted else {
                // Probably out of file descriptors. Without the pause, this would spin.
                connections.drop_oldest_idle();
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            if let Some(since) = connections.oldest_idle_at_the_limit() {
                tokio::time::sleep_until(since + MIN_IDLE).await;
                connections.drop_oldest_idle();
            }
            let idle = Arc::new(AtomicBool::new(true));
            let task = connections.tasks.spawn(serve_connection(stream, answer.clone(), idle.clone(), serving.clone()));
            connections.open.push_back(Connection { task, idle, since: Instant::now() });
            // Lets the open connections read before the next one can replace them.
            tokio::task::yield_now().await;
        }
        let limit = if self.kept_alive { None } else { Some(SHUTDOWN_LIMIT) };
        drop((self, closing));
        connections.shut_down(limit).await;
    }

    async fn accept(&self) -> io::Result<TcpStream> {
        async fn next(socket: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
            match socket {
                Some(socket) => socket.accept().await,
                None => pending().await,
            }
        }
        // In random order, so neither family starves the other.
        tokio::select! {
            accepted = next(self.v4.as_ref()) => accepted,
            accepted = next(self.v6.as_ref()) => accepted,
        }
        .map(|(stream, _)| stream)
    }
}

/// Whether a request has exactly one `Host`, and it names loopback and this port. A page of a DNS rebinding attack
/// sends its own name.
pub fn is_for_this_host<B>(request: &Request<B>, port: u16) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let ours = |authority: &str| is_loopback_authority(authority, port);
    host.to_str().is_ok_and(ours) && request.uri().authority().is_none_or(|authority| ours(authority.as_str()))
}

/// Whether a request comes from no web page, or from one of this listener (the `Origin` of the Fetch Standard).
pub(crate) fn is_own_origin(headers: &HeaderMap, port: u16) -> bool {
    headers.get_all(ORIGIN).iter().all(|origin| {
        let authority = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
        authority.is_some_and(|authority| is_loopback_authority(authority, port))
    })
}

fn is_loopback_authority(authority: &str, port: u16) -> bool {
    // A colon before `]` belongs to an IPv6 address.
    let (name, named_port) = match authority.rfind(':').filter(|at| !authority[*at..].contains(']')) {
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
    loopback && named_port == Some(port)
}

fn listen(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    let socket = match address {
        IpAddr::V4(_) => TcpSocket::new_v4()?,
        IpAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Windows would share the port instead of reusing it.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(address, port))?;
    socket.listen(BACKLOG)
}

fn bind_error(address: IpAddr, port: u16, error: io::Error) -> BindError {
    let address = SocketAddr::new(address, port);
    match error.kind() {
        _ if is_taken(&error) => BindError::Taken(address.to_string()),
        io::ErrorKind::PermissionDenied => BindError::Unusable(format!("this account may not listen on port {port}")),
        _ => BindError::Unusable(format!("listening on {address}: {error}")),
    }
}

/// Whether another program has the address.
fn is_taken(error: &io::Error) -> bool {
    // Windows reports an address that another program has for itself as not permitted.
    error.kind() == io::ErrorKind::AddrInUse || (cfg!(windows) && error.kind() == io::ErrorKind::PermissionDenied)
}

/// Whether this machine does not have the address, so that no program can listen on it.
fn is_missing_address(error: &io::Error) -> bool {
    #[cfg(unix)]
    const FAMILY_UNSUPPORTED: i32 = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    // WSAEAFNOSUPPORT
    #[cfg(not(unix))]
    const FAMILY_UNSUPPORTED: i32 = 10_047;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(FAMILY_UNSUPPORTED)
}

fn io_error(error: io::Error) -> BindError {
    BindError::Unusable(error.to_string())
}

/// How connections are served.
#[derive(Clone)]
struct Serving {
    head_timeout: Duration,
    kept_alive: bool,
    /// Its sender is dropped when the listener stops.
    closed: watch::Receiver<()>,
}

/// Serves the requests of a connection.
async fn serve_connection<A, F, B>(stream: TcpStream, answer: A, idle: Arc<AtomicBool>, mut serving: Serving)
where
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Option<Response<B>>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let stream = HardenedStream::new(TokioIo::new(stream), idle.clone());
    let answered = service_fn(|request| {
        idle.store(false, Ordering::Relaxed);
        let answer = answer(request);
        // hyper closes the connection when a service fails.
        async move { answer.await.ok_or(NoResponse) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(serving.head_timeout)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS)
        .keep_alive(serving.kept_alive)
        .serve_connection(stream, answered);
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = serving.closed.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// The connection is closed without a response.
#[derive(Debug)]
struct NoResponse;

impl std::fmt::Display for NoResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed without a response")
    }
}

impl Error for NoResponse {}

/// The open connections, oldest first. Dropping it closes them.
#[derive(Default)]
struct Connections {
    most: usize,
    open: VecDeque<Connection>,
    tasks: JoinSet<()>,
}

struct Connection {
    task: AbortHandle,
    /// Whether no complete request head has arrived yet.
    idle: Arc<AtomicBool>,
    since: Instant,
}

impl Connections {
    fn oldest_idle(&self) -> Option<usize> {
        self.open.iter().position(|connection| connection.idle.load(Ordering::Relaxed))
    }

    /// Whether a connection can be accepted: below the limit, or in place of an idle one.
    fn has_room(&self) -> bool {
        self.open.len() < self.most || self.oldest_idle().is_some()
    }

    /// The start of the idle connection that the next one replaces, if there are as many as allowed.
    fn oldest_idle_at_the_limit(&self) -> Option<Instant> {
        if self.open.len() < self.most {
            return None;
        }
        self.oldest_idle().and_then(|at| self.open.get(at)).map(|connection| connection.since)
    }

    /// Closes the connection that has been idle for longest. Returns whether there was one.
    fn drop_oldest_idle(&mut self) -> bool {
        let oldest = self.oldest_idle().and_then(|at| self.open.remove(at));
        oldest.map(|connection| connection.task.abort()).is_some()
    }

    fn remove(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
        self.open.retain(|connection| connection.task.id() != id);
    }

    /// Closes idle connections and waits for responses in flight.
    async fn shut_down(mut self, limit: Option<Duration>) {
        while self.drop_oldest_idle() {}
        let sent = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(limit.unwrap_or(Duration::MAX), sent).await;
    }
}

#[cfg(test)]
mod tests;
