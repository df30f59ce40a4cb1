//! `--help`, `--version` and `nexus help`.

use crate::nexus::Nexus;
#[cfg(unix)]
use crate::terminal::Terminal;
use crate::usage::said_wrongly;

const COMMANDS: &[&[&str]] = &[
    &[],
    &["login"],
    &["oauth"],
    &["oauth", "start"],
    &["oauth", "status"],
    &["oauth", "logout"],
    &["oauth", "token"],
    &["oauth", "refresh"],
    &["chat"],
    &["batch"],
    &["history"],
    &["history", "list"],
    &["history", "show"],
    &["history", "search"],
    &["history", "delete"],
    &["history", "export"],
    &["models"],
    &["proxy"],
    &["exec"],
    &["setup"],
    &["doctor"],
    &["provider"],
    &["provider", "list"],
    &["provider", "remove"],
    &["provider", "default"],
    &["config"],
    &["config", "show"],
    &["key"],
    &["key", "show"],
    &["key", "move"],
    &["demo"],
    &["completions"],
];

#[test]
fn the_version_is_that_of_the_crate() {
    let version = format!("nexus {}\n", env!("CARGO_PKG_VERSION"));
    for words in [&["--version"][..], &["-V"], &["chat", "--version"]] {
        let output = Nexus::new().run(words);
        assert!(output.stdout.ends_with(&version[5..]), "{output}");
        assert_eq!((output.code, &*output.stderr), (Some(0), ""), "{output}");
    }
    assert_output!(Nexus::new().run(&["--version"]), 0, stdout: version, stderr: "");
}

#[test]
fn every_command_has_help() {
    for words in COMMANDS {
        let help = Nexus::new().run(&[words, &["--help"][..]].concat());
        assert_eq!((help.code, &*help.stderr), (Some(0), ""), "{words:?}: {help}");
        let usage = format!("\nUsage: {} ", [&["nexus"], *words].concat().join(" "));
        assert!(help.stdout.contains(&usage), "{usage:?} in {help}");
        let first = help.stdout.lines().next().unwrap_or_default();
        assert!(first.starts_with(char::is_uppercase) && first.len() > 20, "{first}");
        let lines: Vec<_> = help.stdout.lines().filter(|line| line.chars().count() > 100).collect();
        assert!(lines.is_empty(), "too wide for a terminal: {lines:#?}");
    }
}

#[test]
fn the_long_help_at_the_top_lists_exit_codes_variables_and_files() {
    const TABLE: &str = "\nExit codes:\n\
        \x20 0      success (including a closed pipe)\n\
        \x20 1      failure; retrying unchanged will not help\n\
        \x20 2      usage or configuration error\n\
        \x20 4      not signed in: run `nexus oauth start`\n\
        \x20 75     temporary failure; retry later\n\
        \x20 128+n  ended by signal n\n";
    let help = Nexus::new().run(&["--help"]).ok();
    assert!(help.contains(TABLE), "{help}");
    for variable in ["CLAUDE_CODE_CLIENT_ID", "CLAUDE_CODE_CLIENT_SECRET", "CLAUDE_CODE_REDIRECT_URI", "NEXUS_HOME"] {
        assert!(help.contains(variable), "{variable} in {help}");
    }
    assert!(help.contains("\n\nFiles:\n  [HOME]/config.toml\n      the configuration\n"), "{help}");
    assert_eq!(Nexus::new().run(&["help"]).ok(), help);
}

#[test]
fn the_help_names_the_files_that_are_used() {
    let mut nexus = Nexus::new();
    nexus.set("NEXUS_HOME", "");
    let home = nexus.home().display().to_string();
    nexus.set("HOME", &home);
    let shown = nexus.run(&["config", "show"]).ok();
    let path = shown.lines().find_map(|line| line.strip_prefix("config: ")).unwrap();
    assert!(path.starts_with("[HOME]/"), "{shown}");
    assert!(nexus.run(&["--help"]).ok().contains(&format!("\n  {path}\n      the configuration\n")));
    let reference = nexus.run(&["help", "config"]).ok();
    assert!(
        reference.starts_with(&format!("config.toml of this account: {path}\n\nThe keys of config.toml")),
        "{reference}"
    );
}

#[cfg(unix)]
#[test]
fn the_short_help_fits_on_a_screen() {
    for words in COMMANDS {
        let screen = Terminal::open(&Nexus::new(), &[words, &["-h"][..]].concat(), 80).finish().screen;
        let lines = screen.lines().count();
        assert!(lines <= 26, "{lines} lines: {screen}");
    }
}

#[test]
fn every_command_has_examples_in_its_long_help_only() {
    for words in COMMANDS {
        let help = |flag| Nexus::new().run(&[words, &[flag][..]].concat()).ok();
        assert!(help("--help").contains("\n\nExamples:\n  nexus "), "{words:?}: {}", help("--help"));
        assert!(!help("-h").contains("Examples:"), "{words:?}: {}", help("-h"));
    }
}

#[test]
fn a_missing_subcommand_shows_the_help_on_stderr() {
    for words in [&[][..], &["oauth"]] {
        let output = said_wrongly(words);
        let short = Nexus::new().run(&[words, &["-h"][..]].concat()).ok();
        assert_eq!(output.stdout, "");
        // Only one of them mentions `--help`.
        let usage = |text: &str| text.lines().filter(|line| !line.contains("--help")).collect::<Vec<_>>().join("\n");
        assert_eq!(usage(&output.stderr), usage(&short));
    }
}

#[test]
fn help_with_json_prints_help_only() {
    let output = Nexus::new().run(&["chat", "--json", "--help"]);
    assert_eq!(output.stdout, Nexus::new().run(&["chat", "--help"]).ok());
    assert_eq!((output.code, &*output.stderr), (Some(0), ""));
}

#[test]
fn help_works_as_command_and_as_flag() {
    let nexus = Nexus::new();
    for (words, same) in [
        (&["help"][..], &["--help"][..]),
        (&["help", "chat"], &["chat", "--help"]),
        (&["help", "oauth", "start"], &["oauth", "start", "--help"]),
        (&["oauth", "help"], &["oauth", "--help"]),
        (&["oauth", "help", "start"], &["oauth", "start", "--help"]),
    ] {
        assert_output!(nexus.run(words), 0, stdout: nexus.run(same).ok(), stderr: "");
    }
    // A unit test checks that no other command has subcommands.
    for name in ["history", "key", "oauth"] {
        assert_output!(nexus.run(&[name, "help"]), 0, stdout: nexus.run(&[name, "--help"]).ok(), stderr: "");
    }
    let output = nexus.run(&["help", "nonsense"]);
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.starts_with("error: unrecognized subcommand 'nonsense'\n"), "{output}");
}

#[test]
fn help_config_needs_no_valid_configuration() {
    let mut nexus = Nexus::new();
    let reference = nexus.run(&["help", "config"]).ok();
    for key in ["default", "passphrase_command", "client_secret_file", "max_tokens"] {
        assert!(reference.contains(&format!("\n  {key}\n      ")), "{key} in {reference}");
    }
    assert!(reference.lines().all(|line| line.chars().count() <= 100), "{reference}");
    nexus.configure("no TOML");
    assert_output!(nexus.run(&["help", "config"]), 0, stdout: reference.clone(), stderr: "");
    nexus.set("NEXUS_HOME", "");
    nexus.set("HOME", "/nonexistent");
    let elsewhere = nexus.run(&["help", "config"]).ok();
    assert_eq!(elsewhere.split_once("\n\n").unwrap().1, reference.split_once("\n\n").unwrap().1);
    assert!(nexus.run(&["--help"]).ok().contains("`nexus help config`"));
    assert!(nexus.run(&["config", "--help"]).ok().contains("show"), "a command of its own");
}
