//! Where act-claude runs inside claude, it uses the environment with which that claude was started.
//!
//! A repository's `.claude/settings.json` may set variables for the programs that claude starts (its Bash tool, hooks, MCP
//! servers), and so for a `claude -p` there. The kernel keeps the environment with which claude was started: a repository can't
//! change that.
//!
//! So act-claude looks at the processes from the outermost claude (or a script in its place) to this process. It trusts a value
//! that the outermost claude was started with. It also trusts a change made by a program between them, if that program is not a
//! claude and not a shell. Example: a test program that sets its own HOME.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::claude::lineage::{self, Ancestor, MARK, ProcessKind};
use crate::claude::own_pipeline::VARIABLES;
use crate::claude::variables::{self, ENABLE, ORIGINALS, WRAPPER};
use crate::claude::{settings, switched_off};
use crate::system::environment::{Doubt, Environment, PipelineDoubt};
use crate::{config, state};

/// The variables that say where configuration, state and claude's own settings are.
const PLACES: [&str; 5] = ["ACT_CLAUDE_CONFIG", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "HOME", "CLAUDE_CONFIG_DIR"];

/// The other variables that decide where the token goes, or which program starts.
const ROUTES: [&str; 17] = [
    "ACT_CLAUDE_BIN",
    "https_proxy",
    "HTTPS_PROXY",
    "http_proxy",
    "HTTP_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "NODE_EXTRA_CA_CERTS",
    "NODE_TLS_REJECT_UNAUTHORIZED",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CLAUDE_CODE_CERT_STORE",
    "CLAUDE_CODE_CLIENT_CERT",
    "CLAUDE_CODE_CLIENT_KEY",
    "DBUS_SESSION_BUS_ADDRESS",
];

/// The variables that a session inside may set itself: none of them decides about account, endpoint, token or program.
const ALLOWED: [&str; 12] = [
    "ACT_CLAUDE_ALIAS",
    "ACT_CLAUDE_REPORT",
    "ACT_CLAUDE_LOG",
    ENABLE,
    WRAPPER,
    "CI",
    "COLORTERM",
    "COLUMNS",
    "LINES",
    "NO_COLOR",
    "PWD",
    "TERM",
];

/// Returns the trusted environment of this process, which was started with `own`. It equals `own` where no claude is above. Its
/// [`Doubt`] says what is not reliable. Also changes `own`: in both, the variables that act-claude has set get the user's
/// values back.
pub fn trusted_environment(own: &mut Environment) -> Environment {
    let is_marked = own.text(MARK).is_some();
    let mut trusted = trusted_by(&lineage::above(is_marked), own);
    own.put(ORIGINALS, trusted.get(ORIGINALS));
    variables::restore_originals(own);
    variables::restore_originals(&mut trusted);
    trusted
}

/// Whether variables that decide about files, proxies, certificates and programs differ between the two.
pub fn differs(own: &Environment, trusted: &Environment) -> bool {
    trusted.doubt().everything.is_some()
        || PLACES.iter().chain(&ROUTES).chain(&["PATH"]).any(|name| own.get(name) != trusted.get(name))
}

/// The trusted environment below these ancestors, the nearest first (pure).
fn trusted_by(ancestors: &[Ancestor], own: &Environment) -> Environment {
    let Some(top) =
        ancestors.iter().rposition(|ancestor| matches!(ancestor.kind, ProcessKind::Claude | ProcessKind::Script))
    else {
        return if own.text(MARK).is_some() { orphan(own) } else { own.clone() };
    };
    let Some(first) = &ancestors[top].environment else {
        let why = format!(
            "the environment of the enclosing claude (process {}) can't be read, so it is not known what its settings \
             have changed: start it outside of that claude",
            ancestors[top].pid
        );
        return without_controls(own).doubted(Doubt {
            everything: Some(why),
            alias: true,
            pipeline: pipeline_of(own, None),
        });
    };
    // Claude's marker in the environment of the outermost visible claude: it runs inside another claude, which is not visible.
    let top_is_marked = first.text(MARK).is_some();
    let start = if top_is_marked { without_controls(first) } else { first.clone() };
    let descent = descend(&ancestors[..=top], start, own);
    let mut trusted = overlaid(own, &descent.trusted);
    // A variable of `ROUTES` that differs gets its trusted value. It is a reason to refuse only where that value is not known.
    let rerouted = || rerouted(own, &trusted).filter(|_| top_is_marked && !descent.has_new_home);
    let everything = moved(own, &trusted).or_else(rerouted).map(if top_is_marked { unknown } else { differing });
    let pipeline = pipeline_of(own, Some(&descent.trusted));
    let mut doubt = Doubt { everything, alias: false, pipeline };
    let requested_alias = own.get("ACT_CLAUDE_ALIAS");
    doubt.alias = requested_alias.is_some() && requested_alias != descent.trusted.get("ACT_CLAUDE_ALIAS");
    if doubt.everything.is_some() {
        // ACT_CLAUDE_REPORT could hide the reason, so its value is the trusted one.
        trusted.put("ACT_CLAUDE_REPORT", descent.trusted.get("ACT_CLAUDE_REPORT"));
    }
    trusted.doubted(doubt)
}

/// The environment that is trusted below the processes seen so far.
struct Descent {
    trusted: Environment,
    /// A program in between gave the processes below it a home directory of their own.
    has_new_home: bool,
}

/// Walks from the outermost claude, the last of `ancestors`, to this process, and collects the trusted values. `start` is the
/// trusted environment of the outermost claude.
fn descend(ancestors: &[Ancestor], start: Environment, own: &Environment) -> Descent {
    let mut descent = Descent { trusted: start, has_new_home: false };
    let mut above: Option<(&Environment, ProcessKind)> = None;
    for ancestor in ancestors.iter().rev() {
        above = match (above, &ancestor.environment) {
            (Some((before, kind)), Some(after)) => {
                descent.step(kind, before, after);
                Some((after, ancestor.kind))
            }
            (None, Some(first)) => Some((first, ancestor.kind)),
            // A process that can't be read may have changed anything. So its changes are not trusted, as those of a shell are not;
            // nor are those of claude, whose settings may name any variable.
            (Some((before, kind)), None) if kind != ProcessKind::Claude => Some((before, ProcessKind::Shell)),
            (above, None) => above,
        };
    }
    if let Some((before, kind)) = above {
        descent.step(kind, before, own);
    }
    descent
}

impl Descent {
    /// One step down: a process of `kind`, which was started with the environment `before`, has started one with `after`.
    fn step(&mut self, kind: ProcessKind, before: &Environment, after: &Environment) {
        let may_change = matches!(kind, ProcessKind::Other | ProcessKind::Ourselves);
        let is_untouched = |trusted: &Environment, name: &str| trusted.get(name) == before.get(name);
        let is_new_home = after.get("HOME") != before.get("HOME") && is_untouched(&self.trusted, "HOME");
        self.has_new_home = match kind {
            ProcessKind::Claude | ProcessKind::Script => false,
            ProcessKind::Shell => self.has_new_home,
            ProcessKind::Other | ProcessKind::Ourselves => {
                self.has_new_home || (is_new_home && after.get(MARK).is_none())
            }
        };
        for name in changed(before, after) {
            let is_trusted = match kind {
                ProcessKind::Claude => false,
                ProcessKind::Script => ["PATH", "ACT_CLAUDE_BIN"].contains(&name.as_str()),
                ProcessKind::Ourselves if name == ORIGINALS => true,
                // A variable that was changed above stays untrusted, even where another process adds to it.
                _ => {
                    (may_change && self.has_new_home)
                        || ((may_change || self.has_new_home) && is_untouched(&self.trusted, &name))
                }
            };
            if is_trusted {
                self.trusted.put(&name, after.get(&name));
            }
        }
    }
}

/// Names whose values differ.
fn changed(one: &Environment, other: &Environment) -> BTreeSet<String> {
    let names = one.iter().chain(other.iter()).filter_map(|(name, _)| name.to_str());
    names.filter(|name| one.get(name) != other.get(name)).map(str::to_owned).collect()
}

/// `own`, except for the variables that it may not set itself. Switching telemetry off is always allowed.
fn overlaid(own: &Environment, trusted: &Environment) -> Environment {
    let mut result = own.clone();
    for name in changed(own, trusted) {
        let is_own = ALLOWED.contains(&name.as_str())
            || name.starts_with("OTEL_")
            || (name == switched_off::VARIABLE && switched_off::is_off(own));
        if !is_own {
            result.put(&name, trusted.get(&name));
        }
    }
    result
}

/// The trusted environment of a process with claude's marker and no claude above it: that claude has ended, or is not visible.
fn orphan(own: &Environment) -> Environment {
    let trusted = without_controls(own);
    let everything = moved(own, &trusted).or_else(|| rerouted(own, &trusted)).map(unknown);
    trusted.doubted(Doubt {
        everything,
        alias: own.get("ACT_CLAUDE_ALIAS").is_some(),
        pipeline: pipeline_of(own, None),
    })
}

/// What the pipeline's variables in `own` are worth. `trusted` has those that the enclosing claude was started with, where they
/// are known.
fn pipeline_of(own: &Environment, trusted: Option<&Environment>) -> PipelineDoubt {
    if trusted.is_some_and(|trusted| VARIABLES.iter().all(|name| own.get(name) == trusted.get(name))) {
        return PipelineDoubt::None;
    }
    let is_there = VARIABLES.iter().any(|name| name.starts_with("OTEL_") && own.get(name).is_some());
    if is_there { PipelineDoubt::Changed } else { PipelineDoubt::Removed }
}

/// `environment` without the variables that control act-claude, where their origin is not known. So the usual paths apply. Nor may
/// git's variables say which repository this is: its files say it.
fn without_controls(environment: &Environment) -> Environment {
    let mut result = environment.clone();
    let names = environment.iter().filter_map(|(name, _)| name.to_str());
    names.filter(|name| name.starts_with("GIT_")).for_each(|name| result.remove(name));
    for name in PLACES.iter().chain(&ROUTES) {
        result.remove(name);
    }
    result.remove(ORIGINALS);
    if let Ok(Some(user)) = nix::unistd::User::from_uid(nix::unistd::geteuid()) {
        result.set("HOME", user.dir);
    }
    result
}

/// The variable because of which `own` leads to another configuration, state or home directory than `trusted`.
fn moved(own: &Environment, trusted: &Environment) -> Option<&'static str> {
    let places = |environment: &Environment| -> [Option<PathBuf>; 4] {
        [
            config::user_file(environment),
            state::directory(environment),
            environment.home(),
            settings::user_directory(environment),
        ]
    };
    if places(own) == places(trusted) {
        return None;
    }
    let value = |environment: &Environment, name: &str| environment.get(name).unwrap_or_default().to_owned();
    PLACES.into_iter().find(|name| value(own, name) != value(trusted, name)).or(Some("HOME"))
}

/// The variable about a proxy, certificates or a program whose values differ.
fn rerouted(own: &Environment, trusted: &Environment) -> Option<&'static str> {
    ROUTES.into_iter().find(|name| own.get(name) != trusted.get(name))
}

fn differing(name: &str) -> String {
    format!(
        "{name} differs from the environment with which the enclosing claude was started; a repository's settings may have changed it: \
         set it before you start claude, not in \"env\" of .claude/settings.json"
    )
}

fn unknown(name: &str) -> String {
    format!(
        "{name} is set, and the claude this was started from has ended or can't be seen, so it is not known whether a \
         repository's settings have set it: start it outside of claude, or: unset {MARK}"
    )
}

#[cfg(test)]
mod tests;
