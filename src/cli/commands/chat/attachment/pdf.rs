//! How many pages a PDF has, where it says so in the open. Newer ones keep that in compressed streams;
//! those are for the service to count.

/// The pages, as the root of the last page tree counts them (ISO 32000-1, 7.7.3). A file that was changed has older trees
/// in it, too.
pub(super) fn pages(bytes: &[u8]) -> Option<usize> {
    let root = bytes.get(last(bytes, b"/Root")? + b"/Root".len()..)?;
    let catalog = object(bytes, reference(root)?)?;
    let tree = object(bytes, reference(member(catalog, b"/Pages")?)?)?;
    let count = member(tree, b"/Count")?;
    // It might stand elsewhere.
    if reference(count).is_some() { None } else { usize::try_from(number(count)?.0).ok() }
}

/// The object of this number, in its last version.
fn object(bytes: &[u8], (number, generation): (u64, u64)) -> Option<&[u8]> {
    let head = format!("{number} {generation} obj");
    let mut before = bytes;
    loop {
        let at = last(before, head.as_bytes())?;
        if !before[..at].last().is_some_and(u8::is_ascii_digit) {
            return bytes.get(at + head.len()..);
        }
        before = &before[..at];
    }
}

/// What stands behind this name in a dictionary, and not in one that it holds.
fn member<'a>(dictionary: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (mut rest, mut depth) = (dictionary.trim_ascii_start(), 0_usize);
    loop {
        rest = match rest {
            [b'<', b'<', rest @ ..] => {
                depth += 1;
                rest
            }
            [b'>', b'>', rest @ ..] => {
                depth = depth.checked_sub(1)?;
                rest
            }
            [b'/', ..] => {
                let end = 1 + rest[1..].iter().position(|byte| b" \t\r\n\0\x0c()<>[]{}/%".contains(byte))?;
                if depth == 1 && &rest[..end] == name {
                    return Some(&rest[end..]);
                }
                &rest[end..]
            }
            [_, rest @ ..] => rest,
            [] => return None,
        };
        if depth == 0 {
            return None;
        }
    }
}

/// A reference to an object: its number and its generation.
fn reference(bytes: &[u8]) -> Option<(u64, u64)> {
    let (object, rest) = number(bytes)?;
    let (generation, rest) = number(rest)?;
    (rest.trim_ascii_start().first() == Some(&b'R')).then_some((object, generation))
}

/// A whole number, and what follows it.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let bytes = bytes.trim_ascii_start();
    let (digits, rest) = bytes.split_at(bytes.iter().take_while(|byte| byte.is_ascii_digit()).count());
    Some((str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

/// Where these bytes stand last.
fn last(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).rposition(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted_where_the_last_tree_says_so() {
        let tree = |count: &str| {
            format!(
                "%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Names << /Pages 9 0 R >> /Pages 2 0 R >>\nendobj\n\
                 2 0 obj<</Kids[3 0 R]/Resources<</Count 9>>/Count {count}/Type/Pages>>\nendobj\n\
                 12 0 obj\n<</Count 8>>\nendobj\ntrailer\n<</Root 1 0 R /Size 4>>\n"
            )
        };
        for (pdf, counted) in [
            (tree("700"), Some(700)),
            (tree("700") + "2 0 obj <</Type/Pages/Count 5>> endobj\ntrailer <</Root 1 0 R>>", Some(5)),
            (tree("7 0 R"), None),
            (tree("-7"), None),
            (tree("99999999999999999999"), None),
            (tree("7").replace("/Root 1 0 R", "/Root 5 0 R"), None),
            ("%PDF-1.7\n".into(), None),
            (String::new(), None),
        ] {
            assert_eq!(pages(pdf.as_bytes()), counted, "{pdf}");
        }
        let whole = tree("700");
        for cut in 0..whole.len() {
            let _ = pages(&whole.as_bytes()[..cut]);
        }
    }
}
