//! Links, HTML tags and character references in running text.

use super::work::work;

/// The longest address, title or tag, in bytes.
const LONGEST: usize = 2_000;

/// The deepest brackets within an address (CommonMark, "Links").
const DEPTH: usize = 32;

/// The address and the title behind the text of a link.
#[derive(Debug, PartialEq)]
pub(super) struct Target<'a> {
    pub(super) address: &'a str,
    pub(super) title: &'a str,
    /// The length with its brackets.
    pub(super) length: usize,
}

/// What was found at the beginning of a text.
#[derive(Debug, PartialEq)]
pub(super) enum Found<T> {
    Yes(T),
    No,
    /// Text to come decides.
    Unfinished,
}

/// Reads `(address "title")`.
pub(super) fn target(text: &str) -> Found<Target<'_>> {
    let text = &text[..text.floor_char_boundary(LONGEST)];
    let Some(inner) = text.strip_prefix('(') else { return Found::No };
    let inner = inner.trim_start();
    let address = match inner.strip_prefix('<') {
        Some(bracketed) => match bracketed.find(['<', '>', '\n']) {
            None => return Found::Unfinished,
            Some(end) if bracketed[end..].starts_with('>') => &bracketed[..end],
            Some(_) => return Found::No,
        },
        None => match end_of_address(inner) {
            Some(end) => &inner[..end],
            None if text.len() + 4 > LONGEST => return Found::No,
            None => return Found::Unfinished,
        },
    };
    let after = &inner[address.len() + if inner.starts_with('<') { 2 } else { 0 }..];
    let rest = after.trim_start();
    let (title, rest) = match rest.chars().next() {
        Some(quote @ ('"' | '\'')) if rest.len() < after.len() => match rest[1..].find(quote) {
            Some(end) => (&rest[1..=end], rest[end + 2..].trim_start()),
            None => return Found::Unfinished,
        },
        _ => ("", rest),
    };
    match rest.chars().next() {
        Some(')') => Found::Yes(Target { address, title, length: text.len() - rest.len() + 1 }),
        Some(_) => Found::No,
        None => Found::Unfinished,
    }
}

/// Where an address without brackets around it ends. None if it may go on.
fn end_of_address(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        work(1);
        match c {
            '(' if depth == DEPTH => return Some(at),
            '(' => depth += 1,
            ')' if depth == 0 => return Some(at),
            ')' => depth -= 1,
            c if c.is_whitespace() || c.is_control() => return Some(at),
            _ => {}
        }
    }
    None
}

/// An HTML tag, or an address in angle brackets.
#[derive(Debug, PartialEq)]
pub(super) enum Angle<'a> {
    /// The tag with its brackets.
    Tag(&'a str),
    /// The address without its brackets.
    Address(&'a str),
}

/// Reads what begins with `<`.
pub(super) fn angle(text: &str) -> Found<Angle<'_>> {
    let inner = &text[1..text.floor_char_boundary(LONGEST)];
    if !inner.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')) {
        return Found::No;
    }
    let Some(end) = inner.find(['<', '>']) else {
        return if text.len() < LONGEST { Found::Unfinished } else { Found::No };
    };
    if inner[end..].starts_with('<') {
        return Found::No;
    }
    let inside = &inner[..end];
    let scheme = inside.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
    let is_scheme = scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c));
    let is_email = inside.split_once('@').is_some_and(|(name, host)| !name.contains(['"', '=']) && host.contains('.'));
    if !inside.contains(char::is_whitespace) && (is_scheme || is_email) {
        return Found::Yes(Angle::Address(inside));
    }
    Found::Yes(Angle::Tag(&text[..end + 2]))
}

/// Names of characters in HTML that are frequent in prose. Others stay as they are written.
const NAMES: &[(&str, char)] = &[
    ("amp", '&'),
    ("apos", '\''),
    ("asymp", '≈'),
    ("bull", '•'),
    ("cent", '¢'),
    ("copy", '©'),
    ("darr", '↓'),
    ("deg", '°'),
    ("divide", '÷'),
    ("euro", '€'),
    ("ge", '≥'),
    ("gt", '>'),
    ("harr", '↔'),
    ("hellip", '…'),
    ("infin", '∞'),
    ("laquo", '«'),
    ("larr", '←'),
    ("ldquo", '“'),
    ("le", '≤'),
    ("lsquo", '‘'),
    ("lt", '<'),
    ("mdash", '—'),
    ("micro", 'µ'),
    ("middot", '·'),
    ("nbsp", '\u{a0}'),
    ("ndash", '–'),
    ("ne", '≠'),
    ("para", '¶'),
    ("plusmn", '±'),
    ("pound", '£'),
    ("quot", '"'),
    ("raquo", '»'),
    ("rarr", '→'),
    ("rdquo", '”'),
    ("reg", '®'),
    ("rsquo", '’'),
    ("sect", '§'),
    ("times", '×'),
    ("trade", '™'),
    ("uarr", '↑'),
    ("yen", '¥'),
];

/// The character of a reference such as `&lt;` or `&#60;`, and the length of the reference.
pub(super) fn reference(text: &str) -> Option<(char, usize)> {
    let inner = &text[1..text.floor_char_boundary(12)];
    let (name, _) = inner.split_once(';')?;
    let number = |digits: &str, base| {
        let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_digit(base));
        is_number.then(|| u32::from_str_radix(digits, base).ok().and_then(char::from_u32).unwrap_or('\u{fffd}'))
    };
    let c = match name.strip_prefix('#') {
        Some(digits) => match digits.strip_prefix(['x', 'X']) {
            Some(digits) => number(digits, 16)?,
            None => number(digits, 10)?,
        },
        None => NAMES.iter().find(|(known, _)| *known == name)?.1,
    };
    Some((c, name.len() + 2))
}
