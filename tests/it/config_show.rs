//! `nexus config show`, and the system's file below the user's (Linux).

use std::fs;

use nexus::sandbox::Settings;
use serde_json::{Value, json};

use crate::nexus::{Nexus, Output, config, sandbox};

/// The entry of a key.
fn entry(object: &Value, key: &str) -> Value {
    let values = object["values"].as_array().unwrap();
    values.iter().find(|value| value["key"] == key).unwrap_or_else(|| panic!("{key} in {object}")).clone()
}

#[test]
fn each_value_is_shown_with_its_origin_and_no_secret() {
    let sandbox = sandbox(Settings::default());
    let mut nexus = Nexus::at(&sandbox);
    nexus.configure(&config(
        &sandbox,
        "client_secret = 's3cret-of-mine'\napi_headers = { x-key = 'k3y-of-mine', x-file = { file = 'key' } }\nmodel = 'm'",
    ));
    nexus.write("key-of-header", "x", 0o600);
    nexus.configure(
        &fs::read_to_string(nexus.path("config.toml")).unwrap().replace("file = 'key'", "file = 'key-of-header'"),
    );
    let text = nexus.run(&["config", "show"]).ok();
    for line in [
        "provider: work  ([HOME]/config.toml, line 1)\n",
        "home: [HOME]  (NEXUS_HOME)\n",
        "provider.work.prompt: not set  (default)\n",
        "provider.work.max_tokens: not set; the model's limit if it is listed, else 8192  (default)\n",
        "config: [HOME]/config.toml\n",
        "system_config: not read, because NEXUS_HOME is set\n",
        "data: [HOME]/data\n",
        "default = \"work\"  ([HOME]/config.toml, line 1)\n",
        "history = true  (default)\n",
        "provider.work.model = \"m\"  ([HOME]/config.toml, line 12)\n",
        "provider.work.client_secret = (secret)  ([HOME]/config.toml, line 10)\n",
        "provider.work.dialect = \"anthropic\"  (default)\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(text.contains("x-key = (secret)") && text.contains("key-of-header"), "{text}");
    assert!(!text.contains("of-mine"), "{text}");

    nexus.set("NEXUS_PROVIDER", "claude_code");
    nexus.set("CLAUDE_CODE_CLIENT_ID", "of-the-variable");
    nexus.set("CLAUDE_CODE_CLIENT_SECRET", "s3cret-of-mine");
    let output = nexus.run(&["config", "show", "--json"]);
    assert!(!output.stdout.contains("of-mine"), "{output}");
    let object = output.json();
    assert_eq!((&object["version"], &object["provider"]), (&json!(1), &json!("claude_code")));
    assert_eq!(object["paths"]["config"], "[HOME]/config.toml");
    assert_eq!(
        entry(&object, "provider.claude_code.client_id"),
        json!({ "key": "provider.claude_code.client_id", "value": "\"of-the-variable\"", "source": "variable", "variable": "CLAUDE_CODE_CLIENT_ID" })
    );
    assert_eq!(entry(&object, "default")["variable"], "NEXUS_PROVIDER");
    let prompt = json!({ "key": "provider.claude_code.prompt", "value": null, "source": "default" });
    assert_eq!(entry(&object, "provider.claude_code.prompt"), prompt);
    let api = entry(&object, "provider.claude_code.api_url");
    assert_eq!((&api["value"], &api["source"]), (&json!("\"https://api.anthropic.com/\""), &json!("default")));
    assert_eq!(nexus.run(&["config", "show", "--provider", "nobody"]).code, Some(2));
}

#[test]
fn the_url_of_the_store_is_never_shown() {
    let mut nexus = Nexus::new();
    let show = |nexus: &Nexus| {
        let shown = [&["config", "show"][..], &["config", "show", "--json"]].map(|words| nexus.run(words));
        for output in &shown {
            assert!(output.code == Some(0) && !output.to_string().contains("hush"), "{output}");
        }
        let [text, object] = shown;
        (text.stdout, object.json())
    };
    nexus.configure("store = 'postgres://ada:hush@db.example.com/n?password=hush'\nowner = 'of the file'\n");
    let (text, object) = show(&nexus);
    assert!(text.contains("\nstore = (secret)  ([HOME]/config.toml, line 1)\n"), "{text}");
    assert!(text.contains("\nowner = \"of the file\"  ([HOME]/config.toml, line 2)\n"), "{text}");
    assert_eq!(entry(&object, "store")["value"], "(secret)");

    nexus.set("NEXUS_STORE", "postgres://grace:hush@db.example.com/n");
    nexus.set("NEXUS_OWNER", "of the variable");
    let (text, object) = show(&nexus);
    assert!(text.contains("\nstore = (secret)  (NEXUS_STORE)\n"), "{text}");
    assert!(text.contains("\nowner = \"of the variable\"  (NEXUS_OWNER)\n"), "{text}");
    let of_variable = |key: &str, value: &str, variable: &str| {
        let expected = json!({ "key": key, "value": value, "source": "variable", "variable": variable });
        assert_eq!(entry(&object, key), expected);
    };
    of_variable("store", "(secret)", "NEXUS_STORE");
    of_variable("owner", "\"of the variable\"", "NEXUS_OWNER");
}

/// Runs a command with this text as `/etc/nexus/config.toml` and the home folder `home`. `None` where no mount
/// namespace can be had.
#[cfg(target_os = "linux")]
fn with_system_file(nexus: &Nexus, text: &str, words: &[&str]) -> Option<Output> {
    let etc = tempfile::tempdir().unwrap();
    fs::create_dir(etc.path().join("nexus")).unwrap();
    fs::write(etc.path().join("nexus/config.toml"), text).unwrap();
    let home = [("HOME", nexus.home())];
    nexus.run_with_etc(etc.path(), |command| command.env_remove("NEXUS_HOME").envs(home), words)
}

#[test]
fn values_are_those_that_the_file_could_have() {
    let nexus = Nexus::new();
    nexus.configure("[provider.mine]\nclient_id = 'c'\nclient_secret_file = 'secret'\npreset = 'claude_platform'\n");
    nexus.write("secret", "s", 0o600);
    for provider in ["mine", "claude_code", "ant"] {
        let text = nexus.run(&["config", "show", "--provider", provider]).ok();
        assert!(text.starts_with(&format!("provider: {provider}  (--provider)\n")), "{text}");
        for line in text.lines().filter(|line| line.contains(" = ")) {
            let (value, _origin) = line.rsplit_once("  (").unwrap();
            assert!(value.parse::<toml::Table>().is_ok(), "{line}");
        }
    }
    let text = nexus.run(&["config", "show", "--provider", "mine"]).ok();
    assert!(text.contains("client_secret_file = \"[HOME]/secret\"  ("), "{text}");
    assert!(text.contains("token_url = \"https://"), "of the preset: {text}");
    let ant = nexus.run(&["config", "show", "--provider", "ant"]).ok();
    assert!(ant.contains("token_command = [\"ant\", "), "{ant}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_systems_file_lies_below_the_users_key_by_key() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::new();
    let system = config(&sandbox, "model = 'of-the-system'\nmax_tokens = 7");
    let folder = nexus.path(".config/nexus");
    fs::create_dir_all(&folder).unwrap();
    let Some(output) = with_system_file(&nexus, &system, &["config", "show", "--json"]) else { return };
    let object = output.json();
    assert_eq!(object["provider"], "work", "{output}");
    assert_eq!(entry(&object, "provider.work.model")["path"], "/etc/nexus/config.toml");

    nexus.write(".config/nexus/config.toml", "[provider.work]\nmodel = 'of-the-user'\n", 0o600);
    let show = |system: &str| with_system_file(&nexus, system, &["config", "show", "--json"]).unwrap();
    let object = show(&system).json();
    assert_eq!(entry(&object, "provider.work.model")["value"], "\"of-the-user\"");
    assert_eq!(entry(&object, "provider.work.max_tokens")["value"], "7");
    assert_eq!(entry(&object, "default")["path"], "/etc/nexus/config.toml");

    // A value of the system that cannot be used does not matter below one of the user.
    assert_eq!(show(&system.replace("'of-the-system'", "'\u{200b}'")).code, Some(0));
    let output = show(&system.replace("max_tokens = 7", "max_token = 7"));
    assert!(output.code == Some(2) && output.stderr.contains("/etc/nexus/config.toml, line"), "{output}");
    // A relative path starts at the file that names it.
    let output = show(&format!("{system}\nclient_secret_file = 'secret'\n"));
    assert!(output.stderr.contains("/etc/nexus/secret"), "{output}");
    let listed = with_system_file(&nexus, &system, &["provider", "list"]).unwrap();
    assert!(listed.stdout.contains("work         default"), "{listed}");
    let removed = with_system_file(&nexus, &config(&sandbox, ""), &["provider", "remove", "nobody"]).unwrap();
    assert_eq!(removed.code, Some(2), "{removed}");
}
