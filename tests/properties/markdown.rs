use nexus::internal::clean;

use super::Rendered;

/// The widest terminal.
const WIDTHS: usize = 120;

/// The first byte is the width of the terminal and the size of chunks. The output does not depend on how the input is
/// split, is in proportion to it, acts on no terminal, and has all of its letters and of its
/// backslashes that are no escapes.
pub(crate) fn holds(input: &[u8]) {
    let Some((seed, rest)) = input.split_first() else { return };
    let (width, size) = (usize::from(*seed) % WIDTHS + 1, usize::from(*seed) % 7 + 2);
    let text = String::from_utf8_lossy(rest);
    let characters: Vec<char> = text.chars().collect();
    for colored in [false, true] {
        let whole = rendered([&*text], width, colored);
        for size in [1, size] {
            let chunks: Vec<String> = characters.chunks(size).map(|chunk| chunk.iter().collect()).collect();
            assert!(rendered(chunks.iter().map(|chunk| &**chunk), width, colored) == whole);
        }
        assert!(whole.len() <= 70 * text.len() + 4_000);
        if colored {
            continue;
        }
        assert!(clean::visible(&whole) == whole);
        // A table may repeat its head, a reference is another character, and an address may be the text of its link.
        if !text.contains(['|', '&', '<']) && !text.contains("![") && !text.contains("](") {
            assert!(letters(&whole) == letters(&clean::visible(&text)));
            assert!(whole.matches('\\').count() >= backslashes(&text));
        }
    }
}

fn rendered<'a>(pieces: impl IntoIterator<Item = &'a str>, width: usize, colored: bool) -> String {
    let mut rendered = Rendered::new(width, colored);
    let shown: String = pieces.into_iter().map(|piece| rendered.push(piece)).collect();
    shown + &rendered.finish()
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect()
}

/// The number of backslashes that can be no escape and no line break.
fn backslashes(text: &str) -> usize {
    let after = text.split('\\').skip(1).map(|after| after.chars().next());
    after.filter(|next| next.is_some_and(|c| !c.is_whitespace() && !"*_`~!<>[]|&$#+-=.)".contains(c))).count()
}
