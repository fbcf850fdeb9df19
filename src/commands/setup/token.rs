//! Decides where an account's token comes from: from the flags, from the configured account, or from questions.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::sources::keychain::Keychain;
use super::sources::names;
use crate::config::typed::credential::{Credential, Refused, is_credential};
use crate::config::{Account, TokenSource, edit};
use crate::text::pasted;

use super::Store;
use super::dialogue::{Check, Dialogue, Offer, Question, Stop};
use super::facts::Facts;

/// Where a token will be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenPlace {
    /// The operating system's keychain.
    Keychain(Keychain),
    /// A file.
    File(PathBuf),
}

/// The choice for an account's token.
pub enum Choice {
    /// It is kept elsewhere and fetched when needed.
    Source(TokenSource),
    /// It is to be stored.
    Store(Credential, TokenPlace),
}

impl TokenPlace {
    /// The source from which the token will be fetched.
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

/// Chooses the token for an account. A token source that seems to work is kept, unless a flag says otherwise.
pub fn choose(
    facts: &Facts<'_>,
    dialogue: &mut Dialogue<'_>,
    account: &str,
    existing: Option<&Account>,
) -> Result<Choice, Stop> {
    if let Some(source) = from_flags(facts)? {
        return Ok(Choice::Source(source));
    }
    if !facts.args.token_stdin
        && facts.args.store.is_none()
        && let Some(existing) = existing
        && facts.with_token.contains(account)
    {
        return Ok(Choice::Source(existing.token.clone()));
    }
    let place = existing.and_then(|existing| place_of(facts, account, existing));
    match place.filter(|_| facts.args.store.is_none()) {
        Some(place) => store(facts, dialogue, account, place),
        None => match choose_place(facts, dialogue, account, facts.args.token_stdin)? {
            Ok(place) => store(facts, dialogue, account, place),
            Err(source) => Ok(Choice::Source(source)),
        },
    }
}

/// The place of an existing account's token, where set-up can write to it.
pub fn place_of(facts: &Facts<'_>, account: &str, existing: &Account) -> Option<TokenPlace> {
    match &existing.token {
        TokenSource::File(path) => Some(TokenPlace::File(path.clone())),
        TokenSource::Command(argv) => {
            let keychain = facts.keychain.clone()?;
            keychain.owns(argv, account).then_some(TokenPlace::Keychain(keychain))
        }
        TokenSource::Env(_) => None,
    }
}

/// The source that `--token-command`, `--token-env` or `--token-file` names.
pub fn from_flags(facts: &Facts<'_>) -> Result<Option<TokenSource>, Stop> {
    let args = facts.args;
    if let Some(why) = &facts.source_fault {
        return Err(Stop::usage(why));
    }
    if let Some(line) = &args.token_command {
        return command(line).map(Some).map_err(|why| Stop::usage(format!("--token-command: {why}")));
    }
    if let Some(name) = &args.token_env {
        let name = variable(name).map_err(|why| Stop::usage(format!("--token-env: {why}")))?;
        return Ok(Some(TokenSource::Env(name.to_owned())));
    }
    let Some(path) = &args.token_file else { return Ok(None) };
    let path = std::path::absolute(path).map_err(|error| Stop::usage(format!("--token-file: {error}")))?;
    Ok(Some(TokenSource::File(path)))
}

fn command(line: &str) -> Result<TokenSource, String> {
    match shell_words::split(line) {
        Ok(words) if words.is_empty() => Err("it is empty".to_owned()),
        Ok(words) if is_credential(line) || words.iter().any(|word| is_credential(word)) => {
            Err("a command that prints the token is needed, not the token: --token-stdin reads the token itself"
                .to_owned())
        }
        Ok(words) => Ok(TokenSource::Command(words)),
        Err(_) => Err("a quote is not closed".to_owned()),
    }
}

/// The name of a variable, without the `$` of a shell. The error does not repeat it, because it may be the token itself.
pub fn variable(text: &str) -> Result<&str, String> {
    let text = pasted::bare(text);
    let name = text.strip_prefix('$').unwrap_or(text);
    let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
    let is_name = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_name { Ok(name) } else { Err("the name of a variable is needed, not its value".to_owned()) }
}

/// The place where a new token will be stored, or a source for which nothing is stored. With `--yes`, a token that was given
/// (`has_token`) is stored in a file.
pub fn choose_place(
    facts: &Facts<'_>,
    dialogue: &mut Dialogue<'_>,
    account: &str,
    has_token: bool,
) -> Result<Result<TokenPlace, TokenSource>, Stop> {
    let keychain = facts.keychain.clone();
    let file = default_file(facts, account);
    match (facts.args.store, &keychain) {
        (Some(Store::File), _) => return Ok(Ok(TokenPlace::File(file))),
        (Some(Store::Keychain), Some(keychain)) => return Ok(Ok(TokenPlace::Keychain(keychain.clone()))),
        (Some(Store::Keychain), None) => {
            let why = "--store keychain: neither `secret-tool` nor `security` is installed; use --store file";
            return Err(Stop::usage(why));
        }
        (None, _) if has_token && dialogue.takes_defaults() => return Ok(Ok(TokenPlace::File(file))),
        (None, _) => {}
    }
    let shown = edit::directory_key(&file, facts.environment);
    let mut options = vec![
        Offer::noted(format!("in {shown}"), "only you can read it"),
        Offer::noted("nowhere: a command prints it each time", "pass, op, vault …"),
        Offer::plain("nowhere: an environment variable holds it"),
    ];
    let keychain = keychain.filter(|_| facts.keychain_is_reachable);
    if let Some(keychain) = &keychain {
        options.insert(0, Offer::plain(format!("in {}", keychain.name())));
    }
    let flag = if has_token {
        "--store keychain or --store file: where to keep the token"
    } else {
        "--token-stdin, --token-command, --token-env or --token-file: the API token"
    };
    if !dialogue.can_ask() {
        dialogue.note_missing(flag);
        return Ok(Err(TokenSource::Env(String::new())));
    }
    let ask = format!("Where to keep {account}'s API token");
    let question = Question { ask: &ask, help: "", flag };
    let chosen = dialogue.choose(&question, options)?;
    Ok(match (chosen, keychain) {
        (0, Some(keychain)) => Ok(TokenPlace::Keychain(keychain)),
        (0, None) | (1, Some(_)) => Ok(TokenPlace::File(file)),
        (1, None) | (2, Some(_)) => {
            let question = Question { ask: "Command", help: "run without a shell and without a terminal", flag: "" };
            let line = dialogue.text(&question, None, |line| command(line).map(drop))?;
            Err(command(&line).map_err(Stop::usage)?)
        }
        _ => {
            let help = "background agents don't have it: their exports are held";
            let question = Question { ask: "Variable", help, flag: "" };
            let name = dialogue.text(&question, Some("ACT_TOKEN"), |name| variable(name).map(drop))?;
            Err(TokenSource::Env(variable(&name).unwrap_or_default().to_owned()))
        }
    })
}

/// The file in which set-up stores an account's token. No file that exists is taken, nor one that another account names: it may be
/// the only place where that account's token is.
pub fn default_file(facts: &Facts<'_>, account: &str) -> PathBuf {
    let accounts = &facts.loaded.config.accounts;
    let file_of = |account: &Account| match &account.token {
        TokenSource::File(path) => Some(path.clone()),
        _ => None,
    };
    let own = accounts.get(account).and_then(|account| file_of(account));
    let others = accounts.iter().filter(|(name, _)| *name != account).filter_map(|(_, account)| file_of(account));
    let taken: Vec<PathBuf> = others.chain(facts.token_files.iter().cloned()).collect();
    let path = |name: &str| facts.user_file.with_file_name(format!("{name}.token"));
    let is_taken = |name: &str| {
        let path = path(name);
        // Some file systems ignore case.
        let is_same = |other: &PathBuf| other.as_os_str().eq_ignore_ascii_case(&path);
        !own.as_ref().is_some_and(is_same) && taken.iter().any(is_same)
    };
    let name = names::of(account).unwrap_or_else(|| "account".to_owned());
    path(&names::free(&name, is_taken))
}

/// Reads the token from standard input's content or from a question, and chooses to store it in `place`.
pub fn store(facts: &Facts<'_>, dialogue: &mut Dialogue<'_>, account: &str, place: TokenPlace) -> Result<Choice, Stop> {
    let text = match &facts.stdin_token {
        Some(text) => text.clone(),
        None => ask(dialogue, account, UNDERSTOOD, check)?,
    };
    if text.is_empty() && facts.stdin_token.is_none() {
        // It could not be asked for and is noted as missing.
        let none = Credential { token: Zeroizing::default(), user: None, notes: Vec::new() };
        return Ok(Choice::Store(none, place));
    }
    stored(dialogue, &text, place)
}

/// Asks for a new token of an account that has one in `place`. An empty answer keeps that one: perhaps only its user is wrong.
pub fn renew(
    facts: &Facts<'_>,
    dialogue: &mut Dialogue<'_>,
    account: &str,
    place: TokenPlace,
    source: &TokenSource,
) -> Result<Choice, Stop> {
    if !dialogue.can_ask() {
        return store(facts, dialogue, account, place);
    }
    let help = format!("{UNDERSTOOD}; Enter alone keeps the stored one");
    let text = ask(dialogue, account, &help, |text| if text.is_empty() { Ok(()) } else { check(text) })?;
    if text.is_empty() { Ok(Choice::Source(source.clone())) } else { stored(dialogue, &text, place) }
}

/// The help line of the question for a token.
const UNDERSTOOD: &str = "it is not shown; a copied header or variable is understood as well";

fn ask(dialogue: &mut Dialogue<'_>, account: &str, help: &str, check: Check) -> Result<Zeroizing<String>, Stop> {
    let flag = "--token-stdin, --token-command, --token-env or --token-file: the API token";
    dialogue.secret(&Question { ask: &format!("API token of {account}"), help, flag }, check)
}

fn check(text: &str) -> Result<(), String> {
    Credential::read(text).map(drop).map_err(|why| format!("it contains {}", why.words()))
}

/// The choice to store the credential that a text holds.
fn stored(dialogue: &mut Dialogue<'_>, text: &str, place: TokenPlace) -> Result<Choice, Stop> {
    let refused = |why: Refused| Stop::usage(format!("--token-stdin: standard input contains {}", why.words()));
    let credential = Credential::read(text).map_err(refused)?;
    for note in &credential.notes {
        dialogue.tell(format!("API token: {note}"));
    }
    Ok(Choice::Store(credential, place))
}
