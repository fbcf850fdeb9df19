//! Replaces a word in a text where what stands beside it allows that (pure).

/// The text with `instead` in place of `word` where `is_allowed` says so of the character before it and the one after it. What was
/// put in place of the word counts as the text before the next one.
pub fn replaced(
    text: &str,
    word: &str,
    instead: &str,
    is_allowed: impl Fn(Option<char>, Option<char>) -> bool,
) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let after = &rest[at + word.len()..];
        result.push_str(&rest[..at]);
        let is_replaced = is_allowed(result.chars().next_back(), after.chars().next());
        result.push_str(if is_replaced { instead } else { word });
        rest = after;
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_neighbours_decide() {
        let alone = |before: Option<char>, after: Option<char>| before != Some('x') && after != Some('x');
        for (text, expected) in
            [("a", "b"), ("a a", "b b"), ("xa ax a", "xa ax b"), ("aa", "bb"), ("", ""), ("é a", "é b")]
        {
            assert_eq!(replaced(text, "a", "b", alone), expected, "{text}");
        }
        assert_eq!(replaced("aa", "a", "x", alone), "xa", "the replacement is what stands before");
    }
}
