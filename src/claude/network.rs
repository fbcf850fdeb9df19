//! The proxy and the certificates that claude uses: variables of its environment, and of the settings, which override them (pure,
//! but for [`Network::here`]).
//!
//! Claude takes them from a repository's settings, too. act-claude does not: a repository must not choose which servers the token
//! passes through. docs/proxies.md describes what claude does.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::settings::{self, Layer, LayerKind};
use crate::system::environment::Environment;

/// The variables that name proxies, in claude's order: the first one that is set and not empty is used.
pub const PROXIES: [&str; 6] = ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
/// The variables that name hosts without a proxy, in claude's order.
pub const EXEMPTIONS: [&str; 2] = ["no_proxy", "NO_PROXY"];
/// The variable that names a file with more certificates to trust.
pub const EXTRA_CERTIFICATES: &str = "NODE_EXTRA_CA_CERTS";

/// The variables that claude also reads from its settings. It reads SSL_CERT_FILE and SSL_CERT_DIR only from the environment.
pub fn names() -> impl Iterator<Item = &'static str> {
    PROXIES.into_iter().chain(EXEMPTIONS).chain([EXTRA_CERTIFICATES])
}

/// A network variable of claude's settings.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Its place: the key and the file.
    pub place: String,
}

/// Omits the value, which may hold a proxy's password.
impl fmt::Debug for Setting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.place)
    }
}

/// The network variables in the layers of the user and the company; for each one the value of the strongest layer.
pub fn of_layers(layers: &[Layer]) -> Vec<Setting> {
    let counts = |layer: &&Layer| matches!(layer.kind, LayerKind::Managed | LayerKind::Argument | LayerKind::User);
    names()
        .filter_map(|name| {
            let (layer, value) =
                layers.iter().filter(counts).find_map(|layer| layer.get(name).map(|value| (layer, value)))?;
            Some(Setting { name: name.to_owned(), value: value.to_owned(), place: layer.key(name) })
        })
        .collect()
}

/// The network variables in a repository's own settings, which are ignored: the layer and the name.
pub fn passed_over(layers: &[Layer]) -> Vec<(&Layer, &'static str)> {
    let of_repository = |layer: &&Layer| matches!(layer.kind, LayerKind::Project | LayerKind::Local);
    let named = |layer: &&Layer, name: &&'static str| layer.get(name).is_some_and(|value| !value.is_empty());
    layers
        .iter()
        .filter(of_repository)
        .flat_map(|layer| names().filter(move |name| named(&layer, name)).map(move |name| (layer, name)))
        .collect()
}

/// The network variables that apply to a connection to ACT.
#[derive(Clone, Default)]
pub struct Network {
    environment: Environment,
    settings: Vec<Setting>,
    directory: PathBuf,
}

/// Omits the values, which may hold a proxy's password.
impl fmt::Debug for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Network").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Network {
    /// Combines the environment with the settings, which override it. Relative paths start at `directory`.
    pub fn new(environment: Environment, settings: Vec<Setting>, directory: &Path) -> Self {
        Self { environment, settings, directory: directory.to_path_buf() }
    }

    /// The network of a command that a user runs, with the current settings of the user and the company.
    pub fn here(environment: &Environment) -> Self {
        let directory = std::env::current_dir().unwrap_or_default();
        let settings = of_layers(&settings::read(&directory, &[], environment));
        Self::new(environment.clone(), settings, &directory)
    }

    /// The value of `name`, where it is set and not empty.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        let value = match self.setting(name) {
            Some(setting) => Some(OsStr::new(&setting.value)),
            None => self.environment.get(name),
        };
        value.filter(|value| !value.is_empty())
    }

    /// The first of `names` that is set and not empty.
    pub fn first(&self, names: &[&'static str]) -> Option<(&'static str, &OsStr)> {
        names.iter().find_map(|name| Some((*name, self.get(name)?)))
    }

    /// The path of the file that `name` names.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        Some(self.directory.join(self.get(name)?))
    }

    /// The place that the value of `name` comes from, in words.
    pub fn place(&self, name: &str) -> String {
        self.setting(name).map_or_else(|| name.to_owned(), |setting| setting.place.clone())
    }

    /// How to set `name` to a value such as `like`.
    pub fn fix(&self, name: &str, like: &str) -> String {
        match self.setting(name) {
            Some(setting) => format!("set {} to \"{like}\"", setting.place),
            None => format!("export {name}={like}"),
        }
    }

    fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }
}

/// A network without settings, for tests and tables.
impl<'a> FromIterator<(&'a str, &'a str)> for Network {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        Self::new(pairs.into_iter().collect(), Vec::new(), Path::new("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(kind: LayerKind, path: &str, text: &str) -> Layer {
        settings::layer(kind, path.into(), text).expect("a layer")
    }

    #[test]
    fn the_strongest_layer_of_the_user_s_and_the_company_s_counts() {
        let layers = [
            layer(LayerKind::Managed, "m", r#"{"env": {"NO_PROXY": "m.corp"}}"#),
            layer(LayerKind::Argument, "--settings", r#"{"env": {"HTTPS_PROXY": "http://a:1", "NO_PROXY": "a.corp"}}"#),
            layer(LayerKind::Local, "l", r#"{"env": {"HTTP_PROXY": "http://evil:1", "NO_PROXY": "*"}}"#),
            layer(
                LayerKind::Project,
                "p",
                r#"{"env": {"https_proxy": "http://evil:1", "NODE_EXTRA_CA_CERTS": "evil.pem"}}"#,
            ),
            layer(
                LayerKind::User,
                "u",
                r#"{"env": {"HTTPS_PROXY": "http://u:1", "NODE_EXTRA_CA_CERTS": "", "SSL_CERT_FILE": "u.pem"}}"#,
            ),
        ];
        let environment = [("HTTPS_PROXY", "http://e:1"), ("NODE_EXTRA_CA_CERTS", "e.pem"), ("SSL_CERT_FILE", "s.pem")];
        let network = Network::new(environment.into_iter().collect(), of_layers(&layers), Path::new("/w"));
        assert_eq!(network.first(&PROXIES), Some(("HTTPS_PROXY", OsStr::new("http://a:1"))));
        assert_eq!(network.first(&EXEMPTIONS), Some(("NO_PROXY", OsStr::new("m.corp"))));
        assert_eq!(network.get("NODE_EXTRA_CA_CERTS"), None, "an empty value takes the variable back");
        assert_eq!(network.path("SSL_CERT_FILE"), Some(PathBuf::from("/w/s.pem")));
        assert_eq!(network.place("NO_PROXY"), "env.NO_PROXY in m");
        assert_eq!(network.place("SSL_CERT_FILE"), "SSL_CERT_FILE");
        assert_eq!(network.fix("HTTPS_PROXY", "x"), "set env.HTTPS_PROXY in --settings to \"x\"");
        assert_eq!(network.fix("SSL_CERT_FILE", "x"), "export SSL_CERT_FILE=x");
        let over: Vec<(&Path, &str)> =
            passed_over(&layers).into_iter().map(|(layer, name)| (layer.path.as_path(), name)).collect();
        let (l, p) = (Path::new("l"), Path::new("p"));
        assert_eq!(over, [(l, "HTTP_PROXY"), (l, "NO_PROXY"), (p, "https_proxy"), (p, "NODE_EXTRA_CA_CERTS")]);
        assert!(!format!("{network:?}").contains("http"), "{network:?}");
    }
}
