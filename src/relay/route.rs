//! Where a session's exports go: known from the start, or found out when the first one arrives.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::book::RouteChoice;
use super::deliverer::{Deliverer, Deliverers};
use super::watched::Watched;
use crate::claude::conflict::{Conflict, Reach};
use crate::claude::conflicts::{self, Wanted};
use crate::claude::consent;
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
use crate::text::json::Fault;

/// A route with its worker.
#[derive(Debug)]
pub struct Routed {
    /// Where its exports go.
    pub target: Target,
    /// Resource attributes every export must carry.
    pub attributes: Vec<(String, String)>,
    /// How much the spool may hold.
    pub limits: Limits,
    /// Who delivers.
    pub worker: Deliverer,
}

/// Why an export goes nowhere.
#[derive(Debug)]
pub enum NoRoute {
    /// There is no telemetry here, as the configuration stands.
    None,
    /// The configuration can't be read: nobody knows.
    Broken(Problem),
}

/// The route, as soon as it is known.
#[derive(Debug)]
pub struct Routing {
    routed: OnceLock<Routed>,
    /// Where it worked when its first export arrived.
    directory: OnceLock<PathBuf>,
    deliverers: Arc<Deliverers>,
    /// Whose working directory decides (launcher form).
    command: OnceLock<Arc<Watched>>,
    /// Where it was seen last: it may end while its last export is on the way.
    seen: Mutex<Option<PathBuf>>,
    /// Where a warm spare waits for its session; seen there, it has not been seen.
    waits_in: Option<PathBuf>,
}

/// An error where files could not be read for want of descriptors: rules that can't be read would lead elsewhere.
fn spare_descriptors() -> std::io::Result<()> {
    let open = || std::fs::File::open("/");
    let (_one, _two, _three) = (open()?, open()?, open()?);
    Ok(())
}

impl Routing {
    /// With a route, given or decided by a relay before this one, its worker starts at once: token and connection are ready
    /// when the first export is. Such a route is never decided again.
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
            routing.open(found).worker.start_all();
        }
        routing
    }

    /// The process whose working directory decides.
    pub fn follow(&self, command: Arc<Watched>) {
        let _ = self.command.set(command);
    }

    /// The user that process runs as now, where that can be seen.
    pub fn command_user(&self) -> Option<u32> {
        self.command.get()?.user()
    }

    /// Whether that is still to be decided; notes where claude works now.
    pub fn is_open(&self) -> bool {
        self.look();
        self.routed.get().is_none()
    }

    /// Where it works now, or was seen last.
    fn look(&self) -> Option<PathBuf> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.command.get().and_then(|command| command.working_directory());
        if now.is_some() && now != self.waits_in {
            seen.clone_from(&now);
        }
        now.or_else(|| seen.clone())
    }

    /// The route, found out now if it was not known: the directory is the one of the first export, the rules are
    /// those of today.
    pub fn get(&self) -> Result<&Routed, NoRoute> {
        if self.routed.get().is_none() {
            let directory = self.directory.get().cloned().or_else(|| self.look()).ok_or(NoRoute::None)?;
            let directory = self.directory.get_or_init(|| directory).clone();
            spare_descriptors().map_err(|error| NoRoute::Broken(cause::shortage(&error)))?;
            let (route, _) = self.find(&directory)?;
            return Ok(self.open(RouteChoice { route, directory, redirected_by: None }));
        }
        self.known().ok_or(NoRoute::None)
    }

    /// The route, if it is known.
    pub fn known(&self) -> Option<&Routed> {
        self.routed.get()
    }

    /// Notes, where nothing has arrived, which settings key leads claude's exports past us. True if there is one.
    pub fn note_redirection(&self) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (None, Some(directory)) = (self.known(), seen) else { return false };
        let Ok((route, Some(conflict))) = self.find(&directory) else { return false };
        if conflict.leads_past() {
            let found = RouteChoice { route, directory, redirected_by: Some(conflict.place()) };
            self.deliverers.ledger.redirected(found, cause::redirection(&conflict));
        } else {
            self.deliverers.ledger.found(RouteChoice { route, directory, redirected_by: None });
            self.deliverers.ledger.owed(Some(cause::silence(&conflict)));
        }
        true
    }

    /// The route is known from here on, whether or not anybody can deliver now.
    fn open(&self, found: RouteChoice) -> &Routed {
        self.deliverers.ledger.found(found.clone());
        let Route { target, attributes, .. } = found.route;
        self.routed.get_or_init(|| {
            let targets = Targets::new(self.deliverers.environment.clone(), Some(target.clone()));
            let limits = targets.limits();
            let worker = self.deliverers.of(&target, targets);
            Routed { target, attributes, limits, worker }
        })
    }

    /// The route for `directory`, and which settings key would keep its exports from us. Whether the token can be
    /// had is not asked: what it is missing for is held.
    fn find(&self, directory: &Path) -> Result<(Route, Option<Conflict>), NoRoute> {
        let mut environment = self.deliverers.environment.clone();
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
        // What is known to lead past us before what may.
        let conflicts = conflicts::of_session(&wanted, &environment, &situation.layers);
        let counts = |conflict: &Conflict| conflict.silences() && conflict.reach != Reach::Older;
        let conflict = conflicts.into_iter().filter(counts).min_by_key(Conflict::doubt);
        Ok((route, conflict))
    }
}
