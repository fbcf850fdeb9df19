//! `act shell-init`: prints the code that the shell's rc file evaluates.

use clap::ValueEnum;

use crate::system::exit::ExitCode;

/// Arguments of `act shell-init`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
bash, in ~/.bashrc:                    eval \"$(act-claude act shell-init bash)\"
zsh, in ~/.zshrc:                      eval \"$(act-claude act shell-init zsh)\"
fish, in ~/.config/fish/config.fish:   act-claude act shell-init fish | source")]
pub struct Args {
    /// Which shell
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Runs the command.
pub fn run(args: &Args) -> ExitCode {
    super::print(match args.shell {
        Shell::Bash => concat!(include_str!("../../shell/completion.bash"), include_str!("../../shell/init.bash")),
        Shell::Zsh => concat!(include_str!("../../shell/completion.zsh"), include_str!("../../shell/init.zsh")),
        Shell::Fish => concat!(include_str!("../../shell/completion.fish"), include_str!("../../shell/init.fish")),
    })
}
