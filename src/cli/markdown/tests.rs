//! Rendered examples, and properties that hold for any input.

use proptest::prelude::*;

use super::Rendered;

const ANSWER: &str = include_str!("../../../tests/it/snapshots/answer.md");

fn rendered(pieces: &[&str], width: usize, coloured: bool) -> String {
    let mut rendered = Rendered::new(width, coloured);
    let shown: String = pieces.iter().map(|piece| rendered.push(piece)).collect();
    shown + &rendered.finish()
}

fn plain(source: &str) -> String {
    rendered(&[source], 40, false)
}

/// Removes colours.
fn bare(shown: &str) -> String {
    let mut parts = shown.split('\u{1b}');
    let mut bare = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (sequence, text) = part.split_once('m').expect("a sequence ends");
        assert!(
            sequence.starts_with('[') && sequence[1..].chars().all(|c| c.is_ascii_digit() || c == ';'),
            "{sequence:?}"
        );
        bare.push_str(text);
    }
    bare
}

#[test]
fn blocks_look_like_what_they_are() {
    for (source, shown) in [
        ("", ""),
        ("\n\n", ""),
        ("one", "one\n"),
        ("one\ntwo", "one two\n"),
        ("one  \ntwo", "one\ntwo\n"),
        ("one\\\ntwo", "one\ntwo\n"),
        ("one\\", "one\\\n"),
        ("one \\\n", "one\\\n"),
        ("one\n\n\n\ntwo", "one\n\ntwo\n"),
        ("one\r\n\r\ntwo\r\n", "one\n\ntwo\n"),
        ("# One #\ntwo", "# One\ntwo\n"),
        ("one\n## Two", "one\n\n## Two\n"),
        ("#one", "#one\n"),
        ("One\n===\ntwo", "One\n═══\ntwo\n"),
        ("One\n---\n", "One\n───\n"),
        ("***", "────────────────────────────────────────\n"),
        ("- one\n- two", "• one\n• two\n"),
        ("- one\n\n- two", "• one\n\n• two\n"),
        ("- one\ntwo\n\nthree", "• one two\n\nthree\n"),
        ("- one\n\n  two\n\nthree", "• one\n\n  two\n\nthree\n"),
        ("* one\n  + two\n    - three\n* four", "• one\n  ◦ two\n    ▪ three\n• four\n"),
        ("- - one", "• ◦ one\n"),
        ("-\n  one", "• one\n"),
        ("-", "•\n"),
        ("-one", "-one\n"),
        ("1. one\n1. two", "1. one\n2. two\n"),
        ("3) one\n4) two", "3) one\n4) two\n"),
        ("9. one\n10. two\n    - three", "9. one\n10. two\n    • three\n"),
        ("1. one\n\n```\nx\n```\n\n2. two", "1. one\n\n──\nx\n──\n\n2. two\n"),
        ("one\n2023. two", "one 2023. two\n"),
        ("- [ ] one\n- [x] two\n- [x]three", "[ ] one\n[x] two\n• [x]three\n"),
        ("> one\ntwo\n> > three", "│ one two\n│ │ three\n"),
        ("> one\n>\n> two\n\n> three", "│ one\n│\n│ two\n\n│ three\n"),
        ("> - one\n>   two", "│ • one two\n"),
        ("```sh\na\tb\n\n  c\n```\nd", "── sh\na   b\n\n  c\n──\n\nd\n"),
        ("~~~\n```\n~~~", "──\n```\n──\n"),
        ("````\n```\n````", "──\n```\n──\n"),
        ("```\nopen", "──\nopen\n──\n"),
        ("1. one\n   ```\n   two\n   ```", "1. one\n   ──\n   two\n   ──\n"),
        ("- ```\n  x\n  ```", "• ──\n  x\n  ──\n"),
        ("    one\n\n      two\n\nthree", "──\none\n\n  two\n──\n\nthree\n"),
        ("\tone", "──\none\n──\n"),
        ("```a``` b", "`a` b\n"),
        ("<div>\n  *x*\n</div>\n\n*y*", "<div>\n  *x*\n</div>\n\ny\n"),
        ("<divé *x*", "<divé x\n"),
        ("<!-- a\n\nb -->\nc", "<!-- a\n\nb -->\nc\n"),
        ("a<br>b <T> c", "a\nb <T> c\n"),
        ("[a]: b\n[c]: d\n[^1]: e", "[a]: b\n[c]: d\n[^1]: e\n"),
        ("|a|b|\n|-|:-:|\n|1|234|\n|`x\\|y`|", "a     │  b\n──────┼────\n1     │ 234\n`x|y` │\n"),
        ("|a|\n|-|\n|b<br>c|\n|d|", "a\n─\nb\nc\n─\nd\n"),
        ("a | b\n--|--\n1 | 2", "a | b\n──┼──\n1 │ 2\n"),
        ("|one| two", "|one| two\n"),
        ("one\n|a|\n|-|\n|b|\ntwo", "one\n\na\n─\nb\n\ntwo\n"),
    ] {
        assert_eq!(plain(source), shown, "{source:?}");
    }
}

#[test]
fn markup_in_a_line_is_read_and_what_is_none_stays() {
    for (source, shown) in [
        ("*a* **b** ***c*** ~~d~~ `e`", "a b c ~~d~~ `e`\n"),
        ("**a b**c", "a bc\n"),
        ("2 * 3 * 4 a_b_c ~5 ~6", "2 * 3 * 4 a_b_c ~5 ~6\n"),
        ("**never closed", "**never closed\n"),
        ("`never closed", "`never closed\n"),
        ("[never](closed", "[never](closed\n"),
        ("[never", "[never\n"),
        ("a <b", "a <b\n"),
        ("\\*a\\* \\\\*b*", "*a* \\b\n"),
        ("&lt;&amp;&nbsp", "<&&nbsp\n"),
        ("``a ` b``", "`a ` b`\n"),
        ("*a\nb*", "a b\n"),
        ("`a\nb`", "`a b`\n"),
        ("**a  \nb**", "a\nb\n"),
        ("[a](u)", "a (u)\n"),
        ("[a](u \"t v\")", "a (u \"t v\")\n"),
        ("<https://h/x_y_z>", "https://h/x_y_z\n"),
        ("[https://h](https://h)", "https://h\n"),
        ("![](u) ![b](v)", "image (u) b (v)\n"),
        ("[a] [b][c] d[0] e[^1]", "[a] [b][c] d[0] e[^1]\n"),
        ("中**粗体。**中", "中粗体。中\n"),
    ] {
        assert_eq!(plain(source), shown, "{source:?}");
    }
}

#[test]
fn lines_are_wrapped_between_words_and_wide_characters_only() {
    for (source, shown) in [
        ("aaa bbb ccc ddd", "aaa bbb\nccc ddd\n"),
        ("aaaa bbbbb cc", "aaaa\nbbbbb cc\n"),
        ("a https://example.com/long b", "a\nhttps://example.com/long\nb\n"),
        ("- aa bbb ccc", "• aa bbb\n  ccc\n"),
        ("日本語の文章。です", "日本語の\n文章。で\nす\n"),
        ("日本語の。文章", "日本語\nの。文章\n"),
        ("👩‍👩‍👧 👍🏽👍🏽 👍🏽", "👩‍👩‍👧 👍🏽👍🏽\n👍🏽\n"),
        (
            "e\u{301}e\u{301}e\u{301} e\u{301}e\u{301}e\u{301} e\u{301}",
            "e\u{301}e\u{301}e\u{301} e\u{301}e\u{301}e\u{301}\ne\u{301}\n",
        ),
        ("# aaa bbb ccc", "# aaa\nbbb ccc\n"),
        ("|aaa|bbb|\n|-|-|\n|c c c|d|", "aaa │ bbb\n────┼────\nc c │ d\nc   │\n"),
        ("|aaaaa|bbbbb|\n|-|-|\n|c|d|", "aaaaa: c\nbbbbb: d\n"),
    ] {
        let width = if source.starts_with('|') && source.contains("aaaaa") || !source.starts_with('|') { 8 } else { 9 };
        assert_eq!(rendered(&[source], width, false), shown, "{source:?}");
    }
}

#[test]
fn what_can_be_shown_is_shown() {
    let mut rendered = Rendered::new(40, false);
    for (piece, shown) in [
        ("He", ""),
        ("llo ", "Hello"),
        ("wor", ""),
        ("ld **bo", " world"),
        ("ld and** ", " bold and"),
        ("on\n", " on"),
        ("\n- it", "\n\n"),
        ("em ", "• item"),
        ("`a b", ""),
        ("` c\n```sh\n", " `a b` c\n\n── sh\n"),
        ("x", ""),
        ("\n", "x\n"),
        ("```\n日本語", "──\n\n日本"),
        ("の", "語"),
    ] {
        assert_eq!(rendered.push(piece), shown, "after {piece:?}");
    }
    assert_eq!(rendered.finish(), "の\n");
}

#[test]
fn usual_languages_are_highlighted() {
    let usual = "bash c cpp csharp css diff dockerfile go haskell html java javascript json jsx kotlin lua makefile markdown perl php \
                 python ruby rust scala sh shell sql swift toml ts tsx typescript xml yaml yml zig elixir hcl ini nix";
    let unknown: Vec<_> = usual.split(' ').filter(|language| !super::code::knows(language)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(!super::code::knows("nosuchlanguage"));
}

#[test]
fn code_keeps_its_colours_from_line_to_line() {
    let shown = rendered(&["```rust\n/* one\ntwo */ let x = \"s\";\n```"], 40, true);
    assert_eq!(
        shown,
        "\u{1b}[2m── rust\u{1b}[0m\n\u{1b}[2m/* one\u{1b}[0m\n\u{1b}[2mtwo */\u{1b}[0m \u{1b}[35mlet\u{1b}[0m x = \
         \u{1b}[32m\"s\"\u{1b}[0m;\n\u{1b}[2m──\u{1b}[0m\n"
    );
}

#[test]
fn every_cut_of_the_answer_gives_the_same() {
    let whole = rendered(&[ANSWER], 40, false);
    for (at, _) in ANSWER.char_indices() {
        let (one, other) = ANSWER.split_at(at);
        assert_eq!(rendered(&[one, other], 40, false), whole, "cut at {at}");
    }
    for width in [40, 80, 200] {
        let pieces: Vec<_> = ANSWER.split_inclusive(|_| true).collect();
        assert_eq!(rendered(&pieces, width, true), rendered(&[ANSWER], width, true), "every character alone");
    }
}

#[test]
fn what_is_long_takes_no_long() {
    for (part, count) in [("*a ", 3_000), ("[a ", 3_000), ("- ", 3_000), ("> ", 3_000), ("`a ", 3_000), ("1", 30_000)] {
        let source = part.repeat(count);
        let letters = source.matches('a').count();
        assert_eq!(plain(&source).matches('a').count(), letters, "{part:?}");
    }
}

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
    fn no_line_is_wider_than_the_terminal(source in wordy(), width in 24_usize..100, coloured: bool) {
        for line in bare(&rendered(&[&source], width, coloured)).lines() {
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
    fn nothing_is_lost_and_nothing_acts(source in markdown(), width in 1_usize..60, coloured: bool) {
        let shown = rendered(&[&source], width, coloured);
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
                prop_assert!(last.starts_with("[0m"), "{:?} leaves its colours on", line);
            }
        }
    }
}
