//! Surrogate halves in JSON. Some services cut their text between the two halves of a character outside the Basic
//! Multilingual Plane, so that one delta ends with `\ud83d` and the next begins with `\ude00`. serde_json refuses such
//! a half, so it is marked before the JSON is parsed, and joined afterwards.

use std::borrow::Cow;

use super::meta::StreamEvent;

/// The first of the 2,048 characters that mark a half: one for each of U+D800 to U+DFFF. They are the last characters
/// of private use. They count as marks only in JSON that was marked.
const MARKS: u32 = 0x0010_f800;

/// The first surrogate.
const FIRST: u32 = 0xd800;

/// JSON with its unpaired halves marked. `None` if there are none.
pub(super) fn mark(json: &str) -> Option<String> {
    let mut marked = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(backslash) = json[at..].find('\\').map(|found| at + found) {
        // An escape of one character. What follows a backslash at the end is not JSON.
        at = backslash + 1 + json[backslash + 1..].chars().next().map_or(0, char::len_utf8);
        let Some(unit) = escaped_unit(&json[backslash..]) else { continue };
        at = backslash + 6;
        match unit {
            0xd800..=0xdbff if matches!(escaped_unit(&json[at..]), Some(0xdc00..=0xdfff)) => at += 6,
            0xd800..=0xdfff => {
                marked.push_str(&json[copied..backslash]);
                marked.extend(char::from_u32(MARKS + unit - FIRST));
                copied = at;
            }
            _ => {}
        }
    }
    (copied > 0).then(|| marked + &json[copied..])
}

/// JSON with its unpaired halves replaced, for text that is not continued.
pub(super) fn replaced(json: &str) -> Cow<'_, str> {
    match mark(json) {
        Some(marked) => marked.replace(|c| half(c).is_some(), "\u{fffd}").into(),
        None => json.into(),
    }
}

/// The UTF-16 code unit that this text begins with, as an escape.
fn escaped_unit(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    // `from_str_radix` accepts a sign.
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
}

/// The half that a character marks.
fn half(c: char) -> Option<u32> {
    u32::from(c).checked_sub(MARKS).map(|offset| FIRST + offset)
}

/// Joins the marked halves of consecutive deltas.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    /// The first half that the last delta ended with, and whether that was thinking.
    open: Option<(bool, u32)>,
}

impl Joiner {
    /// A delta with its halves joined. A half that has no other becomes U+FFFD.
    pub(super) fn join(&mut self, event: StreamEvent, is_marked: bool) -> StreamEvent {
        match event {
            StreamEvent::Text(text) => match self.joined(text, false, is_marked) {
                text if text.is_empty() => StreamEvent::Nothing,
                text => StreamEvent::Text(text),
            },
            StreamEvent::Thinking(text) => match self.joined(text, true, is_marked) {
                text if text.is_empty() => StreamEvent::Nothing,
                text => StreamEvent::Thinking(text),
            },
            other => other,
        }
    }

    /// What takes the place of an open half before an event that does not continue it.
    pub(super) fn close_before(&mut self, event: &StreamEvent) -> Option<StreamEvent> {
        let continues = match event {
            StreamEvent::Nothing => return None,
            StreamEvent::Text(_) => Some(false),
            StreamEvent::Thinking(_) => Some(true),
            StreamEvent::Stop => None,
        };
        let (thinking, _) = self.open.take_if(|(thinking, _)| continues != Some(*thinking))?;
        let replacement = "\u{fffd}".to_owned();
        Some(if thinking { StreamEvent::Thinking(replacement) } else { StreamEvent::Text(replacement) })
    }

    fn joined(&mut self, text: String, thinking: bool, is_marked: bool) -> String {
        if self.open.is_none() && !is_marked {
            return text;
        }
        let mut joined = String::with_capacity(text.len() + 4);
        for c in text.chars() {
            let half = if is_marked { half(c) } else { None };
            if let (Some((_, first)), Some(second @ 0xdc00..=0xdfff)) = (self.open, half) {
                self.open = None;
                joined.extend(char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)));
                continue;
            }
            if self.open.take().is_some() {
                joined.push('\u{fffd}');
            }
            match half {
                Some(first @ 0xd800..=0xdbff) => self.open = Some((thinking, first)),
                Some(_) => joined.push('\u{fffd}'),
                None => joined.push(c),
            }
        }
        joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unpaired_halves_are_marked() {
        for (json, expected) in [
            (r#""a""#, None),
            (r#""\ud83d\ude00""#, None),
            (r#""\\ud83d""#, None),
            (r#""\u00e9\n\"""#, None),
            (r#""\ud83"#, None),
            (r#""\u+d83""#, None),
            (r#""\"#, None),
            (r#""a\ud83d""#, Some("\"a\u{fffd}\"")),
            (r#""\uDE00b""#, Some("\"\u{fffd}b\"")),
            (r#""\ud83d\ud83d\ude00""#, Some("\"\u{fffd}\\ud83d\\ude00\"")),
            (r#"["\\\ud83d","\ude00é"]"#, Some("[\"\\\\\u{fffd}\",\"\u{fffd}é\"]")),
        ] {
            assert_eq!(mark(json).is_some(), expected.is_some(), "{json}");
            assert_eq!(replaced(json), expected.unwrap_or(json), "{json}");
        }
    }

    #[test]
    fn halves_are_joined_within_and_across_deltas() {
        let mark = |unit: u32| char::from_u32(MARKS + unit - FIRST).unwrap();
        let (high, low) = (mark(0xd83d), mark(0xde00));
        for (deltas, expected) in [
            (vec![format!("a{high}"), format!("{low}b")], "a😀b"),
            (vec![format!("a{high}{low}b")], "a😀b"),
            (vec![format!("{high}"), "b".into()], "\u{fffd}b"),
            (vec![format!("{low}"), format!("{high}{high}"), format!("{low}")], "\u{fffd}\u{fffd}😀"),
        ] {
            let mut joiner = Joiner::default();
            let joined: String = deltas
                .iter()
                .map(|delta| match joiner.join(StreamEvent::Text(delta.clone()), delta.contains([high, low])) {
                    StreamEvent::Text(text) => text,
                    _ => String::new(),
                })
                .collect();
            assert_eq!(joined, expected, "{deltas:?}");
            assert_eq!(joiner.close_before(&StreamEvent::Stop), None);
        }
        let mut joiner = Joiner::default();
        assert_eq!(joiner.join(StreamEvent::Thinking(high.into()), true), StreamEvent::Nothing);
        let text = StreamEvent::Text(low.into());
        assert_eq!(joiner.close_before(&text), Some(StreamEvent::Thinking("\u{fffd}".into())));
        assert_eq!(joiner.join(text, true), StreamEvent::Text("\u{fffd}".into()));
        // Where nothing is marked, these characters are text.
        assert_eq!(joiner.join(StreamEvent::Text(high.into()), false), StreamEvent::Text(high.into()));
    }
}
