//! Asks a proxy for a connection to a server: HTTP CONNECT (RFC 9110, section 9.3.6), SOCKS 4, 4a and 5 (RFC 1928 and
//! 1929).

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use hyper::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::USER_AGENT;
use super::error::ProxyRefusal;
use super::proxy::{Protocol, Proxy};
use super::resolver;

/// The longest head of a response to CONNECT, in bytes.
const HEAD_LIMIT: usize = 16 * 1024;

/// Why a proxy made no connection.
#[derive(Debug)]
pub(super) enum HandshakeError {
    /// Another attempt may work.
    Failed(String),
    /// Something must be changed first.
    Refused(ProxyRefusal),
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Failed("it closed the connection".into()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

fn failed(why: &str) -> HandshakeError {
    HandshakeError::Failed(why.into())
}

fn refused(why: impl Into<String>) -> HandshakeError {
    HandshakeError::Refused(ProxyRefusal::Other(why.into()))
}

/// The refusal of a proxy that wants a password, or another one.
fn password(proxy: &Proxy) -> HandshakeError {
    HandshakeError::Refused(match proxy.has_password() {
        true => ProxyRefusal::PasswordRefused,
        false => ProxyRefusal::PasswordRequired { scheme: proxy.protocol.scheme() },
    })
}

type Result<T> = std::result::Result<T, HandshakeError>;

/// Asks the proxy on the other side of `stream` to connect to a server. An IPv6 address is in brackets.
pub(super) async fn connect<S>(stream: &mut S, proxy: &Proxy, host: &str, port: u16) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    match proxy.protocol {
        Protocol::Http | Protocol::Https => http(stream, proxy, host, port).await,
        Protocol::Socks4 | Protocol::Socks4a => socks4(stream, proxy, name, port).await,
        Protocol::Socks5 | Protocol::Socks5h => socks5(stream, proxy, name, port).await,
    }
}

async fn http<S>(stream: &mut S, proxy: &Proxy, host: &str, port: u16) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request =
        format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: {USER_AGENT}\r\n").into_bytes();
    if let Some(authorization) = &proxy.authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await?;
    loop {
        match status(stream).await? {
            100..=199 => {}
            200..=299 => return Ok(()),
            407 => return Err(password(proxy)),
            status => {
                let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
                let reason = reason.map(|reason| format!(" {reason}")).unwrap_or_default();
                return Err(match status {
                    408 | 425 | 429 | 500.. => failed(&format!("it answered CONNECT with {status}{reason}")),
                    _ => refused(format!("answered CONNECT with {status}{reason}")),
                });
            }
        }
    }
}

/// Reads the head of a response, and not one byte more: what follows belongs to the server.
async fn status<S: AsyncRead + Unpin>(stream: &mut S) -> Result<u16> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        head.push(stream.read_u8().await?);
        // Checked byte by byte: a server that is no proxy may send only a few.
        if !b"HTTP/1.".starts_with(&head[..head.len().min(7)]) || head.len() > HEAD_LIMIT {
            return Err(refused("does not answer like an HTTP proxy"));
        }
    }
    let status = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    status.filter(|status| (100..1000).contains(status)).ok_or_else(|| refused("does not answer like an HTTP proxy"))
}

async fn socks4<S>(stream: &mut S, proxy: &Proxy, host: &str, port: u16) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let only_v4 = || refused("speaks SOCKS 4, which has no IPv6");
    let (address, name) = match host.parse() {
        Ok(IpAddr::V4(address)) => (address, None),
        Ok(IpAddr::V6(_)) => return Err(only_v4()),
        // The address 0.0.0.x says that a name follows.
        Err(_) if proxy.protocol == Protocol::Socks4a => (Ipv4Addr::new(0, 0, 0, 1), Some(host)),
        Err(_) => {
            let found = resolved(host, port).await?;
            let v4 = found.iter().find_map(|address| match address {
                IpAddr::V4(address) => Some(*address),
                IpAddr::V6(_) => None,
            });
            (v4.ok_or_else(only_v4)?, None)
        }
    };
    let user = proxy.login.as_ref().map_or("", |(user, _)| user);
    if user.contains('\0') {
        return Err(password(proxy));
    }
    let mut request = vec![4, 1];
    request.extend(port.to_be_bytes());
    request.extend(address.octets());
    request.extend(user.bytes().chain([0]));
    if let Some(name) = name {
        request.extend(name.bytes().chain([0]));
    }
    stream.write_all(&request).await?;
    let mut reply = [0; 8];
    stream.read_exact(&mut reply[..1]).await?;
    if reply[0] != 0 {
        return Err(refused("does not answer like a SOCKS 4 proxy"));
    }
    stream.read_exact(&mut reply[1..]).await?;
    match reply[1] {
        90 => Ok(()),
        91 => Err(failed("it rejected the connection (SOCKS 4 code 91)")),
        92 | 93 => Err(password(proxy)),
        code => Err(refused(format!("answered with the unknown SOCKS 4 code {code}"))),
    }
}

async fn socks5<S>(stream: &mut S, proxy: &Proxy, host: &str, port: u16) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    const NO_LOGIN: u8 = 0;
    const LOGIN: u8 = 2;
    let not_socks5 = || refused("does not answer like a SOCKS 5 proxy");
    let offered: &[u8] = if proxy.login.is_some() { &[5, 2, NO_LOGIN, LOGIN] } else { &[5, 1, NO_LOGIN] };
    stream.write_all(offered).await?;
    if stream.read_u8().await? != 5 {
        return Err(not_socks5());
    }
    match (stream.read_u8().await?, &proxy.login) {
        (NO_LOGIN, _) => {}
        (LOGIN, Some((user, secret))) => {
            let mut request = vec![1];
            for text in [user, secret] {
                let length = u8::try_from(text.len()).map_err(|_| password(proxy))?;
                request.push(length);
                request.extend(text.bytes());
            }
            stream.write_all(&request).await?;
            let mut reply = [0; 2];
            stream.read_exact(&mut reply).await?;
            if reply[1] != 0 {
                return Err(password(proxy));
            }
        }
        (0xff, _) => return Err(password(proxy)),
        _ => return Err(not_socks5()),
    }
    let mut request = vec![5, 1, 0];
    let address = match host.parse::<IpAddr>() {
        Ok(address) => Some(address),
        Err(_) if proxy.protocol == Protocol::Socks5h => None,
        Err(_) => resolved(host, port).await?.first().copied(),
    };
    match address {
        Some(IpAddr::V4(address)) => request.extend([&[1], &address.octets()[..]].concat()),
        Some(IpAddr::V6(address)) => request.extend([&[4], &address.octets()[..]].concat()),
        None => {
            let length = u8::try_from(host.len()).map_err(|_| refused("cannot be given so long a host name"))?;
            request.extend([&[3, length], host.as_bytes()].concat());
        }
    }
    request.extend(port.to_be_bytes());
    stream.write_all(&request).await?;
    let mut reply = [0; 4];
    stream.read_exact(&mut reply).await?;
    if reply[0] != 5 {
        return Err(not_socks5());
    }
    // RFC 1928, section 6.
    match reply[1] {
        0 => {}
        1 => return Err(failed("it failed (SOCKS 5 code 1)")),
        2 => return Err(refused("does not allow this connection (SOCKS 5 code 2)")),
        3 => return Err(failed("it cannot reach the network (SOCKS 5 code 3)")),
        4 => return Err(failed("it cannot reach the host (SOCKS 5 code 4)")),
        5 => return Err(failed("the server refused the connection (SOCKS 5 code 5)")),
        6 => return Err(failed("the time to live expired (SOCKS 5 code 6)")),
        code => return Err(refused(format!("refused the request (SOCKS 5 code {code})"))),
    }
    let address = match reply[3] {
        1 => 4,
        4 => 16,
        3 => usize::from(stream.read_u8().await?),
        _ => return Err(not_socks5()),
    };
    let mut bound = vec![0; address + 2];
    stream.read_exact(&mut bound).await?;
    Ok(())
}

/// The addresses of a name, looked up here.
async fn resolved(host: &str, port: u16) -> Result<Vec<IpAddr>> {
    let found = resolver::addresses(host, port).await.map_err(|error| failed(&format!("{host}: {error}")))?;
    if found.is_empty() {
        Err(failed(&format!("{host} has no address")))
    } else {
        Ok(found.iter().map(|at| at.ip()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reply_of_another_version_is_not_from_a_socks_5_proxy() {
        let proxy = Proxy {
            protocol: Protocol::Socks5h,
            host: "127.0.0.1".into(),
            port: 1080,
            login: None,
            authorization: None,
            variable: None,
        };
        for (version, is_connected) in [(5, true), (4, false)] {
            let (mut stream, mut answers) = tokio::io::duplex(1024);
            answers.write_all(&[5, 0, version, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
            let connected = connect(&mut stream, &proxy, "id.example.com", 443).await;
            assert_eq!(connected.is_ok(), is_connected, "version {version}: {connected:?}");
        }
    }
}
