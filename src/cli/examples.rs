//! Tests of the commands that the help and the documentation show: the grammar accepts each.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use clap::error::ErrorKind;
use clap::{Command, CommandFactory as _, Parser as _};

use super::{Cli, rewrite_help, words};

/// The commands of nexus in a line of shell, each without its redirections.
fn commands(line: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
    let mut quote = None;
    for c in line.chars().chain(['\n']) {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | '<' | '>' | ';' | '&' | '(' | ')') => {
                words.extend(word.take());
                commands.push(std::mem::take(&mut words));
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    commands.push(words);
    commands.retain(|words| words.len() > 1 && words[0] == "nexus" && words[1] != "=");
    commands
}

/// Parses the commands in a line.
#[track_caller]
fn assert_accepted(line: &str, except: &[ErrorKind]) {
    for command in commands(line) {
        let args = rewrite_help(command.iter().map(OsString::from).collect());
        let parsed = words::protect_text(args, Cli::command).and_then(Cli::try_parse_from);
        if let Err(error) = parsed
            && error.kind() != ErrorKind::DisplayHelp
            && !except.contains(&error.kind())
        {
            panic!("{line}\n{error}");
        }
    }
}

/// Calls `check` for a command and each below it.
fn for_each_command(command: &Command, check: &impl Fn(&Command)) {
    check(command);
    command.get_subcommands().for_each(|subcommand| for_each_command(subcommand, check));
}

/// The examples in the help of a command.
fn examples(command: &Command) -> Vec<String> {
    let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let lines = help.split_once("Examples:\n").map(|(_, examples)| examples).unwrap_or_default().lines();
    lines.take_while(|line| line.starts_with("  ")).map(|line| line.trim().to_owned()).collect()
}

#[test]
fn every_command_has_examples_that_the_grammar_accepts() {
    let mut grammar = Cli::command();
    grammar.build();
    for_each_command(&grammar, &|command| {
        let name = command.get_bin_name().unwrap_or_default();
        let examples = examples(command);
        assert!((1..=5).contains(&examples.len()), "{name}: {examples:?}");
        for example in examples {
            assert!(!commands(&example).is_empty(), "{name}: {example}");
            assert_accepted(&example, &[]);
            // Wrapped, it would not be the same command.
            assert!(example.len() <= 78, "{name}: wider than 80 columns: {example}");
        }
    });
}

#[test]
fn the_grammar_accepts_every_command_in_the_documentation() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = fs::read_dir(folder.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    for page in pages.chain([folder.join("README.md")]) {
        let text = fs::read_to_string(&page).unwrap();
        // Every other part of the text is in backticks, and so is a block.
        let code = text.split('`').skip(1).step_by(2);
        // The text may name a command without its arguments.
        let named = &[ErrorKind::MissingRequiredArgument, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
        code.flat_map(str::lines).for_each(|line| assert_accepted(line, named));
    }
}

#[test]
fn commands_are_found_in_lines_of_shell() {
    for (line, found) in [
        ("nexus models  # `nexus x`", &["nexus models"][..]),
        ("answer=$(nexus chat --json \"one word\" | jq -r .answer)", &["nexus chat --json one word"]),
        ("curl -H @<(nexus oauth token) URL; nexus models", &["nexus oauth token", "nexus models"]),
        ("nexus chat -- '# a | b' > file", &["nexus chat -- # a | b"]),
        ("cargo uninstall nexus", &[]),
    ] {
        let commands: Vec<_> = commands(line).iter().map(|words| words.join(" ")).collect();
        assert_eq!(commands, found, "{line}");
    }
}
