//! Spaces, and lines that are wrapped.

use super::{bare, rendered};

#[test]
fn spaces_stay_where_they_fit() {
    for (source, shown) in [
        ("a\n    b\n  c", "a\n    b\n  c"),
        ("  /\\\n /  \\\n/____\\", "  /\\\n /  \\\n/____\\"),
        (" |a|\n  |b|", " |a|\n  |b|"),
        ("a   b   **c**\n`d  e`", "a   b   **c**\n`d  e`"),
        ("*a\n   b   c*", "*a\n   b   c*"),
        ("a\t\tb\nabcd\te", "a       b\nabcd    e"),
        ("> a\n>   b\n>\n>\n>  c", "│ a\n│   b\n│\n│\n│  c"),
        ("- a\n   b\nc\n\n    d", "• a\n  b\n  c\n\n  d"),
        ("a<br>  b  \nc", "a\nb\nc"),
        ("|a  b|\n|-|\n|c   d|", "a  b\n─────\nc   d"),
        ("a\n\n\nb\n\n\n\n\n\nc", "a\n\n\nb\n\n\n\nc"),
        ("- a\n\n\n- b", "• a\n\n\n• b"),
        ("aaaaaaaaaa      bbbbbbbbbb  cc", "aaaaaaaaaa\nbbbbbbbbbb  cc"),
        ("a\n                  bbbbbb", "a\n              bbbbbb"),
    ] {
        assert_eq!(rendered(&[source], 20, false), format!("{shown}\n"), "{source:?}");
    }
    let aligned = ["name    value".repeat(10), format!("a\n    {}", "b ".repeat(70).trim_end())];
    for source in aligned {
        assert_eq!(rendered(&[&source], 160, false), format!("{source}\n"));
    }
}

#[test]
fn marks_that_only_order_or_join_text_reach_the_terminal() {
    let source = "\u{200f}שלום\u{200e} a\u{61c}b 👩\u{200d}👧 ن\u{200c}م ☎\u{fe0f} \u{202e}x\u{2066}y";
    let shown = "\u{200f}שלום\u{200e} a\u{61c}b 👩\u{200d}👧 ن\u{200c}م ☎\u{fe0f} <U+202E>x<U+2066>y\n";
    assert_eq!(rendered(&[source], 80, true), shown);
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
fn on_a_narrow_terminal_only_a_long_word_is_wider_and_nothing_is_lost() {
    let source = "\
- 日本語の文章は空白がないので、文字の間で折り返します。
  - **太字の長い文章は空白がないので、折り返します**。*斜体*も。
    - averyveryverylongwordthatdoesnotfitinthewidth https://example.com/a/very/long/path?x=1&y=2 and   more
      > **bold words that wrap over the line** and `inline  code that wraps too`
      > 日本語の引用文は空白がないので、文字の間で折り返します。

> > > - 1 **very long bold text in a nested quote that must wrap at the end**
> > >   1. 中文段落没有空格所以在字符之间换行，标点不在行首。

Price         Item              Qty          Total
10            apple   snake\\_case\\le

# A heading that is longer than forty columns
";
    for (width, colored) in [(20, false), (30, true), (40, false), (40, true)] {
        let shown = bare(&rendered(&[source], width, colored));
        for line in shown.lines() {
            let words = line.trim_start_matches([' ', '│', '•', '◦', '▪']);
            let wide = unicode_width::UnicodeWidthStr::width(line);
            assert!(wide <= width || !words.contains(' '), "{width} columns: {line:?}");
        }
        let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric() || *c == '\\').collect::<String>();
        assert_eq!(letters(&shown), letters(source));
    }
}
