//! Reads the name that an account or an alias gets on this machine (pure).

use super::{Typed, secret};
use crate::config::values::check_name;

/// Reads a name. The error continues "it …".
pub fn read(text: &str) -> Result<Typed, String> {
    if secret::is_secret(text) {
        return Err("looks like a token or an id: a short word is needed, as in billing".to_owned());
    }
    check_name(text)?;
    Ok(Typed::plain(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_words() {
        for text in ["billing", "billing.v2", "acme-A1B2C3", "0"] {
            assert_eq!(read(text).map(|typed| typed.value).as_deref(), Ok(text));
        }
        for (text, why) in [
            ("", "is empty"),
            ("a b", "holds ' '"),
            ("a,b", "holds ','"),
            ("-x", "begins with '-'"),
            ("b57c3e10-44aa-4f0b-97c1-0a6d2e8f1b99", "looks like a token"),
            ("BOOMI_TOKEN.dev@acme.com:pw", "looks like a token"),
            ("Basic dXNlcjpwYXNz", "looks like a token"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }
}
