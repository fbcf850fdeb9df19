//! The facts that a set-up gathers before it asks anything, so that the decision itself needs no I/O.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::Args;
use super::dialogue::Stop;
use super::sources::from_settings::{self, Found};
use super::sources::keychain::Keychain;
use super::sources::spec::{self, Spec};
use crate::claude::settings::{self, Layer};
use crate::claude::{installed, locate};
use crate::commands::clones;
use crate::config::resolve::{self, Directory, Explicit};
use crate::config::token::TokenError;
use crate::config::typed::secret::missing_file;
use crate::config::{self, Config, Loaded, TokenSource, token};
use crate::system::environment::Environment;
use crate::system::error::plain;

/// How much of standard input is read as a token, in bytes.
const LONGEST_TOKEN: u64 = 64 * 1024;

/// The facts known before the first question.
pub struct Facts<'a> {
    /// The command line.
    pub args: &'a Args,
    /// The environment.
    pub environment: &'a Environment,
    /// The configuration.
    pub loaded: &'a Loaded,
    /// The parts of claude's settings files that affect telemetry.
    pub layers: Vec<Layer>,
    /// The working directory.
    pub here: PathBuf,
    /// The alias that the working directory has already.
    pub alias_here: Option<String>,
    /// Whether the working directory is `/`, the home directory, or one that contains it.
    pub here_is_broad: bool,
    /// The git repository of the first `--directory`, otherwise of the working directory.
    pub repository: Option<PathBuf>,
    /// The repository that the working directory is a clone of: the key of a rule for all its clones.
    pub clones: Option<String>,
    /// The directories of `--directory`, as canonical paths.
    pub directories: Vec<PathBuf>,
    /// A claude that is installed, where none is on PATH and none is configured.
    pub claude_apart: Option<PathBuf>,
    /// Why the token source that the flags name can't give a token. `None`: it can, or it is not known.
    pub source_fault: Option<String>,
    /// The Monitoring Spec: its name for messages, and its content.
    pub spec: Option<(String, Spec)>,
    /// With `--from-settings`: what was found in claude's settings.
    pub found: Option<Found>,
    /// With `--token-stdin`: the content of standard input.
    pub stdin_token: Option<Zeroizing<String>>,
    /// The system's keychain, where its tool is installed.
    pub keychain: Option<Keychain>,
    /// Whether the keychain can be reached.
    pub keychain_is_reachable: bool,
    /// The accounts whose token source seems able to give a token. No command is run to find out.
    pub with_token: BTreeSet<String>,
    /// The user's configuration file.
    pub user_file: PathBuf,
    /// The files beside it.
    pub token_files: Vec<PathBuf>,
}

impl<'a> Facts<'a> {
    /// Gathers the facts. It asks no question, runs no command and writes nothing.
    pub fn gather(args: &'a Args, environment: &'a Environment, loaded: &'a Loaded) -> Result<Self, Stop> {
        let here = std::env::current_dir().unwrap_or_default();
        let home = environment.home().map(|home| home.canonicalize().unwrap_or(home));
        let directories =
            args.directories.iter().map(|directory| existing(&here, directory)).collect::<Result<Vec<_>, _>>()?;
        let found = args.from_settings.then(|| in_settings(&here, &directories, environment));
        let spec = args.spec.as_deref().map(|path| read_spec(args, path)).transpose()?;
        let stdin_token = args.token_stdin.then(from_stdin).transpose()?;
        let keychain = Keychain::find(environment);
        let accounts = loaded.config.accounts.iter();
        let with_token = accounts.filter(|(_, account)| token::look(&account.token, environment).is_ok());
        let user_file = config::user_file(environment).unwrap_or_default();
        let user_file = std::path::absolute(&user_file).unwrap_or(user_file);
        let beside = user_file.parent().and_then(|directory| std::fs::read_dir(directory).ok());
        Ok(Self {
            args,
            environment,
            loaded,
            layers: settings::read(&here, &[], environment),
            alias_here: alias_of(&here, environment, loaded),
            clones: clones_of(&here, environment, &loaded.config),
            here_is_broad: here.parent().is_none() || home.as_ref().is_some_and(|home| home.starts_with(&here)),
            repository: repository(directories.first().unwrap_or(&here), home.as_deref()),
            here,
            directories,
            claude_apart: claude_apart(environment, loaded),
            source_fault: source_fault(args, environment),
            spec,
            found,
            stdin_token,
            keychain_is_reachable: keychain.as_ref().is_some_and(|keychain| keychain.is_reachable(environment)),
            keychain,
            with_token: with_token.map(|(name, _)| name.clone()).collect(),
            token_files: beside.into_iter().flatten().flatten().map(|entry| entry.path()).collect(),
            user_file,
        })
    }
}

fn existing(here: &Path, directory: &Path) -> Result<PathBuf, Stop> {
    let why = |error| {
        let shown = directory.display().to_string();
        Stop::usage(format!("--directory {}: {}", missing_file(&shown), plain(&error)))
    };
    here.join(directory).canonicalize().map_err(why)
}

/// The top of the git repository that holds a directory. A home directory that is a repository says nothing about what is in it.
fn repository(directory: &Path, home: Option<&Path>) -> Option<PathBuf> {
    let top = directory.ancestors().find(|path| path.join(".git").exists())?;
    (top.parent().is_some() && home.is_none_or(|home| !home.starts_with(top))).then(|| top.to_path_buf())
}

fn claude_apart(environment: &Environment, loaded: &Loaded) -> Option<PathBuf> {
    let is_missing = locate::locate(environment, &loaded.config).is_err_and(|error| error.code == 127);
    if is_missing && loaded.config.claude.is_none() { installed::apart(environment) } else { None }
}

/// What is wrong with the variable or the file that the flags name. A file is to hold the token already; a variable may be set
/// later. A command is not run.
fn source_fault(args: &Args, environment: &Environment) -> Option<String> {
    let fault = |source: &TokenSource| token::fetch(source, environment).err().map(TokenError::in_setup);
    let variable = args.token_env.as_deref().and_then(|name| super::token::variable(name).ok());
    if let Some(name) = variable.filter(|name| environment.get(name).is_some()) {
        return fault(&TokenSource::Env(name.to_owned())).map(|error| format!("--token-env: {error}"));
    }
    let path = std::path::absolute(args.token_file.as_ref()?).ok()?;
    if !path.exists() && !path.is_symlink() {
        // The path is not repeated, because it may be the token itself.
        return Some("--token-file: there is no such file; --token-stdin reads the token itself".to_owned());
    }
    fault(&TokenSource::File(path)).map(|error| format!("--token-file: {error}"))
}

fn in_settings(here: &Path, named: &[PathBuf], environment: &Environment) -> Found {
    let mut directories = from_settings::directories(here, environment);
    directories.extend(named.iter().cloned());
    from_settings::find(&directories, environment)
}

fn clones_of(here: &Path, environment: &Environment, config: &Config) -> Option<String> {
    let place = Directory::of(here, environment, config);
    let address = clones::address(&place, config, environment).ok().filter(|address| !address.is_local())?;
    Some(clones::key(&address, config, config::user_file(environment).as_deref()))
}

fn alias_of(here: &Path, environment: &Environment, loaded: &Loaded) -> Option<String> {
    let place = Directory::of(here, environment, &loaded.config);
    let alias = resolve::resolve(Explicit::default(), &loaded.config, &place).ok()?.alias?;
    loaded.config.aliases.contains_key(&alias).then_some(alias)
}

fn read_spec(args: &Args, path: &Path) -> Result<(String, Spec), Stop> {
    let limit = spec::LARGEST as u64 + 1;
    let mut bytes = Vec::new();
    let (name, read) = if path == Path::new("-") {
        if args.token_stdin {
            return Err(Stop::usage("--spec - and --token-stdin both need standard input"));
        }
        ("standard input".to_owned(), std::io::stdin().take(limit).read_to_end(&mut bytes))
    } else {
        let read = std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
        (path.display().to_string(), read)
    };
    read.map_err(|error| Stop::usage(format!("{}: {}", missing_file(&name), plain(&error))))?;
    let spec =
        spec::read(&bytes).map_err(|why| Stop::usage(format!("the Monitoring Spec {name} is refused: {why}")))?;
    Ok((name, spec))
}

fn from_stdin() -> Result<Zeroizing<String>, Stop> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        let why = "--token-stdin: standard input is a terminal; without this flag the token is asked for, without echo";
        return Err(Stop::usage(why));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    let read = stdin.take(LONGEST_TOKEN).read_to_end(&mut bytes);
    read.map_err(|error| Stop::usage(format!("--token-stdin: {}", plain(&error))))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| {
        Stop::usage(
            "--token-stdin: standard input is not UTF-8 text (perhaps UTF-16, as some programs of Windows write it)",
        )
    })?;
    Ok(Zeroizing::new(text.to_owned()))
}
