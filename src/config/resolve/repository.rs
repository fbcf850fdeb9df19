//! `.act-claude.json`: what a repository may ask for (pure).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::typed::secret::quoted;
use crate::config::{Located, RESERVED_ATTRIBUTES, attributes};
use crate::text::json::{Fault, Source};
use crate::text::nearest::nearest;

/// The file's name.
pub const NAME: &str = ".act-claude.json";

/// The file as it was found.
#[derive(Debug, Clone)]
pub struct RepositoryFile {
    /// Its path.
    pub path: PathBuf,
    /// Its contents.
    pub content: Content,
}

/// The result of reading the file.
#[derive(Debug, Clone)]
pub enum Content {
    /// Its text.
    Text(String),
    /// It belongs to neither the user nor root.
    Stranger {
        /// The owner.
        uid: u32,
    },
    /// It can't be used, with the reason.
    Unusable(String),
}

/// The file's request.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub alias: Option<Located<String>>,
    pub attributes: BTreeMap<String, String>,
}

impl RepositoryFile {
    /// Reads the request; an error is the message with which the file is ignored.
    pub(super) fn request(&self) -> Result<Request, String> {
        match &self.content {
            Content::Text(text) => parse(&self.path, text).map_err(|fault| format!("{fault} (the file is ignored)")),
            Content::Stranger { uid } => {
                Err(format!("{}: ignored: it belongs to user {uid}, neither to you nor to root", self.path.display()))
            }
            Content::Unusable(why) => Err(format!("{}: ignored: {why}", self.path.display())),
        }
    }
}

fn parse(path: &Path, text: &str) -> Result<Request, Fault> {
    let source = Arc::new(Source { path: path.to_path_buf(), text: text.to_owned() });
    let mut request = Request::default();
    for member in source.root()?.members(NAME)? {
        match member.key.as_ref() {
            "$schema" => {}
            "alias" => {
                let value = member.value.string("alias")?;
                request.alias = Some(Located { value, origin: member.value.origin() });
            }
            "attributes" => {
                request.attributes = attributes(member.value)?;
                if let Some(name) = request.attributes.keys().find(|name| RESERVED_ATTRIBUTES.contains(&name.as_str()))
                {
                    return Err(member.value.fault(format!("a repository may not set {name}")));
                }
            }
            key => {
                let fault = |what| member.key_node.fault(what);
                return Err(match nearest(key, ["alias", "attributes"]) {
                    Some(near) => fault(format!("unknown key {}", quoted(key))).fix(format!("did you mean \"{near}\"?")),
                    None => fault(format!(
                        "a repository may not set {}: only your own configuration names an endpoint, a token or a command",
                        quoted(key)
                    ))
                    .fix("valid here: alias, attributes"),
                });
            }
        }
    }
    Ok(request)
}
