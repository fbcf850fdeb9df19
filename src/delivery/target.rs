//! Where exports go, and with which user and token.

use serde::{Deserialize, Serialize};

use crate::claude::own_pipeline::{self, OwnPipeline};
use crate::claude::settings::Layer;
use crate::config::attribution::Stamp;
use crate::config::copies::Destination;
use crate::config::{Account, Alias, Config, Pipeline, TokenSource, same_endpoint};
use crate::system::environment::Environment;

/// Where a session's exports go, and which attributes they carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The target.
    pub target: Target,
    /// Where copies go.
    #[serde(default)]
    pub copies: Vec<Copy>,
    /// Resource attributes that every export must carry.
    pub attributes: Vec<(String, String)>,
    /// Why this alias, for the record.
    pub reason: String,
    /// What else each export says, as things are when it arrives.
    #[serde(default)]
    pub stamp: Option<Stamp>,
}

/// Where a copy of each export goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    /// The target; its account is the destination's name.
    pub target: Target,
    /// Keys of the attributes that this copy lacks.
    pub redact: Vec<String>,
}

impl Copy {
    /// The copies of an alias's exports: those of the configuration, and the one for the user's own pipeline, unless one of them
    /// goes to the same URL: its receiver would count everything twice.
    pub fn all(config: &Config, alias: &str, environment: &Environment, layers: &[Layer]) -> Vec<Self> {
        let mut copies = Self::of(config, alias);
        if config.own_pipeline() == Pipeline::Copy
            && let Some(Ok(own)) = own_pipeline::find(environment, layers, &config.endpoints())
            && !copies.iter().any(|copy| same_endpoint(&copy.target.endpoint, &own.endpoint))
        {
            copies.push(Self { target: Target::own(alias, &own), redact: Vec::new() });
        }
        copies
    }

    /// The copies of an alias's exports that the configuration names.
    pub fn of(config: &Config, alias: &str) -> Vec<Self> {
        let copy = |(name, destination): (&str, &Destination)| Self {
            target: Target::copy(name, alias, destination),
            redact: destination.redact.clone(),
        };
        config.copies_of(alias).map(copy).collect()
    }
}

/// Where exports go, and with which credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The alias's name.
    pub alias: String,
    /// The account's name; of a copy, its destination's.
    pub account: String,
    /// The metrics URL.
    pub endpoint: String,
    /// What a request carries besides the export.
    pub credentials: Credentials,
}

/// What a request carries besides the export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Credentials {
    /// ACT's: the alias's id, and the user with their token.
    Act {
        /// The alias's id.
        id: String,
        /// The user, without prefix.
        user: String,
        /// Where the token comes from.
        token: TokenSource,
    },
    /// Those of another OTLP receiver: header names, and where their values come from.
    Headers(Vec<(String, TokenSource)>),
    /// Those that the user gave to their own pipeline: they are read from claude's settings and the environment.
    Own {
        /// Whether they can be read after this session, too.
        is_lasting: bool,
    },
}

impl Target {
    /// The target of an account's alias.
    pub fn act(name: &str, alias: &Alias, account: &Account) -> Self {
        let (id, user, token) = (alias.id.clone(), account.user.clone(), account.token.clone());
        Self {
            alias: name.to_owned(),
            account: alias.account.clone(),
            endpoint: account.endpoint.clone(),
            credentials: Credentials::Act { id, user, token },
        }
    }

    /// The target of an alias's copies.
    pub fn copy(name: &str, alias: &str, destination: &Destination) -> Self {
        Self {
            alias: alias.to_owned(),
            account: name.to_owned(),
            endpoint: destination.endpoint.clone(),
            credentials: Credentials::Headers(destination.headers.clone()),
        }
    }

    /// The target of the copies for the user's own pipeline.
    pub fn own(alias: &str, pipeline: &OwnPipeline) -> Self {
        Self {
            alias: alias.to_owned(),
            account: own_pipeline::NAME.to_owned(),
            endpoint: pipeline.endpoint.clone(),
            credentials: Credentials::Own { is_lasting: pipeline.is_lasting },
        }
    }

    /// The user that ACT counts the export for; empty for a copy.
    pub fn user(&self) -> &str {
        match &self.credentials {
            Credentials::Act { user, .. } => user,
            Credentials::Headers(_) | Credentials::Own { .. } => "",
        }
    }

    /// Whether exports go to another receiver than ACT.
    pub fn is_copy(&self) -> bool {
        !matches!(self.credentials, Credentials::Act { .. })
    }
}

impl Credentials {
    /// The alias's id; empty for a copy.
    pub fn id(&self) -> &str {
        match self {
            Self::Act { id, .. } => id,
            Self::Headers(_) | Self::Own { .. } => "",
        }
    }

    fn token_sources(&self) -> impl Iterator<Item = &TokenSource> {
        let (one, many) = match self {
            Self::Act { token, .. } => (Some(token), &[][..]),
            Self::Headers(headers) => (None, &headers[..]),
            Self::Own { .. } => (None, &[][..]),
        };
        one.into_iter().chain(many.iter().map(|(_, source)| source))
    }

    /// Where the secrets come from, as text.
    pub fn sources(&self) -> Vec<String> {
        self.token_sources().map(|source| format!("{source:?}")).collect()
    }

    /// Whether all secrets are in files.
    pub fn are_in_files(&self) -> bool {
        self.token_sources().all(|source| matches!(source, TokenSource::File(_)))
    }

    /// Whether a command gives a secret.
    pub fn need_a_command(&self) -> bool {
        self.token_sources().any(|source| matches!(source, TokenSource::Command(_)))
    }

    /// Whether the secrets are the same for both: the aliases of an account differ in their ids only.
    pub fn ask_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Act { user, token, .. }, Self::Act { user: others, token: same, .. }) => {
                (user, token) == (others, same)
            }
            (one, other) => one == other,
        }
    }
}
