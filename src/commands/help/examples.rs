//! Examples for each command (pure): what one wants, and what one types.

/// An example.
#[derive(Debug)]
pub struct Example {
    /// What it is for.
    pub about: &'static str,
    /// The line to type.
    pub line: &'static str,
}

const fn example(about: &'static str, line: &'static str) -> Example {
    Example { about, line }
}

const SETUP: &[Example] = &[
    example("From the alias's Monitoring Spec; what is missing is asked", "act-claude act setup --spec billing.yaml"),
    example("From the OTEL variables that Claude Code's settings have already", "act-claude act setup --from-settings"),
    example("A new token for the account acme, or another e-mail of its user", "act-claude act setup --account acme"),
];

const SHELL_INIT: &[Example] = &[
    example("In ~/.bashrc", "eval \"$(act-claude act shell-init bash)\""),
    example("In ~/.zshrc", "eval \"$(act-claude act shell-init zsh)\""),
    example("In ~/.config/fish/config.fish", "act-claude act shell-init fish | source"),
];

const UNINSTALL: &[Example] = &[
    example("Shows what would be removed, and asks", "act-claude act uninstall"),
    example("Without a question; the configuration stays", "act-claude act uninstall --yes --keep-config"),
];

const WHICH: &[Example] = &[
    example("The alias of this directory, and why", "act-claude act which"),
    example("Of another directory", "act-claude act which ~/work/billing"),
    example("With the variables that claude would get", "act-claude act which --env"),
];

const USE: &[Example] = &[
    example("This directory and all below use the alias billing", "act-claude act use billing"),
    example("The same for everybody who has this repository", "act-claude act use billing --repo"),
    example("No telemetry in this directory", "act-claude act use --none"),
];

const ALIASES: &[Example] = &[
    example("All aliases and their directories", "act-claude act aliases"),
    example(
        "A second alias of the same account",
        "act-claude act aliases --add web --id 3f2c7e10-8a41 --provider-type CUSTOM",
    ),
    example("Remove one; its directories use billing", "act-claude act aliases --remove web --move-to billing"),
];

const HISTORY: &[Example] = &[
    example("The last ten sessions", "act-claude act history"),
    example("Only those with a failure, of the last 90 days", "act-claude act history --all --failed"),
    example("For a program", "act-claude act history --number 1 --json"),
];

const USAGE: &[Example] = &[
    example("Today, the last 7 days and this month; what of it ACT has", "act-claude act usage"),
    example(
        "Of three months, by repository, for a spreadsheet",
        "act-claude act usage --since 3m --by repository --csv",
    ),
    example("As a page that can be sent or printed", "act-claude act usage --since 2026-11-01 --html usage.html"),
];

const STATUSLINE: &[Example] = &[
    example("As the command of \"statusLine\" in ~/.claude/settings.json", "act-claude act statusline"),
    example("After a status line of your own", "act-claude act statusline -- ~/.claude/statusline.sh"),
];

const CHECK: &[Example] = &[
    example("Endpoint, token and alias of this directory", "act-claude act check"),
    example("Of one alias", "act-claude act check billing"),
    example("Of every alias; the exit status is the worst", "act-claude act check --all"),
];

const DOCTOR: &[Example] = &[
    example("Problems, each with its fix, and what was looked at", "act-claude act doctor"),
    example(
        "A file for a support ticket, without secrets and names of people",
        "act-claude act doctor --bundle doctor.json",
    ),
];

const FLUSH: &[Example] = &[
    example("Deliver everything that waits", "act-claude act flush"),
    example("Exports whose alias is gone, under the alias billing", "act-claude act flush --to billing"),
    example("Delete what still can't be delivered", "act-claude act flush --discard"),
];

const LOGS: &[Example] = &[
    example("The latest debug log", "act-claude act logs"),
    example("As it grows, until Ctrl-C", "act-claude act logs --follow"),
];

const DEMO: &[Example] = &[
    example("The whole path on this machine", "act-claude act demo"),
    example("What a wrong token looks like", "act-claude act demo --fail 401"),
];

const RECEIVE: &[Example] = &[
    example("A local ACT on a port of its own choice", "act-claude act receive"),
    example("On this port, answering as if it had too much to do", "act-claude act receive --port 4318 --fail 429"),
];

/// The examples of a command; none where there is no such command.
pub fn of(command: &str) -> &'static [Example] {
    match command {
        "setup" => SETUP,
        "shell-init" => SHELL_INIT,
        "uninstall" => UNINSTALL,
        "which" => WHICH,
        "use" => USE,
        "aliases" => ALIASES,
        "history" => HISTORY,
        "usage" => USAGE,
        "statusline" => STATUSLINE,
        "check" => CHECK,
        "doctor" => DOCTOR,
        "flush" => FLUSH,
        "logs" => LOGS,
        "demo" => DEMO,
        "receive" => RECEIVE,
        _ => &[],
    }
}
