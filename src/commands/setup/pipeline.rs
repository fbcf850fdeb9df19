//! Decides what happens with the user's own metrics pipeline, where there is one (pure).

use super::decision::Decision;
use super::dialogue::{Dialogue, Offer, Question, Stop};
use super::facts::Facts;
use super::renew;
use crate::claude::own_pipeline::{self, Named};
use crate::config::{Delivery, Pipeline};
use crate::text::amount;

/// The values of `--own-pipeline`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Flag {
    /// It stays as it is, and ACT gets nothing
    Leave,
    /// Metrics go to both
    Copy,
    /// Metrics go to ACT only
    Replace,
}

impl From<Flag> for Pipeline {
    fn from(flag: Flag) -> Self {
        match flag {
            Flag::Leave => Self::Leave,
            Flag::Copy => Self::Copy,
            Flag::Replace => Self::Replace,
        }
    }
}

/// Adds to the decision what happens with the pipeline. Nothing is added where the configuration says it already, and where nobody
/// can be asked: then the pipeline stays as it is.
pub fn decide(facts: &Facts<'_>, dialogue: &mut Dialogue<'_>, mut decision: Decision) -> Result<Decision, Stop> {
    let config = &facts.loaded.config;
    let new = decision.entries.accounts.iter().map(|account| account.endpoint.as_str());
    let accounts: Vec<&str> = config.endpoints().into_iter().chain(new).collect();
    let named = own_pipeline::named(facts.environment, &facts.layers, &accounts);
    let unfit = match own_pipeline::find(facts.environment, &facts.layers, &accounts) {
        Some(Err(why)) => Some(why.0),
        _ if config.delivery() == Delivery::Direct => Some("direct delivery makes no copies".to_owned()),
        _ => None,
    };
    let is_said = config.own_pipeline.is_some() || config.replace_endpoint.is_some();
    let is_renewal = !facts.args.from_settings && renew::is_requested(facts.args);
    decision.entries.own_pipeline = match (facts.args.own_pipeline, named) {
        (Some(flag), named) => Some(of_flag(flag, named.as_ref(), unfit.as_deref())?),
        (None, Some(named)) if !is_said && !is_renewal => choose(facts, dialogue, &named, unfit.as_deref())?,
        (None, _) => None,
    };
    Ok(decision)
}

/// What the flag says, where that is possible.
fn of_flag(flag: Flag, named: Option<&Named>, unfit: Option<&str>) -> Result<Pipeline, Stop> {
    let refused = |why: String| Err(Stop::usage(format!("--own-pipeline: {why}")));
    match (flag, named.filter(|named| named.is_final), unfit) {
        (Flag::Copy | Flag::Replace, Some(named), _) => refused(format!("{}: {FINAL}", named.by)),
        (Flag::Copy, None, Some(why)) => refused(format!("your own pipeline can't get a copy: {why}")),
        _ => Ok(flag.into()),
    }
}

/// Why nothing can be chosen.
const FINAL: &str =
    "managed settings take precedence over act-claude, so ACT gets nothing where they name the endpoint";

/// Asks the user, after saying what there is and what would change.
fn choose(
    facts: &Facts<'_>,
    dialogue: &mut Dialogue<'_>,
    named: &Named,
    unfit: Option<&str>,
) -> Result<Option<Pipeline>, Stop> {
    dialogue.tell(format!("Your metrics go to {} ({}).", named.endpoint, named.by));
    if named.is_final {
        dialogue.tell(format!("They stay there: {FINAL}."));
        return Ok(None);
    }
    let every = amount::seconds(facts.loaded.config.export_interval_ms());
    let so_far = named.interval_ms.map(|own| format!(" (so far every {})", amount::seconds(own)));
    dialogue.tell(match unfit {
        None => format!("For ACT, claude exports every {every}{}.", so_far.unwrap_or_default()),
        Some(why) => format!("That can't get a copy: {why}."),
    });
    if !dialogue.can_ask() {
        let both = if unfit.is_none() { "to send them to both: --own-pipeline copy; " } else { "" };
        dialogue.tell(format!("They stay there, and ACT gets nothing ({both}to ACT only: --own-pipeline replace)."));
        return Ok(None);
    }
    let options = [
        (Pipeline::Leave, Offer::noted("leave them there", "ACT gets nothing")),
        (Pipeline::Copy, Offer::noted("send them to both", "act-claude sends a copy there")),
        (Pipeline::Replace, Offer::plain("send them to ACT only")),
    ];
    let (choices, offers): (Vec<Pipeline>, Vec<Offer>) =
        options.into_iter().filter(|(choice, _)| unfit.is_none() || *choice != Pipeline::Copy).unzip();
    let question = Question { ask: "What should happen with your metrics", help: "", flag: "" };
    Ok(Some(choices[dialogue.choose(&question, offers)?]))
}
