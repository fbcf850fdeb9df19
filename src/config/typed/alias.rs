//! Reads an alias's id and its provider type (pure).

use super::{Typed, placeholder, user};
use crate::config::values::{check_text, check_word};
use crate::text::pasted::{self, is_uuid};

/// Reads an alias id (`extAccountAliasId`, the header X-Alias-Id). The error continues "it …".
pub fn id(text: &str) -> Result<Typed, String> {
    let value = value_of(text, &["extaccountaliasid", "xaliasid", "aliasid", "id"])?;
    let value = value.strip_prefix("urn:uuid:").unwrap_or(value);
    let value =
        value.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).filter(|id| is_uuid(id)).unwrap_or(value);
    refuse_others(value)?;
    check_word(value)?;
    Ok(Typed::plain(value))
}

/// Reads a provider type. The error continues "it …".
pub fn provider_type(text: &str) -> Result<Typed, String> {
    let value = value_of(text, &["providertype"])?;
    refuse_others(value)?;
    if is_uuid(value) {
        return Err("is a UUID: the providerType of the Monitoring Spec is a word".to_owned());
    }
    check_text(value)?;
    Ok(Typed::plain(value))
}

/// The value alone, of a name and a value, or of a list in which one name is right.
fn value_of<'a>(text: &'a str, names: &[&str]) -> Result<&'a str, String> {
    let text = pasted::bare(text);
    let is_named = |part: &pasted::Named<'_>| names.contains(&pasted::plain_name(part.name).as_str());
    let in_list = text.split(',').filter_map(pasted::named).find(is_named);
    match (in_list, pasted::named(text)) {
        (Some(named), _) => Ok(named.value),
        (None, Some(_)) => Err("is the value of something else".to_owned()),
        (None, None) => Ok(text),
    }
}

fn refuse_others(value: &str) -> Result<(), String> {
    if value.contains("://") {
        return Err("is a URL".to_owned());
    }
    if user::is_mail(value) {
        return Err("is an e-mail address".to_owned());
    }
    match placeholder::kind(value) {
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
            ("operation=InvokeAgent", "something else"),
        ] {
            let error = provider_type(text).expect_err(text);
            assert!(error.contains(why), "{text:?}: {error}");
        }
        assert_eq!(provider_type("Custom provider").unwrap().value, "Custom provider");
    }
}
