//! The words of a command line that is being typed, as a shell reads them.

/// A command line as far as the cursor.
#[derive(Debug, PartialEq)]
pub(super) struct Typed<'a> {
    pub(super) text: &'a str,
    /// The words without quotes. The last one is the word to complete, empty where one may begin.
    pub(super) words: Vec<String>,
    /// The quote that is open at the end.
    pub(super) quote: Option<char>,
}

impl<'a> Typed<'a> {
    /// Variables and commands are left as they are: only the shell knows what they stand for.
    pub(super) fn new(text: &'a str) -> Self {
        let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
        let mut characters = text.chars().peekable();
        while let Some(c) = characters.next() {
            match (quote, c) {
                (None, ' ' | '\t' | '\n') => words.extend(word.take()),
                (None, '<' | '>') => {
                    words.extend(word.take());
                    words.push(c.into());
                }
                (None, '\'' | '"') => {
                    word.get_or_insert_default();
                    quote = Some(c);
                }
                (Some(open), c) if c == open => quote = None,
                (None, '\\') => word.get_or_insert_default().extend(characters.next()),
                (Some('"'), '\\') => {
                    let escaped = characters.next_if(|next| matches!(next, '$' | '`' | '"' | '\\'));
                    word.get_or_insert_default().push(escaped.unwrap_or(c));
                }
                (_, c) => word.get_or_insert_default().push(c),
            }
        }
        words.push(word.unwrap_or_default());
        Self { text, words, quote }
    }

    /// The word to complete.
    pub(super) fn last(&self) -> &str {
        self.words.last().map(String::as_str).unwrap_or_default()
    }

    /// Whether the last word names a file to read from or write to.
    pub(super) fn is_redirection(&self) -> bool {
        matches!(self.words.as_slice(), [.., operator, _] if operator == "<" || operator == ">")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_into_words() {
        for (text, words, quote) in [
            ("", &[""][..], None),
            ("nexus  chat -m", &["nexus", "chat", "-m"], None),
            ("nexus chat ", &["nexus", "chat", ""], None),
            (" nexus --model=claude:odd/m", &["nexus", "--model=claude:odd/m"], None),
            (r"-t odd\ na", &["-t", "odd na"], None),
            (r#"-t "odd na"#, &["-t", "odd na"], Some('"')),
            ("-t 'odd ", &["-t", "odd "], Some('\'')),
            (r#"'' """#, &["", ""], None),
            (r#"a'b'"c"\d"#, &["abcd"], None),
            (r#""\$\a\"" '\'x"#, &[r#"$\a""#, r"\x"], None),
            (r"a\", &["a"], None),
            ("größe ü", &["größe", "ü"], None),
            ("a 2>b <", &["a", "2", ">", "b", "<", ""], None),
        ] {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(Typed::new(text), Typed { text, words, quote });
        }
    }

    #[test]
    fn a_redirection_is_told_from_a_word() {
        for (text, is_redirection) in [("a > b", true), ("a <", true), ("a >b c", false), (">", true), ("a", false)] {
            assert_eq!(Typed::new(text).is_redirection(), is_redirection, "{text}");
        }
    }
}
