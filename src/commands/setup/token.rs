//! Where an account's token comes from: what the flags say, what is there already, or what is asked.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::commands::setup::sources::credential::Credential;
use crate::commands::setup::sources::keychain::Keychain;
use crate::commands::setup::sources::names;
use crate::config::{self, Account, TokenSource, edit, token};
use crate::system::error::plain;

use super::ask::{Asker, Offer, Question, Stop};
use super::{Setup, Store};

/// Where a token will be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The operating system's keychain.
    Keychain(Keychain),
    /// A file.
    File(PathBuf),
}

/// An account's token.
pub enum Choice {
    /// It is kept elsewhere, and fetched when needed.
    Source(TokenSource),
    /// It is to be stored.
    Store(Credential, Place),
}

/// The most that is read from standard input, in bytes.
const LONGEST: u64 = 64 * 1024;

impl Place {
    /// Where it will be fetched from.
    pub fn source(&self, account: &str, user: &str) -> TokenSource {
        match self {
            Self::Keychain(keychain) => TokenSource::Command(keychain.lookup(account, user)),
            Self::File(path) => TokenSource::File(path.clone()),
        }
    }
}

impl Choice {
    /// The user that the credential names.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Store(credential, _) => credential.user.as_deref(),
            Self::Source(_) => None,
        }
    }
}

/// Chooses for an account. One that works already is kept unless a flag says otherwise.
pub fn choose(setup: &Setup<'_>, asker: &mut Asker, account: &str, existing: Option<&Account>) -> Result<Choice, Stop> {
    if let Some(source) = from_flags(setup)? {
        return Ok(Choice::Source(source));
    }
    if !setup.args.token_stdin
        && setup.args.store.is_none()
        && let Some(existing) = existing
        && token::look(&existing.token, setup.environment).is_ok()
    {
        return Ok(Choice::Source(existing.token.clone()));
    }
    let place = existing.and_then(|existing| place_of(setup, account, existing));
    match place.filter(|_| setup.args.store.is_none()) {
        Some(place) => store(setup, asker, account, place),
        None => match where_to(setup, asker, account)? {
            Ok(place) => store(setup, asker, account, place),
            Err(source) => Ok(Choice::Source(source)),
        },
    }
}

/// The place of an existing account's token, where it is one that set-up can write to.
pub fn place_of(setup: &Setup<'_>, account: &str, existing: &Account) -> Option<Place> {
    match &existing.token {
        TokenSource::File(path) => Some(Place::File(path.clone())),
        TokenSource::Command(argv) => {
            let keychain = Keychain::find(setup.environment)?;
            keychain.owns(argv, account, &existing.user).then_some(Place::Keychain(keychain))
        }
        TokenSource::Env(_) => None,
    }
}

/// What `--token-command`, `--token-env` or `--token-file` say.
pub fn from_flags(setup: &Setup<'_>) -> Result<Option<TokenSource>, Stop> {
    let args = setup.args;
    if let Some(line) = &args.token_command {
        return command(line).map(Some).map_err(|why| Stop::Usage(vec![format!("--token-command: {why}")]));
    }
    if let Some(name) = &args.token_env {
        return Ok(Some(TokenSource::Env(name.clone())));
    }
    let Some(path) = &args.token_file else { return Ok(None) };
    let path = std::path::absolute(path).map_err(|error| Stop::Usage(vec![format!("--token-file: {error}")]))?;
    Ok(Some(TokenSource::File(path)))
}

fn command(line: &str) -> Result<TokenSource, String> {
    match shell_words::split(line) {
        Ok(words) if words.is_empty() => Err("it is empty".to_owned()),
        Ok(words) => Ok(TokenSource::Command(words)),
        Err(_) => Err("a quote is not closed".to_owned()),
    }
}

/// A place for a new token; or a source that needs none.
pub fn where_to(setup: &Setup<'_>, asker: &mut Asker, account: &str) -> Result<Result<Place, TokenSource>, Stop> {
    let keychain = Keychain::find(setup.environment);
    let file = default_file(setup, account);
    match (setup.args.store, &keychain) {
        (Some(Store::File), _) => return Ok(Ok(Place::File(file))),
        (Some(Store::Keychain), Some(keychain)) => return Ok(Ok(Place::Keychain(keychain.clone()))),
        (Some(Store::Keychain), None) => {
            let why = "--store keychain: neither `secret-tool` nor `security` is installed; use --store file";
            return Err(Stop::Usage(vec![why.to_owned()]));
        }
        (None, _) => {}
    }
    let shown = edit::directory_key(&file, setup.environment);
    let mut options = vec![
        Offer::noted(format!("in {shown}"), "only you can read it"),
        Offer::noted("nowhere: a command prints it each time", "pass, op, vault …"),
        Offer::plain("nowhere: an environment variable holds it"),
    ];
    let keychain = keychain.filter(|keychain| keychain.is_reachable(setup.environment));
    if let Some(keychain) = &keychain {
        options.insert(0, Offer::plain(format!("in {}", keychain.name())));
    }
    let flag = if setup.args.token_stdin {
        "--store keychain or --store file: where to keep the token"
    } else {
        "--token-stdin with --store keychain or --store file, or --token-command, --token-env, --token-file: the API token"
    };
    if !asker.can_ask() {
        asker.miss(flag);
        return Ok(Err(TokenSource::Env(String::new())));
    }
    let ask = format!("Where to keep {account}'s API token");
    let question = Question { ask: &ask, help: "", flag };
    let chosen = asker.choose(&question, options)?;
    Ok(match (chosen, keychain) {
        (0, Some(keychain)) => Ok(Place::Keychain(keychain)),
        (0, None) | (1, Some(_)) => Ok(Place::File(file)),
        (1, None) | (2, Some(_)) => {
            let question = Question { ask: "Command", help: "run without a shell and without a terminal", flag: "" };
            let line = asker.text(&question, None, |line| command(line).map(drop))?;
            Err(command(&line).map_err(|why| Stop::Usage(vec![why]))?)
        }
        _ => {
            let help = "background agents don't have it: their exports are held";
            let question = Question { ask: "Variable", help, flag: "" };
            Err(TokenSource::Env(asker.text(&question, Some("ACT_TOKEN"), config::check_word)?))
        }
    })
}

/// Where set-up keeps an account's token, where it is to be a file.
pub fn default_file(setup: &Setup<'_>, account: &str) -> PathBuf {
    let name = names::of(account).unwrap_or_else(|| "account".to_owned());
    let config = config::user_file(setup.environment).unwrap_or_default();
    let config = std::path::absolute(&config).unwrap_or(config);
    config.with_file_name(format!("{name}.token"))
}

/// Reads the token, from standard input or by asking.
pub fn store(setup: &Setup<'_>, asker: &mut Asker, account: &str, place: Place) -> Result<Choice, Stop> {
    let text = if setup.args.token_stdin {
        from_stdin()?
    } else {
        let help = "it is not shown; a copied \"Basic …\" is understood as well";
        let flag = "--token-stdin, --token-command, --token-env or --token-file: the API token";
        let ask = format!("API token of {account}");
        let question = Question { ask: &ask, help, flag };
        asker.secret(&question, |text| Credential::read(text).map(drop))?
    };
    if text.is_empty() && !setup.args.token_stdin {
        // Noted as missing.
        let none = Credential { token: Zeroizing::default(), user: None, notes: Vec::new() };
        return Ok(Choice::Store(none, place));
    }
    let credential =
        Credential::read(&text).map_err(|why| Stop::Usage(vec![format!("the token on standard input: {why}")]))?;
    for note in &credential.notes {
        setup.tell(&format!("API token: {note}"));
    }
    Ok(Choice::Store(credential, place))
}

fn from_stdin() -> Result<Zeroizing<String>, Stop> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        let why = "--token-stdin: standard input is a terminal; without this flag the token is asked for, without echo";
        return Err(Stop::Usage(vec![why.to_owned()]));
    }
    let mut text = Zeroizing::new(String::with_capacity(4096));
    let read = stdin.take(LONGEST).read_to_string(&mut text);
    read.map_err(|error| Stop::Usage(vec![format!("--token-stdin: {}", plain(&error))]))?;
    Ok(text)
}
