//! What a response is: a stream of events or JSON. Gateways label it wrongly, so its first bytes decide.

/// What the content type says.
#[derive(Debug, Clone, Copy)]
pub(super) enum Declared {
    Events,
    Json,
    /// A type that says nothing about the content, or none (empty).
    Unclear(&'static str),
}

/// What the first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Events,
    Json,
    Other,
}

/// The content type of a stream of events.
pub(super) const EVENTS: &str = "text/event-stream";

/// Content types that servers send for content of any kind.
const UNCLEAR: &[&str] = &["", "text/plain", "application/octet-stream", "binary/octet-stream"];

/// The fields of server-sent events (WHATWG HTML, section 9.2.6), and llama.cpp's `error`.
const FIELDS: &[&str] = &["data", "event", "id", "retry", "error"];

impl Declared {
    /// The meaning of a media type. `None` for one that is certainly neither, such as HTML.
    pub(super) fn of(media_type: &str) -> Option<Self> {
        let lower = media_type.to_ascii_lowercase();
        if lower == EVENTS {
            return Some(Self::Events);
        }
        if lower == "application/json" || (lower.starts_with("application/") && lower.ends_with("+json")) {
            return Some(Self::Json);
        }
        UNCLEAR.iter().find(|kind| **kind == lower).map(|kind| Self::Unclear(kind))
    }
}

/// Removes a byte order mark and white space from the beginning of a response. Neither means anything there.
pub(super) fn trim_start(start: &mut Vec<u8>) {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    let text = start.strip_prefix(MARK).unwrap_or(start).trim_ascii_start();
    let blank = start.len() - text.len();
    start.drain(..blank);
}

/// The shape of a response that begins like this. `None` if it needs more bytes.
pub(super) fn shape(start: &[u8]) -> Option<Shape> {
    match start.first()? {
        b'{' | b'[' => return Some(Shape::Json),
        b':' => return Some(Shape::Events),
        _ if start.len() < 3 && "\u{feff}".as_bytes().starts_with(start) => return None,
        _ => {}
    }
    let field = FIELDS.iter().find(|field| {
        let length = field.len().min(start.len());
        start[..length] == field.as_bytes()[..length]
    });
    match field {
        Some(field) if start.len() <= field.len() => None,
        Some(field) if matches!(start[field.len()], b':' | b'\r' | b'\n') => Some(Shape::Events),
        _ => Some(Shape::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_events_from_json() {
        for (text, expected) in [
            ("data: 1", Some(Shape::Events)),
            ("\u{feff}\r\n\ndata:1", Some(Shape::Events)),
            (": ping", Some(Shape::Events)),
            ("event: a", Some(Shape::Events)),
            ("id\n", Some(Shape::Events)),
            ("retry: 1", Some(Shape::Events)),
            ("error: {}", Some(Shape::Events)),
            (" \n{", Some(Shape::Json)),
            ("[", Some(Shape::Json)),
            ("", None),
            ("\n", None),
            ("data", None),
            ("e", None),
            ("data is", Some(Shape::Other)),
            ("<html>", Some(Shape::Other)),
            ("OK", Some(Shape::Other)),
        ] {
            let mut start = text.as_bytes().to_vec();
            trim_start(&mut start);
            assert_eq!(shape(&start), expected, "{text:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_may_come_in_pieces() {
        let mut start = Vec::new();
        for byte in "\u{feff}da".bytes() {
            start.push(byte);
            trim_start(&mut start);
            assert_eq!(shape(&start), None);
        }
        assert_eq!(start, b"da");
    }
}
