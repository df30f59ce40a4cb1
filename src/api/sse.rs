//! Server-sent events: bytes in, events out. No I/O, no waiting, no JSON.
//!
//! Decodes the format of the WHATWG's HTML standard, section 9.2.6, for a client that never reconnects: `id` and
//! `retry` are ignored. llama.cpp sends errors in a field `error`; it becomes an event of that name. The work is linear
//! in the bytes, however they were cut into chunks.

use memchr::memchr2;

/// The largest event that is kept in memory, in bytes: many times what any message needs.
pub const MAX_EVENT: usize = 8 * 1024 * 1024;

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// The `event` field. Empty if there is none, `error` if the event has an `error` field.
    pub name: &'a str,
    /// The `data` lines, joined by newlines; the `error` lines, if there are any.
    pub data: &'a str,
}

/// An event is larger than [`MAX_EVENT`].
#[derive(Debug, PartialEq, Eq)]
pub struct TooLarge;

/// Turns a stream's bytes into its events.
///
/// ```
/// use nexus::internal::api::sse::{Decoder, Event};
/// let mut decoder = Decoder::default();
/// decoder.push(b"event: greeting\nda");
/// assert_eq!(decoder.next_event(), Ok(None));
/// decoder.push(b"ta: hello\n\n");
/// assert_eq!(decoder.next_event(), Ok(Some(Event { name: "greeting", data: "hello" })));
/// assert!(decoder.is_between_events());
/// ```
#[derive(Debug, Default)]
pub struct Decoder {
    /// What was pushed and has not become a line yet; everything before `start` has.
    bytes: Vec<u8>,
    start: usize,
    /// How far the search for a line's end has come, so that no byte is searched twice.
    searched: usize,
    /// A carriage return ended the last line: a line feed right after it belongs to it.
    after_return: bool,
    /// The first line may begin with a byte order mark.
    past_first_line: bool,
    name: String,
    /// Every data line with a line feed after it, as the standard builds it.
    data: String,
    /// The event has an `error` field, and `data` its value.
    has_error: bool,
    /// `name` and `data` were handed out and make room for the next event.
    handed_out: bool,
}

impl Decoder {
    /// Takes in the next bytes, cut wherever the network cut them.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next complete event. `None` if it needs more bytes.
    ///
    /// # Errors
    /// [`TooLarge`]. The stream cannot be read further.
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, TooLarge> {
        if self.handed_out {
            self.forget();
        }
        while let Some((start, end)) = self.next_line() {
            if start < end {
                self.take(start, end);
            } else if self.data.is_empty() {
                // An event without data is dropped (the standard's dispatch, step 2).
                self.forget();
            } else {
                self.handed_out = true;
                return Ok(Some(Event { name: &self.name, data: &self.data[..self.data.len() - 1] }));
            }
            if self.data.len() > MAX_EVENT {
                return Err(TooLarge);
            }
        }
        if self.data.len() + (self.bytes.len() - self.start) > MAX_EVENT { Err(TooLarge) } else { Ok(None) }
    }

    /// The event that the stream ended in. `None` if it ended between events. It may be incomplete in any place.
    pub fn last_event(&mut self) -> Option<Event<'_>> {
        if self.handed_out {
            self.forget();
        }
        let (start, end) = (self.start, self.bytes.len());
        self.take(start, end);
        (self.start, self.searched) = (end, end);
        let data = self.data.strip_suffix('\n')?;
        self.handed_out = true;
        Some(Event { name: &self.name, data })
    }

    /// Whether no part of an unfinished event is held. A stream that ends elsewhere was cut.
    pub fn is_between_events(&self) -> bool {
        self.start == self.bytes.len() && (self.handed_out || (self.data.is_empty() && self.name.is_empty()))
    }

    fn forget(&mut self) {
        self.name.clear();
        self.data.clear();
        self.has_error = false;
        self.handed_out = false;
    }

    /// Where the next line begins and ends in `bytes`, without its line ending: LF, CR or CRLF. A
    /// CR counts at once, for the LF that may follow could be a long time coming.
    fn next_line(&mut self) -> Option<(usize, usize)> {
        if self.after_return && self.start < self.bytes.len() {
            self.after_return = false;
            if self.bytes[self.start] == b'\n' {
                self.start += 1;
                self.searched = self.start;
            }
        }
        let rest = &self.bytes[self.searched..];
        let Some(length) = memchr2(b'\n', b'\r', rest) else {
            self.searched = self.bytes.len();
            return None;
        };
        let (mut start, end) = (self.start, self.searched + length);
        self.after_return = self.bytes[end] == b'\r';
        self.start = end + 1;
        self.searched = self.start;
        if !self.past_first_line {
            self.past_first_line = true;
            if self.bytes[start..end].starts_with("\u{feff}".as_bytes()) {
                start += '\u{feff}'.len_utf8();
            }
        }
        Some((start, end))
    }

    /// Takes in one field. A line that begins with a colon is a comment, its field name is empty.
    fn take(&mut self, start: usize, end: usize) {
        let line = &self.bytes[start..end];
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &line[line.len()..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let is_error = field == b"error";
        if is_error && !self.has_error {
            self.has_error = true;
            self.name = "error".into();
            self.data.clear();
        }
        match field {
            b"event" if !self.has_error => {
                self.name.clear();
                push_lossy(&mut self.name, value);
            }
            b"data" | b"error" if is_error == self.has_error => {
                push_lossy(&mut self.data, value);
                self.data.push('\n');
            }
            _ => {}
        }
    }
}

/// Appends bytes of UTF-8, with U+FFFD for those that are not.
fn push_lossy(text: &mut String, bytes: &[u8]) {
    // Checks ASCII a word at a time; `from_utf8_lossy` goes byte by byte.
    match std::str::from_utf8(bytes) {
        Ok(valid) => text.push_str(valid),
        Err(_) => text.push_str(&String::from_utf8_lossy(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Owned = (String, String);

    /// Feeds a stream in pieces and collects what comes out, and whether it ended between events.
    fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Owned>, bool) {
        let mut decoder = Decoder::default();
        let mut events = Vec::new();
        for chunk in chunks {
            decoder.push(chunk);
            while let Some(event) = decoder.next_event().expect("no event is too large here") {
                events.push((event.name.to_owned(), event.data.to_owned()));
            }
        }
        (events, decoder.is_between_events())
    }

    fn whole(stream: &[u8]) -> Vec<Owned> {
        decode([stream]).0
    }

    fn event(name: &str, data: &str) -> Owned {
        (name.into(), data.into())
    }

    #[test]
    fn the_standard_is_followed() {
        let table: &[(&str, Vec<Owned>)] = &[
            ("event: a\ndata: 1\n\n", vec![event("a", "1")]),
            ("event: a\rdata: 1\r\r", vec![event("a", "1")]),
            ("event: a\r\ndata: 1\r\n\r\n", vec![event("a", "1")]),
            ("event: a\r\ndata: 1\n\revent: b\rdata: 2\n\n", vec![event("a", "1"), event("b", "2")]),
            ("\u{feff}data: 1\n\n\u{feff}data: 2\n\n", vec![event("", "1")]),
            ("\u{feff}\ndata: 1\n\n", vec![event("", "1")]),
            (": comment\ndata: 1\n:another\n\n", vec![event("", "1")]),
            ("data: YHOO\ndata: +2\ndata: 10\n\n", vec![event("", "YHOO\n+2\n10")]),
            ("data\n\ndata\ndata\n\ndata:", vec![event("", ""), event("", "\n")]),
            (
                "data:test\n\ndata: test\n\ndata:  test \n\n",
                vec![event("", "test"), event("", "test"), event("", " test ")],
            ),
            ("id: 7\nretry: 10\ndata: 1\n\n", vec![event("", "1")]),
            ("event: lost\n\ndata: 1\n\n", vec![event("", "1")]),
            ("event: a\nevent: b\ndata: 1\n\n", vec![event("b", "1")]),
            ("data: {\"a\":\"b:c\\n\\n\"}\n\n", vec![event("", "{\"a\":\"b:c\\n\\n\"}")]),
            ("data : no field\nDATA: nor this\n\n", vec![]),
            ("data: unfinished\n", vec![]),
            ("data: unfinished", vec![]),
            ("\n\n\r\r\n\n", vec![]),
            ("", vec![]),
        ];
        for (stream, events) in table {
            assert_eq!(&whole(stream.as_bytes()), events, "{stream:?}");
        }
    }

    #[test]
    fn a_field_error_is_an_event_of_its_own_name() {
        for stream in
            ["error: 1\n\n", "error:1\n\n", "event: a\ndata: 2\nerror: 1\n\n", "error: 1\nevent: a\ndata: 2\n\n"]
        {
            assert_eq!(
                whole(format!("{stream}data: 3\n\n").as_bytes()),
                [event("error", "1"), event("", "3")],
                "{stream:?}"
            );
        }
    }

    #[test]
    fn the_event_that_a_stream_ends_in_is_the_last() {
        for (stream, last) in [
            ("event: a\ndata: 1\n", Some(event("a", "1"))),
            ("data: 0\n\nevent: a\ndata: 1", Some(event("a", "1"))),
            ("data: 1\r\n: ping", Some(event("", "1"))),
            ("data: 1\ndat", Some(event("", "1"))),
            ("data: 1\n\n", None),
            ("data: 1\n\nevent: a\n", None),
            ("", None),
        ] {
            let mut decoder = Decoder::default();
            decoder.push(stream.as_bytes());
            while decoder.next_event() != Ok(None) {}
            let ended = decoder.last_event().map(|event| (event.name.to_owned(), event.data.to_owned()));
            assert_eq!(ended, last, "{stream:?}");
            assert_eq!(decoder.last_event(), None, "{stream:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(whole(b"event: \xff\ndata: a\xc3\n\n"), [event("\u{fffd}", "a\u{fffd}")]);
    }

    #[test]
    fn an_end_inside_an_event_shows() {
        for (stream, between) in [
            ("", true),
            ("data: 1\n\n", true),
            ("data: 1\r\n\r\n", true),
            ("data: 1\n\n: ping\n", true),
            ("data: 1\n", false),
            ("data: 1\n\nd", false),
            ("event: a\n", false),
        ] {
            assert_eq!(decode([stream.as_bytes()]).1, between, "{stream:?}");
        }
    }

    #[test]
    fn an_endless_event_is_refused_however_it_grows() {
        let line = [b"data: ".as_slice(), &[b'x'; 100_000], b"\n"].concat();
        for (opening, piece) in [(b"data: ".as_slice(), vec![b'x'; 100_000]), (b"", line), (b": ", vec![b'x'; 100_000])]
        {
            let mut decoder = Decoder::default();
            decoder.push(opening);
            let refused = (0..MAX_EVENT / 100_000 + 2).any(|_| {
                decoder.push(&piece);
                decoder.next_event() == Err(TooLarge)
            });
            assert!(refused, "{opening:?}");
        }
    }

    #[test]
    fn no_byte_is_searched_or_moved_more_than_a_few_times() {
        // Quadratic work on these bytes would take minutes and be noticed without a clock.
        let mut decoder = Decoder::default();
        decoder.push(b"data: ");
        for _ in 0..MAX_EVENT - 16 {
            decoder.push(b"x");
            assert_eq!(decoder.next_event(), Ok(None));
        }
        decoder.push(b"\n\n");
        assert_eq!(decoder.next_event().map(|event| event.map(|event| event.data.len())), Ok(Some(MAX_EVENT - 16)));
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_chunks_give_the_same_events(
            lines in proptest::collection::vec("(event|data|id|x|)(:| : ?)?[a-zü€😀\u{feff}]{0,6}(\r|\n|\r\n|\n\n|\r\r|\r\n\r\n)", 0..20),
            noise in proptest::collection::vec(any::<u8>(), 0..40),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let mut stream = lines.concat().into_bytes();
            stream.extend(noise);
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let chunks = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]);
            let at_once = decode([&stream[..]]);
            prop_assert_eq!(&decode(chunks), &at_once);
            prop_assert_eq!(&decode(stream.chunks(1)), &at_once);
        }
    }
}
