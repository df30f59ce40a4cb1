//! The text of the configuration file, edited so that comments, order and format stay as they are.

use toml_edit::{DocumentMut, InlineTable, Item, Key, Table, Value};

/// The key at the top of the file that holds the sections of the providers.
const SECTIONS: &str = "provider";

/// The file as parsed, with everything that is needed to write it back.
pub(crate) struct Document {
    toml: DocumentMut,
    /// Whether lines end in CRLF, as some editors on Windows write them.
    crlf: bool,
}

impl Document {
    /// Parses the text of a file. `None` if it is not TOML.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let crlf = text.matches('\n').count() == text.matches("\r\n").count() && text.contains("\r\n");
        let text = if crlf { text.replace("\r\n", "\n") } else { text.to_owned() };
        Some(Self { toml: text.parse().ok()?, crlf })
    }

    /// The text to write.
    pub(crate) fn text(&self) -> String {
        let text = self.toml.to_string();
        if self.crlf { text.replace('\n', "\r\n") } else { text }
    }

    /// The text of a key at the top of the file.
    pub(crate) fn text_at_top(&self, key: &str) -> Option<&str> {
        self.toml.get(key)?.as_str()
    }

    /// Sets a key at the top of the file. A comment beside its value stays.
    pub(crate) fn set_at_top(&mut self, key: &str, value: impl Into<Value>) {
        let mut value = value.into();
        if let Some(Item::Value(old)) = self.toml.get_mut(key) {
            *value.decor_mut() = old.decor().clone();
            *old = value;
            return;
        }
        let first = self.toml.iter().all(|(_, item)| !item.is_value());
        let before = if first { self.take_head() } else { String::new() };
        self.toml.insert(key, Item::Value(value));
        if let Some(mut key) = self.toml.key_mut(key) {
            key.leaf_decor_mut().set_prefix(before);
        }
    }

    /// Removes a key at the top of the file. Returns whether it was there.
    pub(crate) fn remove_at_top(&mut self, key: &str) -> bool {
        let Some((key, _)) = self.toml.remove_entry(key) else { return false };
        let before = key.leaf_decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
        let head = separate(before).0.to_owned();
        let next = self.toml.iter().find(|(_, item)| item.is_value()).map(|(name, _)| name.to_owned());
        match next.and_then(|name| self.toml.key_mut(&name)) {
            Some(mut next) => {
                let decor = next.leaf_decor_mut();
                let after = decor.prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
                let joined = joined(&head, after);
                decor.set_prefix(joined);
            }
            None => self.put_before(isize::MIN, &head),
        }
        true
    }

    /// Whether the file has anything of this provider.
    pub(crate) fn has_section(&self, name: &str) -> bool {
        self.sections().is_some_and(|sections| sections.contains_key(name))
    }

    /// Adds a section `[provider.NAME]` at the end of the file, which must not have one.
    pub(crate) fn add_section(&mut self, name: &str, keys: &[(&str, Value)]) {
        let mut section = Table::new();
        for (key, value) in keys {
            section.insert(key, Item::Value(value.clone()));
        }
        let mut last = None;
        visit(&mut self.toml, &mut |table| last = last.max(table.position()));
        section.set_position(Some(last.unwrap_or(0).saturating_add(1)));
        let tail = self.toml.trailing().as_str().unwrap_or_default().to_owned();
        self.toml.set_trailing("");
        let empty = tail.is_empty() && self.toml.is_empty();
        section.decor_mut().set_prefix(if empty { String::new() } else { format!("{}\n", ended(tail)) });
        let implicit = || {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        };
        match self.toml.entry(SECTIONS).or_insert_with(implicit) {
            Item::Table(sections) => drop(sections.insert(name, Item::Table(section))),
            Item::Value(Value::InlineTable(sections)) => drop(sections.insert(name, inline(section).into())),
            // Such a file was refused when it was read.
            _ => {}
        }
    }

    /// Adds keys to the section of a provider, if there is one. A key that is set stays as it is.
    pub(crate) fn add_to_section(&mut self, name: &str, keys: &[(&str, Value)]) {
        let sections = self.toml.get_mut(SECTIONS).and_then(Item::as_table_like_mut);
        let section = sections.and_then(|sections| sections.get_mut(name)).and_then(Item::as_table_like_mut);
        let Some(section) = section else { return };
        for (key, value) in keys {
            if !section.contains_key(key) {
                section.insert(key, Item::Value(value.clone()));
            }
        }
    }

    /// Removes a provider with all its keys, the tables below it and the comment above it. Returns whether it was
    /// there.
    pub(crate) fn remove_section(&mut self, name: &str) -> bool {
        let Some(sections) = self.toml.get_mut(SECTIONS).and_then(Item::as_table_like_mut) else { return false };
        let Some(mut removed) = sections.remove(name) else { return false };
        let was_last = sections.is_empty();
        let mut first: Option<(isize, String)> = None;
        if let Item::Table(section) = &mut removed {
            let mut see = |table: &mut Table| {
                let Some(at) = table.position() else { return };
                if first.as_ref().is_none_or(|(first, _)| at < *first) {
                    let before = table.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
                    first = Some((at, separate(before).0.to_owned()));
                }
            };
            see(section);
            visit(section, &mut see);
        }
        if was_last && self.toml.get(SECTIONS).is_some_and(Item::is_value) {
            self.toml.remove(SECTIONS);
        }
        if let Some((at, head)) = first {
            self.put_before(at, &head);
        }
        true
    }

    fn sections(&self) -> Option<&dyn toml_edit::TableLike> {
        self.toml.get(SECTIONS)?.as_table_like()
    }

    /// Puts a text before the first table after this position, or at the end of the file.
    fn put_before(&mut self, position: isize, text: &str) {
        let mut next: Option<isize> = None;
        visit(&mut self.toml, &mut |table| {
            if let Some(at) = table.position().filter(|at| *at > position) {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        });
        let Some(next) = next else {
            let tail = joined(text, self.toml.trailing().as_str().unwrap_or_default());
            return self.toml.set_trailing(tail);
        };
        let empty = self.toml.iter().all(|(_, item)| !item.is_value());
        let mut first = true;
        visit(&mut self.toml, &mut |table| first &= table.position().is_none_or(|at| at >= next));
        visit(&mut self.toml, &mut |table| {
            if table.position() == Some(next) {
                let before = table.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
                let whole = joined(text, before);
                // The file does not begin with an empty line.
                let whole = if first && empty { whole.trim_start_matches('\n').to_owned() } else { whole };
                table.decor_mut().set_prefix(whole);
            }
        });
    }

    /// Takes the comment at the head of a file whose first line is a table's header, or that has only comments. An
    /// empty line stays before the table.
    fn take_head(&mut self) -> String {
        let mut first: Option<isize> = None;
        visit(&mut self.toml, &mut |table| {
            if let Some(at) = table.position() {
                first = Some(first.map_or(at, |first| first.min(at)));
            }
        });
        let Some(first) = first else {
            let head = ended(self.toml.trailing().as_str().unwrap_or_default().to_owned());
            self.toml.set_trailing("");
            return head;
        };
        let mut head = String::new();
        visit(&mut self.toml, &mut |table| {
            if table.position() == Some(first) {
                let before = table.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
                let (separate, own) = separate(before);
                head = separate.trim_start_matches('\n').to_owned();
                let own = format!("\n{own}");
                table.decor_mut().set_prefix(own);
            }
        });
        head
    }
}

/// The header of a provider's section. A name such as `id.example.com` is quoted.
pub(crate) fn header(name: &str) -> String {
    format!("[{SECTIONS}.{}]", Key::new(name).display_repr())
}

/// A line of the file, such as `default = "work"`.
pub(crate) fn line(key: &str, value: impl Into<Value>) -> String {
    format!("{key} = {}", value.into())
}

/// Calls `see` with each table below this one that has a header.
fn visit(table: &mut Table, see: &mut dyn FnMut(&mut Table)) {
    for (_, item) in table.iter_mut() {
        match item {
            Item::Table(table) => {
                see(table);
                visit(table, see);
            }
            Item::ArrayOfTables(tables) => {
                for table in tables.iter_mut() {
                    see(table);
                    visit(table, see);
                }
            }
            Item::Value(_) | Item::None => {}
        }
    }
}

/// The comments before a header or key up to the last empty line, which belong to the file, and the rest, which belongs
/// to what follows.
fn separate(before: &str) -> (&str, &str) {
    let mut end = 0;
    let mut at = 0;
    for line in before.split_inclusive('\n') {
        at += line.len();
        if line.trim().is_empty() && line.ends_with('\n') {
            end = at;
        }
    }
    let (file, own) = before.split_at(end);
    if file.trim().is_empty() { ("", own) } else { (file, own) }
}

/// Two texts between the tables, with one empty line between comments.
fn joined(head: &str, tail: &str) -> String {
    if head.is_empty() {
        return tail.to_owned();
    }
    format!("{head}{}", tail.trim_start_matches('\n'))
}

/// The text with the end of its last line.
fn ended(text: String) -> String {
    if text.is_empty() || text.ends_with('\n') { text } else { text + "\n" }
}

fn inline(section: Table) -> InlineTable {
    let mut section = section.into_inline_table();
    section.fmt();
    section
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str, change: impl FnOnce(&mut Document)) -> String {
        let mut document = Document::parse(text).unwrap();
        assert_eq!(document.text(), text, "nothing was changed yet");
        change(&mut document);
        let text = document.text();
        assert!(Document::parse(&text).is_some(), "{text}");
        text
    }

    #[test]
    fn a_key_at_the_top_is_set_where_it_is_or_before_the_sections() {
        for (before, after) in [
            ("", "default = \"work\"\n"),
            ("# Notes\n", "# Notes\ndefault = \"work\"\n"),
            ("default = 'old' # for now\nhistory = false\n", "default = \"work\" # for now\nhistory = false\n"),
            (
                "history = false # private\n\n[aliases]\na = 'b'\n",
                "history = false # private\ndefault = \"work\"\n\n[aliases]\na = 'b'\n",
            ),
            ("[provider.work]\n", "default = \"work\"\n\n[provider.work]\n"),
            ("# About work\n[provider.work]\n", "default = \"work\"\n\n# About work\n[provider.work]\n"),
            (
                "# My file\n\n# About work\n[provider.work]\n",
                "# My file\n\ndefault = \"work\"\n\n# About work\n[provider.work]\n",
            ),
            ("history = true\r\n[aliases]\r\n", "history = true\r\ndefault = \"work\"\r\n[aliases]\r\n"),
        ] {
            assert_eq!(edited(before, |document| document.set_at_top("default", "work")), after, "{before}");
        }
    }

    #[test]
    fn a_section_is_removed_with_its_tables_and_its_own_comment() {
        for (before, after) in [
            ("[provider.work]\nclient_id = 'c'\n", ""),
            ("# Head\n\n# About work\n[provider.work]\na = 1\n", "# Head\n\n"),
            (
                "history = true\n\n[provider.work]\na = 1 # one\n\n# About play\n[provider.play]\nb = 2\n",
                "history = true\n\n# About play\n[provider.play]\nb = 2\n",
            ),
            ("# Head\n\n[provider.work]\na = 1\n\n[provider.play]\nb = 2\n", "# Head\n\n[provider.play]\nb = 2\n"),
            ("[provider.work]\na = 1\n\n[provider.play]\nb = 2\n# End\n", "[provider.play]\nb = 2\n# End\n"),
            (
                "[provider.play]\nb = 2\n\n[provider.work]\na = 1\n[provider.work.api_headers]\nx = 'y'\n\n[aliases]\nc = 'd'\n",
                "[provider.play]\nb = 2\n\n[aliases]\nc = 'd'\n",
            ),
            ("[provider.work.api_headers]\nx = 'y'\n[aliases]\nc = 'd'\n", "[aliases]\nc = 'd'\n"),
            ("provider.work.a = 1\nprovider.play.b = 2\n", "provider.play.b = 2\n"),
            ("[provider]\nplay = { b = 2 }\nwork = { a = 1 }\n", "[provider]\nplay = { b = 2 }\n"),
            ("provider = { work = { a = 1 }}\nhistory = true\n", "history = true\n"),
            ("[provider.\"work\"]\r\na = 1\r\n[aliases]\r\nc = 'd'\r\n", "[aliases]\r\nc = 'd'\r\n"),
        ] {
            assert_eq!(edited(before, |document| assert!(document.remove_section("work"))), after, "{before}");
        }
        assert_eq!(
            edited("[provider.play]\n", |document| assert!(!document.remove_section("work"))),
            "[provider.play]\n"
        );
    }

    #[test]
    fn a_key_at_the_top_is_removed_with_its_own_comment() {
        for (before, after) in [
            ("default = 'work'\n", ""),
            ("# Head\n\n# The default\ndefault = 'work'\nhistory = true\n", "# Head\n\nhistory = true\n"),
            ("# Head\n\ndefault = 'work'\n\n[provider.play]\n", "# Head\n\n[provider.play]\n"),
            ("default = 'work'\n\n[provider.play]\n", "[provider.play]\n"),
        ] {
            assert_eq!(edited(before, |document| assert!(document.remove_at_top("default"))), after, "{before}");
        }
    }

    #[test]
    fn headers_and_lines_are_quoted_where_necessary() {
        assert_eq!(header("work"), "[provider.work]");
        assert_eq!(header("id.example.com"), "[provider.\"id.example.com\"]");
        assert_eq!(line("default", "a\"b"), "default = 'a\"b'");
    }

    #[test]
    fn keys_are_added_to_a_section_and_none_is_changed() {
        let keys = [("client_id", Value::from("new")), ("api_url", Value::from("https://a"))];
        for (before, after) in [
            (
                "[provider.work]\nclient_id = 'c' # mine\n\n[aliases]\n",
                "[provider.work]\nclient_id = 'c' # mine\napi_url = \"https://a\"\n\n[aliases]\n",
            ),
            (
                "[provider]\nwork = { client_id = 'c' }\n",
                "[provider]\nwork = { client_id = 'c' , api_url = \"https://a\" }\n",
            ),
            ("[provider.play]\n", "[provider.play]\n"),
        ] {
            assert_eq!(edited(before, |document| document.add_to_section("work", &keys)), after, "{before}");
        }
    }

    #[test]
    fn a_section_is_added_at_the_end() {
        let keys = [("issuer", Value::from("https://id.example.com")), ("scopes", Value::from_iter(["a", "b"]))];
        let section = "[provider.work]\nissuer = \"https://id.example.com\"\nscopes = [\"a\", \"b\"]\n";
        for (before, after) in [
            ("", section.to_owned()),
            ("# Notes", format!("# Notes\n\n{section}")),
            ("history = true", format!("history = true\n\n{section}")),
            (
                "[provider.play]\nb = 2\n[aliases]\nc = 'd'\n# End\n",
                format!("[provider.play]\nb = 2\n[aliases]\nc = 'd'\n# End\n\n{section}"),
            ),
            ("history = true\r\n", format!("history = true\n\n{section}").replace('\n', "\r\n")),
            (
                "provider = { play = { b = 2 } }\n",
                "provider = { play = { b = 2 } , work = { issuer = \"https://id.example.com\", scopes = [\"a\", \"b\"] } }\n"
                    .to_owned(),
            ),
        ] {
            let mut document = Document::parse(before).unwrap();
            document.add_section("work", &keys);
            assert!(document.has_section("work"));
            assert_eq!(document.text(), after, "{before}");
        }
    }
}
