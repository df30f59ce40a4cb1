//! `nexus provider`: lists and removes providers, and chooses the default one.

use std::fs;

use nexus::sandbox::{Sandbox, Settings};
use serde_json::json;

use crate::nexus::{Nexus, config, lifetime};

const HAND_WRITTEN: &str = "# My configuration\n\nhistory = false # private\n\n# The gateway\n[provider.work]\n\
    client_id = 'c'   # registered by Ada\n\n[provider.play]\n\n[aliases]\nfast = 'm'\n";

fn written(text: &str) -> Nexus {
    let nexus = Nexus::new();
    nexus.configure(text);
    nexus
}

fn text(nexus: &Nexus) -> String {
    fs::read_to_string(nexus.path("config.toml")).unwrap()
}

/// The sections `work`, the default one, and `play` at the same sandbox.
fn two(sandbox: &Sandbox) -> String {
    let work = config(sandbox, "");
    let play = work.replace("default = \"work\"\n", "").replace("[provider.work]", "[provider.play]");
    format!("{work}\n# For games\n{play}")
}

#[test]
fn configured_providers_are_listed() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    nexus.configure(&two(&sandbox));
    let asked = sandbox.requests().len();
    let lines = "claude_code  built in, not signed in\n\
                 play         not signed in\n\
                 work         default, signed in as you@sandbox.example\n";
    assert_output!(nexus.run(&["provider", "list"]), 0, stdout: lines, stderr: "");
    let provider = |name: &str, default, built_in, signed_in, state: &str, account: Option<&str>| {
        json!({
            "name": name, "default": default, "built_in": built_in, "signed_in": signed_in, "state": state,
            "account": account,
        })
    };
    assert_eq!(
        nexus.run(&["provider", "list", "--json"]).json(),
        json!({ "version": 1, "providers": [
            provider("claude_code", false, true, false, "none", None),
            provider("play", false, false, false, "none", None),
            provider("work", true, false, true, "active", Some("you@sandbox.example")),
        ] })
    );
    assert_eq!(sandbox.requests().len(), asked, "a list sends no request");
}

#[test]
fn a_list_names_what_is_wrong_with_a_session_and_the_default() {
    let (sandbox, mut nexus) = Nexus::signed_in(lifetime(0));
    sandbox.end_session();
    assert_eq!(nexus.run(&["oauth", "token"]).code, Some(4));
    let line = "work         default, was signed in as you@sandbox.example, sign in again\n";
    assert!(nexus.run(&["provider", "list"]).ok().contains(line));
    nexus.configure("default = 'wrok'\n");
    assert_output!(
        nexus.run(&["provider", "list"]), 0, stdout: "claude_code  built in, not signed in\n",
        stderr: "warning: unknown provider `wrok`; configured: claude_code\n  \
                 add a section [provider.wrok] to [HOME]/config.toml\n\
                 note: also signed in to work, which is not configured; `nexus oauth logout --provider work` signs out\n",
    );
    nexus.configure("[provider.work]\n");
    fs::remove_dir_all(nexus.path("key")).unwrap();
    let output = nexus.run(&["provider", "list"]);
    assert!(output.stdout.ends_with("work         the session cannot be read\n"), "{output}");
    assert!(output.stderr.starts_with("warning: "), "{output}");
    nexus.set("NEXUS_PROVIDER", "claude_code");
    assert!(nexus.run(&["provider", "list"]).ok().starts_with("claude_code  default, built in"));
    nexus.configure("default = ");
    let output = nexus.run(&["provider", "list", "--json"]);
    assert_eq!((output.code, &output.json()["error"]["reason"]), (Some(2), &json!("configuration")));
}

#[test]
fn the_default_is_set_and_nothing_else_is_touched() {
    let nexus = written(HAND_WRITTEN);
    assert_output!(
        nexus.run(&["provider", "default", "work"]), 0, stdout: "",
        stderr: "The default provider is now work: set `default = \"work\"` in [HOME]/config.toml\n",
    );
    let with_default = HAND_WRITTEN.replace("# private\n", "# private\ndefault = \"work\"\n");
    assert_eq!(text(&nexus), with_default);
    assert_output!(
        nexus.run(&["provider", "default", "work"]), 0, stdout: "", stderr: "work is already the default provider\n",
    );
    nexus.run(&["provider", "default", " play\n"]).ok();
    assert_eq!(text(&nexus), with_default.replace("default = \"work\"", "default = \"play\""));
    let mut names: Vec<_> =
        fs::read_dir(nexus.home()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["config.toml", "state"], "no temporary file is left");
}

#[test]
fn an_unknown_provider_is_no_default() {
    let nexus = written(HAND_WRITTEN);
    let error = "error: unknown provider `wrok`; configured: claude_code, play, work\n  did you mean `work`? Otherwise \
                 add a section [provider.wrok] to [HOME]/config.toml\n";
    assert_output!(nexus.run(&["provider", "default", "wrok"]), 2, stdout: "", stderr: error);
    let error = error.replace(
        "add a section [provider.wrok] to [HOME]/config.toml",
        "run `nexus provider list` to see which there are",
    );
    assert_output!(nexus.run(&["provider", "remove", "wrok"]), 2, stdout: "", stderr: error);
    assert_eq!(text(&nexus), HAND_WRITTEN);
}

#[test]
fn a_default_that_a_variable_overrides_is_noted() {
    let mut nexus = written(HAND_WRITTEN);
    nexus.set("NEXUS_PROVIDER", "play");
    let output = nexus.run(&["provider", "default", "work"]);
    assert!(output.stderr.ends_with("note: NEXUS_PROVIDER is set and takes precedence: play is used\n"), "{output}");
    assert_eq!(output.code, Some(0));
}

#[test]
fn a_first_configuration_is_private() {
    let nexus = Nexus::new();
    nexus.run(&["provider", "default", "claude_code"]).ok();
    assert_eq!(text(&nexus), "default = \"claude_code\"\n");
    #[cfg(unix)]
    assert_eq!(mode(&nexus), 0o600);
}

#[cfg(unix)]
fn mode(nexus: &Nexus) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(nexus.path("config.toml")).unwrap().permissions().mode() & 0o7777
}

#[cfg(unix)]
#[test]
fn the_mode_of_the_configuration_stays() {
    for wanted in [0o600, 0o640, 0o644] {
        let nexus = Nexus::new();
        nexus.write("config.toml", HAND_WRITTEN, wanted);
        // What a process that was killed has left.
        nexus.write(".config.toml.new", "half", 0o600);
        nexus.run(&["provider", "default", "work"]).ok();
        assert!(text(&nexus).contains("default = \"work\""));
        assert_eq!(mode(&nexus), wanted);
        assert!(!nexus.path(".config.toml.new").exists());
    }
}

#[cfg(unix)]
#[test]
fn a_configuration_that_another_program_manages_is_left_alone() {
    let manage = |nexus: &Nexus, how: &str| {
        let (file, other) = (nexus.path("config.toml"), nexus.path("managed.toml"));
        match how {
            "link" => {
                fs::rename(&file, &other).unwrap();
                std::os::unix::fs::symlink("managed.toml", &file).unwrap();
            }
            "hard link" => fs::hard_link(&file, &other).unwrap(),
            _ => nexus.write("config.toml", HAND_WRITTEN, 0o444),
        }
    };
    for (how, why) in [
        ("link", "is a symbolic link"),
        ("hard link", "has a second name (a hard link)"),
        ("read-only", "is read-only"),
    ] {
        let nexus = written(HAND_WRITTEN);
        manage(&nexus, how);
        assert_output!(
            nexus.run(&["provider", "default", "work"]), 0, stdout: "",
            stderr: format!("[HOME]/config.toml {why}, so nexus does not change it\nSet this line at its top:\n\n\
                             default = \"work\"\n\n"),
        );
        assert_output!(
            nexus.run(&["provider", "remove", "work"]), 0, stdout: "",
            stderr: format!("[HOME]/config.toml {why}, so nexus does not change it\n\
                             Remove the section [provider.work] from it\n"),
        );
        assert_eq!(text(&nexus), HAND_WRITTEN, "{why}");
    }
}

#[cfg(unix)]
#[test]
fn a_configuration_is_not_written_where_other_users_could_replace_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut nexus = Nexus::new();
    let home = nexus.path("open");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).unwrap();
    nexus.set("NEXUS_HOME", home.to_str().unwrap());
    let output = nexus.run(&["provider", "default", "claude_code"]);
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("other users can write to its folder [HOME]/open"), "{output}");
    assert!(!home.join("config.toml").exists() && !home.join(".config.toml.new").exists());
}

#[test]
fn changes_at_the_same_time_are_made_one_after_the_other() {
    let nexus = written(HAND_WRITTEN);
    let children: Vec<_> = (0..12)
        .map(|turn| nexus.command(&["provider", "default", ["work", "play"][turn % 2]]).spawn().unwrap())
        .collect();
    for child in children {
        nexus.finish(child).ok();
    }
    let text = text(&nexus);
    assert_eq!(text.matches("default = ").count(), 1, "{text}");
    let kept: String = text.split_inclusive('\n').filter(|line| !line.starts_with("default")).collect();
    assert_eq!(kept, HAND_WRITTEN);
}

#[test]
fn a_removed_provider_is_signed_out_first() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    nexus.configure(&two(&sandbox));
    nexus.sign_in_to("play");
    assert_output!(
        nexus.run(&["provider", "remove", "work"]), 0, stdout: "",
        stderr: "Revoked the session at [SERVER]\nDeleted the local session\n\
                 Removed the section [provider.work] and `default = \"work\"` from [HOME]/config.toml\n",
    );
    assert_eq!(sandbox.counts().revocations, 1);
    let left = text(&nexus);
    assert!(left.starts_with("# For games\n[provider.play]\n") && !left.contains("work"), "{left}");
    nexus.run(&["oauth", "token", "--provider", "play"]).ok();
    assert_eq!(nexus.run(&["oauth", "status", "--all", "--json"]).json()["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(nexus.run(&["oauth", "status", "--provider", "work"]).code, Some(2), "it is unknown now");
}

#[test]
fn a_provider_without_a_session_or_without_a_section_is_removed_too() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    nexus.configure(HAND_WRITTEN);
    assert_output!(
        nexus.run(&["provider", "remove", "play"]), 0, stdout: "",
        stderr: "Removed the section [provider.play] from [HOME]/config.toml\n",
    );
    assert_eq!(text(&nexus), HAND_WRITTEN.replace("[provider.play]\n\n", ""));
    nexus.configure("history = true\n[provider.'id.example.com']\n");
    assert_output!(
        nexus.run(&["provider", "remove", "id.example.com"]), 0, stdout: "",
        stderr: "Removed the section [provider.\"id.example.com\"] from [HOME]/config.toml\n",
    );
    assert_eq!(text(&nexus), "history = true\n");
    assert_output!(
        nexus.run(&["provider", "remove", "work"]), 0, stdout: "",
        stderr: "Revoked the session at [SERVER]\nDeleted the local session\n",
    );
    assert_eq!(sandbox.counts().revocations, 1);
    assert_eq!(nexus.run(&["provider", "remove", "work"]).code, Some(2), "nothing of it is left");
}

#[test]
fn the_built_in_provider_and_a_broken_file_are_refused_before_anything_is_removed() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let whole = two(&sandbox);
    assert_output!(
        nexus.run(&["provider", "remove", "claude_code"]), 2, stdout: "",
        stderr: "error: claude_code is built in and cannot be removed\n  \
                 to sign out, run `nexus oauth logout --provider claude_code`\n",
    );
    nexus.configure("[provider.work\n");
    let output = nexus.run(&["provider", "remove", "work"]);
    assert!(output.stderr.starts_with("error: [HOME]/config.toml, line 1: "), "{output}");
    assert_eq!((output.code, sandbox.counts().revocations), (Some(2), 0));
    // A key that nexus does not know is no reason to keep the section.
    nexus.configure(&whole.replacen("scopes", "scoeps", 1));
    let output = nexus.run(&["provider", "remove", "work"]);
    assert_eq!((output.code, sandbox.counts().revocations), (Some(0), 1), "{output}");
    assert!(!text(&nexus).contains("work"));
}

#[test]
fn a_section_stays_if_its_session_cannot_be_deleted() {
    let (_sandbox, nexus) = Nexus::signed_in(Settings::default());
    let before = text(&nexus);
    let database = fs::read(nexus.path("data/sessions.db")).unwrap();
    fs::write(nexus.path("data/sessions.db"), "no database").unwrap();
    let output = nexus.run(&["provider", "remove", "work"]);
    assert_eq!(output.code, Some(1), "{output}");
    assert_eq!(text(&nexus), before);
    fs::write(nexus.path("data/sessions.db"), database).unwrap();
    nexus.run(&["provider", "remove", "work"]).ok();
    assert!(!text(&nexus).contains("work"));
}
