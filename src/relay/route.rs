//! Where a session's exports go: known from the start, or found out when the first one arrives.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::courier::{Courier, Handle};
use super::ledger::Ledger;
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
    command: OnceLock<i32>,
}

impl Routing {
    /// With a route, its courier starts at once: token and connection are ready when the first export is.
    pub fn new(route: Option<Route>, environment: Environment, ledger: Arc<Ledger>) -> Self {
        let routing = Self { routed: OnceLock::new(), environment, ledger, command: OnceLock::new() };
        if let Some(route) = route {
            let _ = routing.routed.set(routing.open(route));
        }
        routing
    }

    /// The process whose working directory decides.
    pub fn follow(&self, pid: i32) {
        let _ = self.command.set(pid);
    }

    /// The route, found out now if it was not known. `None`: no telemetry for this session.
    pub fn get(&self) -> Option<&Routed> {
        self.routed.get_or_init(|| self.find().and_then(|route| self.open(route))).as_ref()
    }

    /// The route, if it is known.
    pub fn known(&self) -> Option<&Routed> {
        self.routed.get()?.as_ref()
    }

    fn open(&self, route: Route) -> Option<Routed> {
        self.ledger.routed(&route);
        let courier = Courier::start(route.target, self.environment.clone(), self.ledger.clone()).ok()?;
        Some(Routed { attributes: route.attributes, courier })
    }

    fn find(&self) -> Option<Route> {
        let directory = working_directory(*self.command.get()?)?;
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
            Plan::Run { telemetry, .. } => Some(telemetry.route()),
            Plan::Plain { .. } | Plan::Refuse { .. } => None,
        }
    }
}

/// The directory a process works in now.
#[cfg(target_os = "linux")]
fn working_directory(pid: i32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

/// The directory a process works in now.
#[cfg(not(target_os = "linux"))]
fn working_directory(pid: i32) -> Option<PathBuf> {
    let arguments = ["-a", "-p", &pid.to_string(), "-d", "cwd", "-Fn"];
    let output = std::process::Command::new("/usr/sbin/lsof").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().find_map(|line| line.strip_prefix('n')).map(PathBuf::from)
}
