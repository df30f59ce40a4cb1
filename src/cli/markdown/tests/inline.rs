//! Emphasis, code, links and backslashes within a line.

use super::{bare, plain, rendered};

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
        (r"\<word\> \<a b\> \<br\> \</c> \<https://h\>.", "<word> <a b> <br> </c> <https://h>."),
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
