//! Git's patterns, as `includeIf` uses them (pure): `*` and `?` stop at a slash, `**` does not.
//!
//! The time is bounded by the product of the two lengths, because a pattern may come from a hostile repository.

/// One part of a pattern.
enum Token {
    Byte(u8),
    /// `?`
    One,
    /// `*`
    Star,
    /// `**/` at the start or after a slash: no directory or several.
    Directories,
    /// `**` at the end, after a slash or alone.
    Rest,
    /// `[…]`: the ranges, and whether it matches all other bytes.
    Class(Vec<(u8, u8)>, bool),
}

/// Whether `text` matches `pattern`; with `fold`, without regard to the case of ASCII letters.
pub fn matches(pattern: &[u8], text: &[u8], fold: bool) -> bool {
    let Some(tokens) = tokens(pattern) else { return false };
    // `reached[n]`: the tokens so far match the first n bytes.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for token in &tokens {
        reached = after(token, &reached, text, fold);
    }
    reached[text.len()]
}

/// The positions that are reached after one more token.
fn after(token: &Token, reached: &[bool], text: &[u8], fold: bool) -> Vec<bool> {
    let mut next = vec![false; reached.len()];
    for at in 0..reached.len() {
        match token {
            Token::Star => next[at] = reached[at] || (at > 0 && next[at - 1] && text[at - 1] != b'/'),
            Token::Rest => next[at] = reached[at] || (at > 0 && next[at - 1]),
            Token::Directories => {}
            single => next[at] = at > 0 && reached[at - 1] && is_one(single, text[at - 1], fold),
        }
    }
    if matches!(token, Token::Directories) {
        let mut is_after_start = false;
        for at in 0..reached.len() {
            next[at] = reached[at] || (is_after_start && text[at - 1] == b'/');
            is_after_start |= reached[at];
        }
    }
    next
}

/// Whether a token for one byte matches it.
fn is_one(token: &Token, byte: u8, fold: bool) -> bool {
    let spellings = [byte, byte.to_ascii_lowercase(), byte.to_ascii_uppercase()];
    let spellings = if fold { &spellings[..] } else { &spellings[..1] };
    match token {
        Token::Byte(own) => spellings.contains(own),
        Token::One => byte != b'/',
        Token::Class(ranges, others) => {
            let is_in = spellings.iter().any(|byte| ranges.iter().any(|(low, high)| (low..=high).contains(&byte)));
            byte != b'/' && is_in != *others
        }
        Token::Star | Token::Directories | Token::Rest => false,
    }
}

/// The parts of a pattern. `None` where it is not complete; git then matches nothing.
fn tokens(pattern: &[u8]) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < pattern.len() {
        let is_at_start = at == 0 || pattern[at - 1] == b'/';
        match pattern[at] {
            b'\\' => {
                at += 1;
                tokens.push(Token::Byte(*pattern.get(at)?));
            }
            b'?' => tokens.push(Token::One),
            b'[' => {
                let (class, end) = class(pattern, at + 1)?;
                tokens.push(class);
                at = end;
            }
            b'*' => {
                let length = pattern[at..].iter().take_while(|&&byte| byte == b'*').count();
                at += length - 1;
                tokens.push(match pattern.get(at + 1) {
                    None if length == 2 && is_at_start => Token::Rest,
                    Some(b'/') if length == 2 && is_at_start => {
                        at += 1;
                        Token::Directories
                    }
                    _ => Token::Star,
                });
            }
            byte => tokens.push(Token::Byte(byte)),
        }
        at += 1;
    }
    Some(tokens)
}

/// The class whose first byte is at `at`, and the place of its `]`.
fn class(pattern: &[u8], mut at: usize) -> Option<(Token, usize)> {
    let others = matches!(pattern.get(at)?, b'!' | b'^');
    at += usize::from(others);
    let mut ranges = Vec::new();
    let start = at;
    while *pattern.get(at)? != b']' || at == start {
        if let Some(named) = pattern[at..].strip_prefix(b"[:") {
            let end = named.windows(2).position(|pair| pair == b":]")?;
            ranges.extend(named_class(&named[..end])?);
            at += end + 4;
            continue;
        }
        at += usize::from(pattern[at] == b'\\');
        let low = *pattern.get(at)?;
        let is_range = pattern.get(at + 1) == Some(&b'-') && pattern.get(at + 2).is_some_and(|&high| high != b']');
        if is_range {
            at += 2 + usize::from(pattern[at + 2] == b'\\');
        }
        ranges.push((low, if is_range { *pattern.get(at)? } else { low }));
        at += 1;
    }
    Some((Token::Class(ranges, others), at))
}

/// The ranges of a class that POSIX names.
fn named_class(name: &[u8]) -> Option<Vec<(u8, u8)>> {
    let ranges: &[(u8, u8)] = match name {
        b"alpha" => &[(b'a', b'z'), (b'A', b'Z')],
        b"digit" => &[(b'0', b'9')],
        b"alnum" => &[(b'a', b'z'), (b'A', b'Z'), (b'0', b'9')],
        b"upper" => &[(b'A', b'Z')],
        b"lower" => &[(b'a', b'z')],
        b"xdigit" => &[(b'0', b'9'), (b'a', b'f'), (b'A', b'F')],
        b"blank" => &[(b' ', b' '), (b'\t', b'\t')],
        b"space" => &[(b' ', b' '), (b'\t', b'\r')],
        b"punct" => &[(b'!', b'/'), (b':', b'@'), (b'[', b'`'), (b'{', b'~')],
        b"cntrl" => &[(0, 31), (127, 127)],
        b"graph" => &[(33, 126)],
        b"print" => &[(32, 126)],
        _ => return None,
    };
    Some(ranges.to_vec())
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn as_git_matches() {
        for (pattern, text, expected) in [
            ("foo", "foo", true),
            ("foo", "Foo", false),
            ("f?o", "foo", true),
            ("f?o", "f/o", false),
            ("*.git", "a.git", true),
            ("*.git", "b/a.git", false),
            ("**/a", "a", true),
            ("**/a", "x/y/a", true),
            ("**/a", "x/ya", false),
            ("/w/**", "/w/x/y", true),
            ("/w/**", "/w", false),
            ("/w/**/z", "/w/z", true),
            ("/w/**/z", "/w/x/y/z", true),
            ("/w/**/z", "/w/xz", false),
            ("a**b", "a/b", false),
            ("a**b", "axxb", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[]]", "]", true),
            ("[[:digit:]]*", "1a", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("[", "[", false),
            ("", "", true),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes(), false), expected, "{pattern} {text}");
        }
        assert!(matches(b"/W/**", b"/w/x", true));
    }

    #[test]
    fn a_hostile_pattern_takes_bounded_time() {
        let pattern = "*a".repeat(500);
        assert!(!matches(format!("{pattern}b").as_bytes(), "a".repeat(4000).as_bytes(), false));
    }
}
