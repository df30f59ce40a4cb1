use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::commands::home;
use crate::nexus::{lifetime, newest, sandbox};
use crate::server::server;

/// Forwards connections to the server, and breaks one of them once.
#[derive(Default)]
struct Proxy {
    /// How many messages the clients have sent.
    seen: AtomicUsize,
    /// The number of the message at which the connection breaks.
    cut: AtomicUsize,
    /// Whether the server still gets that message. Its answer is lost.
    after: AtomicBool,
}

impl Proxy {
    fn start() -> (Arc<Self>, u16) {
        let proxy = Arc::new(Self { cut: AtomicUsize::new(usize::MAX), ..Self::default() });
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = proxy.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (proxy, client) = (shared.clone(), client.unwrap());
                thread::spawn(move || proxy.forward(&client));
            }
        });
        (proxy, port)
    }

    fn set(&self, cut: usize, after: bool) {
        self.after.store(after, Ordering::SeqCst);
        self.seen.store(0, Ordering::SeqCst);
        self.cut.store(cut, Ordering::SeqCst);
    }

    fn forward(&self, client: &TcpStream) {
        let server = TcpStream::connect(("127.0.0.1", server().port())).unwrap();
        let is_cut = AtomicBool::new(false);
        let end = || {
            let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut to_client = client;
                copy(&server, |bytes| !is_cut.load(Ordering::SeqCst) && to_client.write_all(bytes).is_ok());
                end();
            });
            copy(client, |bytes| {
                let cuts = self.seen.fetch_add(1, Ordering::SeqCst) == self.cut.load(Ordering::SeqCst);
                is_cut.store(cuts, Ordering::SeqCst);
                if cuts && !self.after.load(Ordering::SeqCst) {
                    return false;
                }
                (&server).write_all(bytes).is_ok()
            });
            if !is_cut.load(Ordering::SeqCst) || !self.after.load(Ordering::SeqCst) {
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

/// More messages than a refresh sends.
const MESSAGES: usize = 16;

#[test]
fn a_connection_that_breaks_at_any_statement_costs_no_session() {
    let (proxy, port) = Proxy::start();
    let sandbox = sandbox(lifetime(0));
    let url = server().database();
    let nexus = home(&sandbox, &url.replace(&format!(":{}/", server().port()), &format!(":{port}/")), "ada");
    for (cut, after) in (0..MESSAGES).flat_map(|cut| [(cut, false), (cut, true)]) {
        proxy.set(usize::MAX, false);
        sandbox.change(|settings| settings.token_lifetime = Some(0.into()));
        nexus.sign_in();
        sandbox.change(|settings| settings.token_lifetime = Some(3_600.into()));
        let before = sandbox.refreshes();
        proxy.set(cut, after);
        let output = nexus.run(&["oauth", "token"]);
        let when = format!("message {cut}, after it {after}: {output}");
        assert_eq!(output.code, Some(0), "{when}");
        assert_eq!(output.stdout.trim(), newest(&sandbox, "access"), "{when}");
        assert_eq!(sandbox.refreshes() - before, 1, "{when}");
        assert_eq!(nexus.run(&["oauth", "token"]).ok(), output.stdout, "{when}");
        assert_eq!(server().sql(&url, "SELECT lease IS NULL FROM nexus.session"), "t", "{when}");
    }
}
