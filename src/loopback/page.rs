//! The pages that a person sees in a browser, and the headers of every answer on loopback.
//!
//! A page has no script and fetches nothing. Text from elsewhere reaches it through [`escape`]
//! alone, and should that ever fail, the content security policy lets nothing run or load.

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

/// What a page is about, which decides its sign and its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// It worked.
    Done,
    /// It did not.
    Failed,
    /// Something is to be decided.
    #[cfg(feature = "sandbox")]
    Asking,
    /// Something is to be known.
    Notice,
}

/// A page. Everything in it is HTML already.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    /// The window's title and the headline, as text: it is escaped here.
    pub title: &'a str,
    /// What it is about.
    pub tone: Tone,
    /// A line above the headline, such as whose page this is; empty for none.
    pub label: &'a str,
    /// What stands below the headline.
    pub body: String,
    /// The last line.
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
        // Each part is put in once and never searched again, so no part can name another's place.
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

    /// The answer that shows this page.
    pub(crate) fn answer(&self, status: StatusCode) -> Response<Full<Bytes>> {
        let mut response = text(status, &self.html());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        response
    }
}

/// An answer of plain text.
pub(crate) fn text(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(body.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    harden(&mut response, None);
    response
}

/// An answer that leads elsewhere.
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

/// The answer to a method that a path does not know.
pub(crate) fn method_not_allowed(allowed: &'static str) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, &format!("only {allowed} is allowed here\n"));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// Sets the headers that every answer to a browser carries: it may run, load, frame and keep
/// nothing, and tells nobody where it came from. A form may be sent to `form_action` alone.
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
        // The server says so itself to HTTP/1.1 alone.
        (CONNECTION, "close"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Text as it may stand in HTML, inside an element or a quoted attribute.
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

/// A sentence with its commands between backticks, as HTML.
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
