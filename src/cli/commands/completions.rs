//! `nexus completions SHELL`: prints a script of `completions/`. A test compares these with the commands.

use clap::ValueEnum;

use crate::cli::commands::Done;
use crate::cli::context::Context;

const EXAMPLES: &str = "\
Examples:
  nexus completions bash > ~/.local/share/bash-completion/completions/nexus
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
    context.print(match args.shell {
        Shell::Bash => include_str!("../../../completions/nexus.bash"),
        Shell::Elvish => include_str!("../../../completions/nexus.elv"),
        Shell::Fish => include_str!("../../../completions/nexus.fish"),
        Shell::Powershell => include_str!("../../../completions/_nexus.ps1"),
        Shell::Zsh => include_str!("../../../completions/_nexus"),
    })?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use clap::CommandFactory as _;

    use crate::cli::Cli;

    /// The file and the generator of each script.
    const SCRIPTS: [(&str, clap_complete::Shell); 5] = [
        ("_nexus", clap_complete::Shell::Zsh),
        ("_nexus.ps1", clap_complete::Shell::PowerShell),
        ("nexus.bash", clap_complete::Shell::Bash),
        ("nexus.elv", clap_complete::Shell::Elvish),
        ("nexus.fish", clap_complete::Shell::Fish),
    ];

    fn committed(file: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("completions").join(file)
    }

    /// With `NEXUS_WRITE_COMPLETIONS` set, it writes the scripts.
    #[test]
    fn the_committed_scripts_match_the_grammar() {
        let write = crate::cli::environment::variable("NEXUS_WRITE_COMPLETIONS").is_some();
        for (file, shell) in SCRIPTS {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "nexus", &mut script);
            if write {
                fs::write(committed(file), &script).unwrap();
            }
            assert!(
                fs::read(committed(file)).unwrap() == script,
                "completions/{file} is out of date: run `NEXUS_WRITE_COMPLETIONS=1 cargo test --bin nexus completions`, \
                 then build again"
            );
        }
    }

    #[test]
    fn completions_holds_one_file_per_shell() {
        let files = fs::read_dir(committed("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut files: Vec<_> = files.collect();
        files.sort();
        assert_eq!(files, SCRIPTS.map(|(file, _)| file));
    }
}
