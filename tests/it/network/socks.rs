//! SOCKS proxies (RFC 1928, RFC 1929, and SOCKS 4 and 4a).

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::{io, thread};

use nexus::sandbox::{Sandbox, Settings};

use super::proxies::{FAR, connect};
use super::tls::{Authority, Front};
use super::{SIGNED_IN, assert_all_works, home_at, signed_in, trust};
use crate::nexus::{Nexus, sandbox};

/// The login that the proxy wants, and the reply code that it gives.
#[derive(Clone, Copy)]
struct Rules {
    login: Option<(&'static str, &'static str)>,
    code: u8,
}

/// A proxy on loopback that speaks SOCKS 4, 4a and 5. It connects everything to one port.
struct Socks {
    port: u16,
    /// The server of each request.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Socks {
    fn to(port: u16, rules: Rules) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = asked.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let log = log.clone();
                thread::spawn(move || answer(client.unwrap(), port, rules, &log));
            }
        });
        Self { port: own, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// One connection, which the client may close at any time.
fn answer(mut client: TcpStream, port: u16, rules: Rules, log: &Mutex<Vec<String>>) -> io::Result<()> {
    let [version] = read(&mut client)?;
    let granted = if version == 4 { socks4(&mut client, rules, log)? } else { socks5(&mut client, rules, log)? };
    if granted {
        connect(client, TcpStream::connect(("127.0.0.1", port))?);
    }
    Ok(())
}

fn read<const N: usize>(client: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn text(client: &mut TcpStream, length: u8) -> io::Result<String> {
    let mut bytes = vec![0; length.into()];
    client.read_exact(&mut bytes)?;
    Ok(String::from_utf8(bytes).unwrap())
}

/// Text up to a zero byte.
fn terminated(client: &mut TcpStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    loop {
        match read(client)? {
            [0] => return Ok(String::from_utf8(bytes).unwrap()),
            [byte] => bytes.push(byte),
        }
    }
}

fn socks4(client: &mut TcpStream, rules: Rules, log: &Mutex<Vec<String>>) -> io::Result<bool> {
    let [1, high, low, a, b, c, d] = read(client)? else { panic!("not a CONNECT") };
    let user = terminated(client)?;
    let name = match [a, b, c, d] {
        [0, 0, 0, 1..=255] => terminated(client)?,
        address => Ipv4Addr::from(address).to_string(),
    };
    log.lock().unwrap().push(format!("{name}:{}", u16::from_be_bytes([high, low])));
    let known = rules.login.is_none_or(|(wanted, _)| user == wanted);
    let code = if known { 90 + rules.code } else { 93 };
    client.write_all(&[0, code, 0, 0, 0, 0, 0, 0])?;
    Ok(code == 90)
}

fn socks5(client: &mut TcpStream, rules: Rules, log: &Mutex<Vec<String>>) -> io::Result<bool> {
    let [count] = read(client)?;
    let mut methods = vec![0; usize::from(count)];
    client.read_exact(&mut methods)?;
    let wanted = if rules.login.is_some() { 2 } else { 0 };
    if !methods.contains(&wanted) {
        client.write_all(&[5, 0xff])?;
        return Ok(false);
    }
    client.write_all(&[5, wanted])?;
    if let Some((user, password)) = rules.login {
        let [1, length] = read(client)? else { panic!("not RFC 1929") };
        let given = text(client, length)?;
        let [length] = read(client)?;
        let known = (given.as_str(), text(client, length)?.as_str()) == (user, password);
        client.write_all(&[1, u8::from(!known)])?;
        if !known {
            return Ok(false);
        }
    }
    let [5, 1, 0, kind] = read(client)? else { panic!("not a CONNECT") };
    let name = match kind {
        1 => IpAddr::from(read::<4>(client)?).to_string(),
        4 => IpAddr::from(read::<16>(client)?).to_string(),
        _ => {
            let [length] = read(client)?;
            text(client, length)?
        }
    };
    log.lock().unwrap().push(format!("{name}:{}", u16::from_be_bytes(read(client)?)));
    // The bound address is a name, as some proxies send.
    client.write_all(&[&[5, rules.code, 0, 3, 4][..], b"here", &[0, 0]].concat())?;
    Ok(rules.code == 0)
}

fn behind(sandbox: &Sandbox, authority: &Authority, origin: &str, proxy: &str) -> Nexus {
    let mut nexus = home_at(sandbox, origin);
    trust(&mut nexus, authority);
    nexus.set("ALL_PROXY", proxy);
    nexus
}

const OPEN: Rules = Rules { login: None, code: 0 };

#[test]
fn proxies_that_resolve_names_get_the_name() {
    let sandbox = sandbox(Settings::default());
    let authority = Authority::new();
    let front = Front::before(&sandbox, &authority, &[FAR]);
    for scheme in ["socks4a", "socks5h"] {
        let proxy = Socks::to(front.port(), OPEN);
        let url = format!("{scheme}://127.0.0.1:{}", proxy.port);
        assert_all_works(&behind(&sandbox, &authority, &format!("https://{FAR}"), &url));
        let asked = proxy.asked();
        assert!(asked.len() >= 5 && asked.iter().all(|asked| *asked == format!("{FAR}:443")), "{scheme}: {asked:?}");
    }
}

/// `0.0.0.0` is an address that needs no lookup and is not a loopback address.
#[cfg(target_os = "linux")]
#[test]
fn proxies_that_do_not_resolve_names_get_an_address() {
    let sandbox = sandbox(Settings::default());
    let authority = Authority::new();
    let front = Front::before(&sandbox, &authority, &["0.0.0.0"]);
    for scheme in ["socks", "socks4", "socks5"] {
        let proxy = Socks::to(front.port(), OPEN);
        let url = format!("{scheme}://127.0.0.1:{}", proxy.port);
        assert_all_works(&behind(&sandbox, &authority, &front.origin("0.0.0.0"), &url));
        assert_eq!(proxy.asked()[0], format!("0.0.0.0:{}", front.port()), "{scheme}");
        // The name is looked up here, which fails.
        let asked = proxy.asked().len();
        let output = signed_in(&behind(&sandbox, &authority, &format!("https://{FAR}"), &url));
        assert!(output.code == Some(75) && output.stderr.contains("[SERVER]: failed to lookup"), "{output}");
        assert_eq!(proxy.asked().len(), asked);
    }
}

#[test]
fn the_user_name_and_the_password_are_decoded_and_sent() {
    let sandbox = sandbox(Settings::default());
    let authority = Authority::new();
    let front = Front::before(&sandbox, &authority, &[FAR]);
    let proxy = Socks::to(front.port(), Rules { login: Some(("a@b", "p:/ss")), code: 0 });
    for (scheme, login) in [("socks5h", "a%40b:p%3A%2Fss@"), ("socks4a", "a%40b@")] {
        let url = format!("{scheme}://{login}127.0.0.1:{}", proxy.port);
        let nexus = behind(&sandbox, &authority, &format!("https://{FAR}"), &url);
        assert_output!(signed_in(&nexus), 0, stdout: "", stderr: SIGNED_IN);
        let output = nexus.run(&["chat", "x", "--verbose"]);
        assert!(output.stderr.contains(&format!("* through the proxy 127.0.0.1:{}\n", proxy.port)), "{output}");
        assert!(!output.stderr.contains("p:/ss") && !output.stderr.contains("p%3A"), "{output}");
    }
}

#[test]
fn a_proxy_that_wants_another_login_is_a_configuration_error() {
    let sandbox = sandbox(Settings::default());
    let authority = Authority::new();
    let proxy = Socks::to(1, Rules { login: Some(("ada", "hush")), code: 0 });
    for (scheme, login, refusal, hint) in [
        ("socks5h", "", "wants a user name and a password", "`socks5h://USER:PASSWORD@HOST:PORT`"),
        ("socks5h", "ada:hushhush@", "refused the user name or the password", "correct them in "),
        ("socks5", "", "wants a user name and a password", "`socks5://USER:PASSWORD@HOST:PORT`"),
        ("socks4a", "", "wants a user name and a password", "`socks4a://USER@HOST:PORT`"),
        ("socks4a", "eve@", "refused the user name or the password", "correct them in "),
    ] {
        let url = format!("{scheme}://{login}127.0.0.1:{}", proxy.port);
        let output = signed_in(&behind(&sandbox, &authority, &format!("https://{FAR}"), &url));
        let message = format!("error: cannot reach [SERVER]: the proxy 127.0.0.1:{} {refusal}\n", proxy.port);
        assert!(output.code == Some(2) && output.stderr.starts_with(&message), "{output}");
        assert!(output.stderr.contains(hint) && !output.stderr.contains("hush"), "{output}");
    }
}

#[test]
fn a_refusal_names_its_code() {
    let sandbox = sandbox(Settings::default());
    let authority = Authority::new();
    for (scheme, code, exit, words) in [
        ("socks5h", 1, 75, "it failed (SOCKS 5 code 1)"),
        ("socks5h", 2, 1, "does not allow this connection (SOCKS 5 code 2)"),
        ("socks5h", 5, 75, "the server refused the connection (SOCKS 5 code 5)"),
        ("socks5h", 7, 1, "refused the request (SOCKS 5 code 7)"),
        ("socks4a", 1, 75, "it rejected the connection (SOCKS 4 code 91)"),
    ] {
        let proxy = Socks::to(1, Rules { login: None, code });
        let url = format!("{scheme}://127.0.0.1:{}", proxy.port);
        let output = signed_in(&behind(&sandbox, &authority, &format!("https://{FAR}"), &url));
        assert!(output.code == Some(exit) && output.stderr.contains(words), "{output}");
        assert!(output.stderr.contains(&format!("the proxy 127.0.0.1:{}", proxy.port)), "{output}");
    }
}

#[test]
fn a_server_that_is_no_socks_proxy_is_reported() {
    let sandbox = sandbox(Settings::default());
    for (scheme, version) in [("socks5h", 5), ("socks4a", 4)] {
        let url = format!("{scheme}://{}", sandbox.origin().replace("http://", ""));
        let output = signed_in(&behind(&sandbox, &Authority::new(), &format!("https://{FAR}"), &url));
        let expected = format!("does not answer like a SOCKS {version} proxy");
        assert!(output.stderr.contains(&expected) || output.stderr.contains("closed the connection"), "{output}");
        assert_ne!(output.code, Some(0));
    }
}
