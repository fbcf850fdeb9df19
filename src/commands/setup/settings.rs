//! `act setup --from-settings`: turns the documented recipe in claude's settings into accounts, aliases and directories (pure).

use std::path::Path;

use super::decision::Decision;
use super::dialogue::{Dialogue, Question, Stop};
use super::facts::Facts;
use super::places;
use super::sources::entries::{AccountEntry, AliasEntry, Entries};
use super::sources::from_settings::{Entry, is_expected};
use super::sources::names;
use super::sources::recipe::Recipe;
use super::token::{self, Choice, TokenPlace};
use crate::config::typed::credential::Credential;
use crate::config::typed::endpoint::{self, account_id, exchanged};
use crate::config::typed::{Read, alias, user};
use crate::config::{Account, TokenSource, edit};

/// Decides on the entries that replace the recipe.
pub fn decide(facts: &Facts<'_>, dialogue: &mut Dialogue<'_>) -> Result<Decision, Stop> {
    let Some(found) = facts.found.as_ref().filter(|found| !found.entries.is_empty()) else {
        facts.found.iter().flat_map(|found| &found.notes).for_each(|note| dialogue.tell(note));
        return Err(Stop::usage(
            "no settings contain the documented recipe (searched your settings and those of every project that claude knows): \
             act-claude act setup --spec FILE",
        ));
    };
    found.notes.iter().for_each(|note| dialogue.tell(note));
    let mut import = Import { facts, dialogue, entries: Entries::default(), decision: Decision::default() };
    for entry in &found.entries {
        import.add(entry.clone())?;
    }
    let Import { mut entries, mut decision, .. } = import;
    entries.claude = places::claude(facts, dialogue)?;
    dialogue.complete()?;
    decision.entries = entries;
    decision.removals = found.removals.clone();
    Ok(decision)
}

struct Import<'a, 'f, 'd> {
    facts: &'a Facts<'f>,
    dialogue: &'a mut Dialogue<'d>,
    entries: Entries,
    decision: Decision,
}

impl Import<'_, '_, '_> {
    fn add(&mut self, entry: Entry) -> Result<(), Stop> {
        let key = |directory: &Path| edit::directory_key(directory, self.facts.environment);
        let place = entry.directory.as_deref().map(key);
        let shown = place.clone().unwrap_or_else(|| "your own settings".to_owned());
        let Some(recipe) = entry.recipe else {
            self.dialogue.tell(format!("{shown}: no telemetry"));
            self.entries.directories.extend(place.map(|place| (place, None)));
            return Ok(());
        };
        for problem in &recipe.problems {
            self.dialogue.tell(format!("{shown}: {problem}"));
        }
        let named =
            entry.directory.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        let Recipe { endpoint, credential, id, provider_type, attributes, .. } = recipe;
        let endpoint = match endpoint {
            Some(endpoint) => {
                let is_users = entry.directory.is_none();
                // What a project's settings hold themselves may go where they say; another token may not.
                let has_own_token = credential.is_some() && token::from_flags(self.facts)?.is_none();
                self.trusted(&shown, endpoint, is_users || has_own_token)?
            }
            None => self.ask(&shown, "Metrics URL", endpoint::read)?,
        };
        let id = match id {
            Some(id) => id,
            None => self.ask(&shown, "Alias id", alias::id)?,
        };
        let provider_type = match provider_type {
            Some(kind) => kind,
            None => self.ask(&shown, "Provider type", alias::provider_type)?,
        };
        let account = self.account(&shown, endpoint, credential, entry.directory.is_some())?;
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
                self.decision.checks.push(name.clone());
                self.entries.aliases.push(AliasEntry { name: name.clone(), account, id, provider_type, attributes });
                name
            }
        };
        self.dialogue.tell(format!("{shown}: alias {name}"));
        match place {
            Some(place) => self.entries.directories.push((place, Some(name))),
            None => self.entries.default = Some(name),
        }
        Ok(())
    }

    fn ask(&mut self, place: &str, what: &str, read: Read) -> Result<String, Stop> {
        let ask = format!("{what} for {place}");
        let flag =
            format!("{place}: {} is missing or wrong there; correct it, or answer on a terminal", what.to_lowercase());
        let text = self.dialogue.text(&Question { ask: &ask, help: "", flag: &flag }, None, move |text: &str| {
            read(text).map(drop).map_err(|why| format!("it {why}"))
        })?;
        Ok(read(&text).map(|typed| typed.value).unwrap_or_default())
    }

    /// A project's settings may come from somebody else. So the user has to agree to a host that is not expected.
    fn trusted(&mut self, place: &str, endpoint: String, may_be_here: bool) -> Result<String, Stop> {
        let configured = self.facts.loaded.config.accounts.values().map(|account| account.endpoint.as_str());
        let added = self.entries.accounts.iter().map(|account| account.endpoint.as_str());
        if !is_expected(&endpoint, configured.chain(added), may_be_here) {
            let host = endpoint::address(&endpoint).unwrap_or_default();
            let ask = format!("The settings of {place} send to {host}, which is not ACT's. Is this intended?");
            let flag = format!("{place}: its settings send to {host}, which is not ACT's; answer on a terminal");
            self.dialogue.agree(&Question { ask: &ask, help: &endpoint, flag: &flag }, false)?;
        }
        Ok(endpoint)
    }

    /// The name of the account with this endpoint and user: an account added in this run, a configured one, or a new one.
    /// A project's token, which may be somebody else's, never replaces one that a configured account has.
    fn account(
        &mut self,
        place: &str,
        endpoint: String,
        credential: Option<Credential>,
        is_project: bool,
    ) -> Result<String, Stop> {
        for note in credential.iter().flat_map(|credential| &credential.notes) {
            // In the recipe, every credential is a whole Authorization header, so this note would say nothing new.
            if !note.contains("Authorization header") {
                self.dialogue.tell(format!("{place}: {note}"));
            }
        }
        let is_account = |user: &str| account_id(&endpoint).is_some_and(|id| id.eq_ignore_ascii_case(user));
        let known = credential.as_ref().and_then(|credential| user::read(credential.user.as_deref()?).ok());
        let known = known.map(|typed| typed.value).filter(|user| !is_account(user));
        let (user, endpoint) = match known {
            Some(user) => exchanged(&user, &endpoint).unwrap_or((user, endpoint)),
            None => (self.ask(place, "E-mail of the token's user", user::read)?, endpoint),
        };
        let same = self.entries.accounts.iter().find(|account| account.endpoint == endpoint && account.user == user);
        if let Some(account) = same {
            return Ok(account.name.clone());
        }
        let config = &self.facts.loaded.config;
        let existing = config.accounts.iter().find(|(_, own)| own.endpoint == endpoint && own.user == user);
        let name = match existing {
            Some((name, _)) => {
                self.decision.accounts.push(name.clone());
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
        let kept = existing.filter(|_| is_project && self.facts.with_token.contains(&name));
        let choice = match (credential, token::from_flags(self.facts)?, kept) {
            (_, Some(source), _) => Choice::Source(source),
            (Some(_), None, Some(kept)) => {
                self.dialogue.tell(format!(
                    "{place}: the token there is not taken, because account {name} has one. To renew that: \
                     act-claude act setup --account {name}"
                ));
                Choice::Source(kept.token.clone())
            }
            (Some(credential), None, None) => match self.place(&name, existing)? {
                Ok(place) => Choice::Store(credential, place),
                Err(source) => Choice::Source(source),
            },
            (None, None, _) => token::choose(self.facts, self.dialogue, &name, existing)?,
        };
        let token = self.decision.token(choice, &name, &user);
        self.entries.accounts.push(AccountEntry { name: name.clone(), endpoint, user, token });
        Ok(name)
    }

    /// Where the recipe's token is stored, or the source that the account has already.
    fn place(&mut self, name: &str, existing: Option<&Account>) -> Result<Result<TokenPlace, TokenSource>, Stop> {
        if let Some(existing) = existing.filter(|_| self.facts.args.store.is_none()) {
            if let Some(place) = token::place_of(self.facts, name, existing) {
                return Ok(Ok(place));
            }
            // Without a question, a command or a variable that gives a token already is not replaced by a file.
            if self.dialogue.takes_defaults() && self.facts.with_token.contains(name) {
                return Ok(Err(existing.token.clone()));
            }
        }
        token::choose_place(self.facts, self.dialogue, name, true)
    }

    /// The alias's name: that of a configured alias with the same id, otherwise a new one made from the directory's or the
    /// account's name.
    fn alias_name(&self, account: &str, id: &str, directory: Option<&str>) -> String {
        let aliases = &self.facts.loaded.config.aliases;
        let is_used = |name: &str| self.entries.aliases.iter().any(|alias| alias.name == name);
        let same = aliases.iter().find(|(name, alias)| alias.account == account && alias.id == id && !is_used(name));
        if let Some((name, _)) = same {
            return name.clone();
        }
        let name = directory.and_then(names::of).unwrap_or_else(|| account.to_owned());
        names::free(&name, |name| aliases.contains_key(name) || is_used(name))
    }
}
