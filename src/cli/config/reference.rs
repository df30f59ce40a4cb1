//! The reference of the configuration keys, as `nexus help config` prints it.

use std::fmt::Write as _;

use super::keys::{Key, PROVIDER, TOP};
use nexus::{ProviderConfig, Url};

const INTRODUCTION: &str = "The keys of config.toml, which is in ~/.config/nexus/ on Linux and in the platform's config directory \
    elsewhere. NEXUS_HOME=/folder moves it, and everything else that nexus stores, to that folder. All keys \
    are optional; a key that is not listed here is an error.";

const PROVIDERS: &str = "A section [provider.NAME] describes an authorization server, the client that is registered \
    there, and the API. --provider NAME, NEXUS_PROVIDER=NAME or `default` chooses it. URLs are https; plain http is \
    allowed on loopback only.";

const BUILT_IN: &str = "The provider claude_code needs no section. A section [provider.claude_code] overrides single values \
    of it; CLAUDE_CODE_CLIENT_ID, CLAUDE_CODE_CLIENT_SECRET and CLAUDE_CODE_REDIRECT_URI override that section. Its \
    defaults that differ from those above:";

const OTHER_BUILT_IN: &str = "The provider ant has the tokens of the official program: `ant auth print-credentials \
    --access-token`. The provider claude_federation exchanges the identity token of a CI job or a server at the Claude \
    Console. It is configured by ANTHROPIC_FEDERATION_RULE_ID, ANTHROPIC_ORGANIZATION_ID, ANTHROPIC_SERVICE_ACCOUNT_ID, \
    ANTHROPIC_WORKSPACE_ID, ANTHROPIC_IDENTITY_TOKEN_FILE or ANTHROPIC_IDENTITY_TOKEN, and ANTHROPIC_BASE_URL, as the \
    official SDKs are. It is the default if these variables are set, no other provider is the default, and claude_code has \
    neither a client id nor a session.";

/// A part of the reference.
pub(crate) enum Block {
    Paragraph(&'static str),
    Heading(&'static str),
    Key {
        name: &'static str,
        help: &'static str,
        value: String,
        default: &'static str,
    },
    /// A line of config.toml.
    Line(String),
}

/// The reference, from the first part to the last.
pub(crate) fn blocks() -> Vec<Block> {
    use Block::{Heading, Line, Paragraph};
    let mut blocks = vec![Paragraph(INTRODUCTION), Heading("At the top of the file")];
    blocks.extend(TOP.iter().map(Block::of));
    blocks.extend([Heading("In a section [provider.NAME]"), Paragraph(PROVIDERS)]);
    blocks.extend(PROVIDER.iter().map(Block::of));
    blocks.extend([Heading("The built-in providers"), Paragraph(BUILT_IN)]);
    blocks.extend(built_in().into_iter().map(Line));
    blocks.push(Paragraph(OTHER_BUILT_IN));
    blocks
}

impl Block {
    fn of<T>(key: &Key<T>) -> Self {
        Self::Key { name: key.name, help: key.help, value: key.kind.description().to_string(), default: key.default }
    }
}

/// The reference, in lines of at most this many columns.
pub(crate) fn text(columns: usize) -> String {
    let mut page = Page { columns, text: String::new() };
    let mut last_was_line = false;
    for block in blocks() {
        let is_line = matches!(block, Block::Line(_));
        // Only lines of config.toml follow each other closely.
        if !(page.text.is_empty() || is_line && last_was_line) {
            page.text.push('\n');
        }
        last_was_line = is_line;
        match block {
            Block::Paragraph(words) => page.paragraph(0, words),
            Block::Heading(heading) => page.paragraph(0, &format!("{heading}:")),
            Block::Key { name, help, value, default } => {
                page.paragraph(2, name);
                page.paragraph(6, help);
                page.paragraph(6, &format!("Value: {value}"));
                page.paragraph(6, &format!("Default: {default}"));
            }
            Block::Line(line) => page.paragraph(2, &line),
        }
    }
    page.text
}

/// The values of the built-in provider, as written in a section.
fn built_in() -> Vec<String> {
    let provider = ProviderConfig::claude_code();
    let url = |url: &Option<Url>| url.as_ref().map(Url::to_string).unwrap_or_default();
    vec![
        format!("authorize_url = \"{}\"", url(&provider.authorize_url)),
        format!("token_url = \"{}\"", url(&provider.token_url)),
        format!("api_url = \"{}\"", url(&provider.api.url)),
        format!("redirect_uri = \"{}\"", provider.redirect_uri),
        format!("scopes = {:?}", provider.scopes),
        "client_auth = \"post\", if there is a secret".into(),
        "refresh_request = \"json\"".into(),
    ]
}

struct Page {
    columns: usize,
    text: String,
}

impl Page {
    /// Writes wrapped text.
    fn paragraph(&mut self, indent: usize, words: &str) {
        let mut column = 0;
        for word in words.split(' ') {
            let width = word.chars().count();
            if column == 0 {
                let _ = write!(self.text, "{:indent$}", "");
                column = indent;
            } else if column + 1 + width > self.columns {
                let _ = write!(self.text, "\n{:indent$}", "");
                column = indent;
            } else {
                self.text.push(' ');
                column += 1;
            }
            self.text.push_str(word);
            column += width;
        }
        self.text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_has_every_key_with_its_help_and_default() {
        let text = text(usize::MAX);
        let top = TOP.iter().map(|key| (key.name, key.kind.description(), key.default, key.help));
        let provider = PROVIDER.iter().map(|key| (key.name, key.kind.description(), key.default, key.help));
        for (name, value, default, help) in top.chain(provider) {
            let entry = format!("\n  {name}\n      {help}\n      Value: {value}\n      Default: {default}\n");
            assert!(text.contains(&entry), "{entry} is not in {text}");
        }
    }

    #[test]
    fn the_built_in_provider_is_described_as_it_is() {
        let lines = built_in().into_iter().filter(|line| !line.contains(", if there")).collect::<Vec<_>>().join("\n");
        let config = format!("default = 'same'\n[provider.same]\n{lines}");
        let (same, built_in) = (super::super::tests::provider(&config, &[]), ProviderConfig::claude_code());
        assert_eq!(same.authorize_url, built_in.authorize_url);
        assert_eq!(same.token_url, built_in.token_url);
        assert_eq!(same.api.url, built_in.api.url);
        assert_eq!(same.redirect_uri, built_in.redirect_uri);
        assert_eq!(same.scopes, built_in.scopes);
        assert_eq!(same.refresh.encoding, built_in.refresh.encoding);
    }

    #[test]
    fn lines_fit_the_terminal() {
        for columns in [60, 80, 100] {
            let text = text(columns);
            // A single word may be longer than a line, such as a URL.
            let long = |line: &&str| line.chars().count() > columns && line.trim().contains(' ');
            assert_eq!(text.lines().filter(long).collect::<Vec<_>>(), [""; 0]);
        }
    }
}
