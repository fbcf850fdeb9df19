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
pub fn removed(before: &[u8]) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = before.split_inclusive(|byte| *byte == b'\n').collect();
    let mut after: Vec<&[u8]> = Vec::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        match block_length(&lines[at..]) {
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

/// How many lines the block has with which `lines` begin.
fn block_length(lines: &[&[u8]]) -> Option<usize> {
    let is = |line: &[u8], text: &str| line.trim_ascii() == text.as_bytes();
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
