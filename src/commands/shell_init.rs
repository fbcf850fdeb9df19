//! `act shell-init`: prints the code that the shell's rc file evaluates.

use super::rc::Shell;
use crate::system::exit::ExitCode;

/// Arguments of `act shell-init`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which shell
    shell: Shell,
}

/// Runs the command.
pub fn run(args: &Args) -> ExitCode {
    super::print_for_programs(match args.shell {
        Shell::Bash => concat!(include_str!("../../shell/completion.bash"), include_str!("../../shell/init.bash")),
        Shell::Zsh => concat!(include_str!("../../shell/completion.zsh"), include_str!("../../shell/init.zsh")),
        Shell::Fish => concat!(include_str!("../../shell/completion.fish"), include_str!("../../shell/init.fish")),
    })
}
