//! Findings about copies as a whole: those that nobody gets (pure).

use super::{Check, Facts, Finding};
use crate::claude::own_pipeline;
use crate::commands::flush;
use crate::config::{Delivery, Pipeline};
use crate::state::spool::{Spool, Summary};

pub const CHECKS: [Check; 2] = [|facts| direct(facts).into_iter().collect(), gone];

/// Only the relay makes copies.
fn direct(facts: &Facts) -> Option<Finding> {
    let config = &facts.loaded.config;
    let delivery = config.delivery.as_ref().filter(|delivery| delivery.value == Delivery::Direct)?;
    let names: Vec<&str> = config.copies.keys().map(String::as_str).collect();
    if names.is_empty() {
        return None;
    }
    let finding = Finding::new("direct-copies", "direct delivery makes no copies", delivery.origin.to_string())
        .effect(format!("nothing goes to {}; ACT gets everything", names.join(", ")))
        .fix("set \"delivery\": \"relay\" there, or remove \"copies\"");
    Some(finding)
}

/// Copies that wait for a destination that is no longer configured.
fn gone(facts: &Facts) -> Vec<Finding> {
    let finding = |(destination, spool): (&String, &Summary)| {
        let count: u64 = spool.waiting.iter().map(|waiting| waiting.exports).sum();
        if count == 0 || is_configured(facts, destination) {
            return None;
        }
        let (copies, are) = if count == 1 { ("copy", "is") } else { ("copies", "are") };
        let place = facts.state.as_deref().map(|state| Spool::of_copies(state, destination).queue());
        let what = format!("{count} {copies} for {destination} {are} kept, which is no longer configured");
        let finding = Finding::new("copy-gone", what, place.unwrap_or_default().display().to_string())
            .effect("they are sent nowhere; ACT is not affected")
            .fix("configure it again, or delete them")
            .command(format!("{} --discard", flush::command(Some(destination))));
        Some(finding)
    };
    facts.kept_copies.iter().filter_map(finding).collect()
}

/// Whether copies for this destination can be delivered at all. Where the configuration can't be read, nobody knows.
pub fn is_configured(facts: &Facts, destination: &str) -> bool {
    let config = &facts.loaded.config;
    let is_unknown = config.copies_written.is_unreadable || facts.loaded.general_fault().is_some();
    let is_own = destination == own_pipeline::NAME && config.own_pipeline() == Pipeline::Copy;
    let is_named = config.copies.contains_key(destination) || config.broken.copies.contains_key(destination);
    is_unknown || is_own || is_named
}
