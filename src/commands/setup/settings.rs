//! `act setup --from-settings`: the documented recipe becomes accounts, aliases and directories.

use std::path::Path;

use super::Setup;
use super::ask::{Asker, Question, Stop};
use super::finish::Gathered;
use super::token::{self, Choice};
use crate::commands::setup::sources::credential::{self, Credential, account_id};
use crate::commands::setup::sources::entries::{AccountEntry, AliasEntry, Entries};
use crate::commands::setup::sources::from_settings::{self, Entry, host, is_documented};
use crate::commands::setup::sources::names;
use crate::commands::setup::sources::recipe::Recipe;
use crate::config::{self, edit, is_loopback};
use crate::system::error::plain;

/// Takes over what the settings say.
pub fn gather(setup: &Setup<'_>, asker: &mut Asker) -> Result<Gathered, Stop> {
    let mut directories = from_settings::directories(&setup.here, setup.environment);
    for directory in &setup.args.directories {
        let found = setup.here.join(directory).canonicalize();
        let why = |error| Stop::Usage(vec![format!("--directory {}: {}", directory.display(), plain(&error))]);
        directories.push(found.map_err(why)?);
    }
    let found = from_settings::find(&directories, setup.environment);
    for note in &found.notes {
        setup.tell(note);
    }
    if found.entries.is_empty() {
        return Err(Stop::Usage(vec![
            "no settings hold the documented recipe (looked at yours and those of every project claude knows): \
             act-claude act setup --spec FILE"
                .to_owned(),
        ]));
    }
    let mut taken = Taken { setup, asker, entries: Entries::default(), gathered: Gathered::default() };
    for entry in found.entries {
        taken.take(entry)?;
    }
    let Taken { entries, mut gathered, .. } = taken;
    asker.complete()?;
    gathered.entries = entries;
    gathered.removals = found.removals;
    Ok(gathered)
}

struct Taken<'a, 's> {
    setup: &'a Setup<'s>,
    asker: &'a mut Asker,
    entries: Entries,
    gathered: Gathered,
}

impl Taken<'_, '_> {
    fn take(&mut self, entry: Entry) -> Result<(), Stop> {
        let key = |directory: &Path| edit::directory_key(directory, self.setup.environment);
        let place = entry.directory.as_deref().map(key);
        let shown = place.clone().unwrap_or_else(|| "your own settings".to_owned());
        let Some(recipe) = entry.recipe else {
            self.setup.tell(&format!("{shown}: no telemetry"));
            self.entries.directories.extend(place.map(|place| (place, None)));
            return Ok(());
        };
        for problem in &recipe.problems {
            self.setup.tell(&format!("{shown}: {problem}"));
        }
        let named =
            entry.directory.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        let Recipe { endpoint, credential, id, provider_type, attributes, .. } = recipe;
        let endpoint = match endpoint {
            Some(endpoint) => self.trusted(&shown, endpoint)?,
            None => self.ask(&shown, "Metrics URL", config::check_endpoint)?,
        };
        let id = match id {
            Some(id) => id,
            None => self.ask(&shown, "Alias id", config::check_word)?,
        };
        let provider_type = match provider_type {
            Some(kind) => kind,
            None => self.ask(&shown, "Provider type", config::check_text)?,
        };
        let account = self.account(&shown, endpoint, credential)?;
        let same = |alias: &&AliasEntry| {
            alias.account == account
                && alias.id == id
                && alias.provider_type == provider_type
                && alias.attributes == attributes
        };
        let name = match self.entries.aliases.iter().find(same) {
            Some(alias) => alias.name.clone(),
            None => {
                let name = self.alias_name(&account, &id, named.as_deref());
                self.gathered.checks.push(name.clone());
                self.entries.aliases.push(AliasEntry { name: name.clone(), account, id, provider_type, attributes });
                name
            }
        };
        self.setup.tell(&format!("{shown}: alias {name}"));
        match place {
            Some(place) => self.entries.directories.push((place, Some(name))),
            None => self.entries.default = Some(name),
        }
        Ok(())
    }

    fn ask(&mut self, place: &str, what: &str, check: super::ask::Check) -> Result<String, Stop> {
        let ask = format!("{what} for {place}");
        let flag =
            format!("{place}: {} is missing or wrong there; correct it, or answer on a terminal", what.to_lowercase());
        self.asker.text(&Question { ask: &ask, help: "", flag: &flag }, None, move |text: &str| {
            check(text).map_err(|why| format!("it {why}"))
        })
    }

    /// A project's settings may be anybody's: where they would send the telemetry is for the user to say.
    fn trusted(&mut self, place: &str, endpoint: String) -> Result<String, Stop> {
        let config = &self.setup.loaded.config;
        let is_known = config.accounts.values().any(|account| host(&account.endpoint) == host(&endpoint))
            || self.entries.accounts.iter().any(|account| host(&account.endpoint) == host(&endpoint))
            || host(&endpoint).is_some_and(|host| is_loopback(&host));
        if !is_known && !is_documented(&endpoint) {
            let host = host(&endpoint).unwrap_or_default();
            let ask = format!("The settings of {place} send to {host}, which is not Boomi's. Is that meant?");
            let flag = format!("{place}: its settings send to {host}, which is not Boomi's; answer on a terminal");
            if !self.asker.confirm(&Question { ask: &ask, help: &endpoint, flag: &flag }, false)? {
                return Err(Stop::Cancelled);
            }
        }
        Ok(endpoint)
    }

    /// The account with this endpoint and user: one of this run, one that is configured, or a new one.
    fn account(&mut self, place: &str, endpoint: String, credential: Option<Credential>) -> Result<String, Stop> {
        for note in credential.iter().flat_map(|credential| &credential.notes) {
            // Every credential of the recipe is a whole header.
            if !note.contains("Authorization header") {
                self.setup.tell(&format!("{place}: {note}"));
            }
        }
        let is_account = |user: &str| account_id(&endpoint).is_some_and(|id| id.eq_ignore_ascii_case(user));
        let known = credential.as_ref().and_then(|credential| credential.user.clone()).filter(|user| !is_account(user));
        let (user, endpoint) = match known {
            Some(user) => credential::unswapped(&user, &endpoint).unwrap_or((user, endpoint)),
            None => {
                let user = self.ask(place, "E-mail of the token's user", |text| credential::user(text).map(drop))?;
                (credential::user(&user).unwrap_or_default(), endpoint)
            }
        };
        let same = self.entries.accounts.iter().find(|account| account.endpoint == endpoint && account.user == user);
        if let Some(account) = same {
            return Ok(account.name.clone());
        }
        let config = &self.setup.loaded.config;
        let existing = config.accounts.iter().find(|(_, own)| own.endpoint == endpoint && own.user == user);
        let name = match existing {
            Some((name, _)) => {
                self.gathered.accounts.push(name.clone());
                name.clone()
            }
            None => {
                let name = names::of_account(&endpoint).unwrap_or_else(|| "act".to_owned());
                let is_taken = |name: &str| {
                    config.accounts.contains_key(name) || self.entries.accounts.iter().any(|own| own.name == name)
                };
                names::free(&name, is_taken)
            }
        };
        let existing = existing.map(|(_, account)| &account.value);
        let choice = match (credential, token::from_flags(self.setup)?) {
            (_, Some(source)) => Choice::Source(source),
            (Some(credential), None) => {
                let place = existing.and_then(|existing| token::place_of(self.setup, &name, existing));
                let place = place.filter(|_| self.setup.args.store.is_none());
                match place.map_or_else(|| token::where_to(self.setup, self.asker, &name), |place| Ok(Ok(place)))? {
                    Ok(place) => Choice::Store(credential, place),
                    Err(source) => Choice::Source(source),
                }
            }
            (None, None) => token::choose(self.setup, self.asker, &name, existing)?,
        };
        let token = self.gathered.token(choice, &name, &user);
        self.entries.accounts.push(AccountEntry { name: name.clone(), endpoint, user, token });
        Ok(name)
    }

    /// One that is configured for the same alias id, else a new one: the directory's, or the account's.
    fn alias_name(&self, account: &str, id: &str, directory: Option<&str>) -> String {
        let aliases = &self.setup.loaded.config.aliases;
        let is_used = |name: &str| self.entries.aliases.iter().any(|alias| alias.name == name);
        let same = aliases.iter().find(|(name, alias)| alias.account == account && alias.id == id && !is_used(name));
        if let Some((name, _)) = same {
            return name.clone();
        }
        let name = directory.and_then(names::of).unwrap_or_else(|| account.to_owned());
        names::free(&name, |name| aliases.contains_key(name) || is_used(name))
    }
}
