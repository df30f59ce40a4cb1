use std::net::IpAddr;

use hyper::Request;
use hyper::header::{HOST, HeaderValue};
use nexus::internal::clean::visible;
use nexus::internal::loopback::is_for_this_host;
use nexus::{AuthorizationRequest, OAuthClient, ProviderConfig, Url, Verdict};

const PORT: u16 = 4_000;

/// The first line is a `Host`, the rest a query in which `{state}` is the right state. Only loopback hosts with our
/// port are accepted. A code is granted only with one right state and no error; an error is one readable line.
pub(crate) fn holds(input: &[u8]) {
    let (host, query) = match input.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (&b""[..], input),
    };
    host_holds(host);
    query_holds(&String::from_utf8_lossy(query));
}

fn host_holds(host: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(host) else { return };
    let mut request = Request::new(());
    request.headers_mut().insert(HOST, value);
    if !is_for_this_host(&request, PORT) {
        return;
    }
    // The URL parser of browsers reads the same host and port.
    let text = std::str::from_utf8(host).unwrap();
    let url = Url::parse(&format!("http://{text}/")).unwrap();
    assert_eq!(url.port_or_known_default(), Some(PORT), "{text}");
    assert_eq!((url.path(), url.username(), url.password()), ("/", "", None), "{text}");
    let name = url.host_str().unwrap().trim_start_matches('[').trim_end_matches(']');
    assert!(name == "localhost" || name.parse::<IpAddr>().unwrap().is_loopback(), "{text}");
    request.headers_mut().append(HOST, HeaderValue::from_static("localhost:4000"));
    assert!(!is_for_this_host(&request, PORT), "two hosts");
}

fn query_holds(template: &str) {
    let provider = ProviderConfig::claude_code().with_client(OAuthClient::public("client"));
    let attempt = AuthorizationRequest::begin(&provider, "http://localhost:4000/oauth/claude/callback").unwrap();
    let query = template.replace("{state}", attempt.state());
    let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let values =
        |name: &str| pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| value).collect::<Vec<_>>();
    let ours = matches!(values("state")[..], [state] if state == attempt.state());
    match attempt.judge(&query) {
        Verdict::NotOurs(_) | Verdict::Unclear(_) => {}
        Verdict::Granted(code) => {
            assert!(ours, "{query:?}");
            assert_eq!(values("code"), [code.expose()], "{query:?}");
            assert!(!code.expose().is_empty() && values("error").is_empty(), "{query:?}");
        }
        Verdict::Refused(error) => {
            assert!(ours, "{query:?}");
            let message = error.to_string();
            assert_eq!(visible(&message), message, "{query:?}");
            assert!(!message.contains(['\n', '\t']) && message.chars().count() < 2_000, "{query:?}: {message}");
        }
    }
}
