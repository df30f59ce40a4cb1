//! The address that a command listens on, as it is typed: `HOST:PORT`.

use std::net::{IpAddr, Ipv6Addr};

/// A host and a port to listen on. An IPv6 address is in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListenAddress {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Reads `HOST:PORT`, or `HOST` for any free port. Whether the host is on loopback is checked when it is bound.
///
/// # Errors
/// The text and what is wrong with it. A user name or password is not repeated.
pub(crate) fn parse(text: &str) -> Result<ListenAddress, String> {
    if text.contains('@') {
        return Err("takes a host and a port without a user name or password, such as `127.0.0.1:8080`".into());
    }
    read(text).map_err(|problem| format!("`{}`: {problem}", text.escape_debug()))
}

fn read(text: &str) -> Result<ListenAddress, String> {
    if text.trim().is_empty() {
        return Err("pass a host and a port, such as `127.0.0.1:8080`".into());
    }
    if text.contains('/') {
        return Err("pass a host and a port, such as `127.0.0.1:8080`, and no URL".into());
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("remove the blank; pass a host and a port, such as `127.0.0.1:8080`".into());
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(format!("an IPv6 address is in brackets, such as `[{text}]:8080`"));
    }
    let (host, port) = split(text)?;
    if is_number(host) && port.is_none() {
        let port = parse_port(host)?;
        return Err(format!("the host is missing; pass `127.0.0.1:{port}`"));
    }
    let port = port.map_or(Ok(0), parse_port)?;
    if host.is_empty() {
        return Err(format!("the host is missing; pass `127.0.0.1:{port}`"));
    }
    if let Some(literal) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
        && literal.parse::<Ipv6Addr>().is_err()
    {
        return Err(match literal.parse::<IpAddr>() {
            Ok(_) => format!("only an IPv6 address is in brackets; pass `{literal}:{port}`"),
            Err(_) => format!("`{literal}` is not an IPv6 address; pass one, such as `[::1]:{port}`"),
        });
    }
    Ok(ListenAddress { host: host.to_owned(), port })
}

/// The host and, after its colon, the port.
fn split(text: &str) -> Result<(&str, Option<&str>), String> {
    if text.starts_with('[') {
        let end = text.find(']').ok_or("the `]` of the IPv6 address is missing, such as in `[::1]:8080`")?;
        let (host, rest) = text.split_at(end + 1);
        return match rest.strip_prefix(':') {
            None if !rest.is_empty() => Err("a colon is missing after the `]`, such as in `[::1]:8080`".into()),
            port => Ok((host, port)),
        };
    }
    match text.split_once(':') {
        Some((_, port)) if port.contains(':') => {
            Err("pass one host and one port, such as `127.0.0.1:8080`, or `[::1]:8080` for an IPv6 address".into())
        }
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(port) if is_number(text) => Ok(port),
        _ if text.is_empty() => Err("the port is missing after the colon; port 0 is any free port".into()),
        _ if is_number(text) => Err(format!("port {text} is too large; the highest port is 65535")),
        _ => Err(format!("`{text}` is not a port, which is a number from 0 to 65535")),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_perhaps_a_port() {
        for (text, host, port) in [
            ("127.0.0.1:8080", "127.0.0.1", 8_080),
            ("127.0.0.1:65535", "127.0.0.1", 65_535),
            ("localhost", "localhost", 0),
            ("[::1]:9", "[::1]", 9),
            ("[::1]", "[::1]", 0),
        ] {
            assert_eq!(parse(text), Ok(ListenAddress { host: host.into(), port }), "{text}");
        }
    }

    #[test]
    fn each_kind_of_wrong_address_is_told_what_is_wrong_with_it() {
        for (text, told) in [
            ("", "pass a host and a port, such as `127.0.0.1:8080`"),
            (" ", "pass a host and a port, such as `127.0.0.1:8080`"),
            ("127.0.0.1: 8080", "remove the blank; pass a host and a port, such as `127.0.0.1:8080`"),
            (":0", "the host is missing; pass `127.0.0.1:0`"),
            ("8080", "the host is missing; pass `127.0.0.1:8080`"),
            ("99999", "port 99999 is too large; the highest port is 65535"),
            (":99999", "port 99999 is too large; the highest port is 65535"),
            ("127.0.0.1:99999", "port 99999 is too large; the highest port is 65535"),
            ("127.0.0.1:", "the port is missing after the colon; port 0 is any free port"),
            ("127.0.0.1:http", "`http` is not a port, which is a number from 0 to 65535"),
            ("127.0.0.1:+80", "`+80` is not a port, which is a number from 0 to 65535"),
            ("127.0.0.1:-1", "`-1` is not a port, which is a number from 0 to 65535"),
            ("http://127.0.0.1:0", "pass a host and a port, such as `127.0.0.1:8080`, and no URL"),
            ("::1", "an IPv6 address is in brackets, such as `[::1]:8080`"),
            ("[::1", "the `]` of the IPv6 address is missing, such as in `[::1]:8080`"),
            ("[::1]8080", "a colon is missing after the `]`, such as in `[::1]:8080`"),
            ("[127.0.0.1]:80", "only an IPv6 address is in brackets; pass `127.0.0.1:80`"),
            ("[here]:80", "`here` is not an IPv6 address; pass one, such as `[::1]:80`"),
            (
                "127.0.0.1:80:90",
                "pass one host and one port, such as `127.0.0.1:8080`, or `[::1]:8080` for an IPv6 address",
            ),
        ] {
            assert_eq!(parse(text), Err(format!("`{text}`: {told}")));
        }
    }

    #[test]
    fn a_password_is_not_repeated() {
        for text in ["ada:secret@127.0.0.1:8080", "http://ada:secret@127.0.0.1", "secret@"] {
            let told = parse(text).unwrap_err();
            assert!(told.contains("without a user name or password") && !told.contains("secret"), "{told}");
        }
    }
}
