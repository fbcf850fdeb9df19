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
use crate::config::resolve::{self, Directory, Explicit};
use crate::config::{self, Loaded, token};
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
    /// The working directory.
    pub here: PathBuf,
    /// The alias that the working directory has already.
    pub alias_here: Option<String>,
    /// The directories of `--directory`, as canonical paths.
    pub directories: Vec<PathBuf>,
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
}

impl<'a> Facts<'a> {
    /// Gathers the facts. It asks no question, runs no command and writes nothing.
    pub fn gather(args: &'a Args, environment: &'a Environment, loaded: &'a Loaded) -> Result<Self, Stop> {
        let here = std::env::current_dir().unwrap_or_default();
        let directories =
            args.directories.iter().map(|directory| existing(&here, directory)).collect::<Result<Vec<_>, _>>()?;
        let found = args.from_settings.then(|| in_settings(&here, &directories, environment));
        let spec = args.spec.as_deref().map(|path| read_spec(args, path)).transpose()?;
        let stdin_token = args.token_stdin.then(from_stdin).transpose()?;
        let keychain = Keychain::find(environment);
        let accounts = loaded.config.accounts.iter();
        let with_token = accounts.filter(|(_, account)| token::look(&account.token, environment).is_ok());
        let user_file = config::user_file(environment).unwrap_or_default();
        Ok(Self {
            args,
            environment,
            loaded,
            alias_here: alias_of(&here, environment, loaded),
            here,
            directories,
            spec,
            found,
            stdin_token,
            keychain_is_reachable: keychain.as_ref().is_some_and(|keychain| keychain.is_reachable(environment)),
            keychain,
            with_token: with_token.map(|(name, _)| name.clone()).collect(),
            user_file: std::path::absolute(&user_file).unwrap_or(user_file),
        })
    }
}

fn existing(here: &Path, directory: &Path) -> Result<PathBuf, Stop> {
    let why = |error| Stop::usage(format!("--directory {}: {}", directory.display(), plain(&error)));
    here.join(directory).canonicalize().map_err(why)
}

fn in_settings(here: &Path, named: &[PathBuf], environment: &Environment) -> Found {
    let mut directories = from_settings::directories(here, environment);
    directories.extend(named.iter().cloned());
    from_settings::find(&directories, environment)
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
    read.map_err(|error| Stop::usage(format!("{name}: {}", plain(&error))))?;
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
    let mut text = Zeroizing::new(String::with_capacity(4096));
    let read = stdin.take(LONGEST_TOKEN).read_to_string(&mut text);
    read.map_err(|error| Stop::usage(format!("--token-stdin: {}", plain(&error))))?;
    Ok(text)
}
