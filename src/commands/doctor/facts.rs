//! The facts behind all findings, gathered once: from files, PATH, the network, and the sources of the tokens.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::claude::locate::{self, LocateError};
use crate::claude::network::{self, Network};
use crate::claude::ourselves;
use crate::claude::processes::{self, Process};
use crate::claude::settings::{self, Layer, LayerKind};
use crate::claude::variables::WRAPPER;
use crate::claude::version::{self, Version};
use crate::commands::check;
use crate::commands::doctor::ownership::{Exposed, exposed, is_foreign};
use crate::config::resolve::{self, Directory, Explicit, Resolution, UnknownAlias};
use crate::config::token::{self, TokenError};
use crate::config::{self, Loaded, TokenSource};
use crate::delivery::roots::{self, Unused};
use crate::delivery::stranded;
use crate::delivery::verdict::Failure;
use crate::state;
use crate::state::spool::summary::{Summary, Waiting};
use crate::system::environment::Environment;
use crate::system::error::plain;
use crate::system::wsl::{self, Wsl};
use crate::text::json::{Fault, Origin, Source};

/// How long `claude --version` may take.
const VERSION_TIMEOUT: Duration = Duration::from_secs(20);

/// All facts.
#[derive(Debug)]
pub struct Facts {
    /// The environment, with the user's original values in place of those that act-claude set for an enclosing claude.
    pub environment: Environment,
    /// The working directory.
    pub directory: PathBuf,
    /// The configuration and its faults.
    pub loaded: Loaded,
    /// The configuration's files as JSON, also where parts of them can't be used.
    pub written: Vec<serde_json::Value>,
    /// The configuration's files and directories that other users can change.
    pub exposed: Vec<Exposed>,
    /// The alias of the working directory.
    pub resolution: Result<Resolution, UnknownAlias>,
    /// Rules that name the directory of another rule but give another alias.
    pub contradictions: Vec<(Origin, String)>,
    /// The `.git` file of a worktree whose main checkout does not know it.
    pub lost_worktree: Option<PathBuf>,
    /// For each account, whether its token and its endpoint's proxy work.
    pub accounts: Vec<Asked>,
    /// Copies with a header whose value can't be fetched, and why.
    pub copies: Vec<(String, TokenError)>,
    /// The claude that act-claude would start.
    pub claude: Result<Client, LocateError>,
    /// Each different act-claude on PATH, in order.
    pub act_claudes: Vec<PathBuf>,
    /// Claude's settings files.
    pub documents: Vec<Document>,
    /// The parts of the settings files that affect telemetry.
    pub layers: Vec<Layer>,
    /// The proxy and the certificates that are in effect.
    pub network: Network,
    /// Every launcher that is configured for claude's background sessions.
    pub launchers: Vec<Launcher>,
    /// Claude processes that run.
    pub running: Vec<Running>,
    /// Why the state directory can't be created or written to.
    pub no_state: Option<String>,
    /// What to do about a state directory that belongs to another user.
    pub state_fix: Option<String>,
    /// This program.
    pub program: Option<PathBuf>,
    /// The home directory without links.
    pub real_home: Option<PathBuf>,
    /// Files of certificates that a variable names, but that can't be read.
    pub unused_roots: Vec<Unused>,
    /// Whether the state directory lies on a drive of Windows.
    pub on_windows_drive: bool,
    /// Exports for ACT that wait or are held.
    pub kept: Vec<Waiting>,
    /// Copies that wait or are held, by destination.
    pub kept_copies: BTreeMap<String, Summary>,
    /// Why the spool can't be listed.
    pub unlisted: Option<String>,
    /// The state directory.
    pub state: Option<PathBuf>,
}

/// An account whose token and proxy were tried.
#[derive(Debug)]
pub struct Asked {
    /// Its name.
    pub name: String,
    /// Why its token can't be fetched.
    pub no_token: Option<TokenError>,
    /// Why the proxy to its endpoint does not work. `None` also where there is no proxy.
    pub blocked: Option<Failure>,
}

/// An installed claude.
#[derive(Debug)]
pub struct Client {
    /// The executable.
    pub path: PathBuf,
    /// Its version, where it could be found out.
    pub version: Option<Version>,
    /// Whether it is a program of Windows, or a script that starts one.
    pub is_windows: bool,
    /// Whether it is a script that starts act-claude, which would start the script again.
    pub loops: bool,
    /// Where it loops: the first claude on PATH that does not loop.
    pub other: Option<PathBuf>,
}

/// A settings file that exists.
#[derive(Debug)]
pub struct Document {
    /// Its layer.
    pub kind: LayerKind,
    /// Its text.
    pub source: Arc<Source>,
    /// Its size on disk, in bytes.
    pub size: u64,
}

/// A launcher for background sessions.
#[derive(Debug)]
pub struct Launcher {
    /// The program.
    pub path: PathBuf,
    /// The settings file and the key that name it. `None`: the environment names it.
    pub named_by: Option<(LayerKind, PathBuf, &'static str)>,
    /// Whether it exists and can be executed.
    pub is_there: bool,
    /// Whether it is act-claude.
    pub is_ours: bool,
}

/// A running claude.
#[derive(Debug)]
pub struct Running {
    /// The process.
    pub process: Process,
    /// The alias of the directory it works in.
    pub alias: Option<String>,
    /// The alias of the directory it was started in.
    pub started_under: Option<String>,
    /// Whether it starts background sessions through act-claude.
    pub has_launcher: bool,
}

impl Facts {
    /// Gathers all facts.
    pub fn gather(environment: &Environment) -> Self {
        let directory = std::env::current_dir().unwrap_or_default();
        let loaded = config::load(environment);
        let place = Directory::of(&directory, environment, &loaded.config);
        let explicit = Explicit::of(None, environment);
        let layers = settings::read(&directory, &[], environment);
        let network = Network::new(environment.clone(), network::of_layers(&layers), &directory);
        let state = state::directory(environment);
        let claude = locate::locate(environment, &loaded.config);
        let wsl = Wsl::here();
        let kept = state.as_deref().map(|state| stranded::summaries(state, environment));
        let (spool, kept_copies) = kept.unwrap_or_default();
        let running = running(claude.as_deref().ok(), environment, &loaded, &layers);
        Self {
            resolution: resolve::resolve(explicit, &loaded.config, &place),
            contradictions: resolve::contradictions(&loaded.config, &place),
            lost_worktree: place.lost_worktree,
            written: loaded
                .files
                .iter()
                .filter_map(|file| serde_json::from_slice(&std::fs::read(file).ok()?).ok())
                .collect(),
            exposed: loaded.files.iter().flat_map(|file| exposed(file)).collect(),
            accounts: ask_accounts(&loaded, environment, &network),
            copies: without_header(&loaded, environment),
            claude: claude.map(|path| client(path, environment, state.as_deref(), wsl.as_ref())),
            on_windows_drive: state.as_deref().is_some_and(|state| {
                // It need not exist yet, and a directory above it may be a link.
                let existing = state.ancestors().find_map(|above| std::fs::canonicalize(above).ok());
                wsl.as_ref().zip(existing).is_some_and(|(wsl, existing)| wsl.is_on_drive(&existing))
            }),
            running,
            act_claudes: act_claudes(environment),
            documents: documents(&directory, environment),
            launchers: launchers(environment, &layers),
            no_state: state.as_deref().and_then(no_state),
            state_fix: state.as_deref().filter(|state| is_foreign(state)).map(state::fix),
            program: std::env::current_exe().ok(),
            real_home: environment.home().and_then(|home| std::fs::canonicalize(home).ok()),
            unused_roots: roots::unusable(&network),
            kept: spool.waiting,
            kept_copies,
            unlisted: spool.unlisted,
            state,
            layers,
            network,
            loaded,
            directory,
            environment: environment.clone(),
        }
    }

    /// The version of the client, where it is known.
    pub fn version(&self) -> Option<Version> {
        self.claude.as_ref().ok()?.version
    }

    /// The position of a key in a settings file.
    pub fn place(&self, path: &Path, key: &str) -> String {
        let document = self.documents.iter().find(|document| document.source.path == path);
        let place = document.and_then(|document| document.place(key));
        place.unwrap_or_else(|| path.display().to_string())
    }
}

impl Document {
    /// Why claude can't read it.
    pub fn fault(&self) -> Option<Fault> {
        let is_empty = self.source.text.trim().is_empty();
        self.source.root().err().filter(|_| !is_empty)
    }

    /// Whether current versions of claude ignore it because of its size.
    pub fn is_too_large(&self) -> bool {
        self.size > settings::argument::LARGEST
    }

    /// The position of `env.NAME`, or of another key.
    fn place(&self, key: &str) -> Option<String> {
        let mut node = self.source.root().ok()?;
        let mut place = None;
        for part in key.split('.') {
            let member = node.members("settings").ok()?.into_iter().find(|member| member.key == part)?;
            place = Some(member.key_node.origin().to_string());
            node = member.value;
        }
        place
    }
}

/// Fetches each account's token and, where a proxy leads to its endpoint, tries the proxy. All accounts are tried in parallel.
fn ask_accounts(loaded: &Loaded, environment: &Environment, network: &Network) -> Vec<Asked> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = loaded
            .config
            .accounts
            .iter()
            .map(|(name, account)| {
                let token = scope.spawn(|| token::fetch(&account.token, environment).err().map(|error| error.of(name)));
                let proxy = scope.spawn(|| check::blocked_by_proxy(&account.endpoint, network));
                (name.clone(), token, proxy)
            })
            .collect();
        let joined = threads.into_iter().map(|(name, token, proxy)| Asked {
            name,
            no_token: token.join().expect("no panic"),
            blocked: proxy.join().expect("no panic"),
        });
        joined.collect()
    })
}

/// The copies with a header whose value can't be fetched. Commands are looked for, and not run.
fn without_header(loaded: &Loaded, environment: &Environment) -> Vec<(String, TokenError)> {
    let headers = loaded
        .config
        .copies
        .iter()
        .flat_map(|(copy, destination)| destination.headers.iter().map(move |(name, source)| (copy, name, source)));
    let asked = headers.filter_map(|(copy, name, source)| {
        let answer = match source {
            TokenSource::Command(_) => token::look_header(name, source, environment),
            TokenSource::File(_) | TokenSource::Env(_) => token::fetch_header(name, source, environment).map(drop),
        };
        Some((copy.clone(), answer.err()?))
    });
    asked.collect()
}

fn client(path: PathBuf, environment: &Environment, state: Option<&Path>, wsl: Option<&Wsl>) -> Client {
    if starts_act_claude(&path) {
        let other = on_path("claude", environment)
            .find(|other| locate::is_executable(other) && !ourselves::is_ourselves(other) && !starts_act_claude(other));
        return Client { path, version: None, is_windows: false, loops: true, other };
    }
    let version = version::known(&path, state).or_else(|| version::ask(&path, environment, VERSION_TIMEOUT));
    let version = version.as_deref().and_then(Version::parse);
    Client { version, is_windows: wsl::starts_windows(&path, wsl), path, loops: false, other: None }
}

/// Whether `path` is a script that names act-claude but not `ACT_CLAUDE_BIN`, the variable that names the real claude.
fn starts_act_claude(path: &Path) -> bool {
    const LONGEST: u64 = 64 * 1024;
    let is_small = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() <= LONGEST);
    let script = is_small.then(|| std::fs::read(path).ok()).flatten().unwrap_or_default();
    let script = String::from_utf8_lossy(&script);
    let code: Vec<&str> = script.lines().skip(1).filter(|line| !line.trim_start().starts_with('#')).collect();
    let has = |word: &str| code.iter().any(|line| line.contains(word));
    script.starts_with("#!") && has("act-claude") && !has("ACT_CLAUDE_BIN")
}

fn on_path<'a>(name: &'a str, environment: &'a Environment) -> impl Iterator<Item = PathBuf> + 'a {
    std::env::split_paths(environment.get("PATH").unwrap_or_default()).map(move |directory| directory.join(name))
}

/// Each act-claude on PATH. The same file under several names counts once.
fn act_claudes(environment: &Environment) -> Vec<PathBuf> {
    let mut seen = Vec::new();
    let is_new = |path: &PathBuf| {
        let Ok(metadata) = std::fs::metadata(path) else { return false };
        let identity = (metadata.dev(), metadata.ino());
        let is_new = locate::is_executable(path) && !seen.contains(&identity);
        seen.push(identity);
        is_new
    };
    on_path("act-claude", environment).filter(is_new).collect()
}

fn documents(directory: &Path, environment: &Environment) -> Vec<Document> {
    let files = settings::files(directory, environment).into_iter();
    files
        .filter_map(|(kind, path)| {
            let text = settings::text(&path)?.ok()?;
            let size = std::fs::metadata(&path).map(|metadata| metadata.len()).unwrap_or_default();
            Some(Document { kind, source: Arc::new(Source { path, text }), size })
        })
        .collect()
}

fn launchers(environment: &Environment, layers: &[Layer]) -> Vec<Launcher> {
    let look = |path: &Path, named_by| {
        let path = path.to_path_buf();
        Launcher { is_there: locate::is_executable(&path), is_ours: ourselves::is_ourselves(&path), path, named_by }
    };
    let variable = environment.path(WRAPPER).map(|path| look(path, None));
    let named = layers.iter().flat_map(|layer| {
        let variable =
            layer.get(WRAPPER).filter(|path| !path.is_empty()).map(|path| (path, "env.CLAUDE_CODE_PROCESS_WRAPPER"));
        let key = layer.process_wrapper.as_deref().map(|path| (path, "processWrapper"));
        let by = move |key| Some((layer.kind, layer.path.clone(), key));
        variable.into_iter().chain(key).map(move |(path, key)| look(Path::new(path), by(key)))
    });
    variable.into_iter().chain(named).collect()
}

fn running(claude: Option<&Path>, environment: &Environment, loaded: &Loaded, layers: &[Layer]) -> Vec<Running> {
    let alias_of = |directory: &Path| {
        let mut environment = environment.clone();
        environment.remove("PWD");
        let place = Directory::of(directory, &environment, &loaded.config);
        resolve::resolve(Explicit::default(), &loaded.config, &place).ok()?.alias
    };
    let by_settings = layers.iter().any(|layer| {
        let launcher = layer.process_wrapper.as_deref().or(layer.get(WRAPPER));
        launcher.is_some_and(|launcher| ourselves::is_ourselves(Path::new(launcher)))
    });
    let running = processes::running(claude, environment).into_iter().map(|process| {
        let launcher = process.environment.path(WRAPPER);
        Running {
            alias: alias_of(&process.directory),
            started_under: process.environment.path("PWD").and_then(alias_of),
            has_launcher: by_settings || launcher.is_some_and(ourselves::is_ourselves),
            process,
        }
    });
    running.collect()
}

/// Tries to write into the state directory. Where it does not exist yet, looks whether it can be created.
fn no_state(directory: &Path) -> Option<String> {
    let try_it = || {
        if directory.exists() {
            state::prepare(directory)?;
            return tempfile::tempfile_in(directory).map(drop);
        }
        let above = directory.ancestors().find(|above| above.exists()).unwrap_or(Path::new("/"));
        let writable = nix::unistd::AccessFlags::W_OK | nix::unistd::AccessFlags::X_OK;
        nix::unistd::access(above, writable).map_err(std::io::Error::from)
    };
    try_it().err().map(|error| plain(&error))
}

/// The environment variable that holds an account's token, if one does.
pub fn is_variable(source: &TokenSource) -> Option<&str> {
    match source {
        TokenSource::Env(name) => Some(name),
        TokenSource::Command(_) | TokenSource::File(_) => None,
    }
}
