//! Decides on the account: its metrics URL, its name, and the token's user (pure).

use super::dialogue::{Dialogue, Question, Stop};
use super::facts::Facts;
use super::sources::from_settings::{host, is_expected};
use super::sources::names;
use super::sources::spec::Spec;
use super::spec::{field, understood};
use crate::config::Account;
use crate::config::typed::endpoint::{account_id, address, exchanged};
use crate::config::typed::user::is_mail;
use crate::config::typed::{self, endpoint};

/// The metrics URL: from the flag, from the configured account where there is no Spec, from the Spec, or from a question.
pub fn endpoint(facts: &Facts<'_>, dialogue: &mut Dialogue<'_>, spec: Option<&Spec>) -> Result<String, Stop> {
    let finding = spec.map(|spec| &spec.endpoint);
    let question = Question {
        ask: "Metrics URL, or the account id",
        help: "the Monitoring Spec's server and path; the account id is like acme-A1B2C3",
        flag: "--endpoint URL: the metrics URL, or the account id",
    };
    if let Some(given) = &facts.args.endpoint {
        let given = understood(dialogue, "--endpoint", given, endpoint::read)?;
        let others = finding.map(|finding| finding.candidates.as_slice()).unwrap_or_default();
        if let Some(other) = others.first()
            && others.iter().all(|candidate| host(&candidate.value) != host(&given))
        {
            return Err(other_host(&other.value, &format!("--endpoint ({})", address(&given).unwrap_or_default())));
        }
        return Ok(given);
    }
    let accounts = &facts.loaded.config.accounts;
    let named = facts.args.account.as_ref().and_then(|name| accounts.get(name));
    let known = named.or_else(|| accounts.values().next().filter(|_| accounts.len() == 1));
    if spec.is_none()
        && let Some(account) = known
    {
        return Ok(account.endpoint.clone());
    }
    let endpoint = field(dialogue, None, finding, &question, endpoint::read)?;
    let own = accounts.values().map(|account| account.endpoint.as_str());
    if spec.is_some() && named.is_none() && !endpoint.is_empty() && !is_expected(&endpoint, own, true) {
        let host = address(&endpoint).unwrap_or_default();
        let ask = format!("The token would go to {host}, which is not ACT's. Is this intended?");
        let flag =
            format!("--endpoint URL: the Spec's URL leads to {host}, which is not ACT's; name it if this is intended");
        dialogue.agree(&Question { ask: &ask, help: "", flag: &flag }, false)?;
    }
    Ok(endpoint)
}

fn other_host(url: &str, than: &str) -> Stop {
    let host = address(url).unwrap_or_default();
    Stop::usage(format!("the Monitoring Spec is refused: its metrics URL leads to another host ({host}) than {than}"))
}

/// The account's name: from the flag, of a configured account with this endpoint, or made from the account id.
pub fn name(facts: &Facts<'_>, endpoint: &str) -> String {
    let accounts = &facts.loaded.config.accounts;
    if let Some(name) = &facts.args.account {
        return name.clone();
    }
    let is_users = |account: &Account| facts.args.user.as_ref().is_none_or(|user| account.user == *user);
    let same = accounts.iter().find(|(_, account)| account.endpoint == endpoint && is_users(account));
    match same {
        Some((name, _)) => name.clone(),
        None => {
            let name = names::of_account(endpoint).unwrap_or_else(|| "act".to_owned());
            names::free(&name, |name| accounts.contains_key(name))
        }
    }
}

/// Compares the endpoint with that of the configured account, unless `--endpoint` was given. Another host is refused. Another URL
/// on the same host needs the user's agreement.
pub fn agree_on_endpoint(
    facts: &Facts<'_>,
    dialogue: &mut Dialogue<'_>,
    name: &str,
    existing: Option<&Account>,
    endpoint: &str,
) -> Result<(), Stop> {
    let Some(existing) = existing.filter(|existing| existing.endpoint != endpoint && !endpoint.is_empty()) else {
        return Ok(());
    };
    if facts.args.endpoint.is_some() {
        return Ok(());
    }
    if host(&existing.endpoint) != host(endpoint) {
        let than = format!("account {name}'s ({})", address(&existing.endpoint).unwrap_or_default());
        return Err(other_host(endpoint, &than));
    }
    let ask = format!("Account {name} has another metrics URL than {endpoint}. Replace it?");
    let flag = format!("--endpoint {endpoint}: account {name} has another metrics URL; or another --account NAME");
    dialogue.agree(&Question { ask: &ask, help: &existing.endpoint, flag: &flag }, false)
}

/// Refuses a user given by `--user` that is no e-mail address, as the question for it does.
pub fn mail(facts: &Facts<'_>, user: &str) -> Result<(), Stop> {
    match facts.args.user.is_none() || is_mail(user) {
        true => Ok(()),
        false => {
            Err(Stop::usage("--user: it is no e-mail address: the one you log in to the Boomi platform with is needed"))
        }
    }
}

/// The endpoint. An error where it has an e-mail in place of the account id.
pub fn without_mail(endpoint: String) -> Result<String, Stop> {
    match account_id(&endpoint).is_some_and(|id| is_mail(&id.replace("%40", "@"))) {
        true => Err(Stop::usage(
            "--endpoint: it has an e-mail address in place of the account id, which is like acme-A1B2C3",
        )),
        false => Ok(endpoint),
    }
}

/// The token's user and the endpoint. Where e-mail and account id were given in each other's place, they are exchanged.
pub fn user(
    facts: &Facts<'_>,
    dialogue: &mut Dialogue<'_>,
    account: &str,
    existing: Option<&Account>,
    from_credential: Option<&str>,
    endpoint: String,
) -> Result<(String, String), Stop> {
    let read = |text: &str| typed::user::read(text).map(|typed| typed.value);
    let given = facts.args.user.as_deref().map(read).transpose();
    let given = given.map_err(|why| Stop::usage(format!("--user: it {why}")))?;
    if let Some((user, endpoint)) = given.as_deref().and_then(|user| exchanged(user, &endpoint)) {
        dialogue.tell("E-mail and account id were exchanged: corrected.");
        return Ok((user, endpoint));
    }
    let is_account =
        |user: &str| !is_mail(user) && account_id(&endpoint).is_some_and(|id| id.eq_ignore_ascii_case(user));
    if let Some(user) = &given {
        if is_account(user) {
            return Err(Stop::usage("--user: that is the account id; the user's e-mail is needed"));
        }
        if let Some(other) = from_credential.filter(|other| !other.eq_ignore_ascii_case(user)) {
            let other = if is_mail(other) { other } else { "somebody else" };
            return Err(Stop::usage(format!("--user: the credential is {other}'s")));
        }
        return Ok((user.clone(), endpoint));
    }
    if from_credential.is_some_and(|user| !is_mail(user)) {
        dialogue.tell("The credential's user is not an e-mail address.");
    }
    if let Some(user) = from_credential.filter(|user| is_mail(user)) {
        let user = read(user).map_err(|why| Stop::usage(format!("the credential's user: it {why}")))?;
        if let Some(existing) = existing.filter(|existing| !existing.user.eq_ignore_ascii_case(&user)) {
            let ask =
                format!("The credential is {user}'s, account {account} is {}'s. Change the account?", existing.user);
            let flag = format!("--user {user}: the credential is {user}'s, account {account} is {}'s", existing.user);
            dialogue.agree(&Question { ask: &ask, help: "", flag: &flag }, true)?;
        }
        return Ok((user, endpoint));
    }
    if let Some(existing) = existing {
        return Ok((existing.user.clone(), endpoint));
    }
    let mut others = facts.loaded.config.accounts.values().map(|account| &account.user);
    let other = others.next();
    // Without a question, only the one user whom all accounts have is taken.
    let other = other.filter(|other| dialogue.can_ask() || others.all(|further| further == *other));
    Ok((ask_user(dialogue, other.map(String::as_str))?, endpoint))
}

/// The token's user, from a question.
pub fn ask_user(dialogue: &mut Dialogue<'_>, proposal: Option<&str>) -> Result<String, Stop> {
    let question = Question {
        ask: "E-mail of the token's user",
        help: "the one you log in to the Boomi platform with",
        flag: "--user EMAIL: the e-mail of the token's user",
    };
    let earlier = proposal.map(str::to_owned);
    let user = dialogue.text(&question, proposal, move |text| {
        let user = typed::user::read(text).map_err(|why| format!("it {why}"))?.value;
        // A configuration may name a user in another form, and it stays as it is.
        if is_mail(&user) || earlier.as_ref() == Some(&user) {
            Ok(())
        } else {
            Err("an e-mail address is needed, not the account id".to_owned())
        }
    })?;
    Ok(typed::user::read(&user).map(|typed| typed.value).unwrap_or_default())
}
