//! One settings file of Claude Code with the lines its variables stand on. Read only.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::claude::settings;
use crate::text::json::Source;

/// A variable of a file's `env`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The line it stands on.
    pub line: usize,
}

/// A settings file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsFile {
    /// The file.
    pub path: PathBuf,
    /// Its `env`.
    pub env: Vec<Variable>,
    /// Commas too many, by line: with one, claude passes over the whole file.
    pub commas: Vec<usize>,
}

/// A file larger than this is not read.
const LARGEST: u64 = 4 * 1024 * 1024;

impl SettingsFile {
    /// Reads a file; `None` where there is none. The guide's sample has a comma too many: it is read all the same.
    pub fn read(path: &Path) -> Option<Result<Self, String>> {
        let metadata = std::fs::metadata(path).ok().filter(|metadata| metadata.is_file())?;
        if metadata.len() > LARGEST {
            return Some(Err(format!("{}: larger than 4 MiB", path.display())));
        }
        let text = std::fs::read_to_string(path);
        Some(text.map_err(|error| format!("{}: {error}", path.display())).and_then(|text| Self::parse(path, text)))
    }

    /// Reads the text of the file `path`.
    pub fn parse(path: &Path, text: String) -> Result<Self, String> {
        let (source, commas) = without_trailing_commas(path, text)?;
        let root = source.root().map_err(|fault| fault.to_string())?;
        let members = root.members("the settings").map_err(|fault| fault.to_string())?;
        let mut env = Vec::new();
        if let Some(member) = members.iter().find(|member| member.key == "env") {
            for member in member.value.members("env").map_err(|fault| fault.to_string())? {
                let line = member.key_node.origin().line_and_column().map_or(0, |(line, _)| line);
                env.extend(settings::variable(member.value.raw()).map(|value| Variable {
                    name: member.key.clone().into_owned(),
                    value,
                    line,
                }));
            }
        }
        Ok(Self { path: path.to_path_buf(), env, commas })
    }

    /// A variable's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.env.iter().find(|variable| variable.name == name).map(|variable| variable.value.as_str())
    }
}

fn without_trailing_commas(path: &Path, mut text: String) -> Result<(Arc<Source>, Vec<usize>), String> {
    let mut commas = Vec::new();
    loop {
        let source = Arc::new(Source { path: path.to_path_buf(), text });
        let fault = match source.root() {
            Ok(_) => return Ok((source, commas)),
            Err(fault) => fault,
        };
        let offset = fault.origin.offset().filter(|&offset| source.text.as_bytes().get(offset) == Some(&b','));
        let Some(offset) = offset.filter(|_| commas.len() < 100) else { return Err(fault.to_string()) };
        commas.extend(fault.origin.line_and_column().map(|(line, _)| line));
        text = source.text.clone();
        text.remove(offset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_too_many_is_seen_and_passed_over() {
        let text = "{\n  \"env\": {\n    \"A\": \"1\",\n    \"B\": 2,\n  },\n}\n";
        let file = SettingsFile::parse(Path::new("s.json"), text.to_owned()).unwrap();
        assert_eq!(file.commas, [4, 5]);
        let variable = |name: &str, value: &str, line| Variable { name: name.into(), value: value.into(), line };
        assert_eq!(file.env, [variable("A", "1", 3), variable("B", "2", 4)]);
        let error = SettingsFile::parse(Path::new("s.json"), "{\"env\": {]}".to_owned()).unwrap_err();
        assert!(error.starts_with("s.json:1:10: not valid JSON"), "{error}");
    }
}
