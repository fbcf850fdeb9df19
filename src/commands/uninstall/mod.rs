//! `act uninstall`: removes what act-claude put on this machine, and names what the user has to remove by hand.

mod removal;
mod running;

use std::fs;
use std::io::{BufRead, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::claude::processes::{self, Role};
use crate::claude::{locate, ourselves, variables};
use crate::commands::here::shown;
use crate::commands::rc::{self, file::RcFile};
use crate::commands::setup::sources::keychain::forget;
use crate::config::{self, Loaded, TokenSource};
use crate::state::spool::{Spool, list};
use crate::state::{self};
use crate::system::environment::Environment;
use crate::system::error::plain;
use crate::system::exit::ExitCode;
use crate::system::file;
use crate::text::shell::shell_word;
use crate::text::{paths, printable};

/// Arguments of `act uninstall`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Don't ask
    #[arg(long)]
    yes: bool,
    /// Keep the configuration and its token files
    #[arg(long)]
    keep_config: bool,
    /// Also remove exports that have not reached ACT, and copies that have not reached their receivers: they are lost
    #[arg(long)]
    discard: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Exit status where uninstalling is not possible now, but may be later (EX_TEMPFAIL of sysexits).
const NOT_NOW: u8 = 75;

/// Runs the command. Exit status 75 where sessions run or exports are left, 64 where the user did not agree, 1 where something
/// could not be removed.
pub fn run(args: &Args, environment: &Environment) -> ExitCode {
    let loaded = config::load(environment);
    let state = state::directory(environment).filter(|state| state.exists());
    if let Some(state) = &state
        && let Err(why) = settle(args, state, environment)
    {
        crate::run::report::fatal(&why);
        return ExitCode::from(NOT_NOW);
    }
    let mut going: Vec<PathBuf> = state.iter().cloned().collect();
    let own = own_configuration(&loaded, environment);
    let mut settled = own.clone();
    if args.keep_config {
        settled.extend(configuration(environment));
        settled.extend(tokens(environment));
    } else {
        going.extend(own);
    }
    let blocks = rc::with_block(environment);
    let left = left_by_hand(&loaded, environment, &settled, &blocks);
    let is_nothing = going.is_empty() && blocks.is_empty();
    if !is_nothing && !args.yes && !confirmed(&going, &blocks, environment) {
        return ExitCode::from(crate::system::exit::USAGE);
    }
    let ended = match state.map_or(Ok(Vec::new()), |state| end_idle(args, &state)) {
        Ok(ended) => ended,
        Err(why) => {
            crate::run::report::fatal(&why);
            return ExitCode::from(NOT_NOW);
        }
    };
    let mut failed = Vec::new();
    for path in &going {
        let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        if let Err(error) = removed {
            failed.push(format!("{}: {}", path.display(), plain(&error)));
        }
    }
    remove_empty(environment, args.keep_config);
    let edited = take_out(&blocks, &mut failed);
    let printed = if args.json {
        let removed: Vec<_> = going.iter().map(|path| paths::to_text(path)).collect();
        super::print_json(
            &json!({ "ended": ended, "removed": removed, "edited": edited, "failed": failed, "left": left }),
        )
    } else {
        let section = |title: &str, lines: &[String]| match lines {
            [] => String::new(),
            lines => format!("{title}\n{}", lines.iter().map(|line| format!("  {line}\n")).collect::<String>()),
        };
        let relay = |pid: &i32| format!("the relay of a claude that had sent nothing (pid {pid})");
        let ended: Vec<String> = ended.iter().map(relay).collect();
        let going: Vec<String> = going.iter().map(|path| path.display().to_string()).collect();
        super::print(
            &(section("ended:", &ended)
                + &section("removed:", &going)
                + &section("taken out of the shell's rc file:", &edited)
                + &section("not removed:", &failed)
                + &section("you have to remove:", &left)),
        )
    };
    if failed.is_empty() { printed } else { ExitCode::FAILURE }
}

/// Removes the blocks from the shells' rc files. Returns the files, and adds those that could not be changed to `failed`.
fn take_out(blocks: &[(RcFile, Vec<u8>)], failed: &mut Vec<String>) -> Vec<String> {
    let mut edited = Vec::new();
    for (file, without) in blocks {
        match file.write(without) {
            Ok(()) => edited.push(paths::to_text(&file.path).into_owned()),
            Err(why) => failed.push(format!("the block in {}: {why}", file.path.display())),
        }
    }
    edited
}

/// Delivers the exports that wait, so that none is lost. An error says why uninstalling is not possible now.
fn settle(args: &Args, state: &Path, environment: &Environment) -> Result<(), String> {
    running::end_draining(state)?;
    running::fail_if_any(state)?;
    if args.discard || Left::of(state)?.is_nothing() {
        return Ok(());
    }
    let became = super::flush::deliver(environment, state);
    if !args.json {
        super::print(&became);
    }
    let left = Left::of(state)?;
    if left.is_nothing() {
        return Ok(());
    }
    Err(format!("{}: act-claude act uninstall --discard deletes them", left.words()))
}

/// Ends the relays that have sent nothing. An error says what came in the meantime.
fn end_idle(args: &Args, state: &Path) -> Result<Vec<i32>, String> {
    let ended = running::end_idle(state)?;
    running::fail_if_any(state)?;
    match args.discard || Left::of(state)?.is_nothing() {
        true => Ok(ended),
        false => Err("an export arrived meanwhile; run it again: act-claude act uninstall".to_owned()),
    }
}

/// What is left to deliver.
struct Left {
    /// The exports for ACT.
    exports: usize,
    /// The copies, for all destinations.
    copies: usize,
}

impl Left {
    /// An error: a queue can't be listed, and may not be empty.
    fn of(state: &Path) -> Result<Self, String> {
        let count = |spool: &Spool| {
            let listed = list::sessions(spool).map(|sessions| sessions.values().map(Vec::len).sum());
            let anyway = "act-claude act uninstall --discard deletes them";
            listed.map_err(|error| format!("the waiting exports can't be listed: {}; {anyway}", plain(&error)))
        };
        let copies = Spool::all_of_copies(state).iter().map(count).sum::<Result<usize, String>>()?;
        Ok(Self { exports: count(&Spool::of(state))?, copies })
    }

    fn is_nothing(&self) -> bool {
        self.exports + self.copies == 0
    }

    fn words(&self) -> String {
        let part = |count: usize, one: &str, many: &str, whom: &str| match count {
            0 => None,
            1 => Some(format!("1 {one} has not reached {whom}")),
            count => Some(format!("{count} {many} have not reached {whom}")),
        };
        let exports = part(self.exports, "export", "exports", "ACT");
        let copies = part(self.copies, "copy", "copies", "another receiver");
        exports.into_iter().chain(copies).collect::<Vec<_>>().join(", and ")
    }
}

/// The files of act-claude's configuration: the configuration, the text before the last change, and what was left where
/// act-claude was killed while it replaced one of them.
fn configuration(environment: &Environment) -> Vec<PathBuf> {
    let Some(file) = config::user_file(environment) else { return Vec::new() };
    let backup = config::edit::file::backup(&file);
    let beside = file.parent().and_then(|directory| fs::read_dir(directory).ok()).into_iter().flatten().flatten();
    let unfinished = beside.map(|entry| entry.path()).filter(|path| file::is_unfinished(path));
    let files = [file, backup].into_iter().chain(unfinished);
    files.filter(|path| path.symlink_metadata().is_ok()).collect()
}

/// The token files in act-claude's own directory, whether or not the configuration names them: it may be unreadable, and an account
/// may have got its token from elsewhere since.
fn tokens(environment: &Environment) -> Vec<PathBuf> {
    let directory = config::user_directory(environment).and_then(|directory| fs::read_dir(directory).ok());
    let files = directory.into_iter().flatten().flatten().map(|entry| entry.path());
    let mut tokens: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "token")).collect();
    tokens.sort();
    tokens
}

/// The files of the configuration that act-claude itself writes, in its own directory: the configuration, and the token files that
/// set-up names. What a user keeps elsewhere, or under another name, is the user's.
fn own_configuration(loaded: &Loaded, environment: &Environment) -> Vec<PathBuf> {
    let Some(directory) = config::user_directory(environment) else { return Vec::new() };
    let tokens = loaded.config.accounts.values().filter_map(|account| match &account.token {
        TokenSource::File(path) if path.extension().is_some_and(|extension| extension == "token") => Some(path.clone()),
        _ => None,
    });
    let all = configuration(environment).into_iter().chain(tokens);
    all.filter(|path| path.parent() == Some(&directory) && path.symlink_metadata().is_ok()).collect()
}

/// Removes the configuration's directory where it is empty.
fn remove_empty(environment: &Environment, keep_config: bool) {
    if let Some(directory) = config::user_directory(environment).filter(|_| !keep_config) {
        let _ = fs::remove_dir(directory);
    }
}

/// What the user has to remove, because act-claude did not put it there or may not remove it: a line each, with what to do. Not
/// the files in `settled`.
fn left_by_hand(
    loaded: &Loaded,
    environment: &Environment,
    settled: &[PathBuf],
    blocks: &[(RcFile, Vec<u8>)],
) -> Vec<String> {
    let mut left = Vec::new();
    if let Some(home) = environment.home() {
        let mut files: Vec<PathBuf> = MENTIONING_FILES.map(|name| home.join(name)).to_vec();
        files.extend(EDITORS.map(|editor| home.join(OF_EDITORS).join(editor).join("User/settings.json")));
        files.extend(rc::files(environment).into_iter().filter(|path| !files.contains(path)).collect::<Vec<_>>());
        for path in files {
            let without = blocks.iter().find(|(file, _)| file.is(&path)).map(|(_, without)| without.clone());
            let text = match without.map_or_else(|| rc::file::content(&path), Ok) {
                Ok(text) => text,
                Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => continue,
                Err(error) => {
                    let why = plain(&error);
                    left.push(format!("{}: can't be read ({why}); look for act-claude in it", path.display()));
                    continue;
                }
            };
            let text = String::from_utf8_lossy(&text);
            let lines = text.lines().enumerate().filter(|(_, line)| line.contains("act-claude"));
            left.extend(lines.map(|(index, line)| format!("{}:{}: {}", path.display(), index + 1, line.trim())));
        }
    }
    let others = configuration(environment).into_iter().filter(|path| !settled.contains(path));
    left.extend(others.map(|path| format!("the configuration: rm {}", shell_word(&path))));
    for (name, account) in &loaded.config.accounts {
        match &account.token {
            TokenSource::Command(argv) => {
                left.extend(forget(argv).map(|command| format!("the token of {name}: {command}")))
            }
            TokenSource::File(path) if path.exists() && !settled.contains(path) => {
                left.push(format!("the token of {name}: rm {}", shell_word(path)));
            }
            _ => {}
        }
    }
    for (name, copy) in &loaded.config.copies {
        let files = copy.headers.iter().filter_map(|(_, source)| match source {
            TokenSource::File(path) if path.exists() && !settled.contains(path) => Some(path),
            _ => None,
        });
        left.extend(files.map(|path| format!("a header of copy {name}: rm {}", shell_word(path))));
    }
    let unnamed = tokens(environment).into_iter().filter(|path| !settled.contains(path));
    left.extend(unnamed.map(|path| format!("a token that no account has: rm {}", shell_word(&path))));
    if Path::new(config::SYSTEM_FILE).exists() {
        left.push(format!("{}: belongs to the system; its owner has to remove it", config::SYSTEM_FILE));
    }
    // A daemon remembers the path of the launcher for its agents. Without that file, its agents fail at once.
    let claude = locate::locate(environment, &loaded.config).ok();
    for process in processes::running(claude.as_deref(), environment) {
        let launcher = process.environment.path(variables::WRAPPER);
        if process.role == Role::Daemon && launcher.is_some_and(ourselves::is_ourselves) {
            let pid = process.pid;
            left.push(format!(
                "claude's daemon (pid {pid}) starts agents through act-claude: claude daemon stop --any"
            ));
        }
    }
    if let Ok(program) = std::env::current_exe() {
        left.push(format!("the program: {}", removal::command(&program, &removal::companions(environment))));
    }
    left
}

/// Files in the home directory in which a user may have mentioned act-claude.
const MENTIONING_FILES: [&str; 9] = [
    ".bashrc",
    ".bash_profile",
    ".bash_aliases",
    ".profile",
    ".zshrc",
    ".zprofile",
    ".zshenv",
    ".config/fish/config.fish",
    ".claude/settings.json",
];

/// Where editors that are made from VS Code have their settings, in the home directory (docs/editors.md).
const OF_EDITORS: &str = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".config" };
const EDITORS: [&str; 3] = ["Code", "VSCodium", "Cursor"];

/// Asks the user on the terminal whether to go on.
fn confirmed(going: &[PathBuf], blocks: &[(RcFile, Vec<u8>)], environment: &Environment) -> bool {
    if !std::io::stdin().is_terminal() {
        crate::run::report::fatal("nothing was removed: there is no terminal to ask on; --yes removes without asking");
        return false;
    }
    let mut list: String = going.iter().map(|path| format!("  {}\n", shown(path, environment))).collect();
    let blocks = blocks.iter().map(|(file, _)| format!("  act-claude's lines in {}\n", shown(&file.path, environment)));
    list.extend(blocks);
    let mut out = std::io::stderr().lock();
    let _ = write!(out, "This removes:\n{}Continue? [y/N] ", printable::lines(&list));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    let yes = read.is_ok() && ["y", "yes"].contains(&answer.trim().to_lowercase().as_str());
    if !yes {
        let _ = writeln!(out, "nothing was removed");
    }
    yes
}
