//! Where a session's exports go: known from the start, or decided when the first one arrives.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::attribution::{self, Export};
use super::book::RouteChoice;
use super::copies::Copies;
use super::deliverer::{Deliverer, Deliverers};
use super::watched::Watched;
use crate::claude::conflict::{Conflict, Reach};
use crate::claude::conflicts::{self, Wanted};
use crate::claude::consent;
use crate::config::attribution::Stamp;
use crate::config::resolve::{self, Explicit, Reason, Resolution};
use crate::config::{self, Delivery};
use crate::delivery::cause;
use crate::delivery::target::{Route, Target};
use crate::delivery::targets::Targets;
use crate::plan;
use crate::plan::flags::Flags;
use crate::plan::situation::Situation;
use crate::state::outcome::Problem;
use crate::state::spool::Limits;
use crate::system::environment::Environment;
use crate::text::json::Fault;

/// A route with its delivery worker.
#[derive(Debug)]
pub struct Routed {
    /// Where its exports go.
    pub target: Target,
    /// Resource attributes every export must carry.
    pub attributes: Vec<(String, String)>,
    /// What else each export says, as things are when it arrives.
    pub stamp: Option<Stamp>,
    /// How much the spool may hold.
    pub limits: Limits,
    /// Its delivery worker.
    pub worker: Deliverer,
    /// The copies of its exports.
    pub copies: Vec<Copies>,
}

impl Routed {
    /// All delivery workers, ACT's first.
    pub fn workers(&self) -> impl Iterator<Item = &Deliverer> {
        std::iter::once(&self.worker).chain(self.copies.iter().map(Copies::worker))
    }
}

/// Why an export has no route.
#[derive(Debug)]
pub enum NoRoute {
    /// The configuration sets no telemetry for this directory.
    None,
    /// The configuration or claude's directory can't be read, so this is unknown.
    Broken(Problem),
}

/// The route, as soon as it is known.
#[derive(Debug)]
pub struct Routing {
    routed: OnceLock<Routed>,
    /// Claude's working directory when its first export arrived.
    directory: OnceLock<PathBuf>,
    deliverers: Arc<Deliverers>,
    /// The process whose working directory decides (launcher form).
    command: OnceLock<Arc<Watched>>,
    /// Its last known working directory: it may end before its last export is processed.
    seen: Mutex<Option<PathBuf>>,
    /// The directory in which a warm spare waits for its session. This directory never counts as the session's.
    waits_in: Option<PathBuf>,
}

/// An error where there are no descriptors left to read files: without the rules in them, the route would be another one.
fn spare_descriptors() -> std::io::Result<()> {
    let open = || std::fs::File::open("/");
    let (_one, _two, _three) = (open()?, open()?, open()?);
    Ok(())
}

impl Routing {
    /// Where the route is given, or was decided by an earlier relay, its delivery worker starts at once, so that token and
    /// connection are ready when the first export arrives. Such a route is never decided again.
    pub fn new(
        given: Option<Route>,
        (seen, waits_in): (Option<PathBuf>, Option<PathBuf>),
        deliverers: Deliverers,
    ) -> Self {
        let directory = seen.clone().unwrap_or_default();
        let given = given.map(|route| RouteChoice { route, directory, redirected_by: None });
        let found = given.or_else(|| deliverers.ledger.route());
        let routing = Self {
            routed: OnceLock::new(),
            directory: OnceLock::new(),
            deliverers: Arc::new(deliverers),
            command: OnceLock::new(),
            seen: Mutex::new(seen),
            waits_in,
        };
        if let Some(found) = found {
            routing.open(found).workers().for_each(Deliverer::start_all);
        }
        routing
    }

    /// Sets the process whose working directory decides.
    pub fn follow(&self, command: Arc<Watched>) {
        let _ = self.command.set(command);
    }

    /// The user that this process runs as now, where that can be seen.
    pub fn command_user(&self) -> Option<u32> {
        self.command.get()?.user()
    }

    /// Whether the route is not decided yet. Notes claude's working directory.
    pub fn is_open(&self) -> bool {
        self.look();
        self.routed.get().is_none()
    }

    /// Claude's working directory now, or its last known one.
    fn look(&self) -> Option<PathBuf> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.command.get().and_then(|command| command.working_directory());
        if now.is_some() && now != self.waits_in {
            seen.clone_from(&now);
        }
        now.or_else(|| seen.clone())
    }

    /// The route, decided now if it was not known. The directory is the one claude was in at its first export; the rules are the
    /// current ones.
    pub fn get(&self) -> Result<&Routed, NoRoute> {
        if self.routed.get().is_none() {
            let directory = self.directory.get().cloned().or_else(|| self.look());
            let directory = directory.ok_or_else(|| NoRoute::Broken(cause::no_directory()))?;
            let directory = self.directory.get_or_init(|| directory).clone();
            let (route, _) = find(&self.deliverers.environment, &directory)?;
            return Ok(self.open(RouteChoice { route, directory, redirected_by: None }));
        }
        self.known().ok_or(NoRoute::None)
    }

    /// The attributes of an export of this route that arrives now: those of the alias, then what is said of claude's working
    /// directory.
    pub fn attributes<'r>(&self, routed: &'r Routed, body: &[u8], redact: &[String]) -> Cow<'r, [(String, String)]> {
        let Some(stamp) = &routed.stamp else { return Cow::Borrowed(&routed.attributes) };
        let export = Export { body, own: &routed.attributes, redact };
        let now = attribution::added(stamp, self.look().as_deref(), &self.deliverers.environment, export);
        Cow::Owned([&routed.attributes[..], &now].concat())
    }

    /// The route, if it is known.
    pub fn known(&self) -> Option<&Routed> {
        self.routed.get()
    }

    /// Notes, where nothing has arrived, which settings key sends claude's exports past the relay or may keep them from it.
    /// True if there is one.
    pub fn note_redirection(&self) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (None, Some(directory)) = (self.known(), seen) else { return false };
        let Ok((route, Some(conflict))) = find(&self.deliverers.environment, &directory) else { return false };
        if conflict.leads_past() {
            let found = RouteChoice { route, directory, redirected_by: Some(conflict.place()) };
            self.deliverers.ledger.redirected(found, cause::redirection(&conflict));
        } else {
            self.deliverers.ledger.found(RouteChoice { route, directory, redirected_by: None });
            self.deliverers.ledger.owed(Some(cause::silence(&conflict)));
        }
        true
    }

    /// Sets the route, whether or not delivery is possible now.
    fn open(&self, found: RouteChoice) -> &Routed {
        self.deliverers.ledger.found(found.clone());
        let Route { target, copies, attributes, stamp, .. } = found.route;
        self.routed.get_or_init(|| {
            let targets = Targets::new(self.deliverers.environment.clone(), Some(target.clone()));
            let limits = targets.limits();
            let worker = self.deliverers.of(&target, targets);
            let copies = copies.into_iter().enumerate();
            let copies = copies.map(|(index, copy)| self.deliverers.copies(index, copy)).collect();
            Routed { target, attributes, stamp, limits, worker, copies }
        })
    }
}

/// The route for `directory`, and the settings key that would keep its exports from the relay. The token is not read here:
/// exports without a token are held.
pub(super) fn find(environment: &Environment, directory: &Path) -> Result<(Route, Option<Conflict>), NoRoute> {
    spare_descriptors().map_err(|error| NoRoute::Broken(cause::shortage(&error)))?;
    let mut environment = environment.clone();
    environment.remove("PWD");
    let loaded = config::load(&environment);
    let broken = |fault: &Fault| NoRoute::Broken(cause::configuration(&fault.to_string()));
    if let Some(fault) = loaded.general_fault() {
        return Err(broken(fault));
    }
    let flags = Flags::default();
    let situation = Situation::of(&flags, &[], &environment, &loaded, directory);
    let explicit = Explicit::of(None, &environment);
    if let Ok(Resolution { reason: Reason::Broken { fault }, .. }) =
        resolve::resolve(explicit, &loaded.config, &situation.place)
    {
        return Err(broken(&fault));
    }
    let route = plan::choose(&situation).map_err(|_| NoRoute::None)?.route();
    if consent::own_word(&loaded.config, &environment, &situation.layers).is_some() {
        return Err(NoRoute::None);
    }
    let wanted = Wanted { delivery: Delivery::Relay, attributes: &route.attributes, debug: false };
    // A conflict that is certain to send exports past the relay comes before one that may.
    let conflicts = conflicts::of_session(&wanted, &environment, &situation.layers);
    let counts = |conflict: &Conflict| conflict.silences() && conflict.reach != Reach::Older;
    let conflict = conflicts.into_iter().filter(counts).min_by_key(Conflict::doubt);
    Ok((route, conflict))
}
