//! The URL of a PostgreSQL store: `postgres://USER:PASSWORD@HOST:PORT/DATABASE?PARAMETERS`, as libpq reads it.
//!
//! `sslmode` and `sslrootcert` are read here, because the client library knows no `verify-full`. Connections use
//! `verify-full` unless the URL says otherwise. No error quotes the URL, which contains a password.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use crate::clean;
use crate::error_info::{ErrorClass, ErrorInfo};
use crate::provider;

/// How long one attempt to connect may take, unless the URL says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The folder of the server's Unix socket on Debian and on most other systems, for a URL without a host.
#[cfg(unix)]
const SOCKET_FOLDER: &str = "/var/run/postgresql";

/// Which certificate authorities the server's certificate is verified with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Authorities {
    /// Those of the system.
    System,
    /// Those in this file, in PEM.
    File(PathBuf),
}

/// Where a PostgreSQL store is, and how to sign in there. It contains a password, so `Debug` shows only
/// [`name`](Self::name).
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    pub(super) config: Config,
    pub(super) authorities: Authorities,
}

/// Why a URL cannot be used. The message is the end of a sentence about the URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresUrlError {
    /// It has another scheme.
    #[error("does not begin with `postgres://`")]
    Scheme,
    /// It cannot be read.
    #[error("is not a valid PostgreSQL URL")]
    Malformed,
    /// It has a parameter that is not supported.
    #[error("has the parameter `{0}`, which is not supported")]
    Unsupported(String),
    /// It has a parameter twice.
    #[error("has the parameter `{0}` twice")]
    Repeated(String),
    /// A parameter has a value that is not valid.
    #[error("has a value of `{0}` that is not valid")]
    Value(String),
    /// Its `sslmode` does not verify the server.
    #[error("has an `sslmode` that does not verify the server's certificate and name")]
    Unverified,
    /// It turns TLS off for a server on another machine.
    #[error("has `sslmode=disable`, which is allowed on loopback and Unix sockets only")]
    PlainText,
    /// It names both a Unix socket and a host.
    #[error("names both a Unix socket and a host")]
    MixedHosts,
}

impl ErrorInfo for PostgresUrlError {
    fn code(&self) -> &'static str {
        "configuration"
    }

    fn class(&self) -> ErrorClass {
        ErrorClass::Configuration
    }
}

impl PostgresUrl {
    /// The parameters that a URL may have, as the documentation of libpq describes them.
    pub const PARAMETERS: &[&str] = &[
        "application_name",
        "channel_binding",
        "connect_timeout",
        "dbname",
        "host",
        "keepalives",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_retries",
        "load_balance_hosts",
        "options",
        "password",
        "port",
        "sslmode",
        "sslnegotiation",
        "sslrootcert",
        "target_session_attrs",
        "tcp_user_timeout",
        "user",
    ];

    /// Reads a URL.
    ///
    /// # Errors
    /// [`PostgresUrlError`].
    pub fn parse(url: &str) -> Result<Self, PostgresUrlError> {
        let is_postgres = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
        if !is_postgres {
            return Err(PostgresUrlError::Scheme);
        }
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        if is_ambiguous(place, query) {
            return Err(PostgresUrlError::Malformed);
        }
        let (mut passed, mut names, mut sslmode, mut authorities) = (Vec::new(), BTreeSet::new(), None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let invalid = || PostgresUrlError::Value(name.to_owned());
            let decoded = || percent_decode_str(value).decode_utf8().map_err(|_| invalid());
            match name {
                "sslmode" => sslmode = Some(decoded()?),
                "sslrootcert" => authorities = Some(decoded()?),
                // The primary is always required.
                "target_session_attrs" if ["any", "read-write", "primary"].contains(&value) => {}
                "target_session_attrs" => return Err(invalid()),
                name if Self::PARAMETERS.contains(&name) => {
                    format!("postgres:///?{pair}").parse::<Config>().map_err(|_| invalid())?;
                    passed.push(pair);
                }
                // It may be a part of a password with a special character.
                _ if names.contains("password") => return Err(PostgresUrlError::Malformed),
                name => return Err(PostgresUrlError::Unsupported(clean::clean(name))),
            }
            if !names.insert(name) {
                return Err(PostgresUrlError::Repeated(name.to_owned()));
            }
        }
        // The parser's own error quotes the URL.
        let given: Config = format!("{place}?{}", passed.join("&")).parse().map_err(|_| PostgresUrlError::Malformed)?;
        let mut config = with_hosts(given)?;
        config.ssl_mode(match sslmode.as_deref() {
            // libpq ignores it there, too.
            None | Some("allow" | "disable" | "prefer" | "require" | "verify-ca" | "verify-full")
                if is_socket(&config) =>
            {
                SslMode::Disable
            }
            None | Some("verify-full") => SslMode::Require,
            Some("disable") if is_local(&config) => SslMode::Disable,
            Some("disable") => return Err(PostgresUrlError::PlainText),
            Some("allow" | "prefer" | "require" | "verify-ca") => return Err(PostgresUrlError::Unverified),
            Some(_) => return Err(PostgresUrlError::Value("sslmode".into())),
        });
        pin_localhost(&mut config);
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("nexus");
        }
        let authorities = match authorities.as_deref() {
            None | Some("system") => Authorities::System,
            Some("") => return Err(PostgresUrlError::Value("sslrootcert".into())),
            Some(file) => Authorities::File(PathBuf::from(file)),
        };
        Ok(Self { config, authorities })
    }

    /// Whether it contains a password.
    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }

    /// The URL without the user, the password and the parameters, for messages.
    pub fn name(&self) -> String {
        let (hosts, ports) = (self.config.get_hosts(), self.config.get_ports());
        let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
        let hosts = hosts.iter().enumerate().map(|(at, host)| match host {
            Host::Tcp(name) if name.contains(':') => format!("[{name}]:{}", port(at)),
            Host::Tcp(name) => format!("{name}:{}", port(at)),
            #[cfg(unix)]
            Host::Unix(folder) => format!("{}:{}", folder.display(), port(at)),
        });
        let hosts = hosts.collect::<Vec<_>>().join(",");
        format!("postgres://{hosts}/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({})", self.name())
    }
}

/// Whether a password with an unescaped character, or parameters without a `?`, may be in the host or the database, which
/// messages show. `place` is the URL without its parameters, `query`.
fn is_ambiguous(place: &str, query: &str) -> bool {
    let (_, place) = place.split_once("://").unwrap_or(("", place));
    let (authority, database) = place.split_once('/').unwrap_or((place, ""));
    authority.matches('@').count() > 1 || database.contains(['@', '&', '=']) || query.contains('@')
}

/// Whether this can be the name or the address of a host.
fn is_host(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':'))
}

/// The configuration, with the system's socket if the URL names no host.
fn with_hosts(given: Config) -> Result<Config, PostgresUrlError> {
    #[cfg(unix)]
    if given.get_hosts().is_empty() {
        let mut config = given;
        config.host_path(SOCKET_FOLDER);
        return Ok(config);
    }
    // The parameter `port` does not replace the port of the authority.
    if given.get_ports().len() > given.get_hosts().len().max(1) {
        return Err(PostgresUrlError::Malformed);
    }
    let is_unix = |host: &Host| !matches!(host, Host::Tcp(_));
    if given.get_hosts().iter().any(is_unix) && !given.get_hosts().iter().all(is_unix) {
        return Err(PostgresUrlError::MixedHosts);
    }
    let is_odd = |host: &Host| matches!(host, Host::Tcp(name) if !is_host(name));
    if given.get_hosts().is_empty() || !given.get_hostaddrs().is_empty() || given.get_hosts().iter().any(is_odd) {
        return Err(PostgresUrlError::Malformed);
    }
    Ok(given)
}

fn is_socket(config: &Config) -> bool {
    config.get_hosts().iter().all(|host| !matches!(host, Host::Tcp(_)))
}

/// Gives `localhost` its address if all hosts are this machine, whatever the system's resolver says (RFC 6761, section
/// 6.3).
fn pin_localhost(config: &mut Config) {
    let address = |host: &Host| match host {
        Host::Tcp(name) if provider::is_localhost(name) => Some(Ipv4Addr::LOCALHOST.into()),
        Host::Tcp(name) => name.parse().ok(),
        #[cfg(unix)]
        Host::Unix(_) => None,
    };
    let addresses: Option<Vec<IpAddr>> = config.get_hosts().iter().map(address).collect();
    for address in addresses.into_iter().flatten() {
        config.hostaddr(address);
    }
}

/// Whether every host is this machine.
fn is_local(config: &Config) -> bool {
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            provider::is_localhost(name) || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Result<(SslMode, String), PostgresUrlError> {
        PostgresUrl::parse(url).map(|url| (url.config.get_ssl_mode(), url.name()))
    }

    #[test]
    fn tls_is_verified_unless_the_server_is_this_machine() {
        use PostgresUrlError::{Malformed, MixedHosts, PlainText, Scheme, Unverified};
        use SslMode::{Disable, Require};
        let [unsupported, repeated, value] =
            [PostgresUrlError::Unsupported, PostgresUrlError::Repeated, PostgresUrlError::Value]
                .map(|of| move |name: &str| Err(of(name.to_owned())));
        for (url, expected) in [
            ("postgres://u:p@db.example.com/n", Ok((Require, "postgres://db.example.com:5432/n"))),
            (
                "postgresql://db.example.com:6432/n?sslmode=verify-full",
                Ok((Require, "postgres://db.example.com:6432/n")),
            ),
            ("postgres://u:p@127.0.0.1/n", Ok((Require, "postgres://127.0.0.1:5432/n"))),
            ("postgres://u@127.0.0.1/n?sslmode=disable", Ok((Disable, "postgres://127.0.0.1:5432/n"))),
            ("postgres://u@localhost/n?sslmode=disable", Ok((Disable, "postgres://localhost:5432/n"))),
            ("postgres://u@[::1]:5433/n?sslmode=disable", Ok((Disable, "postgres://[::1]:5433/n"))),
            ("postgres:///n?host=/run/pg", Ok((Disable, "postgres:///run/pg:5432/n"))),
            ("postgres://%2Frun%2Fpg:5433/n?sslmode=disable", Ok((Disable, "postgres:///run/pg:5433/n"))),
            ("postgres:///n?host=/run/pg&port=5433", Ok((Disable, "postgres:///run/pg:5433/n"))),
            ("postgres://h/n?port=5433", Err(Malformed)),
            ("postgres:///n?host=/run/pg&sslmode=require", Ok((Disable, "postgres:///run/pg:5432/n"))),
            ("postgres:///n?host=/run/pg&sslmode=no", value("sslmode")),
            ("postgres:///n", Ok((Disable, "postgres:///var/run/postgresql:5432/n"))),
            ("postgres://a,b:2/n?target_session_attrs=read-write", Ok((Require, "postgres://a:5432,b:2/n"))),
            ("postgres://h/n?sslrootcert=/etc/ca.pem&application_name=x", Ok((Require, "postgres://h:5432/n"))),
            ("postgres://db.example.com/n?sslmode=disable", Err(PlainText)),
            ("postgres://127.0.0.1,db.example.com/n?sslmode=disable", Err(PlainText)),
            ("postgres://localhost.example.com/n?sslmode=disable", Err(PlainText)),
            ("postgres://h/n?sslmode=require", Err(Unverified)),
            ("postgres://127.0.0.1/n?sslmode=prefer", Err(Unverified)),
            ("postgres://h/n?sslmode=allow", Err(Unverified)),
            ("postgres://h/n?sslmode=verify-ca", Err(Unverified)),
            ("postgres://h/n?sslmode=no", value("sslmode")),
            ("postgres://h/n?sslmode=", value("sslmode")),
            ("postgres://h/n?sslmode", value("sslmode")),
            ("postgres://h/n?sslmode=VERIFY-FULL", value("sslmode")),
            ("postgres://h/n?SSLMODE=verify-full", unsupported("SSLMODE")),
            ("postgres://h/n?sslmode=verify-full&sslmode=disable", repeated("sslmode")),
            ("postgres://h/n?connect_timeout=5&connect_timeout=5", repeated("connect_timeout")),
            ("postgres://h/n?connect_timeout=soon", value("connect_timeout")),
            ("postgres://h/n?keepalives=%FF", value("keepalives")),
            ("postgres://h/n?channel_binding=x", value("channel_binding")),
            ("postgres://h/n?sslrootcert=", value("sslrootcert")),
            ("postgres://h/n?hostaddr=127.0.0.1", unsupported("hostaddr")),
            ("postgres://h/n?target_session_attrs=read-only", value("target_session_attrs")),
            ("postgres://h/n?sslcert=x", unsupported("sslcert")),
            ("postgres://h/n?nonsense", unsupported("nonsense")),
            ("postgres://u:p?ss@h/n", Err(Malformed)),
            ("postgres://u:p?ss=x@h/n", Err(Malformed)),
            ("postgres://h/n?password=p&ss=x", Err(Malformed)),
            ("postgres://u:p@ss@h/n", Err(Malformed)),
            ("postgres://u:p@/ss@h/n", Err(Malformed)),
            ("postgres://u:p/ss@h/n", Err(Malformed)),
            ("postgres://u@h/n&password=p", Err(Malformed)),
            ("postgres://u@h password=p/n", Err(Malformed)),
            ("postgres://u:p%40ss%2F@h/n", Ok((Require, "postgres://h:5432/n"))),
            ("postgres:///n?host=u:p@h", Err(Malformed)),
            ("postgres:///n?host=u:p%40h", Err(Malformed)),
            ("postgres://h/n?host=/run/pg", Err(MixedHosts)),
            ("postgres://h:port/n", Err(Malformed)),
            ("mysql://h/n", Err(Scheme)),
            ("/data/sessions.db", Err(Scheme)),
            ("host=h", Err(Scheme)),
            ("", Err(Scheme)),
        ] {
            let expected = expected.map(|(mode, name)| (mode, name.to_owned()));
            assert_eq!(parsed(url), expected, "{url}");
        }
    }

    #[test]
    fn the_password_is_not_shown() {
        let url = PostgresUrl::parse("postgres://ada:s3cret@h/n?password=s3cret2").unwrap();
        assert_eq!(format!("{url:?}"), "PostgresUrl(postgres://h:5432/n)");
    }
}
