//! The marked block in a shell's rc file (pure). An rc file is bytes: it need not be UTF-8.

use super::Shell;

const BEGIN: &str = "# >>> act-claude >>>";
const END: &str = "# <<< act-claude <<<";

/// The block's lines.
pub fn lines(shell: Shell) -> [&'static str; 3] {
    [BEGIN, shell.line(), END]
}

/// The content with the block at its end. An empty line stands before it, so that a last line without a line break, or one that is
/// continued with `\`, does not take in the block.
pub fn added(before: &[u8], shell: Shell) -> Vec<u8> {
    let mut after = before.to_vec();
    if !before.is_empty() {
        let has_end = before.ends_with(b"\n");
        after.extend_from_slice(if has_end { b"\n" } else { b"\n\n" });
    }
    after.extend_from_slice(lines(shell).join("\n").as_bytes());
    after.push(b'\n');
    after
}

/// The content without blocks, or `None` where it has none. A block with a line in it that is not ours stays: somebody has edited it.
/// So does one that somebody has moved into a here-document, or into a compound command, which would be left empty.
pub fn removed(before: &[u8]) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = before.split_inclusive(|byte| *byte == b'\n').collect();
    let mut after: Vec<&[u8]> = Vec::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        match block_length(&lines[at..]).filter(|length| stands_alone(&lines[..at], &lines[at + length..])) {
            Some(length) => {
                at += length;
                if after.last().is_some_and(|line| line.trim_ascii().is_empty()) {
                    after.pop();
                }
            }
            None => {
                after.push(line);
                at += 1;
            }
        }
    }
    let after = after.concat();
    (after != before).then_some(after)
}

/// Whether a block between these lines is a part of no other command.
fn stands_alone(before: &[&[u8]], after: &[&[u8]]) -> bool {
    const CLOSING: [&[u8]; 9] = [b"fi", b"done", b"}", b")", b"else", b"elif", b";;", b"esac", b"end"];
    const OPEN: [&[u8]; 3] = [b"&&", b"||", b"|"];
    let is_blank = |line: &&&[u8]| line.trim_ascii().is_empty();
    let next = after.iter().find(|line| !is_blank(line)).map_or(&b""[..], |line| line.trim_ascii());
    let word = next.split(|byte| byte.is_ascii_whitespace() || *byte == b';').next().unwrap_or_default();
    let last = before.iter().rfind(|line| !is_blank(line)).map_or(&b""[..], |line| line.trim_ascii());
    let is_closed_next = CLOSING.contains(&word) || next.starts_with(b";;");
    !is_closed_next && !OPEN.iter().any(|open| last.ends_with(open)) && !in_here_document(before, after)
}

/// Whether a here-document is open between these lines. `<<` in a calculation or in quotes begins none: no later line ends it.
fn in_here_document(before: &[&[u8]], after: &[&[u8]]) -> bool {
    let mut open: Option<Vec<u8>> = None;
    for (at, line) in before.iter().enumerate() {
        let line = line.trim_ascii();
        match &open {
            Some(end) if line == end => open = None,
            Some(_) => {}
            None => {
                let mut later = before[at + 1..].iter().chain(after);
                open = delimiter(line).filter(|end| later.any(|line| line.trim_ascii() == end));
            }
        }
    }
    open.is_some()
}

/// The word that ends the here-document which this line begins.
fn delimiter(line: &[u8]) -> Option<Vec<u8>> {
    let at = memchr::memmem::find(line, b"<<").filter(|_| !line.starts_with(b"#"))?;
    let rest = line[at + 2..].strip_prefix(b"-").unwrap_or(&line[at + 2..]).trim_ascii_start();
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let rest = rest.first().filter(|byte| b"'\"\\".contains(byte)).map_or(rest, |_| &rest[1..]);
    let word: Vec<u8> = rest.iter().copied().take_while(|byte| is_word(byte)).collect();
    (!word.is_empty()).then_some(word)
}

/// How many lines the block has with which `lines` begin. An indented line is not as it was written.
fn block_length(lines: &[&[u8]]) -> Option<usize> {
    let is = |line: &[u8], text: &str| line.trim_ascii_end() == text.as_bytes();
    let ours = |line: &[u8]| line.trim_ascii().is_empty() || Shell::ALL.iter().any(|shell| is(line, shell.line()));
    is(lines.first()?, BEGIN).then_some(())?;
    let length = 1 + lines[1..].iter().take_while(|line| ours(line)).count();
    is(lines.get(length)?, END).then_some(length + 1)
}

/// Whether a line starts act-claude as `claude`: the block's, or one that the user has written.
pub fn is_there(content: &[u8]) -> bool {
    content.split(|byte| *byte == b'\n').any(|line| {
        let line = line.trim_ascii();
        let has = |text: &str| memchr::memmem::find(line, text.as_bytes()).is_some();
        let defines = ["shell-init", "claude=", "alias claude", "alias -g claude", "function claude", "abbr"];
        !line.starts_with(b"#") && has("act-claude") && defines.into_iter().any(has)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_removed_and_nothing_else() {
        for shell in Shell::ALL {
            for (before, after) in [
                (&b""[..], &b""[..]),
                (b"a\n", b"a\n"),
                (b"a", b"a\n"),
                (b"\n", b"\n"),
                (b"a\n\n", b"a\n\n"),
                (b"a \\", b"a \\\n"),
                (b"caf\xe9\n", b"caf\xe9\n"),
                (b"a\r\n", b"a\r\n"),
                (b"# >>> act-claude >>>\n", b"# >>> act-claude >>>\n"),
                (
                    b"# >>> act-claude >>>\nmine\n# <<< act-claude <<<\n",
                    b"# >>> act-claude >>>\nmine\n# <<< act-claude <<<\n",
                ),
            ] {
                let with = added(before, shell);
                assert!(with.starts_with(before) && is_there(&with), "{before:?}");
                assert_eq!(removed(&with).as_deref(), Some(after), "{before:?}");
                assert_eq!(removed(after), None, "{before:?}");
                // What the user appends later stays, and so does a second block's surrounding.
                let more = [&with[..], b"later\n"].concat();
                assert_eq!(removed(&more), Some([after, b"later\n"].concat()), "{before:?}");
                assert_eq!(removed(&added(&with, shell)).as_deref(), Some(after), "{before:?}");
            }
        }
    }

    #[test]
    fn a_block_that_was_moved_into_another_command_stays() {
        let block = "# >>> act-claude >>>\neval \"$(act-claude act shell-init bash)\"\n# <<< act-claude <<<\n";
        let indented =
            format!("if true; then\n{}fi\n", block.lines().map(|line| format!("  {line}\n")).collect::<String>());
        for text in [
            format!("if [[ $- == *i* ]]; then\n{block}fi\n"),
            format!("f() {{\n{block}\n}}\n"),
            format!("if status is-interactive\n{block}end\n"),
            format!("true &&\n{block}"),
            format!("cat > ~/t <<X\n{block}X\n"),
            format!("cat <<-'END' | sh\n{block}END\n"),
            format!("x=$((1<<20))\ncat <<X\n{block}X\n"),
            indented,
        ] {
            assert_eq!(removed(text.as_bytes()), None, "{text}");
        }
        for text in [
            format!("if true; then\n:\nfi\n{block}x\n"),
            format!("cat <<X\nX\n{block}"),
            format!("# <<X\n{block}finish\n"),
            format!("x=$((1<<20))\necho \"a << b\"\n{block}"),
        ] {
            let after = text.replace(block, "");
            assert_eq!(removed(text.as_bytes()).as_deref(), Some(after.as_bytes()), "{text}");
        }
    }

    #[test]
    fn the_block_is_a_line_of_its_own_after_whatever_comes_before() {
        for before in ["echo a \\", "echo a \\\n", "echo a", "x=1 # no end"] {
            let script = added(before.as_bytes(), Shell::Bash);
            let script = String::from_utf8(script).unwrap().replace(Shell::Bash.line(), "echo block");
            let output = std::process::Command::new("bash").args(["-c", &script]).output().expect("bash");
            assert!(output.status.success() && output.stdout.ends_with(b"block\n"), "{before:?}: {output:?}");
        }
    }

    #[test]
    fn a_line_by_hand_is_recognised() {
        for (line, is_one) in [
            ("alias claude=act-claude", true),
            ("  alias claude='act-claude'  ", true),
            ("alias claude=\"/opt/act-claude/bin/act-claude\"", true),
            ("command -v act-claude >/dev/null && eval \"$(act-claude act shell-init bash)\"", true),
            ("source <(act-claude act shell-init zsh)", true),
            ("act-claude act shell-init fish | source", true),
            ("alias claude act-claude", true),
            ("function claude; act-claude $argv; end", true),
            ("abbr -a claude act-claude", true),
            ("# alias claude=act-claude", false),
            ("export PATH=/opt/act-claude/bin:$PATH", false),
            ("alias claude=other", false),
            ("", false),
        ] {
            assert_eq!(is_there(format!("x\n{line}\ny").as_bytes()), is_one, "{line}");
        }
        assert!(is_there(b"caf\xe9\nalias claude=act-claude"));
    }
}
