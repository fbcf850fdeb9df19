//! One alias with its account: from a Monitoring Spec, flags, what is configured already, and questions, in this order.

use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::config::{self, Account, Config, is_loopback};
use crate::edit;
use crate::page::{self, BOLD, DIM};
use crate::resolve::{self, Explicit, Place};
use crate::setup::credential::{self, account_id, is_mail};
use crate::setup::entries::{AccountEntry, AliasEntry, Entries};
use crate::setup::from_settings::{host, is_documented};
use crate::setup::names;
use crate::setup::spec::{self, Finding, Spec};

use super::Setup;
use super::ask::{Asker, Check, Offer, Question, Stop};
use super::finish::Gathered;
use super::token;

/// Finds out one alias.
pub fn gather(setup: &Setup<'_>, asker: &mut Asker) -> Result<Gathered, Stop> {
    let spec = setup.args.spec.as_deref().map(|path| read_spec(setup, path)).transpose()?;
    if let Some((name, spec)) = &spec {
        setup.say(&shown(name, spec));
    }
    let spec = spec.map(|(_, spec)| spec);
    let config = &setup.loaded.config;
    let endpoint = endpoint(setup, asker, spec.as_ref())?;
    let account = account_name(setup, &endpoint);
    let existing = config.accounts.get(&account).map(|account| &account.value);
    agree_on_endpoint(setup, asker, &account, existing, &endpoint)?;
    let finding = |of: fn(&Spec) -> &Finding| spec.as_ref().map(of);
    let id = field(
        asker,
        setup.args.id.as_deref(),
        finding(|spec| &spec.id),
        &Question {
            ask: "Alias id",
            help: "extAccountAliasId of the Monitoring Spec, on the alias's Overview tab in ACT",
            flag: "--id ID: the alias id (extAccountAliasId)",
        },
        config::check_word,
    )?;
    let provider_type = field(
        asker,
        setup.args.provider_type.as_deref(),
        finding(|spec| &spec.provider_type),
        &Question {
            ask: "Provider type",
            help: "providerType of the Monitoring Spec",
            flag: "--provider-type TYPE: the provider type (providerType)",
        },
        config::check_text,
    )?;
    let name = alias_name(setup, asker, &account, &id, spec.as_ref().and_then(|spec| spec.title.as_deref()))?;
    let choice = token::choose(setup, asker, &account, existing)?;
    let (user, endpoint) = user(setup, asker, &account, existing, choice.user(), endpoint)?;
    let (directories, default) = places(setup, asker, &name)?;
    asker.complete()?;

    let mut gathered = Gathered { checks: vec![name.clone()], ..Gathered::default() };
    if existing.is_some() {
        gathered.accounts.push(account.clone());
    }
    if let Some(spec) = &spec {
        gathered.found = json!({ "endpoint": places_of(&spec.endpoint), "id": places_of(&spec.id), "provider_type": places_of(&spec.provider_type) });
    }
    let token = gathered.token(choice, &account, &user);
    let accounts = vec![AccountEntry { name: account.clone(), endpoint, user, token }];
    let aliases = vec![AliasEntry { name: name.clone(), account, id, provider_type, attributes: Default::default() }];
    let directories = directories.into_iter().map(|directory| (directory, Some(name.clone()))).collect();
    gathered.entries = Entries { accounts, aliases, directories, default: default.then_some(name) };
    Ok(gathered)
}

/// Reads the Monitoring Spec; what to call it, and its content.
fn read_spec(setup: &Setup<'_>, path: &Path) -> Result<(String, Spec), Stop> {
    let (name, bytes) = if path == Path::new("-") {
        if setup.args.token_stdin {
            return Err(Stop::Usage(vec!["--spec - and --token-stdin both want standard input".to_owned()]));
        }
        let mut bytes = Vec::new();
        let limit = spec::LARGEST as u64 + 1;
        let read = std::io::stdin().take(limit).read_to_end(&mut bytes);
        ("standard input".to_owned(), read.map(|_| bytes))
    } else {
        let bytes = std::fs::File::open(path).and_then(|file| {
            let mut bytes = Vec::new();
            file.take(spec::LARGEST as u64 + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        (path.display().to_string(), bytes)
    };
    let refuse = |why: String| Stop::Usage(vec![format!("the Monitoring Spec {name} is refused: {why}")]);
    let bytes = bytes.map_err(|error| Stop::Usage(vec![format!("{name}: {}", config::plain(&error))]))?;
    let spec = spec::read(&bytes).map_err(refuse)?;
    Ok((name, spec))
}

/// What was found where, for people.
fn shown(name: &str, spec: &Spec) -> String {
    let mut text = format!("The Monitoring Spec {name} says:\n");
    let fields = [("endpoint", &spec.endpoint), ("alias id", &spec.id), ("provider type", &spec.provider_type)];
    for (field, finding) in fields {
        if finding.candidates.is_empty() {
            let _ = writeln!(text, "  {field:<14} nothing");
        }
        for candidate in &finding.candidates {
            let guess = candidate.guess.map(|why| format!("; {why}")).unwrap_or_default();
            let _ = write!(text, "  {field:<14} {BOLD}{}{BOLD:#}\n{:INDENT$}", page::visible(&candidate.value), "");
            page::hang(&mut text, INDENT, page::width(), DIM, &format!("{}{guess}", candidate.place));
        }
    }
    for note in spec.notes.iter().take(NOTES) {
        let _ = write!(text, "  {:<14} ", "passed over");
        page::hang(&mut text, INDENT, page::width(), DIM, note);
    }
    if spec.notes.len() > NOTES {
        let _ = writeln!(text, "  {:<14} {DIM}{} more{DIM:#}", "", spec.notes.len() - NOTES);
    }
    text
}

/// So many of the values that were passed over are shown.
const NOTES: usize = 10;

/// Columns before a value.
const INDENT: usize = 17;

fn places_of(finding: &Finding) -> serde_json::Value {
    let one = |candidate: &spec::Candidate| json!({"value": candidate.value, "place": candidate.place, "guess": candidate.guess});
    finding.candidates.iter().map(one).collect()
}

/// A value: the flag's, the only one found, one of those found, or typed in.
fn field(
    asker: &mut Asker,
    flag: Option<&str>,
    finding: Option<&Finding>,
    question: &Question<'_>,
    check: Check,
) -> Result<String, Stop> {
    if let Some(value) = flag {
        let named = question.flag.split(' ').next().unwrap_or_default();
        check(value).map_err(|why| Stop::Usage(vec![format!("{named}: {value:?} {why}")]))?;
        return Ok(value.to_owned());
    }
    let check = move |text: &str| check(text).map_err(|why| format!("it {why}"));
    let candidates = finding.map(|finding| finding.candidates.as_slice()).unwrap_or_default();
    if let Some(certain) = finding.and_then(Finding::certain) {
        return Ok(certain.value.clone());
    }
    if !asker.can_ask() {
        asker.miss(missing(question.flag, candidates));
        return Ok(String::new());
    }
    if candidates.len() < 2 {
        return asker.text(question, candidates.first().map(|only| only.value.as_str()), check);
    }
    let values = candidates.iter().map(|candidate| Offer::plain(page::visible(&candidate.value)));
    let options = values.chain([Offer::plain("another one")]).collect();
    let chosen = asker.choose(question, options)?;
    match candidates.get(chosen) {
        Some(candidate) => Ok(candidate.value.clone()),
        None => asker.text(question, None, check),
    }
}

fn missing(flag: &str, candidates: &[spec::Candidate]) -> String {
    let values: Vec<&str> = candidates.iter().map(|candidate| candidate.value.as_str()).collect();
    match (candidates, &values[..]) {
        ([only], _) => {
            format!("{flag}: the Spec may mean {} ({}; {})", only.value, only.place, only.guess.unwrap_or_default())
        }
        (_, []) => flag.to_owned(),
        _ => format!("{flag}: the Spec has several: {}", values.join(", ")),
    }
}

/// A metrics URL as given: whole, or the account id alone.
fn documented(text: &str) -> String {
    let is_id = !text.contains(['/', '@', '.']) && config::check_word(text).is_ok();
    if is_id {
        return format!("https://agentcontroltower.boomi.com/metric-ingestion/v1/{text}/otlp/public/metrics");
    }
    text.to_owned()
}

fn check_endpoint(text: &str) -> Result<(), String> {
    config::check_endpoint(&documented(text))
}

fn endpoint(setup: &Setup<'_>, asker: &mut Asker, spec: Option<&Spec>) -> Result<String, Stop> {
    let finding = spec.map(|spec| &spec.endpoint);
    let question = Question {
        ask: "Metrics URL, or the account id",
        help: "the Monitoring Spec's server and path; the account id is like acme-A1B2C3",
        flag: "--endpoint URL: the metrics URL, or the account id",
    };
    if let Some(given) = &setup.args.endpoint {
        let given = documented(given);
        config::check_endpoint(&given).map_err(|why| Stop::Usage(vec![format!("--endpoint: {given} {why}")]))?;
        let others = finding.map(|finding| finding.candidates.as_slice()).unwrap_or_default();
        if let Some(other) = others.first()
            && others.iter().all(|candidate| host(&candidate.value) != host(&given))
        {
            return Err(other_host(&other.value, &format!("--endpoint ({})", host(&given).unwrap_or_default())));
        }
        return Ok(given);
    }
    let accounts = &setup.loaded.config.accounts;
    let named = setup.args.account.as_ref().and_then(|name| accounts.get(name));
    let known = named.or_else(|| accounts.values().next().filter(|_| accounts.len() == 1));
    if spec.is_none()
        && let Some(account) = known
    {
        return Ok(account.endpoint.clone());
    }
    let endpoint = documented(&field(asker, None, finding, &question, check_endpoint)?);
    let is_known = accounts.values().any(|account| host(&account.endpoint) == host(&endpoint));
    let is_here = host(&endpoint).is_some_and(|host| is_loopback(&host));
    if spec.is_some() && named.is_none() && !endpoint.is_empty() && !is_known && !is_here && !is_documented(&endpoint) {
        let host = host(&endpoint).unwrap_or_default();
        let ask = format!("The token would go to {host}, which is not Boomi's. Is that meant?");
        let flag =
            format!("--endpoint URL: the Spec's URL leads to {host}, which is not Boomi's; name it if it is meant");
        if !asker.confirm(&Question { ask: &ask, help: "", flag: &flag }, false)? {
            return Err(Stop::Cancelled);
        }
    }
    Ok(endpoint)
}

fn other_host(url: &str, than: &str) -> Stop {
    let host = host(url).unwrap_or_default();
    Stop::Usage(vec![format!(
        "the Monitoring Spec is refused: its metrics URL leads to another host ({host}) than {than}"
    )])
}

/// The flag's, the one that has this endpoint, or one made of the account id.
fn account_name(setup: &Setup<'_>, endpoint: &str) -> String {
    let accounts = &setup.loaded.config.accounts;
    if let Some(name) = &setup.args.account {
        return name.clone();
    }
    let is_users = |account: &Account| setup.args.user.as_ref().is_none_or(|user| account.user == *user);
    let same = accounts.iter().find(|(_, account)| account.endpoint == endpoint && is_users(account));
    match same {
        Some((name, _)) => name.clone(),
        None => {
            let name = names::of_account(endpoint).unwrap_or_else(|| "act".to_owned());
            names::free(&name, |name| accounts.contains_key(name))
        }
    }
}

/// An account that is configured keeps its host; another URL on it is asked about.
fn agree_on_endpoint(
    setup: &Setup<'_>,
    asker: &mut Asker,
    name: &str,
    existing: Option<&Account>,
    endpoint: &str,
) -> Result<(), Stop> {
    let Some(existing) = existing.filter(|existing| existing.endpoint != endpoint && !endpoint.is_empty()) else {
        return Ok(());
    };
    if setup.args.endpoint.is_some() {
        return Ok(());
    }
    if host(&existing.endpoint) != host(endpoint) {
        let than = format!("account {name}'s ({})", host(&existing.endpoint).unwrap_or_default());
        return Err(other_host(endpoint, &than));
    }
    let ask = format!("Account {name} has another metrics URL than {endpoint}. Replace it?");
    let flag = format!("--endpoint {endpoint}: account {name} has another metrics URL; or another --account NAME");
    if asker.confirm(&Question { ask: &ask, help: &existing.endpoint, flag: &flag }, false)? {
        return Ok(());
    }
    Err(Stop::Cancelled)
}

fn alias_name(
    setup: &Setup<'_>,
    asker: &mut Asker,
    account: &str,
    id: &str,
    title: Option<&str>,
) -> Result<String, Stop> {
    if let Some(name) = &setup.args.name {
        return Ok(name.clone());
    }
    let aliases = &setup.loaded.config.aliases;
    let same = aliases.iter().find(|(_, alias)| alias.account == account && alias.id == id);
    if let Some((name, _)) = same {
        return Ok(name.clone());
    }
    let proposal = title.and_then(names::of);
    let here = || setup.here.file_name().and_then(|name| names::of(&name.to_string_lossy()));
    if !asker.can_ask() {
        // A title is a name; a directory's would be a guess.
        return match proposal.filter(|name| !aliases.contains_key(name)) {
            Some(name) => Ok(name),
            None => {
                asker.miss("--name NAME: what to call the alias here");
                Ok(String::new())
            }
        };
    }
    let proposal = proposal.or_else(here).unwrap_or_else(|| account.to_owned());
    let proposal = names::free(&proposal, |name| aliases.contains_key(name));
    let question = Question {
        ask: "Name of the alias on this machine",
        help: "a short word, as in claude --alias NAME",
        flag: "",
    };
    asker.text(&question, Some(&proposal), |text| {
        config::check_word(text).map_err(|why| format!("it {why}")).and_then(|()| match text.starts_with('-') {
            true => Err("it starts with '-'".to_owned()),
            false => Ok(()),
        })
    })
}

/// The token's user, and the endpoint: the two are told apart where they were given in each other's place.
fn user(
    setup: &Setup<'_>,
    asker: &mut Asker,
    account: &str,
    existing: Option<&Account>,
    from_credential: Option<&str>,
    endpoint: String,
) -> Result<(String, String), Stop> {
    let read = |text: &str| credential::user(text);
    let given = setup.args.user.as_deref().map(read).transpose();
    let given = given.map_err(|why| Stop::Usage(vec![format!("--user: {why}")]))?;
    if let Some((user, endpoint)) = given.as_deref().and_then(|user| credential::unswapped(user, &endpoint)) {
        setup.tell("E-mail and account id stood in each other's place: put right.");
        return Ok((user, endpoint));
    }
    let is_account = |user: &str| account_id(&endpoint).is_some_and(|id| id.eq_ignore_ascii_case(user));
    if let Some(user) = &given {
        if is_account(user) {
            return Err(Stop::Usage(vec![format!(
                "--user {user}: that is the account id; the user's e-mail is wanted"
            )]));
        }
        if let Some(other) = from_credential.filter(|other| other != user) {
            let why = format!("--user {user}: the credential is {other}'s");
            return Err(Stop::Usage(vec![why]));
        }
        if !is_mail(user) {
            setup.tell(&format!("{user} is no e-mail address; ACT knows users by theirs."));
        }
        return Ok((user.clone(), endpoint));
    }
    if let Some(user) = from_credential.filter(|user| !is_mail(user)) {
        setup.tell(&format!("The credential's user, {user}, is no e-mail address."));
    }
    if let Some(user) = from_credential.filter(|user| is_mail(user)) {
        let user = read(user).map_err(|why| Stop::Usage(vec![format!("the credential's user: {why}")]))?;
        if let Some(existing) = existing.filter(|existing| existing.user != user) {
            let ask =
                format!("The credential is {user}'s, account {account} is {}'s. Change the account?", existing.user);
            let flag = format!("--user {user}: the credential is {user}'s, account {account} is {}'s", existing.user);
            if !asker.confirm(&Question { ask: &ask, help: "", flag: &flag }, true)? {
                return Err(Stop::Cancelled);
            }
        }
        return Ok((user, endpoint));
    }
    if let Some(existing) = existing {
        return Ok((existing.user.clone(), endpoint));
    }
    let question = Question {
        ask: "E-mail of the token's user",
        help: "the one you log in to the Boomi platform with",
        flag: "--user EMAIL: the e-mail of the token's user",
    };
    let others = setup.loaded.config.accounts.values().next().map(|account| account.user.clone());
    let user = asker.text(&question, others.as_deref(), |text| {
        let user = credential::user(text)?;
        if is_mail(&user) { Ok(()) } else { Err("an e-mail address is wanted, not the account id".to_owned()) }
    })?;
    Ok((credential::user(&user).unwrap_or_default(), endpoint))
}

/// Keys of the directories that get the alias, and whether it becomes the default.
fn places(setup: &Setup<'_>, asker: &mut Asker, name: &str) -> Result<(Vec<String>, bool), Stop> {
    let key = |directory: &Path| edit::directory_key(directory, setup.environment);
    let mut directories = Vec::new();
    for directory in &setup.args.directories {
        let found = setup.here.join(directory).canonicalize();
        let why = |error| Stop::Usage(vec![format!("--directory {}: {}", directory.display(), config::plain(&error))]);
        directories.push(key(&found.map_err(why)?));
    }
    if !directories.is_empty() || setup.args.default || !asker.can_ask() || resolved_here(setup) == Some(name) {
        return Ok((directories, setup.args.default));
    }
    let options = vec![
        Offer::noted(format!("in {} and all below", key(&setup.here)), "this directory"),
        Offer::plain("wherever no directory says otherwise"),
        Offer::plain("in another directory"),
        Offer::plain("nowhere yet"),
    ];
    let ask = format!("Where should {name} be used");
    match asker.choose(&Question { ask: &ask, help: "", flag: "" }, options)? {
        0 => Ok((vec![key(&setup.here)], false)),
        1 => Ok((Vec::new(), true)),
        2 => {
            let question = Question { ask: "Directory", help: "an existing one; ~ is your home directory", flag: "" };
            let home = setup.environment.home();
            let text = asker.text(&question, None, |text| {
                let is_there = expanded(text, std::env::home_dir().as_deref()).is_dir();
                if is_there { Ok(()) } else { Err("there is no such directory".to_owned()) }
            })?;
            let directory = setup.here.join(expanded(&text, home.as_deref()));
            Ok((vec![key(&directory.canonicalize().unwrap_or(directory))], false))
        }
        _ => Ok((Vec::new(), false)),
    }
}

fn expanded(text: &str, home: Option<&Path>) -> PathBuf {
    match (text.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(text),
    }
}

/// The alias that this directory has already.
fn resolved_here<'a>(setup: &Setup<'a>) -> Option<&'a str> {
    let config: &'a Config = &setup.loaded.config;
    let place = Place::of(&setup.here, setup.environment, config);
    let name = resolve::resolve(Explicit::default(), config, &place).ok()?.alias?;
    config.aliases.get_key_value(&name).map(|(name, _)| name.as_str())
}
