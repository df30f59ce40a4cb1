//! Characters that a user does not see. They come along when an id or a URL is copied, and a server answers them with
//! no more than `invalid_client`.

use std::borrow::Cow;

/// Whether a character is white space, a control, or has no width of its own (Unicode: `White_Space`, `Cc`,
/// `Default_Ignorable_Code_Point`).
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The text without the invisible characters at its ends.
pub fn trim(text: &str) -> &str {
    text.trim_matches(is_invisible)
}

/// The end of a sentence about the first invisible character, such as "has an invisible character (U+200B) in it". A
/// plain space counts only if `spaces` is false.
pub fn inside(text: &str, spaces: bool) -> Option<String> {
    let c = text.chars().find(|c| is_invisible(*c) && !(spaces && *c == ' '))?;
    Some(match c {
        ' ' => "has a space in it".into(),
        '\t' => "has a tab in it".into(),
        '\n' | '\r' => "has a line break in it".into(),
        c => format!("has an invisible character ({}) in it", code_point(c)),
    })
}

/// The text with invisible characters as `<U+200B>`, except plain spaces.
pub fn shown(text: &str) -> Cow<'_, str> {
    if inside(text, true).is_none() {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if c != ' ' && is_invisible(c) => shown.push_str(&format!("<{}>", code_point(c))),
            c => shown.push(c),
        }
    }
    shown.into()
}

fn code_point(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_are_trimmed_of_all_that_is_not_seen() {
        for end in [
            " ",
            "\t",
            "\r\n",
            "\u{a0}",
            "\u{200b}",
            "\u{2060}",
            "\u{feff}",
            "\u{202e}",
            "\u{3000}",
            "\u{ad}",
            " \n \u{feff}",
        ] {
            assert_eq!(trim(&format!("{end}a b\u{200b}c{end}")), "a b\u{200b}c", "{end:?}");
            assert_eq!(trim(end), "", "{end:?}");
        }
        assert_eq!(trim("größe 😀"), "größe 😀");
    }

    #[test]
    fn what_is_inside_is_named() {
        for (text, why) in [
            ("a\u{200b}b", Some("has an invisible character (U+200B) in it")),
            ("a\u{a0}b", Some("has an invisible character (U+00A0) in it")),
            ("a\nb", Some("has a line break in it")),
            ("a\tb", Some("has a tab in it")),
            ("a b", None),
            ("größe", None),
        ] {
            assert_eq!(inside(text, true).as_deref(), why, "{text:?}");
        }
        assert_eq!(inside("a b", false).as_deref(), Some("has a space in it"));
        assert_eq!(shown("a b\u{200b}\u{feff}"), "a b<U+200B><U+FEFF>");
        assert_eq!(shown("a b"), "a b");
    }
}
