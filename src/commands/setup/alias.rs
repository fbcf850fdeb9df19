//! One alias with its account: from a Monitoring Spec, flags, what is configured already, and questions, in this order.

use serde_json::json;

use super::ask::{Asker, Question, Stop};
use super::finish::Gathered;
use super::spec::{self, field, places_of};
use super::{Setup, account, places, token};
use crate::commands::setup::sources::entries::{AccountEntry, AliasEntry, Entries};
use crate::commands::setup::sources::names;
use crate::commands::setup::sources::spec::{Finding, Spec};
use crate::config;

/// Finds out one alias.
pub fn gather(setup: &Setup<'_>, asker: &mut Asker) -> Result<Gathered, Stop> {
    let read = setup.args.spec.as_deref().map(|path| spec::read(setup, path)).transpose()?;
    if let Some((name, found)) = &read {
        setup.say(&spec::shown(name, found));
    }
    let spec = read.map(|(_, spec)| spec);
    let config = &setup.loaded.config;
    let endpoint = account::endpoint(setup, asker, spec.as_ref())?;
    let account = account::name(setup, &endpoint);
    let existing = config.accounts.get(&account).map(|account| &account.value);
    account::agree_on_endpoint(setup, asker, &account, existing, &endpoint)?;
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
    let (user, endpoint) = account::user(setup, asker, &account, existing, choice.user(), endpoint)?;
    let (directories, default) = places::choose(setup, asker, &name)?;
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
