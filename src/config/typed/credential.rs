//! Judges a token, wherever it comes from: a terminal, standard input, a file, a variable, a command, or settings (pure).
//!
//! A copied credential is understood in the forms in which documentation, shells and settings show it. A text that can't be a
//! token is refused by its kind. All reasons are constants, so that none can repeat a part of a secret.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use super::kind;
use crate::config::values::{USER_PREFIX, without_prefix};
use crate::text::pasted::{self, starts_with};
use crate::text::uuid::{has_uuid, is_uuid};

/// The longest credential, in bytes. (Platform tokens have 36.)
pub const LONGEST: usize = 8 * 1024;
/// How many wrappings are removed one after the other.
const DEEPEST: usize = 8;

/// A token, and its user where the text names one. It is never printed.
#[derive(Clone)]
pub struct Credential {
    /// The platform API token, without user and prefix.
    pub token: Zeroizing<String>,
    /// The user's e-mail.
    pub user: Option<String>,
    /// What was corrected.
    pub notes: Vec<&'static str>,
}

/// Why a text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// What the text contains instead.
    pub what: &'static str,
    /// What to do.
    pub fix: &'static str,
}

impl Refused {
    const fn new(what: &'static str, fix: &'static str) -> Self {
        Self { what, fix }
    }

    /// The reason as a sentence's end, after "contains".
    pub fn words(self) -> String {
        format!("{}: {}", self.what, self.fix)
    }
}

const COPY: &str = "copy the API token alone";
/// What is nothing that is known.
pub const NO_TOKEN: Refused = Refused::new("something that is not an API token", COPY);
const BLANKS: Refused = Refused::new("white space inside the token", COPY);
const QUOTE: Refused = Refused::new("a quote without its partner", COPY);
const AROUND: Refused = Refused::new("an API token with something else beside it", COPY);
const NO_VALUE: Refused = Refused::new("a name without a value", COPY);
const SEVERAL: Refused = Refused::new("several names and values", COPY);
const NO_BASIC: Refused = Refused::new("\"Basic\" without base64 of a user and a token after it", COPY);
const COLON: Refused = Refused::new(
    "a ':', but no e-mail address before it",
    "give the API token alone, or BOOMI_TOKEN.you@example.com:TOKEN",
);

impl Credential {
    /// Reads a token, `BOOMI_TOKEN.user:token`, its base64, a whole Authorization header or list of headers, or a variable's
    /// assignment.
    pub fn read(text: &str) -> Result<Self, Refused> {
        if text.len() > 4 * LONGEST {
            return Err(NO_TOKEN);
        }
        let mut notes = Vec::new();
        let mut rest = Zeroizing::new(pasted::bare(text).to_owned());
        for depth in 0.. {
            let Some((note, inner)) = unwrapped(&rest)? else { break };
            if depth == DEEPEST {
                return Err(SEVERAL);
            }
            if !note.is_empty() && !notes.contains(&note) {
                notes.push(note);
            }
            rest = Zeroizing::new(pasted::bare(&inner).to_owned());
        }
        if rest.is_empty() {
            return Err(Refused::new("no token", COPY));
        }
        let name = rest.trim_end().strip_suffix(['=', ':']).map(|name| name.trim_end_matches(['=', ':', ' ']));
        if name.is_some_and(|name| is_called_token(name) && pasted::is_name(name)) {
            return Err(NO_VALUE);
        }
        if rest.lines().count() > 1 {
            return Err(Refused::new("more than one line", COPY));
        }
        if rest.contains(char::is_whitespace) {
            return Err(kind::of(&rest).unwrap_or(BLANKS));
        }
        let without = without_prefix(&rest);
        let has_prefix = without.len() < rest.len();
        if starts_with(&rest[USER_PREFIX.len().min(rest.len())..], USER_PREFIX) {
            notes.push("the prefix BOOMI_TOKEN. was doubled");
        }
        let (user, token) = divided(without, has_prefix, &mut notes)?;
        let decoded = user.and_then(|user| percent_decode_str(user).decode_utf8().ok());
        let user = decoded.as_deref().filter(|decoded| super::user::is_mail(decoded)).or(user);
        if token.contains(char::is_control) {
            return Err(NO_TOKEN);
        }
        if let Some(refused) = kind::of(token) {
            return Err(refused);
        }
        if token.len() > LONGEST || token.chars().any(|c| !c.is_ascii_graphic()) {
            return Err(NO_TOKEN);
        }
        if pasted::has_lone_quote(token) {
            return Err(QUOTE);
        }
        let has_mail = token.split(['|', ';', ',', '&', '/', '\\']).any(super::user::is_mail);
        if has_mail || (has_uuid(token) && !is_uuid(token)) {
            return Err(AROUND);
        }
        if user.is_some_and(is_uuid) {
            return Err(Refused::new(
                "no e-mail address where its user should be",
                "give BOOMI_TOKEN.you@example.com:TOKEN",
            ));
        }
        Ok(Self { token: Zeroizing::new(token.to_owned()), user: user.map(str::to_owned), notes })
    }
}

/// Whether a text that stands where no token belongs is one: a UUID, or a credential with its prefix or scheme.
pub fn is_credential(text: &str) -> bool {
    let text = pasted::bare(text);
    let has_scheme = |scheme: &str| after_scheme(text, scheme).is_some_and(super::secret::is_encoded);
    is_uuid(text) || starts_with(text, USER_PREFIX) || has_scheme("basic") || has_scheme("bearer")
}

/// Whether a name before a value says that the value is a token.
pub(super) fn is_called_token(name: &str) -> bool {
    let plain = pasted::plain_name(name);
    ["token", "key", "secret", "pass", "pwd", "auth", "credential"].iter().any(|word| plain.contains(word))
        || (plain.contains("boomi") && !super::user::is_called_user(name))
}

/// User and token. Without the prefix, a `:` separates them only next to an e-mail address: a token might contain one.
fn divided<'a>(
    text: &'a str,
    has_prefix: bool,
    notes: &mut Vec<&'static str>,
) -> Result<(Option<&'a str>, &'a str), Refused> {
    let Some((user, token)) = text.split_once(':') else {
        let fix = "give the API token alone, or BOOMI_TOKEN.you@example.com:TOKEN";
        return if has_prefix {
            Err(Refused::new("BOOMI_TOKEN. without user:token after it", fix))
        } else {
            Ok((None, text))
        };
    };
    if let Some(refused) = kind::address(text) {
        return Err(refused);
    }
    let (user_is_mail, token_is_mail) = (super::user::is_mail(user), super::user::is_mail(token));
    if token.is_empty() {
        return Err(Refused::new("no token after the user", COPY));
    }
    if token_is_mail && !user_is_mail && !user.is_empty() {
        notes.push("user and token were exchanged");
        return Ok((Some(token), user));
    }
    let user_is_mail =
        user_is_mail || percent_decode_str(user).decode_utf8().is_ok_and(|user| super::user::is_mail(&user));
    if !user_is_mail && (!has_prefix || user.is_empty()) {
        return Err(COLON);
    }
    // The whole credential in the token's place: the same user again.
    let twice = without_prefix(token).split_once(':').filter(|(again, _)| again.eq_ignore_ascii_case(user));
    if let Some((_, token)) = twice {
        notes.push("the user was given twice");
        return Ok((Some(user), token));
    }
    if notes.is_empty() {
        notes.push("user and token were given: the token was extracted");
    }
    Ok((Some(user), token))
}

/// One wrapping less, with the note for the user. `None` where there is none.
fn unwrapped(text: &str) -> Result<Option<(&'static str, Zeroizing<String>)>, Refused> {
    let owned = |text: &str| Zeroizing::new(text.to_owned());
    if let Some(encoded) = after_scheme(text, "basic") {
        let decoded = decode(encoded).filter(|decoded| decoded.contains(':')).ok_or(NO_BASIC)?;
        return Ok(Some(("a whole Authorization header was given: user and token were extracted", decoded)));
    }
    if let Some(rest) = after_scheme(text, "bearer").filter(|rest| !rest.is_empty()) {
        return Ok(Some(("\"Bearer\" was left out: ACT takes the token with its user", owned(rest))));
    }
    if let Some(option) = ["curl -u ", "-u ", "--user "].iter().find(|option| starts_with(text, option)) {
        return Ok(Some(("", owned(&text[option.len()..]))));
    }
    if let Some(named) = pasted::named(text) {
        if named.value.contains(['"', '\'']) {
            return Err(if pasted::has_lone_quote(named.value) { QUOTE } else { SEVERAL });
        }
        // A shell's command may name the variable in any way. What is called a token may look in any way.
        let is_token = is_called_token(named.name) || (named.is_command && is_credential(named.value));
        if !is_token {
            return Err(Refused::new("a name and a value that is not called a token", COPY));
        }
        return Ok(Some(("a variable's assignment was given: its value is the token", owned(named.value))));
    }
    let decoded = decode(text).filter(|decoded| {
        let user = decoded.split_once(':').map(|(user, _)| user);
        starts_with(decoded, USER_PREFIX) || user.is_some_and(super::user::is_mail) || is_uuid(decoded)
    });
    Ok(decoded.map(|decoded| ("base64 of user and token was given: both were extracted", decoded)))
}

/// The text after an Authorization header's scheme: at the start, or after the header's name.
fn after_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let lower = text.to_ascii_lowercase();
    let is_start = |at: usize| {
        let before = lower[..at].trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '=' | '"' | '\''));
        let before = before.strip_suffix("%20").unwrap_or(before).trim_end_matches([':', '=', '"', '\'']);
        before.is_empty() || before.ends_with("authorization")
    };
    let at = lower.match_indices(scheme).map(|(at, _)| at).find(|at| is_start(*at))?;
    let rest = &text[at + scheme.len()..];
    let after = rest.strip_prefix("%20").or_else(|| rest.strip_prefix('+')).unwrap_or_else(|| rest.trim_start());
    if !rest.is_empty() && after.len() == rest.len() {
        return None;
    }
    Some(after.split([',', ';', '"', '\'', '}']).next().unwrap_or_default())
}

/// The text that base64 encodes. White space in it is no part of the encoding: programs wrap its lines.
fn decode(text: &str) -> Option<Zeroizing<String>> {
    let plain: Zeroizing<String> = Zeroizing::new(text.split_whitespace().collect());
    let plain = Zeroizing::new(percent_decode_str(&plain).decode_utf8().ok()?.into_owned());
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engines = [&alphabet::STANDARD, &alphabet::URL_SAFE].map(|alphabet| GeneralPurpose::new(alphabet, lenient));
    let bytes = engines.iter().find_map(|engine| engine.decode(plain.as_bytes()).ok())?;
    let bytes = Zeroizing::new(bytes);
    // The encoded text may end with a line break, from `echo` instead of `echo -n`.
    std::str::from_utf8(&bytes).ok().map(|text| Zeroizing::new(pasted::trim(text).to_owned()))
}

#[cfg(test)]
mod tests;
