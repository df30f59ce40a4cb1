//! The process: words in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(nexus::run(std::env::args_os()))
}
