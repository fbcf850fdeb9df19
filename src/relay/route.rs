//! Where a session's exports go: known from the start, or found out when the first one arrives.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::courier::{Courier, Handle};
use super::ledger::{Found, Ledger};
use super::watched::Watched;
use crate::claude::settings;
use crate::cli::Flags;
use crate::config;
use crate::environment::Environment;
use crate::plan::{self, Plan, Situation};
use crate::protocol::Route;
use crate::resolve::Place;

/// A route with its courier.
#[derive(Debug)]
pub struct Routed {
    /// Resource attributes every export must carry.
    pub attributes: Vec<(String, String)>,
    /// Who delivers.
    pub courier: Handle,
}

/// The route, as soon as it is known.
#[derive(Debug)]
pub struct Routing {
    routed: OnceLock<Option<Routed>>,
    environment: Environment,
    ledger: Arc<Ledger>,
    /// Whose working directory decides (launcher form).
    command: OnceLock<Arc<Watched>>,
    /// Where it was seen last: it may end while its last export is on the way.
    seen: Mutex<Option<PathBuf>>,
    /// Where a warm spare waits for its session; seen there, it has not been seen.
    waits_in: Option<PathBuf>,
}

impl Routing {
    /// With a route, its courier starts at once: token and connection are ready when the first export is.
    pub fn new(
        route: Option<Route>,
        (seen, waits_in): (Option<PathBuf>, Option<PathBuf>),
        environment: Environment,
        ledger: Arc<Ledger>,
    ) -> Self {
        let directory = seen.clone().unwrap_or_default();
        let (routed, command, seen) = (OnceLock::new(), OnceLock::new(), Mutex::new(seen));
        let routing = Self { routed, environment, ledger, command, seen, waits_in };
        if let Some(route) = route {
            let _ = routing.routed.set(routing.open(Found { route, directory, redirected_by: None }));
        }
        routing
    }

    /// The process whose working directory decides.
    pub fn follow(&self, command: Arc<Watched>) {
        let _ = self.command.set(command);
    }

    /// Notes where it works now. False once that has been decided.
    pub fn look_around(&self) -> bool {
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

    /// The route, found out now if it was not known. `None`: no telemetry for this session.
    pub fn get(&self) -> Option<&Routed> {
        self.routed.get_or_init(|| self.find().and_then(|found| self.open(found))).as_ref()
    }

    /// The route, if it is known.
    pub fn known(&self) -> Option<&Routed> {
        self.routed.get()?.as_ref()
    }

    fn open(&self, found: Found) -> Option<Routed> {
        let route = found.route.clone();
        self.ledger.found(found);
        let courier = Courier::start(route.target, self.environment.clone(), self.ledger.clone()).ok()?;
        Some(Routed { attributes: route.attributes, courier })
    }

    fn find(&self) -> Option<Found> {
        let directory = self.look()?;
        let mut environment = self.environment.clone();
        environment.remove("PWD");
        let loaded = config::load(&environment);
        let place = Place::of(&directory, &environment, &loaded.config);
        let layers = settings::read(&directory, &[], &environment);
        let flags = Flags::default();
        let situation = Situation {
            flags: &flags,
            args: &[],
            environment: &environment,
            loaded: &loaded,
            directory: &directory,
            place: &place,
            layers: &layers,
        };
        match plan::decide(&situation) {
            Plan::Run { telemetry, .. } => {
                let route = telemetry.route();
                Some(Found { route, directory, redirected_by: None })
            }
            Plan::Plain { .. } | Plan::Refuse { .. } => None,
        }
    }
}
