//! The lines of a code block, in the terminal's own colours, so that they fit a dark and a light
//! theme. The only home of the highlighter; nothing of it is loaded before the first block in a
//! language that it knows.

use std::sync::OnceLock;

use anstyle::{AnsiColor, Color, Style};
use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};

use super::page::{Page, Span};
use nexus::internal::clean;

/// The longest line that is highlighted, in bytes: what is longer was written by no person, and costs
/// more than it gives.
const HIGHLIGHTED: usize = 2_000;

/// What a tab is worth.
const TAB: usize = 4;

/// What a block's first and last line begin with.
const EDGE: &str = "──";

/// Names in use for languages that the syntaxes go by another name.
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

/// A code block that is being written.
pub(super) struct Code {
    highlighter: Option<Highlighter>,
}

struct Highlighter {
    syntaxes: &'static SyntaxSet,
    state: ParseState,
    stack: ScopeStack,
    looks: &'static [(Scope, Style)],
}

impl Code {
    /// Begins a block of this language, as far as its fence tells.
    pub(super) fn begin(info: &str, page: &mut Page) -> Self {
        let shown = clean::visible(info).replace('\t', " ");
        let text = if shown.is_empty() { EDGE.to_owned() } else { format!("{EDGE} {shown}") };
        page.line(&[Span { text, style: page.dim() }]);
        let language = info.trim_start_matches(['{', '.']).split([' ', '\t', ',', '{', '}', ':']).next();
        let language = language.filter(|name| !name.is_empty() && page.is_coloured());
        Self { highlighter: language.and_then(Highlighter::of) }
    }

    /// The next line, without its end.
    pub(super) fn line(&mut self, line: &str, page: &mut Page) {
        let line = untabbed(&clean::visible(line));
        let spans = match &mut self.highlighter {
            Some(highlighter) if line.len() <= HIGHLIGHTED => highlighter.line(&line),
            _ => vec![Span { text: line, style: Style::new() }],
        };
        page.line(&spans);
    }

    /// Ends the block.
    pub(super) fn end(self, page: &mut Page) {
        page.line(&[Span { text: EDGE.to_owned(), style: page.dim() }]);
    }
}

/// Tabs as the spaces they stand for, so that an indent before them does not change the shape.
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
        Some(Self { syntaxes, state: ParseState::new(syntax), stack: ScopeStack::new(), looks: looks() })
    }

    fn line(&mut self, line: &str) -> Vec<Span> {
        let whole = format!("{line}\n");
        // A syntax that stumbles colours no more of this line.
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

    /// What the innermost scope that has a look, looks like.
    fn style(&self) -> Style {
        let look = |scope: &Scope| self.looks.iter().find(|(known, _)| known.is_prefix_of(*scope));
        self.stack.as_slice().iter().rev().find_map(look).map_or(Style::new(), |(_, style)| *style)
    }
}

/// Whether code of this language is highlighted.
#[cfg(test)]
pub(super) fn knows(language: &str) -> bool {
    Highlighter::of(language).is_some()
}

fn syntaxes() -> &'static SyntaxSet {
    static SYNTAXES: OnceLock<SyntaxSet> = OnceLock::new();
    SYNTAXES.get_or_init(two_face::syntax::extra_newlines)
}

/// How the scopes of the syntaxes look; of two that fit the first.
fn looks() -> &'static [(Scope, Style)] {
    const fn colour(colour: AnsiColor) -> Style {
        Style::new().fg_color(Some(Color::Ansi(colour)))
    }
    const LOOKS: &[(&str, Style)] = &[
        ("comment", Style::new().dimmed()),
        ("punctuation.definition.comment", Style::new().dimmed()),
        ("constant.character.escape", colour(AnsiColor::Yellow)),
        ("string", colour(AnsiColor::Green)),
        ("punctuation.definition.string", colour(AnsiColor::Green)),
        ("constant", colour(AnsiColor::Yellow)),
        ("keyword.operator", Style::new()),
        ("keyword", colour(AnsiColor::Magenta)),
        ("storage", colour(AnsiColor::Magenta)),
        ("entity.name.function", colour(AnsiColor::Cyan)),
        ("entity.name.tag", colour(AnsiColor::Magenta)),
        ("entity.name.class", colour(AnsiColor::Yellow)),
        ("entity.name.struct", colour(AnsiColor::Yellow)),
        ("entity.name.enum", colour(AnsiColor::Yellow)),
        ("entity.name.type", colour(AnsiColor::Yellow)),
        ("entity.other.attribute-name", colour(AnsiColor::Cyan)),
        ("support.function", colour(AnsiColor::Cyan)),
        ("support.macro", colour(AnsiColor::Cyan)),
        ("support.type", colour(AnsiColor::Yellow)),
        ("support.class", colour(AnsiColor::Yellow)),
        ("variable.function", colour(AnsiColor::Cyan)),
        ("variable.language", colour(AnsiColor::Magenta)),
        ("markup.inserted", colour(AnsiColor::Green)),
        ("markup.deleted", colour(AnsiColor::Red)),
        ("markup.changed", colour(AnsiColor::Yellow)),
        ("meta.diff.header", Style::new().bold()),
        ("meta.diff.range", colour(AnsiColor::Cyan)),
        ("markup.heading", Style::new().bold()),
        ("markup.bold", Style::new().bold()),
        ("markup.italic", Style::new().italic()),
        ("markup.raw", colour(AnsiColor::Cyan)),
    ];
    static SCOPES: OnceLock<Vec<(Scope, Style)>> = OnceLock::new();
    SCOPES.get_or_init(|| LOOKS.iter().filter_map(|(name, style)| Some((Scope::new(name).ok()?, *style))).collect())
}
