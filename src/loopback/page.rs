//! HTML pages, and the security headers of every response on loopback.
//!
//! A page has no scripts and loads nothing. Foreign text goes through [`escape`]; the content security policy is the
//! second line of defense.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{Response, StatusCode};
use sha2::{Digest as _, Sha256};

const SHELL: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");

/// The content security policy without its `form-action`.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!("default-src 'none'; style-src 'sha256-{style}'; frame-ancestors 'none'; base-uri 'none'; form-action ")
});

/// The kind of a page, which decides its icon and color.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Success.
    Done,
    /// Failure.
    Failed,
    /// A decision to make.
    #[cfg(feature = "sandbox")]
    Asking,
    /// Information.
    Notice,
}

/// A page.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    /// The window's title and the headline, as text.
    pub title: &'a str,
    /// The kind of page.
    pub tone: Tone,
    /// A line above the headline, as text. Empty for none.
    pub label: &'a str,
    /// The content below the headline, as HTML.
    pub body: String,
    /// The last line, as HTML.
    pub foot: &'a str,
}

impl Page<'_> {
    /// The whole document.
    pub(crate) fn html(&self) -> String {
        let (tone, sign) = match self.tone {
            Tone::Done => ("done", r#"<path d="M14.5 24.5l6.5 6.5 12.5-14"/>"#),
            Tone::Failed => ("failed", r#"<path d="M17 17l14 14M31 17l-14 14"/>"#),
            #[cfg(feature = "sandbox")]
            Tone::Asking => ("asking", r#"<circle cx="19" cy="24" r="5.5"/><path d="M24.5 24H36M31.5 24v5"/>"#),
            Tone::Notice => ("notice", r#"<path d="M24 22.5v10M24 15.5v.01"/>"#),
        };
        let label = match self.label {
            "" => String::new(),
            label => format!("<p class=\"label\">{}</p>\n", escape(label)),
        };
        // Inserted parts are not searched, so none can contain another's placeholder.
        let mut html = String::with_capacity(SHELL.len() + STYLE.len() + self.body.len() + 512);
        let title = escape(self.title);
        for (at, piece) in SHELL.split("{{").enumerate() {
            let Some((name, rest)) = piece.split_once("}}").filter(|_| at > 0) else {
                html.push_str(piece);
                continue;
            };
            html.push_str(match name {
                "style" => STYLE,
                "title" => &title,
                "tone" => tone,
                "sign" => sign,
                "label" => &label,
                "body" => &self.body,
                "foot" => self.foot,
                _ => "",
            });
            html.push_str(rest);
        }
        html
    }

    /// The response with this page.
    pub(crate) fn answer(&self, status: StatusCode) -> Response<Full<Bytes>> {
        let mut response = text(status, &self.html());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        response
    }
}

/// A plain text response.
pub(crate) fn text(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(body.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    harden(&mut response, None);
    response
}

/// A redirect.
pub(crate) fn redirect(status: StatusCode, to: &str) -> Response<Full<Bytes>> {
    match HeaderValue::from_str(to) {
        Ok(location) => {
            let mut response = text(status, "");
            response.headers_mut().insert(LOCATION, location);
            response
        }
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "this URL does not fit into a header\n"),
    }
}

/// The response to another method than the allowed one.
pub(crate) fn method_not_allowed(allowed: &'static str) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, &format!("only {allowed} is allowed here\n"));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// Sets the security headers: no scripts, no loading, no framing, no caching, no referrer. A form may be sent only to
/// `form_action`.
pub(crate) fn harden<B>(response: &mut Response<B>, form_action: Option<&str>) {
    let policy = format!("{}{}", *POLICY, form_action.unwrap_or("'none'"));
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        // hyper sets it for HTTP/1.1 only.
        (CONNECTION, "close"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Escapes text for HTML, inside an element or a quoted attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The text with its first letter in upper case.
pub(crate) fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Text as HTML, with the parts between backticks as code.
pub(crate) fn sentence(text: &str) -> String {
    let mut html = String::new();
    let parts: Vec<_> = text.split('`').collect();
    for (at, part) in parts.iter().enumerate() {
        let part = escape(part);
        html.push_str(&match (at % 2 == 1, at + 1 < parts.len()) {
            (true, true) => format!("<code>{part}</code>"),
            (true, false) => format!("`{part}"),
            (false, _) => part,
        });
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_text() {
        assert_eq!(escape(r#"<a href="x" o='y'>&"#), "&lt;a href=&quot;x&quot; o=&#39;y&#39;&gt;&amp;");
        assert_eq!(sentence("run `a <b>` or `c`"), "run <code>a &lt;b&gt;</code> or <code>c</code>");
        assert_eq!(sentence("one ` alone <"), "one ` alone &lt;");
        let page = Page {
            title: "</title><script>",
            tone: Tone::Failed,
            label: "<b>",
            body: escape("{{style}}{{foot}}"),
            foot: "",
        };
        let html = page.html();
        assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
        assert!(html.contains("{{style}}{{foot}}"), "{html}");
    }

    #[test]
    fn the_policy_allows_the_very_style_of_the_page() {
        let page = Page { title: "T", tone: Tone::Done, label: "", body: String::new(), foot: "" };
        let html = page.html();
        let style = html.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).expect("a style").0;
        let allowed = format!("'sha256-{}'", STANDARD.encode(Sha256::digest(style)));
        let answer = page.answer(StatusCode::OK);
        let policy = answer.headers()[CONTENT_SECURITY_POLICY].to_str().expect("text");
        assert!(policy.contains(&allowed), "{policy}");
        assert!(policy.ends_with("form-action 'none'"), "{policy}");
        assert!(!html.contains("http://") && !html.contains("https://"), "the page names another server");
    }
}
