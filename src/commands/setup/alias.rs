//! Decides on one alias with its account (pure). Each value comes from a flag, from a Monitoring Spec, from the configuration, or
//! from a question.

use serde_json::json;

use super::decision::Decision;
use super::dialogue::{Dialogue, Question, Stop};
use super::facts::Facts;
use super::sources::entries::{AccountEntry, AliasEntry, Entries};
use super::sources::names;
use super::sources::spec::{Finding, Spec};
use super::spec::{field, places_of};
use super::{account, naming, places, token};
use crate::config::typed;
use crate::config::typed::endpoint::account_id;

/// Decides on one alias.
pub fn decide(facts: &Facts<'_>, dialogue: &mut Dialogue<'_>) -> Result<Decision, Stop> {
    let spec = facts.spec.as_ref().map(|(_, spec)| spec);
    let config = &facts.loaded.config;
    let endpoint = account::endpoint(facts, dialogue, spec)?;
    let account = account::name(facts, &endpoint);
    let existing = config.accounts.get(&account).map(|account| &account.value);
    account::agree_on_endpoint(facts, dialogue, &account, existing, &endpoint)?;
    let finding = |of: fn(&Spec) -> &Finding| spec.map(of);
    let account_id = account_id(&endpoint).unwrap_or_default().to_owned();
    let alias_id = move |text: &str| match typed::alias::id(text) {
        Ok(typed) if is_same(&typed.value, &account_id) => Err("is the account id, and not the alias id".to_owned()),
        read => read,
    };
    let id = field(
        dialogue,
        facts.args.id.as_deref(),
        finding(|spec| &spec.id),
        &Question {
            ask: "Alias id",
            help: "extAccountAliasId of the Monitoring Spec, on the alias's Overview tab in ACT",
            flag: "--id ID: the alias id (extAccountAliasId)",
        },
        alias_id,
    )?;
    let provider_type = field(
        dialogue,
        facts.args.provider_type.as_deref(),
        finding(|spec| &spec.provider_type),
        &Question {
            ask: "Provider type",
            help: "providerType of the Monitoring Spec",
            flag: "--provider-type TYPE: the provider type (providerType)",
        },
        typed::alias::provider_type,
    )?;
    let name = alias_name(facts, dialogue, &account, &id)?;
    let choice = token::choose(facts, dialogue, &account, existing)?;
    let (user, endpoint) = account::user(facts, dialogue, &account, existing, choice.user(), endpoint)?;
    let endpoint = account::without_mail(endpoint)?;
    let account_id = typed::endpoint::account_id(&endpoint).unwrap_or_default();
    let others = [
        (id.as_str(), "alias id"),
        (account_id, "account id"),
        (&user, "user"),
        (&provider_type, "provider type"),
        (&name, "alias's name"),
        (&account, "account's name"),
    ];
    exchanged(&choice, &others)?;
    account::mail(facts, &user)?;
    let places = places::choose(facts, dialogue, &name)?;
    let claude = places::claude(facts, dialogue)?;
    dialogue.complete()?;

    let mut decision = Decision { checks: vec![name.clone()], ..Decision::default() };
    if existing.is_some() {
        decision.accounts.push(account.clone());
    }
    if let Some(spec) = spec {
        decision.found = json!({ "endpoint": places_of(&spec.endpoint), "id": places_of(&spec.id), "provider_type": places_of(&spec.provider_type) });
    }
    let token = decision.token(choice, &account, &user);
    let accounts = vec![AccountEntry { name: account.clone(), endpoint, user, token }];
    let aliases = vec![AliasEntry { name: name.clone(), account, id, provider_type, attributes: Default::default() }];
    let directories = places.directories.into_iter().map(|directory| (directory, Some(name.clone()))).collect();
    let repositories = places.clones.into_iter().map(|clones| (clones, name.clone())).collect();
    let default = places.default.then_some(name);
    decision.entries = Entries { accounts, aliases, directories, repositories, default, claude, ..Entries::default() };
    Ok(decision)
}

/// Refuses values that are in each other's place. No message repeats one of them, because it may be the token.
fn exchanged(choice: &token::Choice, others: &[(&str, &str)]) -> Result<(), Stop> {
    let token::Choice::Store(credential, _) = choice else { return Ok(()) };
    for (other, what) in others {
        if is_same(&credential.token, other) {
            return Err(Stop::usage(format!(
                "token and {what} are the same value: one of the two is in the other's place"
            )));
        }
    }
    Ok(())
}

fn is_same(one: &str, other: &str) -> bool {
    !one.is_empty() && one.eq_ignore_ascii_case(other)
}

fn alias_name(facts: &Facts<'_>, dialogue: &mut Dialogue<'_>, account: &str, id: &str) -> Result<String, Stop> {
    if let Some(name) = &facts.args.name {
        return Ok(name.clone());
    }
    let aliases = &facts.loaded.config.aliases;
    let same = aliases.iter().find(|(_, alias)| alias.account == account && alias.id == id);
    if let Some((name, _)) = same {
        return Ok(name.clone());
    }
    let proposal = names::free(&naming::proposal(facts, account), |name| aliases.contains_key(name));
    let question = Question {
        ask: "Name of the alias on this machine",
        help: "a short word, as in claude --alias NAME",
        flag: "--name NAME: the alias's name on this machine",
    };
    dialogue
        .text(&question, Some(&proposal), |text| typed::name::read(text).map(drop).map_err(|why| format!("it {why}")))
}
