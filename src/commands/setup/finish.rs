//! The end of every set-up: the token stored, the configuration written, ACT asked, in this order.

use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::commands::check::{self, Subject};
use crate::commands::setup::sources::entries::Entries;
use crate::commands::setup::sources::from_settings::Removal;
use crate::commands::setup::sources::token_file;
use crate::config::edit::{self, Change};
use crate::config::{self, TokenSource};
use crate::state::outcome::exports;
use crate::system::error::plain;
use crate::text::page;
use crate::text::shell::shell_word;

use super::Setup;
use super::ask::{Asker, Question, Stop};
use super::release::release;
use super::token::{self, Choice, Place};

/// Everything that was found out.
#[derive(Default)]
pub struct Gathered {
    /// What to write.
    pub entries: Entries,
    /// What to store.
    pub stores: Vec<Store>,
    /// Aliases to check at the end.
    pub checks: Vec<String>,
    /// Accounts that were configured before: something may be held for them.
    pub accounts: Vec<String>,
    /// What the user is to delete.
    pub removals: Vec<Removal>,
    /// What a Monitoring Spec said, for `--json`.
    pub found: Value,
}

/// A token to store.
pub struct Store {
    account: String,
    user: String,
    token: Zeroizing<String>,
    place: Place,
}

impl Gathered {
    /// Notes what is to be stored; where the token will come from.
    pub fn token(&mut self, choice: Choice, account: &str, user: &str) -> TokenSource {
        match choice {
            Choice::Source(source) => source,
            Choice::Store(credential, place) => {
                let source = place.source(account, user);
                let (account, user) = (account.to_owned(), user.to_owned());
                self.stores.push(Store { account, user, token: credential.token, place });
                source
            }
        }
    }
}

/// Stores, writes, checks; the exit status.
pub fn finish(setup: &Setup<'_>, asker: &mut Asker, mut gathered: Gathered) -> Result<u8, Stop> {
    let environment = setup.environment;
    let refused = |refused: edit::Refused| Stop::Usage(vec![refused.to_string()]);
    let user_file = config::user_file(environment).unwrap_or_default();
    let is_first = !user_file.exists();
    let changes = |entries: &Entries| entries.changes(&setup.loaded.config, &user_file, environment);
    edit::preview(environment, &changes(&gathered.entries)).map_err(refused)?;
    for store in std::mem::take(&mut gathered.stores) {
        let place = store.carry_out(setup, asker)?;
        let source = place.source(&store.account, &store.user);
        let account = gathered.entries.accounts.iter_mut().find(|account| account.name == store.account);
        account.into_iter().for_each(|account| account.token = source.clone());
    }
    let changes: Vec<Change> = changes(&gathered.entries);
    let edited = edit::commit(environment, &changes).map_err(refused)?;
    let shown = edit::directory_key(&edited.path, environment);
    setup.say(&match (edited.changed, &edited.backup) {
        (false, _) => format!("Unchanged: {shown}\n"),
        (true, None) => format!("Written: {shown}\n"),
        (true, Some(backup)) => {
            format!("Written: {shown} (as it was before: {})\n", edit::directory_key(backup, environment))
        }
    });
    setup.say(&removals(&gathered.removals, setup));
    let (checks, code) = if setup.args.no_check { (Vec::new(), 0) } else { check(setup, &gathered.checks) };
    let released = if setup.args.no_check || code != 0 { 0 } else { release_all(setup, &gathered.accounts) };
    setup.say(&next_steps(&gathered, setup, is_first));
    if setup.args.json {
        let result = json!({
            "config": edited.path,
            "changed": edited.changed,
            "backup": edited.backup,
            "accounts": gathered.entries.accounts.iter().map(|account| &account.name).collect::<Vec<_>>(),
            "aliases": gathered.entries.aliases.iter().map(|alias| &alias.name).collect::<Vec<_>>(),
            "directories": gathered.entries.directories.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "default": gathered.entries.default,
            "found": gathered.found,
            "remove": gathered.removals.iter().map(|removal| json!({
                "file": removal.path,
                "variables": removal.variables.iter().map(|(name, line)| json!({"name": name, "line": line})).collect::<Vec<_>>(),
                "notes": removal.notes,
            })).collect::<Vec<_>>(),
            "checks": checks,
            "released": released,
        });
        crate::commands::print(&format!("{result}\n"));
    }
    Ok(code)
}

impl Store {
    /// Stores the token; where. A keychain that fails may be exchanged for a file.
    fn carry_out(&self, setup: &Setup<'_>, asker: &mut Asker) -> Result<Place, Stop> {
        let Self { account, user, token, place } = self;
        let place = match place {
            Place::File(_) => place.clone(),
            Place::Keychain(keychain) => match keychain.store(account, user, token, setup.environment) {
                Ok(()) => {
                    setup.say(&format!("Stored: the token of account {account}, in {}\n", keychain.name()));
                    return Ok(place.clone());
                }
                Err(why) => {
                    let why = format!("{} did not take the token: {why}", keychain.name());
                    let file = token::default_file(setup, account);
                    let flag = format!("{why}; --store file keeps it in a file");
                    setup.tell(&why);
                    let shown = edit::directory_key(&file, setup.environment);
                    let ask = format!("Keep it in a file that only you can read ({shown})?");
                    let is_wanted = asker.confirm(&Question { ask: &ask, help: "", flag: &flag }, true)?;
                    asker.complete()?;
                    if !is_wanted {
                        return Err(Stop::Cancelled);
                    }
                    Place::File(file)
                }
            },
        };
        if let Place::File(path) = &place {
            let shown = edit::directory_key(path, setup.environment);
            let why = |error| Stop::Usage(vec![format!("the token can't be written to {shown}: {}", plain(&error))]);
            token_file::write(path, token).map_err(why)?;
            setup.say(&format!("Stored: the token of account {account}, in {shown}\n"));
        }
        Ok(place)
    }
}

/// What the user is to delete; nobody else does.
fn removals(removals: &[Removal], setup: &Setup<'_>) -> String {
    let mut text = String::new();
    for removal in removals {
        let file = edit::directory_key(&removal.path, setup.environment);
        let title = format!("Now remove from \"env\" in {file} (act-claude leaves it as it is):");
        text.push('\n');
        page::hang(&mut text, 0, page::width(), anstyle::Style::new(), &title);
        for (name, line) in &removal.variables {
            text.push_str(&format!("  line {line:<4} {name}\n"));
        }
        for note in &removal.notes {
            for line in page::wrap(note, page::width().saturating_sub(2)) {
                text.push_str(&format!("  {line}\n"));
            }
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// Asks ACT about each alias; the findings, and the worst exit status. That ACT's answers don't tell is no failure.
fn check(setup: &Setup<'_>, names: &[String]) -> (Vec<Value>, u8) {
    let loaded = config::load(setup.environment);
    let mut worst = 0;
    let mut findings = Vec::new();
    for name in names {
        let Some(subject) = Subject::of(&loaded.config, name) else { continue };
        let finding = check::run_for(&subject, setup.environment);
        setup.say(&format!("\n{}", finding.text(page::width())));
        if finding.trouble.is_some() {
            worst = worst.max(finding.code);
        }
        findings.push(finding.json());
    }
    (findings, worst)
}

/// What was held for accounts that were configured before; how many exports are delivered now.
fn release_all(setup: &Setup<'_>, accounts: &[String]) -> u64 {
    let mut all = 0;
    for account in accounts {
        let count = release(account, setup.environment);
        if count > 0 {
            setup.say(&format!("\nDelivered: {} that waited for account {account}\n", exports(count)));
        }
        all += count;
    }
    all
}

fn next_steps(gathered: &Gathered, setup: &Setup<'_>, is_first: bool) -> String {
    let mut text = String::new();
    let entries = &gathered.entries;
    if let [alias] = &entries.aliases[..]
        && entries.directories.is_empty()
        && entries.default.is_none()
        && !setup.loaded.config.aliases.contains_key(&alias.name)
    {
        let name = shell_word(alias.name.as_ref());
        text.push_str(&format!("\nNo directory uses {name} yet. In the one that should: act-claude act use {name}\n"));
    }
    if is_first {
        text.push_str("\nIn your shell's rc file: alias claude=act-claude\n");
    }
    text
}
