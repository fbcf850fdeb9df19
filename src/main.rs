//! `act-claude`: starts Claude Code under the Agent Control Tower alias of the current directory.

fn main() -> std::process::ExitCode {
    act_claude::run()
}
