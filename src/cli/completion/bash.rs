//! Completion in bash, which replaces only the end of a word: its words also end at `=` and `:`, and an open quote stays.
//! `completions/nexus.bash` is the script.

use std::io::{self, Write};

use clap::Command;
use clap_complete::engine;

use super::files::{self, ANY_FILE};
use super::typed::Typed;

/// Writes what the replaced text can become, a line each.
pub(super) fn write(grammar: &mut Command, line: &Typed<'_>, replaced: &str, out: &mut impl Write) -> io::Result<()> {
    let Some(before) = line.text.strip_suffix(replaced).map(Typed::new) else { return Ok(()) };
    if line.is_redirection() {
        return writeln!(out, "{ANY_FILE}");
    }
    files::leave_to_shell(grammar);
    let words = line.words.iter().map(Into::into).collect();
    let found = engine::complete(grammar, words, line.words.len() - 1, None)?;
    let values: Vec<_> = found.iter().filter_map(|candidate| candidate.get_value().to_str()).collect();
    if values.iter().any(|value| value.ends_with(ANY_FILE)) {
        return writeln!(out, "{ANY_FILE}");
    }
    for value in values.iter().filter_map(|value| value.strip_prefix(before.last())) {
        let typed = escaped(value, before.quote);
        // readline takes it for the quote that is open.
        if !before.quote.is_some_and(|quote| typed.starts_with(quote)) {
            writeln!(out, "{typed}")?;
        }
    }
    Ok(())
}

/// The text as it is typed, behind a quote if one is open.
fn escaped(text: &str, quote: Option<char>) -> String {
    text.chars().fold(String::new(), |mut typed, c| {
        match (quote, c) {
            (Some('\''), '\'') => typed.push_str(r"'\''"),
            // Between double quotes, bash keeps the backslash that takes the meaning of `!` away.
            (Some('"'), '!') => typed.push_str(r#""\!""#),
            (Some('"'), '$' | '`' | '"' | '\\') => typed.extend(['\\', c]),
            (None, c) if c.is_ascii() && !c.is_ascii_alphanumeric() && !"-_./:@%+=,".contains(c) => {
                typed.extend(['\\', c]);
            }
            (_, c) => typed.push(c),
        }
        typed
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bash_reads_the_text_back() {
        for (text, unquoted, in_single, in_double) in [
            ("eu.anthropic/claude:0", "eu.anthropic/claude:0", "eu.anthropic/claude:0", "eu.anthropic/claude:0"),
            ("größe", "größe", "größe", "größe"),
            ("a b", r"a\ b", "a b", "a b"),
            ("q'uote$x", r"q\'uote\$x", r"q'\''uote$x", r"q'uote\$x"),
            (r#"`id`\"!"#, r#"\`id\`\\\"\!"#, r#"`id`\"!"#, r#"\`id\`\\\""\!""#),
            ("~a*&|{b}", r"\~a\*\&\|\{b\}", "~a*&|{b}", "~a*&|{b}"),
        ] {
            for (quote, typed) in [(None, unquoted), (Some('\''), in_single), (Some('"'), in_double)] {
                assert_eq!(escaped(text, quote), typed);
                let mark = quote.map(String::from).unwrap_or_default();
                assert_eq!(Typed::new(&format!("{mark}{typed}{mark}")).words, [text]);
            }
        }
    }
}
