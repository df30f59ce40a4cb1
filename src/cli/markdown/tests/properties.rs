//! Properties that hold for any input.

use proptest::prelude::*;

use super::{bare, property, rendered};

/// Markup, words and other characters in any order.
fn markdown() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "[A-Z]{1,9}",
        3 => Just(" ".to_owned()),
        3 => Just("\n".to_owned()),
        6 => prop::sample::select(vec![
            "\n\n", "  \n", "\\\n", "\r\n", "\t", "    ", "  ", "# ", "## ", "- ", "* ", "1. ", "2) ", "> ", "```", "````rust\n",
            "~~~", "`", "``", "*", "**", "_", "~~", "[", "]", "](", ")", "(", "![", "<", ">", "<DIV>", "</DIV>", "|", "|\n|-|-|\n",
            "---", "===", "\\", "!", "[X]: ", "[ ] ", "日本", "。", "👩‍👧", "e\u{301}", "\u{1b}[2J", "\u{202e}", "\u{7f}", "\r", "\u{0}",
            "https://H/", "\"", "'", ":", "&", "\u{a0}",
        ]).prop_map(str::to_owned),
    ];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

/// Lines of words, digits, operators and punctuation, each of which begins with a word.
fn prose() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "[a-z]{1,5}",
        2 => "[0-9]{1,3}",
        4 => Just(" ".to_owned()),
        1 => prop::sample::select(vec!["日本", "。", "「", "」", "é", "ก"]).prop_map(str::to_owned),
        6 => prop::sample::select(vec![
            "*", "**", "***", "_", "__", "~~", "~", "`", "``", "$", "$$", "\\(", "\\)", "\\[", "\\]", "\\a", "\\*", "\\", "{", "}", "(",
            ")", "[", "]", "+", "-", "=", "/", "^", ".", ",", ";", ":", "!", "?", "#", "%", "\"", "'", "@", "> ",
        ]).prop_map(str::to_owned),
    ];
    let line = ("[a-z]{1,5}", prop::collection::vec(part, 0..20)).prop_map(|(word, parts)| word + &parts.concat());
    prop::collection::vec(line, 1..4).prop_map(|lines| lines.join("\n"))
}

/// Lines of words with any space before and between them.
fn poem() -> impl Strategy<Value = String> {
    let words = prop::collection::vec(("[a-z,;]{1,8}|[a-z]{1,3}\\\\[a-z:,%{}]{1,3}|[見東]{1,4}", 1_usize..7), 1..8);
    let line = (0_usize..4, words).prop_map(|(indent, words)| {
        let words: String = words.iter().map(|(word, after)| format!("{word}{}", " ".repeat(*after))).collect();
        format!("{}{}", " ".repeat(indent), words.trim_end())
    });
    prop::collection::vec((line, 1_usize..5), 1..6)
        .prop_map(|lines| lines.into_iter().map(|(line, after)| line + &"\n".repeat(after)).collect())
}

/// The characters that are neither white space nor one of these marks.
fn kept(text: &str, marks: &[char]) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !marks.contains(c)).collect()
}

#[test]
fn the_properties_hold_of_the_corpus() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/properties/corpus/markdown");
    let files: Vec<_> = std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    for path in files {
        let input = std::fs::read(&path).unwrap();
        let held = std::panic::catch_unwind(|| property::holds(&input));
        assert!(held.is_ok(), "{} breaks a property", path.display());
    }
}

fn letters(text: &str) -> Vec<char> {
    let mut letters: Vec<_> = text.chars().filter(|c| c.is_ascii_uppercase() || !c.is_ascii()).collect();
    letters.sort_unstable();
    letters
}

/// The maximum width of the markers of lists and quotations before a word.
const MARKS: usize = 12;

/// Random Markdown of words that fit into any of the widths.
fn wordy() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[a-z]{1,7}",
        "[a-zäßé東京タワー한]{1,3}",
        "[😀👩‍👩‍👧é️…]{1,3}",
        "\\*\\*[a-z]{1,5}\\*\\*",
        "\\*[a-z]{1,5}\\*",
        "~~[a-z]{1,5}~~",
        "_[a-z]{1,5}",
        "`[a-z]{1,5}`",
        "\\[[a-z]{1,4}\\]\\(h:[a-z]{1,5}\\)",
    ];
    let opening = prop::sample::select(vec![
        "",
        "",
        "",
        "# ",
        "## ",
        "> ",
        "> > ",
        "- ",
        "  - ",
        "* [ ] ",
        "1. ",
        "10. ",
        "> - ",
        "---",
        "| a | b |\n|---|---|\n| ",
    ]);
    let line = (opening, prop::collection::vec(word, 0..20))
        .prop_map(|(opening, words)| opening.to_owned() + &words.join(" "));
    let end = prop::sample::select(vec!["\n", "\n", "\n\n", "  \n"]);
    prop::collection::vec((line, end), 0..12)
        .prop_map(|lines| lines.into_iter().map(|(line, end)| line + end).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_properties_hold_of_any_markdown(source in markdown(), seed: u8) {
        property::holds(&[&[seed], source.as_bytes()].concat());
    }

    /// Only marks of emphasis and code are shown otherwise, and without colors not even those.
    #[test]
    fn prose_stays_as_it_was_written(source in prose(), width in 20_usize..100) {
        prop_assume!(!source.contains("]("));
        prop_assert_eq!(kept(&rendered(&[&source], width, false), &['\\']), kept(&source, &['\\']));
        let marks = ['\\', '*', '_', '~', '`'];
        prop_assert_eq!(kept(&bare(&rendered(&[&source], width, true)), &marks), kept(&source, &marks));
    }

    #[test]
    fn spaces_and_backslashes_stay_as_they_were_written(source in poem(), width in 24_usize..60, colored: bool) {
        prop_assert_eq!(rendered(&[&source], 200, colored), format!("{}\n", source.trim_end()));
        let narrow = rendered(&[&source], width, colored);
        prop_assert_eq!(kept(&narrow, &[]), kept(&source, &[]));
        for line in narrow.lines() {
            prop_assert!(unicode_width::UnicodeWidthStr::width(line) <= width, "{} columns: {:?}", width, line);
        }
    }

    #[test]
    fn pieces_make_no_difference(source in markdown(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6), width in 1_usize..60) {
        let mut places: Vec<_> = cuts.iter().map(|cut| source.floor_char_boundary(cut.index(source.len() + 1))).collect();
        places.sort_unstable();
        let (mut pieces, mut from) = (Vec::new(), 0);
        for at in places {
            pieces.push(&source[from..at]);
            from = at;
        }
        pieces.push(&source[from..]);
        prop_assert_eq!(rendered(&pieces, width, true), rendered(&[&source], width, true));
    }

    /// Exceptions are a long word, a code block and a table of very many columns.
    #[test]
    fn no_line_is_wider_than_the_terminal(source in wordy(), width in 24_usize..100, colored: bool) {
        for line in bare(&rendered(&[&source], width, colored)).lines() {
            prop_assert!(unicode_width::UnicodeWidthStr::width(line) <= width, "{} columns: {:?}", width, line);
        }
    }

    /// Text of any characters, without tables, code, HTML and words that are too long.
    #[test]
    fn no_line_of_any_characters_is_wider_either(lines in prop::collection::vec("(\\PC{1,6} ){0,20}", 0..8), width in 24_usize..100) {
        let source = lines.join("\n").replace(['|', '`', '~', '<', '\t'], "x").replace("  ", " ");
        for line in bare(&rendered(&[&source], width, false)).lines() {
            let wide = |text: &str| unicode_width::UnicodeWidthStr::width(text);
            let broken = line.split(' ').all(|word| wide(word) + MARKS <= width);
            prop_assert!(!broken || wide(line) <= width, "{} columns: {:?}", width, line);
        }
    }

    #[test]
    fn nothing_is_lost_and_nothing_acts(source in markdown(), width in 1_usize..60, colored: bool) {
        let shown = rendered(&[&source], width, colored);
        prop_assert!(shown.is_empty() || shown.ends_with('\n'));
        let bare = bare(&shown);
        prop_assert_eq!(&*nexus::internal::clean::visible(&bare), &*bare);
        prop_assert!(!bare.contains('\t'));
        // The name of a column may be printed with every row.
        let mut there = letters(&bare);
        for letter in letters(&nexus::internal::clean::visible(&source.replace('\r', ""))) {
            let at = there.iter().position(|other| *other == letter);
            prop_assert!(at.is_some(), "{:?} is gone from {:?}", letter, bare);
            there.remove(at.unwrap_or_default());
        }
    }

    #[test]
    fn lines_end_in_time_and_as_they_began(source in markdown(), width in 1_usize..60) {
        let shown = rendered(&[&source], width, true);
        for line in shown.lines() {
            if line.contains('\u{1b}') {
                prop_assert!(line.ends_with("\u{1b}[0m") || line.contains("\u{1b}[0m"), "{:?}", line);
                let last = line.rsplit('\u{1b}').next().unwrap_or_default();
                prop_assert!(last.starts_with("[0m"), "{:?} leaves its colors on", line);
            }
        }
    }
}
