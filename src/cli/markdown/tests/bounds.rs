//! What an answer may cost: output, work and held text are in proportion to it.

use super::super::Rendered;
use super::super::work::WORK;
use super::{bare, plain, rendered};

/// What could take long, or much room.
const HEAVY: &[&str] = &[
    "[",
    "[a ",
    "[a](",
    "[a](b ",
    "[a](b \"",
    "![",
    "![a](b) ",
    "![](",
    "[a]",
    "](",
    "<",
    "<a ",
    "<a",
    "< ",
    "<!",
    "&",
    "&#1",
    "`",
    "`a ",
    "`a``b```c",
    "*",
    "*a ",
    "**a ",
    "**a *b ",
    "[a][b ",
    "a* *b ",
    "*a] ",
    "a\n***\n",
    "|-\n---\n",
    ">>>>>>>>>>a\nb\nb\nb\nb\nb\nb\nb\nb\nb\nb\nb\nb\n",
    "*a* ",
    "a*",
    "*.",
    "_a ",
    "_a_",
    "~~a ",
    "~~",
    "*a _b ",
    "*_",
    "\\",
    "\\(",
    "\\[ ",
    "$",
    "$a ",
    "$$",
    "$$ a",
    "\\a\\_",
    "\\_",
    "\\_ ",
    "\\_\n",
    "\\*a\\\n",
    "\\[a](",
    "\\](",
    "\\](a",
    "#\\#",
    "((((\\",
    "a  \t",
    "> ",
    ">",
    "- ",
    "1. ",
    "-\n",
    "> a\n",
    ">>>>>>>>>>>>a\nb\n",
    "- - - - - - - - - - a\n",
    "\ta",
    "1",
    "#",
    "# a\n",
    "|",
    "|a",
    "| a\n",
    "|a\n|-\n",
    "a|b\n-|-\n",
    "---\n",
    "***\n\n",
    "a\n===\n",
    "```\n",
    "```a\n",
    "~~~",
    "a",
    "a ",
    "a\n",
    "\n",
    " ",
    "\t",
    "\r",
    "\u{202e}",
    "見",
    "見*",
    "e\u{301}",
    "<!-- ",
    "<div>\n",
    "[a]: b\n",
    "***a**b*",
    "*a **b ",
    "999999999. ",
    "**",
    "<b>",
    "a\\\n",
];

/// Whether the output is at most seventy times as long as the input, and the work in proportion to it.
fn assert_light(source: &str, name: &str) {
    WORK.with(|work| work.set(0));
    let shown = rendered(&[source], 100, true);
    let work = WORK.with(std::cell::Cell::get);
    assert!(shown.len() <= 70 * source.len() + 4_000, "{name:?}: {} of {} bytes", shown.len(), source.len());
    assert!(work <= 100 * source.len(), "{name:?}: {work} bytes were read of {}", source.len());
}

#[test]
fn heavy_answers_take_work_and_room_in_proportion_to_their_length() {
    for part in HEAVY {
        assert_light(&part.repeat(4_000 / part.len()), part);
        // A line for each of the others.
        for (head, rest) in
            [("|a|b|\n|-|-|\n|", ""), ("> - ", ""), ("```rust\n", ""), ("*a [b `", ""), ("|a|\n|-|\n", "\n")]
        {
            assert_light(
                &(head.to_owned() + &format!("{part}{rest}").repeat(200 / part.len())),
                &format!("{head}{part}"),
            );
        }
    }
}

#[test]
fn a_table_is_no_larger_than_its_source_allows() {
    let columns = |count: usize| format!("{}|\n{}|\n", "|a".repeat(count), "|-".repeat(count));
    for (name, source) in [
        ("many columns and rows", columns(10_000) + &"|b\n".repeat(10_000)),
        ("short rows", columns(100) + &"|b\n".repeat(3_000)),
        ("one wide cell", format!("|a|b|\n|-|-|\n|{}|c|\n{}", "w".repeat(90), "|d|e|\n".repeat(3_000))),
        ("a long head", format!("|{}|b|\n|-|-|\n{}", "w".repeat(4_000), "|d|e|\n".repeat(3_000))),
        ("a high cell", format!("|a|b|\n|-|-|\n|{}|{}|\n", "x ".repeat(3_000), "w".repeat(90))),
        ("a row of many cells", columns(2) + &"|x".repeat(3_000)),
        ("empty rows", columns(90) + &"|\n".repeat(5_000)),
        ("narrow columns and empty rows", columns(25) + &"|\n".repeat(3_000)),
        ("some empty rows", columns(90) + &"|\n".repeat(100)),
    ] {
        assert_light(&source, name);
        let shown = bare(&rendered(&[&source], 100, true));
        assert!(
            shown.matches(|c: char| c.is_ascii_lowercase()).count()
                >= source.matches(|c: char| c.is_ascii_lowercase()).count(),
            "{name}"
        );
    }
    let raw = rendered(&[&columns(101)], 40, false);
    assert!(raw.contains("|-|-|"), "{raw}");
}

#[test]
fn what_is_held_back_is_bounded() {
    for (name, head, part) in [
        ("a word", "", "a"),
        ("open markup", "*a ", "b "),
        ("an open link", "[a ", "b "),
        ("a line of code", "```\n", "a"),
        ("a row", "|", "a"),
        ("a table", "|a|\n|-|\n", "|bbbbbbbb|\n"),
        ("a heading", "# ", "a "),
        ("digits", "", "1"),
        ("quotations", "", ">"),
        ("HTML", "<div ", "a "),
        ("a comment", "<!--", "a "),
        ("a definition", "[", "a"),
        ("mathematics", "$$ a", " b"),
    ] {
        let mut rendered = Rendered::new(80, false);
        let mut held = rendered.push(head).len();
        let mut most = 0;
        for _ in 0..60_000 / part.len() {
            held += part.len();
            if !rendered.push(part).is_empty() {
                held = 0;
            }
            most = most.max(held);
        }
        assert!(most < 40_000, "{name}: {most} bytes");
    }
}

#[test]
fn long_lines_stay_whole() {
    let code = "x = [1, 2];".repeat(3_000);
    assert!(plain(&format!("```js\n{code}\n```")) == format!("── js\n{code}\n──\n"));
    let word = "https://example.com/".repeat(1_000);
    assert!(plain(&word) == format!("{word}\n"));
}

#[test]
fn the_first_rules_are_wide_and_a_long_run_of_rules_is_not() {
    let shown = rendered(&[&"a\n***\n".repeat(500)], 80, false);
    let rules: Vec<_> = shown.lines().filter(|line| line.starts_with('─')).map(|line| line.chars().count()).collect();
    assert_eq!((rules.len(), rules[0], rules[9], rules[499]), (500, 80, 80, 48));
}

#[test]
fn open_markup_is_read_again_only_when_it_has_grown() {
    for part in ["**a *b ", "[a][b ", "~~a ", "a* *b ", "*a) "] {
        let work = |length: usize| {
            WORK.with(|work| work.set(0));
            rendered(&[&part.repeat(length / part.len())], 100, true);
            WORK.with(std::cell::Cell::get)
        };
        let (some, more) = (work(5_000), work(20_000));
        assert!(more <= 25 * 20_000 && more <= 5 * some, "{part:?}: {some} and {more} bytes");
    }
}
