//! Rendered examples, and properties that hold for any input.

use super::Rendered;

mod bounds;
mod inline;
mod layout;
mod properties;

#[path = "../../../tests/properties/markdown.rs"]
mod property;

const ANSWER: &str = include_str!("../../../tests/it/snapshots/answer.md");

fn rendered(pieces: &[&str], width: usize, colored: bool) -> String {
    let mut rendered = Rendered::new(width, colored);
    let shown: String = pieces.iter().map(|piece| rendered.push(piece)).collect();
    shown + &rendered.finish()
}

fn plain(source: &str) -> String {
    rendered(&[source], 40, false)
}

/// Removes colors.
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
        ("one\ntwo", "one\ntwo\n"),
        ("one\n  two\nthree\n", "one\n  two\nthree\n"),
        ("one  \ntwo", "one\ntwo\n"),
        ("one\\\ntwo", "one\ntwo\n"),
        ("one\\", "one\\\n"),
        ("one \\\n", "one \\\n"),
        ("one\n\n\n\ntwo", "one\n\n\n\ntwo\n"),
        ("one\r\n\r\ntwo\r\n", "one\n\ntwo\n"),
        ("# One #\ntwo", "# One\ntwo\n"),
        ("one\n## Two", "one\n\n## Two\n"),
        ("#one", "#one\n"),
        ("One\n===\ntwo", "One\n═══\ntwo\n"),
        ("One\n---\n", "One\n───\n"),
        ("***", "────────────────────────────────────────\n"),
        ("- one\n- two", "• one\n• two\n"),
        ("- one\n\n- two", "• one\n\n• two\n"),
        ("- one\ntwo\n\nthree", "• one\n  two\n\nthree\n"),
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
        ("one\n2023. two", "one\n2023. two\n"),
        ("1986. A great year", "1986. A great year\n"),
        ("3. c\n2. b\n1. a", "3. c\n2. b\n1. a\n"),
        ("01. a\n02. b", "01. a\n02. b\n"),
        ("007. Bond", "007. Bond\n"),
        ("a\n=\nb\n-\nc", "a\n=\nb\n-\nc\n"),
        ("$$\n- a\n+ b\n= c\n$$\n- d", "$$\n- a\n+ b\n= c\n$$\n• d\n"),
        ("\\[\n> a \\\\\n1. b\n\\]\n\nc", "\\[\n> a \\\\\n1. b\n\\]\n\nc\n"),
        (
            "\\begin{aligned}\n- a &= b \\\\\n= \\eta\n+ c\n\\end{aligned}\n- d",
            "\\begin{aligned}\n- a &= b \\\\\n= \\eta\n+ c\n\\end{aligned}\n• d\n",
        ),
        ("#hashtag\n+1\n-1", "#hashtag\n+1\n-1\n"),
        ("- [ ] one\n- [x] two\n- [x]three", "[ ] one\n[x] two\n• [x]three\n"),
        ("> one\ntwo\n> > three", "│ one\n│ two\n│ │ three\n"),
        ("> one\n>\n> two\n\n> three", "│ one\n│\n│ two\n\n│ three\n"),
        ("> - one\n>   two", "│ • one\n│   two\n"),
        ("```sh\na\tb\n\n  c\n```\nd", "── sh\na   b\n\n  c\n──\n\nd\n"),
        ("~~~\n```\n~~~", "──\n```\n──\n"),
        ("````\n```\n````", "──\n```\n──\n"),
        ("```\nopen", "──\nopen\n──\n"),
        ("1. one\n   ```\n   two\n   ```", "1. one\n   ──\n   two\n   ──\n"),
        ("- ```\n  x\n  ```", "• ──\n  x\n  ──\n"),
        ("    one\n\n      two\n\nthree", "──\none\n\n  two\n──\n\nthree\n"),
        ("\tone", "──\none\n──\n"),
        ("```a``` b", "```a``` b\n"),
        ("<div>\n  *x*\n</div>\n\n*y*", "<div>\n  *x*\n</div>\n\n*y*\n"),
        ("<divé *x*", "<divé *x*\n"),
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
fn what_can_be_shown_is_shown() {
    let mut rendered = Rendered::new(40, false);
    for (piece, shown) in [
        ("He", ""),
        ("llo ", "Hello"),
        ("wor", ""),
        ("ld **bo", " world"),
        ("ld and** ", " **bold and**"),
        ("on\n", " on"),
        ("\n- it", "\n\n"),
        ("em ", "• item"),
        ("`a b", ""),
        ("` c ", " `a b` c"),
        ("[d](e", ""),
        (") f ", " d (e) f"),
        ("$g h", ""),
        ("$ i ", " $g h$ i"),
        ("\n```sh\n", "\n\n── sh\n"),
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
fn code_keeps_its_colors_from_line_to_line() {
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
    // Cuts within words are tried below.
    for (at, _) in ANSWER.char_indices().filter(|(_, c)| !c.is_ascii_lowercase()) {
        let (one, other) = ANSWER.split_at(at);
        assert_eq!(rendered(&[one, other], 40, false), whole, "cut at {at}");
    }
    for width in [40, 80, 200] {
        let pieces: Vec<_> = ANSWER.split_inclusive(|_| true).collect();
        assert_eq!(rendered(&pieces, width, true), rendered(&[ANSWER], width, true), "every character alone");
    }
}
