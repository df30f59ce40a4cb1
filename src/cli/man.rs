//! The man pages in `man/`, made from the grammar and from the reference of config.toml. With `NEXUS_WRITE_MAN` set,
//! the test writes them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::Cli;
use super::config::reference::{self, Block};

/// The date of this version.
const DATE: &str = "2026-11-30";

const FILES: &str = "
Files:
  ~/.config/nexus/config.toml       the configuration, see nexus-config(5)
  ~/.config/nexus/templates/        the templates of `nexus chat -t`
  ~/.local/share/nexus/             the sessions and the conversations
  ~/.local/state/nexus/key/         the key that seals the sessions
  /etc/nexus/config.toml            an administrator's configuration, below the user's";

/// Each file and its text.
fn pages() -> BTreeMap<String, String> {
    let mut grammar = Cli::command();
    grammar.build();
    let mut pages = BTreeMap::from([("nexus-config.5".to_owned(), configuration())]);
    add_pages(&grammar, &mut pages);
    pages
}

/// Adds the page of a command and those of its subcommands.
fn add_pages(command: &Command, pages: &mut BTreeMap<String, String>) {
    let name = command.get_display_name().unwrap_or(command.get_name());
    pages.insert(format!("{name}.1"), page(command));
    for subcommand in command.get_subcommands() {
        add_pages(subcommand, pages);
    }
}

fn page(command: &Command) -> String {
    let is_top = command.get_name() == "nexus";
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    // A page is a long help, from which the crate leaves out what is hidden in the short one.
    let command = &command.clone().override_usage(usage).mut_args(|arg| arg.hide_short_help(false));
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render_name_section(&mut page).unwrap();
    man.render_synopsis_section(&mut page).unwrap();
    man.render_description_section(&mut page).unwrap();
    man.render_options_section(&mut page).unwrap();
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page).unwrap();
    }
    let after = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let mut rest = Roff::new();
    add_sections(&mut rest, &after);
    if is_top {
        add_sections(&mut rest, FILES);
    }
    rest.control("SH", ["SEE ALSO"]);
    let others: &[&str] = if is_top { &["nexus-config(5)"] } else { &["nexus(1)", "nexus-config(5)"] };
    rest.text([roman(others.join(", "))]);
    rest.to_writer(&mut page).unwrap();
    with_title(command.get_display_name().unwrap_or("nexus"), 1, &String::from_utf8(page).unwrap())
}

/// Puts the title before a text, and what `roff` writes before every text there once.
fn with_title(name: &str, section: u8, text: &str) -> String {
    let preamble = Roff::new().render();
    // Formatters ignore a break beside an empty line, and warn.
    let text = text.replace(&preamble, "").replace(".br\n\n.br\n", ".sp\n");
    format!(
        "{preamble}.TH {} {section} {DATE} \"nexus {}\" nexus\n{text}",
        name.to_uppercase(),
        env!("CARGO_PKG_VERSION")
    )
}

/// Adds the parts of a help text: a line `Heading:` begins a section, whose indented lines stay as they are.
fn add_sections(roff: &mut Roff, text: &str) {
    for part in text.split("\n\n") {
        let mut lines = part.trim_start_matches('\n').lines().peekable();
        if let Some(heading) = lines.peek().and_then(|line| line.strip_suffix(':')) {
            roff.control("SH", [heading.to_uppercase().as_str()]);
            lines.next();
        } else {
            roff.control("PP", []);
        }
        roff.control("nf", []);
        for line in lines {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
    }
}

/// The page of config.toml.
fn configuration() -> String {
    let mut roff = Roff::new();
    roff.control("SH", ["NAME"]);
    roff.text([roman("nexus-config - the configuration of nexus, config.toml")]);
    roff.control("SH", ["DESCRIPTION"]);
    let mut begins_section = true;
    for block in reference::blocks() {
        let is_first = std::mem::replace(&mut begins_section, matches!(block, Block::Heading(_)));
        match block {
            Block::Heading(heading) => {
                roff.control("SH", [heading.to_uppercase().as_str()]);
            }
            Block::Paragraph(words) => {
                if !is_first {
                    roff.control("PP", []);
                }
                roff.text([roman(words)]);
            }
            Block::Key { name, help, value, default } => {
                roff.control("TP", []);
                roff.text([bold(name)]);
                roff.text([roman(help)]);
                for detail in [format!("Value: {value}"), format!("Default: {default}")] {
                    roff.control("br", []);
                    roff.text([roman(detail)]);
                }
            }
            Block::Line(line) => {
                roff.control("br", []);
                roff.text([roman(line)]);
            }
        }
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman("nexus(1)")]);
    with_title("nexus-config", 5, &roff.render())
}

fn committed(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("man").join(file)
}

#[test]
fn the_committed_pages_match_the_grammar() {
    let pages = pages();
    if super::environment::variable("NEXUS_WRITE_MAN").is_some() {
        let _ = fs::remove_dir_all(committed(""));
        fs::create_dir(committed("")).unwrap();
        for (file, text) in &pages {
            fs::write(committed(file), text).unwrap();
        }
    }
    let files = fs::read_dir(committed("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let committed: BTreeMap<_, _> =
        files.map(|file| (file.clone(), fs::read_to_string(committed(&file)).unwrap())).collect();
    let different = pages.iter().find(|(file, text)| committed.get(*file) != Some(text)).map(|(file, _)| file);
    let unknown = committed.keys().find(|file| !pages.contains_key(*file));
    assert_eq!(
        (different, unknown),
        (None, None),
        "man/ is out of date: run `NEXUS_WRITE_MAN=1 cargo test --bin nexus man`"
    );
}

#[test]
fn every_key_has_its_default_in_the_page_of_the_configuration() {
    let page = configuration();
    for block in reference::blocks() {
        if let Block::Key { name, .. } = block {
            assert!(page.contains(&format!("\n.TP\n\\fB{name}\\fR\n")), "{name} in {page}");
        }
    }
}
