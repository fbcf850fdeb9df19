//! Decides how a run takes place: refused, plain, direct or relayed, and which lines the user gets (pure).

pub mod flags;
pub mod line;
pub mod situation;

use std::path::Path;

use crate::claude::conflict::Conflict;
use crate::claude::conflicts::{self, Wanted};
use crate::claude::settings::LayerKind;
use crate::claude::variables::EXPORTER;
use crate::claude::{consent, exporters, overlay};
use crate::config::attribution::Stamp;
use crate::config::resolve::{self, Explicit, Reason, Resolution};
use crate::config::token::TokenError;
use crate::config::{Account, Alias, Delivery, Loaded, TokenSource};
use crate::delivery::cause::Whose;
use crate::delivery::target::{Copy, Route, Target};
use crate::plan::line::{Importance, Line};
use crate::plan::situation::Situation;
use crate::system::environment::Environment;
use crate::system::exit::{CONFIGURATION, USAGE};
use crate::text::json::{Fault, Origin};

/// A session's telemetry.
#[derive(Debug)]
pub struct Telemetry<'a> {
    /// Whose exports they are, and where they go.
    pub choice: Choice<'a>,
    /// The way of delivery.
    pub delivery: Delivery,
    /// Settings that conflict with this session's telemetry.
    pub conflicts: Vec<Conflict>,
    /// Whether an overlay overrides some of them.
    pub overlay: bool,
}

/// The decision.
#[derive(Debug)]
pub enum Plan<'a> {
    /// Claude does not run.
    Refuse {
        /// The exit status.
        code: u8,
        /// The message.
        message: String,
    },
    /// Claude runs without telemetry.
    Plain {
        /// Lines to write once claude has ended.
        lines: Vec<Line>,
    },
    /// Claude runs with telemetry.
    Run {
        /// Its telemetry.
        telemetry: Box<Telemetry<'a>>,
        /// Lines to write once claude has ended.
        lines: Vec<Line>,
    },
}

/// The alias of a directory, before it is known whether it may be used.
#[derive(Debug)]
pub struct Choice<'a> {
    /// The alias's name.
    pub name: &'a str,
    /// The alias.
    pub alias: &'a Alias,
    /// Its account's name.
    pub account_name: &'a str,
    /// Its account.
    pub account: &'a Account,
    /// Where copies of its exports go.
    pub copies: Vec<Copy>,
    /// Resource attributes: the alias's, then a repository's.
    pub attributes: Vec<(String, String)>,
    /// What else each export says, as things are when it arrives.
    pub stamp: Option<Stamp>,
    /// The reason for this alias.
    pub reason: Reason,
    /// Lines about what the search for an alias ignored.
    pub passed_over: Vec<Line>,
}

impl Choice<'_> {
    /// The account, the alias and the endpoint that the exports belong to.
    pub fn whose(&self) -> Whose<'_> {
        Whose { account: self.account_name, alias: self.name, endpoint: &self.account.endpoint }
    }

    /// The route that the relay needs.
    pub fn route(&self) -> Route {
        let Self { name, alias, account, copies, attributes, stamp, reason, .. } = self;
        let (target, reason) = (Target::act(name, alias, account), reason.to_string());
        Route { target, copies: copies.clone(), attributes: attributes.clone(), reason, stamp: stamp.clone() }
    }
}

/// Chooses the alias. Where there is none, the error is the plan for the run.
pub fn choose<'a>(situation: &Situation<'a>) -> Result<Choice<'a>, Plan<'a>> {
    let Situation { flags, environment, loaded, .. } = *situation;
    if flags.alias.is_some() && crate::claude::arguments::is_background(situation.args) {
        let message =
            "--alias has no effect on a background session (--bg): its directory decides its alias: act-claude act use NAME"
                .to_owned();
        return Err(Plan::Refuse { code: USAGE, message });
    }
    if let Some(why) = &environment.doubt().everything {
        return Err(without(loaded, Line::configuration(format!("no telemetry: {why}"))));
    }
    if let Some(fault) = loaded.general_fault() {
        return Err(without(loaded, faulty(loaded, fault)));
    }
    let explicit = Explicit::of(flags.alias.as_deref(), environment);
    let resolution = match resolve::resolve(explicit, &loaded.config, &situation.place) {
        Ok(resolution) => resolution,
        Err(unknown) => {
            return Err(Plan::Refuse { code: USAGE, message: unknown.message });
        }
    };
    if let Reason::Broken { fault } = &resolution.reason {
        return Err(without(loaded, faulty(loaded, fault)));
    }
    let said = resolution.passed_over.iter().chain(&resolution.hints);
    let passed_over = said.map(|word| Line::daily(word.clone())).collect::<Vec<_>>();
    let chosen = resolution.alias.as_ref().and_then(|name| {
        let (name, alias) = loaded.config.aliases.get_key_value(name)?;
        // Each alias has its account: `Config::settle` has made those without one broken.
        let (account_name, account) = loaded.config.accounts.get_key_value(&alias.account)?;
        Some((name, alias, account_name, account))
    });
    let Some((name, alias, account_name, account)) = chosen else {
        let mut plan = without(loaded, no_alias(loaded, environment, situation.directory, &resolution));
        if let Plan::Plain { lines } = &mut plan {
            lines.splice(0..0, passed_over);
        }
        return Err(plan);
    };
    let mut attributes = alias.resource_attributes();
    for (key, value) in &resolution.attributes {
        if !attributes.iter().any(|(own, _)| own == key) {
            attributes.push((key.clone(), value.clone()));
        }
    }
    let (reason, stamp) = (resolution.reason, loaded.config.stamp(alias, environment));
    let copies = Copy::all(&loaded.config, name, environment, &situation.layers);
    Ok(Choice { name, alias, account_name, account, copies, attributes, stamp, reason, passed_over })
}

/// The line that says that there is no telemetry because of `fault`.
pub fn faulty(loaded: &Loaded, fault: &Fault) -> Line {
    let more = and_more(loaded.faults.iter().filter(|other| *other != fault).count(), "which");
    Line::configuration(format!("no telemetry: {fault}{more}"))
}

/// How many more there are than the one that is named, and the command that names them all.
fn and_more(count: usize, command: &str) -> String {
    if count == 0 { String::new() } else { format!(" (and {count} more: act-claude act {command})") }
}

/// Decides how a run takes place. `look` is asked, once it is known that the run needs it, whether a token's source can give one:
/// it opens the file.
pub fn decide<'a>(situation: &Situation<'a>, look: impl FnOnce(&TokenSource) -> Result<(), TokenError>) -> Plan<'a> {
    let Situation { flags, environment, loaded, .. } = *situation;
    let choice = match choose(situation) {
        Ok(choice) => choice,
        Err(plan) => return plan,
    };
    let Choice { name, account_name, account, ref attributes, .. } = choice;
    let delivery = if flags.direct { Delivery::Direct } else { loaded.config.delivery() };
    let objection = consent::objection(&loaded.config, delivery, &account.endpoint, environment, &situation.layers);
    if let Some(objection) = objection {
        return without(loaded, Line::notice(objection.line()));
    }
    if let Err(error) = look(&account.token) {
        let error = error.of(account_name);
        return without(loaded, Line::configuration(format!("{name}: no telemetry: {error}")));
    }
    let wanted = Wanted { delivery, attributes, debug: flags.verify };
    let conflicts = conflicts::of_session(&wanted, environment, &situation.layers);
    // Where the user's own `--settings` is not understood, an overlay can't keep its contents.
    let can_merge = !situation.layers.iter().any(|layer| layer.kind == LayerKind::Argument && layer.unread().is_some());
    let may_overlay = can_merge && overlay::is_allowed(situation.args);
    // A conflict that only stops exports is reported after the session, and only where no export arrived.
    let shows_later = |conflict: &Conflict| delivery == Delivery::Relay && conflict.stops();
    let stays = conflicts.iter().filter(|conflict| conflict.breaks() && !shows_later(conflict));
    let stays = stays.filter(|conflict| !(conflict.overridable && may_overlay));
    let mut lines = choice.passed_over.clone();
    if let Some(line) = remaining(name, &stays.collect::<Vec<_>>()) {
        let is_session = crate::claude::arguments::call(situation.args) == crate::claude::arguments::Call::Session;
        let is_overridden = |conflict: &Conflict| conflict.overridable && may_overlay;
        let certain_remains = conflicts.iter().any(|conflict| conflict.is_certain() && !is_overridden(conflict));
        if certain_remains && is_session && loaded.config.required_by().is_some() {
            return without(loaded, line);
        }
        lines.push(line);
    }
    if delivery == Delivery::Relay {
        lines.extend(left_out(name, environment));
        lines.extend(uncopied(name, loaded));
    }
    let overlay = may_overlay && conflicts.iter().any(|conflict| conflict.overridable);
    let telemetry = Telemetry { choice, delivery, conflicts, overlay };
    Plan::Run { telemetry: Box::new(telemetry), lines }
}

/// Names the conflicts that no overlay overrides: managed settings, and all where claude's arguments must stay as they are.
fn remaining(name: &str, conflicts: &[&Conflict]) -> Option<Line> {
    let managed = conflicts.iter().find(|conflict| conflict.kind == LayerKind::Managed);
    let first = managed.or(conflicts.iter().find(|conflict| conflict.is_unread())).or(conflicts.first())?;
    let more = and_more(conflicts.len() - 1, "doctor");
    let text = |why: &str| format!("{name}: {}: {first}; {why}: {}{more}", first.place(), first.fix());
    Some(match first.kind {
        LayerKind::Managed => Line::notice(text("managed settings can't be overridden")),
        _ => Line::daily(text("this can't be overridden here")),
    })
}

/// Names a fault because of which a copy is not made.
fn uncopied(name: &str, loaded: &Loaded) -> Option<Line> {
    let mut faults = loaded.faults.iter().filter(|fault| loaded.config.broken.is_of_copy(fault));
    let (first, more) = (faults.next()?, and_more(faults.count(), "which"));
    Some(Line::configuration(format!("{name}: a copy is not made: {first}{more}")))
}

/// Names an exporter in the environment that claude does not get any more: with it, claude would export nothing.
fn left_out(name: &str, environment: &Environment) -> Option<Line> {
    let own = environment.text(EXPORTER)?;
    let unknown = *exporters::left_out(own).first()?;
    Some(Line::daily(format!(
        "{name}: {EXPORTER} names {unknown:?}, an exporter that claude does not know: left out; correct it where it is set"
    )))
}

/// The plan of a run without telemetry: claude runs with one line, or, where telemetry is `required`, does not run.
pub fn without<'a>(loaded: &Loaded, line: Line) -> Plan<'a> {
    match loaded.config.required_by() {
        Some(origin) => {
            Plan::Refuse { code: CONFIGURATION, message: format!("{} (telemetry is required by {origin})", line.text) }
        }
        None => Plan::Plain { lines: vec![line] },
    }
}

/// Why claude does not run: the user switches telemetry off, and it is required by the configuration at `origin`.
pub fn not_off(origin: &Origin) -> String {
    format!(
        "telemetry can't be switched off: it is required by {origin}: start claude without --no-act, and: unset ACT_CLAUDE"
    )
}

/// The line that says that there is no telemetry because `directory` has no alias, and how it gets one.
pub fn no_alias(loaded: &Loaded, environment: &Environment, directory: &Path, resolution: &Resolution) -> Line {
    let file = || match crate::config::user_file(environment) {
        Some(path) => path.display().to_string(),
        None => "the configuration".to_owned(),
    };
    let give = loaded.config.how_to_use_one();
    let text = match &resolution.reason {
        Reason::NothingConfigured => {
            format!("no telemetry: no alias is configured in {}: act-claude act setup", file())
        }
        Reason::NoRule => format!("no telemetry: no rule covers {}: {give}", directory.display()),
        reason @ (Reason::Rule { null: true, .. } | Reason::Default { null: true, .. }) => {
            format!("no telemetry here: {reason}; to report it nevertheless: {give}")
        }
        reason => format!("no telemetry here: {reason}"),
    };
    Line { importance: Importance::Daily, text }
}

#[cfg(test)]
mod tests;
