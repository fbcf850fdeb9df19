//! Reads one settings file of Claude Code, with the line numbers of its variables. Never writes it.

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
    /// Its line number.
    pub line: usize,
}

/// A settings file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsFile {
    /// The file.
    pub path: PathBuf,
    /// The variables of its `env`.
    pub env: Vec<Variable>,
    /// The line numbers of trailing commas. Claude ignores a whole file that has one.
    pub commas: Vec<usize>,
}

impl SettingsFile {
    /// Reads a file. `None` where it does not exist. A file with trailing commas is read as well, because the guide's sample
    /// has one.
    pub fn read(path: &Path) -> Option<Result<Self, String>> {
        Some(match settings::text(path)? {
            Ok(text) => Self::parse(path, text),
            Err(reason) => Err(format!("{} {reason}", path.display())),
        })
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
                let value = settings::variable(member.value.raw());
                env.push(Variable { name: member.key.clone().into_owned(), value, line });
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
