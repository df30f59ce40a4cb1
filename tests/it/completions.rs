//! The completion scripts, and what a command line can be completed to.

use std::fs;
use std::path::Path;
use std::process::Command;

use nexus::sandbox::{Sandbox, Settings};

use crate::nexus::Nexus;
#[cfg(unix)]
use crate::terminal::Terminal;

/// Each shell's name and the file of its script.
const SCRIPTS: &[(&str, &str)] = &[
    ("bash", "nexus.bash"),
    ("elvish", "nexus.elv"),
    ("fish", "nexus.fish"),
    ("powershell", "_nexus.ps1"),
    ("zsh", "_nexus"),
];

/// Calls the script's completion function as bash does, with a line and the end of it that is replaced.
const ASK: &str = r#"
source "$1"
COMP_LINE=$2; COMP_POINT=${#COMP_LINE}
function=$(complete -p nexus | sed -E 's/.* -F ([^ ]+) .*/\1/')
"$function" nexus "$3" before
IFS=' '
echo "${COMPREPLY[*]}"
"#;

fn committed(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("completions").join(file)
}

#[test]
fn the_command_prints_the_committed_script() {
    for (shell, file) in SCRIPTS {
        let script = fs::read_to_string(committed(file)).unwrap();
        assert!(!script.is_empty(), "{file}");
        let mut nexus = Nexus::new();
        assert_output!(nexus.run(&["completions", shell]), 0, stdout: script.as_str(), stderr: "");
        nexus.set("COMPLETE", shell);
        assert_output!(nexus.run(&[] as &[&str]), 0, stdout: script, stderr: "");
    }
}

#[test]
fn the_variable_of_completion_changes_no_other_command() {
    let mut nexus = Nexus::new();
    for (value, words) in
        [("bash", &["history", "list"][..]), ("1", &["history", "list"]), ("nosuch", &["history", "list"])]
    {
        nexus.set("COMPLETE", value);
        assert_output!(nexus.run(words), 0, stdout: "", stderr: "No saved conversations\n");
    }
}

/// What the script for bash completes the line to.
#[track_caller]
fn in_bash(nexus: &Nexus, line: &str) -> String {
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", ASK, "bash"]).arg(committed("nexus.bash")).args([line, replaced(line)]);
    let output = nexus.prepared(bash).env("PATH", path()).output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{line}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// A path on which nexus is.
fn path() -> String {
    format!("{}:/usr/bin:/bin", Path::new(env!("CARGO_BIN_EXE_nexus")).parent().unwrap().display())
}

/// What bash replaces of a line without quotes.
fn replaced(line: &str) -> &str {
    line.rsplit([' ', '=', ':']).next().unwrap()
}

#[test]
fn bash_completes_words_with_the_script() {
    for (line, completed) in [
        ("nexus oauth st", "start status"),
        ("nexus oauth ", "start status logout token refresh --verbose --help --version"),
        ("nexus login --no", "--no-browser"),
        ("nexus oauth login --no", "--no-browser"),
        ("nexus provider d", "default"),
        ("nexus mo", "models"),
        ("nexus completions z", "zsh"),
        ("nexus oauth token --min", "--min-ttl"),
        ("nexus chat --max", "--max-tokens"),
        ("nexus history show --no", "--no-pager"),
        ("nexus help ba", "batch"),
        ("nexus help conf", "config"),
        ("nexus help oauth st", "start status"),
        ("nexus nothing-of-the-kind", ""),
    ] {
        assert_eq!(in_bash(&Nexus::new(), line), completed, "{line}");
    }
}

/// A home with an alias, a template and a conversation, that is signed in at a server with these models.
fn home(models: &[&str], lines: &str) -> (Sandbox, Nexus, String) {
    let models = models.iter().map(|id| (*id).to_owned()).collect();
    let (sandbox, nexus) = Nexus::signed_in(Settings { models, ..Settings::default() });
    let config = fs::read_to_string(nexus.path("config.toml")).unwrap();
    nexus.configure(&format!(
        "{lines}{config}[provider.second]\nmodels = ['only-there']\nauthorize_url = 'https://id.corp.example/a'\n\
         token_url = 'https://id.corp.example/t'\nclient_id = 'c'\n[aliases]\nfast = 'small'\n"
    ));
    fs::create_dir(nexus.path("templates")).unwrap();
    fs::write(nexus.path("templates/review.toml"), "prompt = 'x'\n").unwrap();
    fs::write(nexus.path("templates/notes.md"), "").unwrap();
    nexus.run(&["chat", "--history", "-m", "large", "x"]).ok();
    let id = nexus.run(&["history", "list", "--json"]).json()["conversations"][0]["id"].as_str().unwrap().to_owned();
    (sandbox, nexus, id)
}

/// What bash is told that the line can be completed to.
#[track_caller]
fn completed(nexus: &Nexus, line: &str) -> Vec<String> {
    let line = format!("nexus {line}");
    let mut command = nexus.command(&["--", &line, replaced(&line)]);
    command.env("COMPLETE", "bash");
    let output = nexus.finish(command.spawn().unwrap());
    assert_eq!(output.stderr, "", "{line}");
    output.ok().lines().map(str::to_owned).collect()
}

#[test]
fn values_are_completed_from_what_is_on_this_machine() {
    let (sandbox, nexus, id) = home(&["large", "small-1", "eu.large:2"], "");
    let requests = sandbox.counts();
    let providers = ["claude_code", "second", "work", "claude_federation", "claude_platform", "ant"];
    for (line, values) in [
        ("chat --provider ", &providers[..]),
        ("chat -p w", &["work"]),
        ("oauth logout --provider s", &["second"]),
        ("oauth start -p w", &["work"]),
        ("provider default w", &["work"]),
        ("provider remove w", &["work"]),
        ("models --provider=w", &["work"]),
        ("chat --model ", &["fast", "large", "small-1", "eu.large:2"]),
        ("chat --model=fa", &["fast"]),
        ("chat -m eu.large:", &["2"]),
        ("batch -m s", &["small-1"]),
        ("chat -p second -m ", &["fast", "only-there"]),
        ("chat -t ", &["review"]),
        ("batch --template re", &["review"]),
        ("chat --conversation ", &[&*id]),
        // bash completes files itself.
        ("chat -a o", &["\u{b}"]),
        ("chat --attach=o", &["\u{b}"]),
        ("chat 2>> o", &["\u{b}"]),
        (&format!("history show {}", &id[..3]), &[&*id]),
        (&format!("history delete {}", &id[..3]), &[&*id]),
    ] {
        let completed = completed(&nexus, line);
        // Flags follow where one may stand.
        let completed: Vec<_> = completed
            .iter()
            .map(String::as_str)
            .filter(|value| values.contains(value) || !value.starts_with('-'))
            .collect();
        assert_eq!(completed, values, "{line}");
    }
    assert_eq!(sandbox.counts(), requests, "nothing is asked");
    let mut command = nexus.command(&["--", "nexus", "history", "show", ""]);
    command.env("COMPLETE", "zsh").env("_CLAP_COMPLETE_INDEX", "3");
    assert!(nexus.finish(command.spawn().unwrap()).ok().starts_with(&format!("{id}:x\n")), "a title says what it is");
}

#[test]
fn names_are_escaped_and_those_with_control_characters_left_out() {
    let (_sandbox, nexus, _) = home(&["large", "$(touch x)", "a b", "`id`", "x;y", "-m", "a\u{1b}[2J", "e\nf"], "");
    let names = ["fast", "large", r"\$\(touch\ x\)", r"a\ b", r"\`id\`", r"x\;y"];
    assert_eq!(completed(&nexus, "chat -m "), names);
}

#[test]
fn no_passphrase_is_asked_for() {
    let asks = "key = 'passphrase'\npassphrase_command = ['sh', '-c', 'touch asked; echo secret-words']\n";
    let (_sandbox, mut nexus, id) = home(&["large"], "");
    nexus.set("PATH", "/usr/bin:/bin");
    let config = fs::read_to_string(nexus.path("config.toml")).unwrap();
    nexus.configure(&format!("{asks}{config}"));
    nexus.run(&["key", "move", "passphrase", "--yes"]).ok();
    fs::remove_file(nexus.path("asked")).unwrap();
    assert_eq!(completed(&nexus, "chat -m "), ["fast"]);
    assert_eq!(completed(&nexus, "chat --conversation "), [id]);
    assert!(completed(&nexus, "chat -p ").contains(&"work".to_owned()));
    assert!(!nexus.path("asked").exists());
}

#[test]
fn what_cannot_be_read_completes_to_nothing() {
    let nexus = Nexus::new();
    for line in ["chat -m ", "chat -t ", "chat --conversation "] {
        assert_eq!(completed(&nexus, line), [""; 0], "{line}");
    }
    assert!(fs::read_dir(nexus.home()).unwrap().next().is_none(), "nothing is created");
    nexus.configure("[provider.work\n");
    fs::create_dir(nexus.path("data")).unwrap();
    fs::write(nexus.path("data/history.db"), "no database").unwrap();
    for line in ["chat -m ", "chat --conversation "] {
        assert_eq!(completed(&nexus, line), [""; 0], "{line}");
    }
}

/// A home with odd names, files and a folder.
#[cfg(unix)]
fn odd_home() -> Nexus {
    let mut nexus = Nexus::new();
    let models =
        r#"["claude:odd/model-1", "llama3:8b", "we ird", "$(touch made)", "it's", "ex!cl", 'quo"te', 'ba\ck']"#;
    nexus.configure(&format!(
        "[provider.\"odd name\"]\nmodels = {models}\nauthorize_url = 'https://id.corp.example/a'\n\
         token_url = 'https://id.corp.example/t'\nclient_id = 'c'\n"
    ));
    fs::create_dir(nexus.path("templates")).unwrap();
    for file in ["templates/odd name.toml", "templates/q'uote$x.toml", "my file.txt", "other.txt", "it's $x.txt"] {
        fs::write(nexus.path(file), "prompt = 'x'\n").unwrap();
    }
    fs::create_dir(nexus.path("a folder")).unwrap();
    fs::write(nexus.path("a folder/in side.txt"), "").unwrap();
    let home = nexus.home().display().to_string();
    nexus.set("HOME", &home);
    nexus.set("PATH", &path());
    nexus
}

/// Keys behind `nexus chat `, and the arguments that a shell runs then. `⇥` is Tab and `←` is the left arrow.
#[cfg(unix)]
const TYPED: &[(&str, &[&str])] = &[
    ("-a my⇥", &["-a", "my file.txt"]),
    (r"-a my\ f⇥", &["-a", "my file.txt"]),
    ("-a \"my f⇥", &["-a", "my file.txt"]),
    ("-a it⇥", &["-a", "it's $x.txt"]),
    ("-a a⇥in⇥", &["-a", "a folder/in side.txt"]),
    ("--attach=oth⇥", &["--attach=other.txt"]),
    ("--attach=a⇥in⇥", &["--attach=a folder/in side.txt"]),
    ("-a ~/oth⇥", &["-a", "~/other.txt"]),
    ("-a oth --raw←←←←←←⇥", &["-a", "other.txt", "--raw"]),
    ("-p od⇥", &["-p", "odd name"]),
    (r"-p odd\ n⇥", &["-p", "odd name"]),
    ("-p 'odd n⇥", &["-p", "odd name"]),
    ("--provider=od⇥", &["--provider=odd name"]),
    ("-t od⇥", &["-t", "odd name"]),
    ("-t q⇥", &["-t", "q'uote$x"]),
    ("-t \"q⇥", &["-t", "q'uote$x"]),
    ("-t 'q⇥", &["-t", "q'uote$x"]),
    (r"-p odd\ name -m cl⇥", &["-p", "odd name", "-m", "claude:odd/model-1"]),
    ("-p 'odd name' -m claude:⇥", &["-p", "odd name", "-m", "claude:odd/model-1"]),
    ("-p 'odd name' -m claude:odd/⇥", &["-p", "odd name", "-m", "claude:odd/model-1"]),
    ("--provider='odd name' --model=claude:⇥", &["--provider=odd name", "--model=claude:odd/model-1"]),
    ("-p 'odd name' -m claude: --raw←←←←←←⇥", &["-p", "odd name", "-m", "claude:odd/model-1", "--raw"]),
    ("-p 'odd name' --model=llama3: --raw←←←←←←⇥", &["-p", "odd name", "--model=llama3:8b", "--raw"]),
    ("-p 'odd name' -m we⇥", &["-p", "odd name", "-m", "we ird"]),
    (r"-p 'odd name' -m \$⇥", &["-p", "odd name", "-m", "$(touch made)"]),
    ("-p 'odd name' -m it⇥", &["-p", "odd name", "-m", "it's"]),
    ("-p 'odd name' -m ex⇥", &["-p", "odd name", "-m", "ex!cl"]),
    ("-p 'odd name' -m \"ex⇥", &["-p", "odd name", "-m", "ex!cl"]),
    ("-p 'odd name' -m qu⇥", &["-p", "odd name", "-m", "quo\"te"]),
    ("-p 'odd name' -m ba⇥", &["-p", "odd name", "-m", r"ba\ck"]),
];

/// Types lines at a shell, and has it print the words of each instead of running it.
#[cfg(unix)]
fn assert_typed(shell: &[&str], setup: &str) {
    let nexus = odd_home();
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]);
    let mut terminal = Terminal::run(&nexus, &nexus.prepared(command), 200, &[("TERM", "xterm")]);
    terminal.press(&format!("{setup}\n"));
    for (number, (keys, arguments)) in TYPED.iter().enumerate() {
        let keys = keys.replace('⇥', "\t").replace('←', "\u{1b}[D");
        // Control-A moves to the start of the line.
        terminal.press(&format!("nexus chat {keys}\u{1}printf '<%s>\\n' {number} \n"));
        let home = nexus.home().display().to_string();
        let words = arguments.iter().map(|word| format!("<{}>\n", word.replace('~', &home))).collect::<String>();
        terminal.until(|screen| screen.contains(&format!("\n<{number}>\n<nexus>\n<chat>\n{words}")));
    }
    terminal.press("exit\n");
    terminal.finish();
    assert!(!nexus.path("made").exists());
}

#[cfg(unix)]
#[test]
fn bash_runs_the_line_that_it_has_completed() {
    assert_typed(&["bash", "--norc"], "eval \"$(nexus completions bash)\"");
}

#[cfg(unix)]
#[test]
fn zsh_runs_the_line_that_it_has_completed() {
    if !Path::new("/usr/bin/zsh").exists() {
        return;
    }
    let setup = "autoload -U compinit; compinit -u -D; source <(nexus completions zsh)";
    assert_typed(&["/usr/bin/zsh", "-f"], setup);
}

/// Prints the last argument of each line after it is completed.
#[cfg(unix)]
const LAST_IN_FISH: &str = r"
nexus completions fish | source
for line in $argv
    eval printf '\'%s\n\'' (complete --escape --do-complete=$line)
end";

#[cfg(unix)]
#[test]
fn fish_reads_back_what_it_has_completed() {
    if !Path::new("/usr/bin/fish").exists() {
        return;
    }
    let nexus = odd_home();
    let single = TYPED.iter().filter_map(|(keys, words)| Some((keys.strip_suffix('⇥')?, *words.last()?)));
    let (lines, last): (Vec<_>, Vec<_>) = single
        .filter(|(keys, _)| !keys.contains(['⇥', '←']))
        .map(|(keys, word)| (format!("nexus chat {keys}"), word))
        .unzip();
    let mut fish = Command::new("/usr/bin/fish");
    fish.args(["--no-config", "-c", LAST_IN_FISH]).args(&lines);
    let output = nexus.prepared(fish).output().unwrap();
    let home = nexus.home().display().to_string();
    let last: Vec<_> = last.iter().map(|word| word.replace('~', &home)).collect();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().collect::<Vec<_>>(), last);
    assert!(!nexus.path("made").exists());
}
