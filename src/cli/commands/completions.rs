//! `nexus completions SHELL`: prints a script of `completions/`. A test compares these with the
//! completion engine.

use clap::ValueEnum;

use crate::cli::commands::Done;
use crate::cli::context::Context;

const EXAMPLES: &str = "\
Examples:
  nexus completions bash > ~/.local/share/bash-completion/completions/nexus
  nexus completions zsh > ~/.zfunc/_nexus   # fpath+=~/.zfunc before compinit
  nexus completions fish > ~/.config/fish/completions/nexus.fish";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Shell to print the script for
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let name = args.shell.to_possible_value().map(|value| value.get_name().to_owned());
    context.print(script(&name.unwrap_or_default()))?;
    Ok(0)
}

/// The script for a shell, which asks nexus how to complete a command line.
pub(crate) fn script(shell: &str) -> &'static str {
    match shell {
        "bash" => include_str!("../../../completions/nexus.bash"),
        "elvish" => include_str!("../../../completions/nexus.elv"),
        "fish" => include_str!("../../../completions/nexus.fish"),
        "powershell" => include_str!("../../../completions/_nexus.ps1"),
        "zsh" => include_str!("../../../completions/_nexus"),
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use clap_complete::env::Shells;

    /// The file of each shell's script that clap's engine generates. That for bash is nexus's own.
    const GENERATED: [(&str, &str); 4] =
        [("_nexus", "zsh"), ("_nexus.ps1", "powershell"), ("nexus.elv", "elvish"), ("nexus.fish", "fish")];

    /// Where the script for zsh looks at the candidates, and what it does before.
    const CANDIDATES: &str = "    if [[ -n $completions ]]; then\n";
    const FILES: &str = "    if [[ $completions == *$'\\v' ]]; then\n        \
        compset -P 1 '(--*=|-[^-])'\n        _files\n        return\n    fi\n";

    /// What zsh runs when it loads the script as a function, at the first use of Tab.
    const FIRST_USE: &str = "\nif [ \"$funcstack[1]\" = \"_nexus\" ]; then\n    \
        _clap_dynamic_completer_nexus \"$@\"\nfi\n";

    fn committed(file: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("completions").join(file)
    }

    fn generated(shell: &str) -> String {
        let (shells, mut script) = (Shells::builtins(), Vec::new());
        let shell = shells.completer(shell).unwrap();
        shell.write_registration("COMPLETE", "nexus", "nexus", "nexus", &mut script).unwrap();
        let script = String::from_utf8(script).unwrap();
        let script = format!("{}\n", script.trim());
        match shell.name() {
            "zsh" => script.replace(CANDIDATES, &format!("{FILES}{CANDIDATES}")) + FIRST_USE,
            _ => script,
        }
    }

    /// With `NEXUS_WRITE_COMPLETIONS` set, it writes the scripts.
    #[test]
    fn the_committed_scripts_are_the_generated_ones() {
        let write = crate::cli::environment::variable("NEXUS_WRITE_COMPLETIONS").is_some();
        for (file, shell) in GENERATED {
            let script = generated(shell);
            if write {
                fs::write(committed(file), &script).unwrap();
            }
            assert!(
                fs::read_to_string(committed(file)).unwrap() == script,
                "completions/{file} is out of date: run `NEXUS_WRITE_COMPLETIONS=1 cargo test --bin nexus completions`, \
                 then build again"
            );
        }
    }

    #[test]
    fn completions_holds_one_file_per_shell() {
        let files = fs::read_dir(committed("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut files: Vec<_> = files.collect();
        let generated = GENERATED.map(|(file, _)| file.to_owned());
        files.retain(|file| !generated.contains(file));
        assert_eq!(files, ["nexus.bash"]);
    }
}
