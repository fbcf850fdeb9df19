//! Errors in plain words.

/// An I/O error without the "(os error N)" that means nothing to users.
pub fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
