//! Reads an alias's id and its provider type (pure).

use super::{Typed, placeholder, secret, user};
use crate::config::values::{check_text, check_word};
use crate::text::pasted;
use crate::text::uuid::{has_uuid, is_uuid};

/// Reads an alias id (`extAccountAliasId`, the header X-Alias-Id). The error continues "it …".
pub fn id(text: &str) -> Result<Typed, String> {
    let value = value_of(text, &["extaccountaliasid", "xaliasid", "aliasid", "id"])?;
    let value = value.strip_prefix("urn:uuid:").unwrap_or(value);
    let value =
        value.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).filter(|id| is_uuid(id)).unwrap_or(value);
    check_id(value)?;
    Ok(Typed::plain(value))
}

/// Checks an alias id without anything around it.
pub fn check_id(value: &str) -> Result<(), String> {
    refuse_others(value, placeholder::kind)?;
    check_word(value)?;
    let is_other = |c: char| !(c.is_ascii_alphanumeric() || "-_.:~@+/".contains(c));
    if let Some(bad) = value.chars().find(|c| is_other(*c)) {
        return Err(format!("holds {bad:?}"));
    }
    match value.contains(|c: char| c.is_ascii_alphanumeric()) {
        true if has_uuid(value) && !is_uuid(value) => Err("holds something besides the id".to_owned()),
        true => Ok(()),
        false => Err("has no letter and no digit".to_owned()),
    }
}

/// Reads a provider type. The error continues "it …".
pub fn provider_type(text: &str) -> Result<Typed, String> {
    let value = value_of(text, &["providertype"])?;
    check_provider_type(value)?;
    Ok(Typed::plain(value))
}

/// Checks a provider type without anything around it.
pub fn check_provider_type(value: &str) -> Result<(), String> {
    if is_uuid(value) {
        return Err("is a UUID: the providerType of the Monitoring Spec is a word".to_owned());
    }
    refuse_others(value, placeholder::of_provider_type)?;
    if secret::is_secret(value) {
        return Err(TOKEN.to_owned());
    }
    check_text(value)
}

/// The value alone, of a name and a value, or of a list in which one name is right.
fn value_of<'a>(text: &'a str, names: &[&str]) -> Result<&'a str, String> {
    let text = pasted::bare(text);
    let is_named = |name: &str| names.contains(&pasted::plain_name(name).as_str());
    let in_list = text.split(',').find_map(|part| match (pasted::named(part), part.split_once(':')) {
        (Some(named), _) if is_named(named.name) => Some(named.value),
        // A header's line may have no blank behind the ':'.
        (None, Some((name, value))) if is_named(pasted::bare(name)) => Some(pasted::bare(value)),
        _ => None,
    });
    match (in_list, pasted::named(text)) {
        (Some(value), _) => Ok(value),
        (None, Some(_)) => Err("is the value of something else".to_owned()),
        (None, None) => Ok(text),
    }
}

const TOKEN: &str = "holds a token, which does not belong here";

fn refuse_others(value: &str, placeholder: fn(&str) -> Option<&'static str>) -> Result<(), String> {
    if value.contains("://") {
        return Err("is a URL".to_owned());
    }
    if user::is_mail(value) {
        return Err("is an e-mail address".to_owned());
    }
    if secret::holds_credential(value) {
        return Err(TOKEN.to_owned());
    }
    if pasted::has_lone_quote(value) {
        return Err("starts or ends with a quote that has no partner".to_owned());
    }
    match placeholder(value) {
        Some(kind) => Err(format!("is {kind}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5e";

    #[test]
    fn alias_ids() {
        for text in [
            ID.to_owned(),
            format!(" \"{ID}\","),
            format!("X-Alias-Id: {ID}"),
            format!("X-Alias-Id:{ID}"),
            format!("x-alias-id : {ID}"),
            format!("extAccountAliasId={ID}"),
            format!("\"extAccountAliasId\": \"{ID}\","),
            format!("Authorization=Basic x,X-Alias-Id={ID},Origin=https://claude.ai"),
            format!("{{{ID}}}"),
            format!("urn:uuid:{ID}"),
            format!("\u{200b}{ID}\u{feff}\r\n"),
        ] {
            assert_eq!(id(&text).map(|typed| typed.value).as_deref(), Ok(ID), "{text:?}");
        }
        for (text, why) in [
            ("", "is empty"),
            ("uuid", "is a placeholder"),
            ("%ALIAS%", "is a placeholder"),
            ("{extAccountAliasId}", "is a placeholder"),
            ("none", "is a placeholder"),
            ("3fa85f64-5717-4562-b3fc-2c963f66afa6", "is the sample"),
            ("3f2c…", "is masked"),
            ("dev@acme.com", "is an e-mail"),
            ("https://act.example", "is a URL"),
            ("providerType=X", "something else"),
            ("id", "is a placeholder"),
            ("..", "no letter and no digit"),
            ("--", "no letter and no digit"),
            ("\"a-1", "has no partner"),
            ("a;x", "holds ';'"),
            ("a=b", "something else"),
            ("extAccountAliasId=a-1;x", "holds ';'"),
            ("3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5e/x", "something besides the id"),
            ("BOOMI_TOKEN.dev@acme.com:sekret", "holds a token"),
            ("dev@acme.com:sekret", "holds a token"),
            ("Basic c2VrcmV0OnNla3JldA==", "holds a token"),
            ("a b", "holds ' '"),
            ("a\nb", "holds '\\n'"),
            ("ідентифікатор", "holds 'і'"),
        ] {
            let error = id(text).expect_err(text);
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }

    #[test]
    fn provider_types() {
        for text in [
            "CUSTOM_PROVIDER",
            "providerType=CUSTOM_PROVIDER,operation=InvokeAgent",
            "\"providerType\": \"CUSTOM_PROVIDER\"",
        ] {
            assert_eq!(provider_type(text).map(|typed| typed.value).as_deref(), Ok("CUSTOM_PROVIDER"), "{text:?}");
        }
        for (text, why) in [
            ("string", "is a placeholder"),
            ("<providerType>", "is a placeholder"),
            ("n/a", "is a placeholder"),
            (ID, "is a UUID"),
            ("A,B", "holds ','"),
            ("BOOMI_TOKEN.dev@acme.com:sekret", "holds a token"),
            ("Bearer sekret0=", "holds a token"),
            ("sekret9f8e7d6c5b4a3928", "holds a token"),
            ("'Custom", "has no partner"),
            ("operation=InvokeAgent", "something else"),
        ] {
            let error = provider_type(text).expect_err(text);
            assert!(error.contains(why), "{text:?}: {error}");
        }
        for text in ["Custom provider", "User", "Secret", "value", "Custom [beta]", "AmazonBedrockAgentCore2"] {
            assert_eq!(provider_type(text).unwrap().value, text);
        }
    }
}
