//! Rendered examples, and properties that hold for any input.

use proptest::prelude::*;

use super::Rendered;
use super::work::WORK;

#[path = "../../../tests/properties/markdown.rs"]
mod property;

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
fn markup_in_a_line_is_read_and_what_is_none_stays() {
    for (source, shown) in [
        ("*a* **b** ***c*** ~~d~~ `e` _f_", "*a* **b** ***c*** ~~d~~ `e` _f_\n"),
        ("**a b**c", "**a b**c\n"),
        ("2 * 3 * 4 a_b_c ~5 ~6", "2 * 3 * 4 a_b_c ~5 ~6\n"),
        ("**never closed", "**never closed\n"),
        ("`never closed", "`never closed\n"),
        ("[never](closed", "[never](closed\n"),
        ("[never", "[never\n"),
        ("a <b", "a <b\n"),
        ("\\*a\\* \\_b\\_ \\`c\\`", "*a* _b_ `c`\n"),
        ("&lt;&amp;&nbsp", "<&&nbsp\n"),
        ("``a ` b`` `` ` ``", "``a ` b`` `` ` ``\n"),
        ("*a\nb*", "*a\nb*\n"),
        ("`a\nb`", "`a b`\n"),
        ("**a  \nb**", "**a\nb**\n"),
        ("[a](u)", "a (u)\n"),
        ("[a](u \"t v\")", "a (u \"t v\")\n"),
        ("<https://h/x_y_z>", "https://h/x_y_z\n"),
        ("[https://h](https://h)", "https://h\n"),
        ("![](u) ![b](v)", "image (u) b (v)\n"),
        ("[a] [b][c] d[0] e[^1]", "[a] [b][c] d[0] e[^1]\n"),
        ("[](x) f[0](i) a[1](h://h) [a](u(v)w)", "[](x) f[0](i) a1 (h://h) a (u(v)w)\n"),
        ("a < b > c <int> &copy; &nosuch; &#x41;", "a < b > c <int> © &nosuch; A\n"),
    ] {
        assert_eq!(plain(source), shown, "{source:?}");
    }
}

/// The source with emphasis as tags: `b`, `i`, `u` for links, `s` for what is struck out, `c` for inline code.
fn tagged(source: &str) -> String {
    let shown = rendered(&[source], 200, true);
    let mut tagged = String::new();
    for (at, part) in shown.trim_end().split('\u{1b}').enumerate() {
        let (sequence, text) = if at == 0 { ("", part) } else { part.split_once('m').expect("a sequence ends") };
        let tag = match sequence {
            "[0" => "</>",
            "[1" => "<b>",
            "[2" => "<dim>",
            "[3" => "<i>",
            "[4" => "<u>",
            "[9" => "<s>",
            "[36" => "<c>",
            _ => sequence,
        };
        tagged.push_str(tag);
        tagged.push_str(text);
    }
    tagged
}

#[test]
fn emphasis_is_what_a_person_means_by_it() {
    for (source, shown) in [
        ("*a* **b** ***c*** ~~d~~ `e` _f_ __G__", "<i>a</> <b>b</> <b><i>c</> <s>d</> <c>e</> <i>f</> <b>G</>"),
        ("(*a*) \"**b**\", **c**: _d_.", "(<i>a</>) \"<b>b</>\", <b>c</>: <i>d</>."),
        ("*a* *2* **2** *b2*", "<i>a</> *2* <b>2</> <i>b2</>"),
        ("**_a_** _**b**_", "<b><i>a</> <b><i>b</>"),
        ("***a** b*", "<b><i>a</><i> b</>"),
        ("**a *b***", "<b>a</><b> </><b><i>b</>"),
        ("*a **b***", "<i>a</><i> </><b><i>b</>"),
        ("**S**cience **Note:**text **1.**x", "<b>S</>cience <b>Note:</>text <b>1.</>x"),
        ("*...a* **5 b** **2024**", "<i>...a</> <b>5</><b> b</> <b>2024</>"),
        ("**`a`** **[b](c)**", "<b><c>a</> <b><u>b</><b><dim> (c)</>"),
        ("これは**「重要」**です", "これは<b>「重</><b>要」</>です"),
        ("**「a」**b", "<b>「a」</>b"),
        ("見**b。**見", "見<b>b。</>見"),
        ("**見**と**聞**", "<b>見</>と<b>聞</>"),
        ("API**見**x", "API<b>見</>x"),
        ("**\"중\"**은", "<b>\"</><b>중\"</>은"),
        ("ก**ข**ค", "ก<b>ข</>ค"),
        ("a*见*b", "a*见*b"),
    ] {
        assert_eq!(tagged(source), shown, "{source:?}");
    }
}

#[test]
fn marks_that_are_no_emphasis_stay() {
    for source in [
        "5*4*3*2*1 2*3*4 a*b*c (a*b)*c a*(b+c)*d",
        "x**2 + y**3 2**3**4 (a+b)**2 + (c+d)**2 (a)**n + (b)**m",
        "5 * 4 * 3, 2 ** 3 ** 4",
        "*args, **kwargs and f(*args, **kwargs)",
        "*.rs and *.toml, *.* and *, src/**/*.rs or **/*.md",
        "char *a, *b; char **argv; *p = *q",
        "int* c, int* d; a * b",
        "snake_case_name _private __init__ __main__.py _a_b_ obj.__dict__ __attribute__((x))",
        "\\mathbf{x}_a + y_{b} and \\sum_{i=1}^{n} x_i \\cdot z_i^*",
        "x^* + y^* {x}_a{y}_b",
        "/*a*/ b /*c*/",
        "$x_1$ and $y$z, $a * b *c* d$",
        "$\\{a\\_b\\}$ \\(x_*1* \\, y\\) \\[ *a* \\] $$ *a* _b_ $$",
        "\\frac{a\\_b}{c} C:\\Users\\_x\\*.* \\\\server\\share a \\\\ b",
        "costs $5 or $6, set $HOME and $PATH",
        "**** *** ** * ___ ~~~~ ~5 ~a~",
        "**never closed",
        "幅*高さ*2",
        "1 *2* 3, 4 *5* 6, a*, b*",
        "*_test.go, test_*.py, a*, *.a.b and a*.b",
        "[^1] [x] [a][b] a[i] [0, 1)",
        "a_*b_*c ^_^ ¯\\_(ツ)_/¯ T_T",
    ] {
        let shown = source.replace("¯\\_", "¯_");
        assert_eq!(bare(&rendered(&[source], 200, true)), format!("{shown}\n"), "{source:?}");
        assert_eq!(plain(source).replace('\n', " "), format!("{shown} "), "{source:?}");
    }
}

#[test]
fn a_backslash_that_is_no_escape_stays() {
    for source in [
        r"\|x\|_2 \le \|y\|",
        r"\,\;\!x",
        r"\{1, 2\} and \% and \# and \&",
        r"x\_1 \le y and a\*b, \#1",
        r"a\_b c d e^{2} f",
        r"C:\new\_temp, D:\*.txt, \\server\share\_a and .\_build",
        r"(C:\_a) and %TEMP%\_b\*.*",
        r"\d+\.\d*\_ \[a-z\] \[a-z]+ \( \.\* [a\-z] a\|b",
        r"\$HOME \${A}\_b \$(c) \& d\;",
        r#"a \"b\" it\'s \"o"#,
        r"\=o se\~nor a\-b c\+d 1\.5 (\)",
        r"5 \> 3, C\# and a\.",
        "ab \\\n|\\\n_/\\\nx",
        "C:\\a\\\nb",
    ] {
        assert_eq!(rendered(&[source], 80, false), format!("{source}\n"), "{source:?}");
        assert_eq!(bare(&rendered(&[source], 80, true)), format!("{source}\n"), "{source:?}");
    }
}

#[test]
fn a_backslash_that_keeps_a_character_from_being_markup_is_dropped() {
    for (source, shown) in [
        (r"\*a\* \_\_b\_\_ \`c\` \~\~d\~\~ \~5 snake\_case 2 \* 3", "*a* __b__ `c` ~~d~~ ~5 snake_case 2 * 3"),
        (r"Vec\<T\> \<b\> 1 \< 2", "Vec<T> <b> 1 < 2"),
        (r"\[a\](h://b) \[a](h://b) \!\[a](h://b) [a\](h://b)", "[a](h://b) [a](h://b) ![a](h://b) [a](h://b)"),
        (r"\&lt; \$5 and US\$", "&lt; $5 and US$"),
        (r"$\_a \le b$ \_c `\frac` \_d", r"$\_a \le b$ _c `\frac` _d"),
        ("\\_a\n\\le \\_b", "_a\n\\le \\_b"),
        (
            "a\n\\# b\n\\## c\n\\- d\n\\+ e\n\\> f\n1\\. g\n  2\\) h\n\\===",
            "a\n# b\n## c\n- d\n+ e\n> f\n1. g\n  2) h\n===",
        ),
        ("**1\\. a**\n\\[ ] b\n\\[^1]: c", "**1. a**\n[ ] b\n[^1]: c"),
        ("a\\\n*b*\\\n**c\\\nd**", "a\n*b*\n**c\nd**"),
    ] {
        assert_eq!(rendered(&[source], 80, false), format!("{shown}\n"), "{source:?}");
    }
}

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
    for (width, coloured) in [(20, false), (30, true), (40, false), (40, true)] {
        let shown = bare(&rendered(&[source], width, coloured));
        for line in shown.lines() {
            let words = line.trim_start_matches([' ', '│', '•', '◦', '▪']);
            let wide = unicode_width::UnicodeWidthStr::width(line);
            assert!(wide <= width || !words.contains(' '), "{width} columns: {line:?}");
        }
        let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric() || *c == '\\').collect::<String>();
        assert_eq!(letters(&shown), letters(source));
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

/// Whether the output is at most a hundred times as long as the input, and the work in proportion to it.
fn assert_light(source: &str, name: &str) {
    WORK.with(|work| work.set(0));
    let shown = rendered(&[source], 100, true);
    let work = WORK.with(std::cell::Cell::get);
    assert!(shown.len() <= 100 * source.len() + 10_000, "{name:?}: {} of {} bytes", shown.len(), source.len());
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

    /// Only marks of emphasis and code are shown otherwise, and without colours not even those.
    #[test]
    fn prose_stays_as_it_was_written(source in prose(), width in 20_usize..100) {
        prop_assume!(!source.contains("]("));
        prop_assert_eq!(kept(&rendered(&[&source], width, false), &['\\']), kept(&source, &['\\']));
        let marks = ['\\', '*', '_', '~', '`'];
        prop_assert_eq!(kept(&bare(&rendered(&[&source], width, true)), &marks), kept(&source, &marks));
    }

    #[test]
    fn spaces_and_backslashes_stay_as_they_were_written(source in poem(), width in 24_usize..60, coloured: bool) {
        prop_assert_eq!(rendered(&[&source], 200, coloured), format!("{}\n", source.trim_end()));
        let narrow = rendered(&[&source], width, coloured);
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
