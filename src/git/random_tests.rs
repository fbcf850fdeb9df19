//! Random configuration files: read as real git reads them.

use super::world::World;

/// Pieces of configuration files, of which a random order makes a file.
const PIECES: &[&str] = &[
    "[remote \"origin\"]",
    "[remote \"a\"]\n",
    "[remote.b]",
    "[remote.c \"D\"] ",
    "[REMOTE\t\"o\\rigin\"]\r\n",
    "\r[remote \"x]y\"]\n",
    "[url \"U:\"]\n",
    "[url \"https://v/\"]",
    "[user]\n",
    "[user]",
    "[branch \"[remote\"]\n",
    "[branch \"x\"]\n\tmerge = y \\\n",
    "url = https://h/a\n",
    "URL=\"https://h/b\" ; c\n",
    "\turl = https://h/c # c \\\n",
    "url = h:\\\n  d \t\r\n",
    "url=\n",
    "url = https://h/\\\\\n",
    "url = \"h:e \"  f  \n",
    "url=https://h/\u{c}g\n",
    "insteadOf = https://h/\n",
    "insteadof=h:\n",
    "insteadOf = https://\n",
    "name = x\n",
    "name = \\\n",
    "name = \"[remote\"\n",
    "name = x\\\\\n",
    "; [remote \"z\"] \\\n",
    "# c\r\n",
    "\n",
    "  ",
    "name\n",
    "fetch = +refs\n",
    "\\",
    "\r",
];

#[test]
fn random_files_are_read_as_git_reads_them() {
    let world = World::new(&[]);
    world.script("git init -q r");
    let (mut state, mut wrong, mut read) = (0x2545_f491_4f6c_dd1d_u64, Vec::new(), 0);
    for _ in 0..300 {
        let mut text = "[core]\nrepositoryformatversion = 0\n".to_owned();
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).unwrap()
        };
        for _ in 0..2 + random() % 9 {
            text.push_str(PIECES[random() % PIECES.len()]);
        }
        std::fs::write(world.path("w/r/.git/config"), &text).unwrap();
        let by_git = match world.by_git("w/r").as_str() {
            // Git does not read it, or it is one of the lines that are skipped here.
            "fault" => continue,
            // A remote without a URL: git takes its name for one.
            "origin" | "a" | "b" | "c.D" | "x]y" => "none".to_owned(),
            other => other.to_owned(),
        };
        read += 1;
        let ours = world.ours("w/r");
        if ours != by_git {
            wrong.push(format!("{text:?}\n   git: {by_git:?}  ours: {ours:?}"));
        }
    }
    assert!(wrong.is_empty() && read > 50, "{} of {read}:\n{}", wrong.len(), wrong.join("\n"));
}
