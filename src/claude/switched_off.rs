//! `ACT_CLAUDE=off`: the user wants nothing added to claude, here and in all that it starts.

use super::conflicts::is_truthy;
use crate::system::environment::Environment;

/// The variable.
pub const VARIABLE: &str = "ACT_CLAUDE";

/// Whether a value of a switch says "off", in one of the ways in which claude's own switches say it.
pub fn says_off(value: &str) -> bool {
    ["0", "false", "no", "off"].iter().any(|off| value.trim().eq_ignore_ascii_case(off))
}

/// Whether the environment says so.
pub fn is_off(environment: &Environment) -> bool {
    environment.text(VARIABLE).is_some_and(says_off)
}

/// A value that means nothing.
pub fn unknown(environment: &Environment) -> Option<&str> {
    let value = environment.text(VARIABLE).map(str::trim).filter(|value| !value.is_empty())?;
    (!says_off(value) && !is_truthy(value)).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_is_off_however_it_is_written() {
        for (value, off, meaningless) in [
            ("off", true, None),
            ("OFF", true, None),
            (" Off ", true, None),
            ("0", true, None),
            ("false", true, None),
            ("No", true, None),
            ("on", false, None),
            ("1", false, None),
            ("", false, None),
            ("of", false, Some("of")),
        ] {
            let environment: Environment = [(VARIABLE, value)].into_iter().collect();
            assert_eq!((is_off(&environment), unknown(&environment)), (off, meaningless), "{value:?}");
        }
        assert!(!is_off(&Environment::default()));
    }
}
