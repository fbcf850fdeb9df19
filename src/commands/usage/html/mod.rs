//! The report as a page: one file that needs no network (pure, but for [`write`]).

use std::path::Path;

use jiff::civil::Date;

use super::report::Report;

/// The page.
pub fn page(_report: &Report<'_>, _today: Date, _home: Option<&Path>) -> String {
    String::new()
}

/// Writes it.
pub fn write(_file: &Path, _page: &str) -> Result<(), String> {
    Ok(())
}
