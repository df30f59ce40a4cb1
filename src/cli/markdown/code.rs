//! Code blocks, highlighted with the terminal's own colors, which fit dark and light themes. The syntaxes are loaded
//! with the first block in a known language.

use std::sync::OnceLock;

use anstyle::{AnsiColor, Color, Style};
use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};

use super::page::{Page, Span, TAB};
use nexus::internal::clean;

/// The longest line that is highlighted, in bytes. Longer ones are machine-made, and slow to highlight.
const HIGHLIGHTED: usize = 2_000;

const EDGE: &str = "──";

/// Other names of languages, and the name that the syntaxes know.
const ALIASES: &[(&str, &str)] = &[
    ("c#", "cs"),
    ("console", "sh"),
    ("csharp", "cs"),
    ("docker", "dockerfile"),
    ("golang", "go"),
    ("hcl", "tf"),
    ("json5", "json"),
    ("jsonc", "json"),
    ("jsonl", "json"),
    ("jsx", "js"),
    ("make", "makefile"),
    ("mjs", "js"),
    ("objectivec", "m"),
    ("pwsh", "ps1"),
    ("shell", "sh"),
    ("shell-session", "sh"),
    ("svg", "xml"),
    ("terminal", "sh"),
    ("zsh", "sh"),
];

pub(super) struct Code {
    highlighter: Option<Highlighter>,
}

struct Highlighter {
    syntaxes: &'static SyntaxSet,
    state: ParseState,
    stack: ScopeStack,
    theme: &'static [(Scope, Style)],
}

impl Code {
    /// Begins a block with the text after its fence.
    pub(super) fn begin(info: &str, page: &mut Page) -> Self {
        let shown = clean::visible(info).replace('\t', " ");
        let text = if shown.is_empty() { EDGE.to_owned() } else { format!("{EDGE} {shown}") };
        page.line(&[Span { text, style: page.dim() }]);
        let language = info.trim_start_matches(['{', '.']).split([' ', '\t', ',', '{', '}', ':']).next();
        let language = language.filter(|name| !name.is_empty() && page.is_colored());
        Self { highlighter: language.and_then(Highlighter::of) }
    }

    /// Prints a line, without its line break.
    pub(super) fn line(&mut self, line: &str, page: &mut Page) {
        let line = untabbed(&clean::visible(line));
        let spans = match &mut self.highlighter {
            Some(highlighter) if line.len() <= HIGHLIGHTED => highlighter.line(&line),
            _ => vec![Span { text: line, style: Style::new() }],
        };
        page.line(&spans);
    }

    pub(super) fn end(self, page: &mut Page) {
        page.line(&[Span { text: EDGE.to_owned(), style: page.dim() }]);
    }
}

/// Replaces tabs by spaces: the text is indented further, which would move the tab stops.
pub(super) fn untabbed(line: &str) -> String {
    if !line.contains('\t') {
        return line.to_owned();
    }
    let mut text = String::with_capacity(line.len() + 3 * TAB);
    let mut column = 0;
    for c in line.chars() {
        let width = if c == '\t' { TAB - column % TAB } else { 1 };
        if c == '\t' {
            text.push_str(&" ".repeat(width))
        } else {
            text.push(c)
        }
        column += width;
    }
    text
}

impl Highlighter {
    fn of(language: &str) -> Option<Self> {
        let language = language.to_ascii_lowercase();
        let known = ALIASES.iter().find(|(name, _)| *name == language).map_or(&*language, |(_, known)| known);
        let syntaxes = syntaxes();
        let syntax: &SyntaxReference = syntaxes.find_syntax_by_token(known)?;
        Some(Self { syntaxes, state: ParseState::new(syntax), stack: ScopeStack::new(), theme: theme() })
    }

    fn line(&mut self, line: &str) -> Vec<Span> {
        let whole = format!("{line}\n");
        // On an error of the syntax, the rest of the line has no colors.
        let operations = self.state.parse_line(&whole, self.syntaxes).unwrap_or_default();
        let mut spans: Vec<Span> = Vec::new();
        let mut from = 0;
        for (at, operation) in operations {
            let at = at.min(line.len());
            self.add(line.get(from..at).unwrap_or_default(), &mut spans);
            from = at.max(from);
            if self.stack.apply(&operation).is_err() {
                break;
            }
        }
        self.add(line.get(from..).unwrap_or_default(), &mut spans);
        spans
    }

    fn add(&self, text: &str, spans: &mut Vec<Span>) {
        if text.is_empty() {
            return;
        }
        let style = self.style();
        match spans.last_mut().filter(|span| span.style == style) {
            Some(span) => span.text.push_str(text),
            None => spans.push(Span { text: text.to_owned(), style }),
        }
    }

    /// The style of the innermost scope that has one.
    fn style(&self) -> Style {
        let style = |scope: &Scope| self.theme.iter().find(|(known, _)| known.is_prefix_of(*scope));
        self.stack.as_slice().iter().rev().find_map(style).map_or(Style::new(), |(_, style)| *style)
    }
}

#[cfg(test)]
pub(super) fn knows(language: &str) -> bool {
    Highlighter::of(language).is_some()
}

fn syntaxes() -> &'static SyntaxSet {
    static SYNTAXES: OnceLock<SyntaxSet> = OnceLock::new();
    SYNTAXES.get_or_init(two_face::syntax::extra_newlines)
}

/// The styles of scopes. The first match applies.
fn theme() -> &'static [(Scope, Style)] {
    const fn color(color: AnsiColor) -> Style {
        Style::new().fg_color(Some(Color::Ansi(color)))
    }
    const THEME: &[(&str, Style)] = &[
        ("comment", Style::new().dimmed()),
        ("punctuation.definition.comment", Style::new().dimmed()),
        ("constant.character.escape", color(AnsiColor::Yellow)),
        ("string", color(AnsiColor::Green)),
        ("punctuation.definition.string", color(AnsiColor::Green)),
        ("constant", color(AnsiColor::Yellow)),
        ("keyword.operator", Style::new()),
        ("keyword", color(AnsiColor::Magenta)),
        ("storage", color(AnsiColor::Magenta)),
        ("entity.name.function", color(AnsiColor::Cyan)),
        ("entity.name.tag", color(AnsiColor::Magenta)),
        ("entity.name.class", color(AnsiColor::Yellow)),
        ("entity.name.struct", color(AnsiColor::Yellow)),
        ("entity.name.enum", color(AnsiColor::Yellow)),
        ("entity.name.type", color(AnsiColor::Yellow)),
        ("entity.other.attribute-name", color(AnsiColor::Cyan)),
        ("support.function", color(AnsiColor::Cyan)),
        ("support.macro", color(AnsiColor::Cyan)),
        ("support.type", color(AnsiColor::Yellow)),
        ("support.class", color(AnsiColor::Yellow)),
        ("variable.function", color(AnsiColor::Cyan)),
        ("variable.language", color(AnsiColor::Magenta)),
        ("markup.inserted", color(AnsiColor::Green)),
        ("markup.deleted", color(AnsiColor::Red)),
        ("markup.changed", color(AnsiColor::Yellow)),
        ("meta.diff.header", Style::new().bold()),
        ("meta.diff.range", color(AnsiColor::Cyan)),
        ("markup.heading", Style::new().bold()),
        ("markup.bold", Style::new().bold()),
        ("markup.italic", Style::new().italic()),
        ("markup.raw", color(AnsiColor::Cyan)),
    ];
    static SCOPES: OnceLock<Vec<(Scope, Style)>> = OnceLock::new();
    SCOPES.get_or_init(|| THEME.iter().filter_map(|(name, style)| Some((Scope::new(name).ok()?, *style))).collect())
}
