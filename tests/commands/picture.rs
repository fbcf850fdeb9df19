//! README's picture of a terminal is the screen of a real session. This test writes it:
//! `ACT_CLAUDE_WRITE_PICTURE=1 cargo test --test commands picture`

use std::fmt::Write;
use std::path::Path;

use serde_json::json;

use crate::support::act::{Act, refused};
use crate::support::pty::Pty;
use crate::support::sandbox::Sandbox;
use crate::support::{self, fake_claude};

const COLUMNS: u16 = 92;

/// A session that ACT accepts, and one whose token it refuses: what a person types and sees.
#[test]
fn readme_s_picture_shows_a_session() {
    let mut sandbox = Sandbox::new();
    let act = Act::start();
    let account = sandbox.account(&act.endpoint());
    let alias = |id| json!({"account": "acme", "id": id, "provider_type": "P"});
    sandbox.configure(&json!({
        "accounts": {"acme": account},
        "aliases": {"billing": alias("id-billing"), "web": alias("id-web")},
        "directories": {"~/work/billing": "billing", "~/work/shop": "web"}
    }));
    fake_claude::install(&mut sandbox, "print Hello! What shall we do?\npost\nexit 0");
    sandbox.path_first(support::act_claude().parent().unwrap());
    sandbox.directory("work/shop");
    let mut command = sandbox.command("bash");
    command.args(["--norc", "--noprofile"]).env("PS1", "$ ").current_dir(sandbox.directory("work/billing"));
    let mut pty = Pty::start(command);
    pty.resize(40, COLUMNS);
    let commands =
        ["alias claude=act-claude", "claude -p 'say hello'", "cd ~/work/shop", "claude -p 'say hello'", "exit"];
    for (typed, command) in commands.iter().enumerate() {
        pty.wait_for_prompt(typed);
        if typed == 3 {
            act.answer(refused(401, "Unauthorized"));
        }
        pty.send(&format!("{command}\r"));
    }
    let (_, screen) = pty.finish();
    let screen = screen.replace(&sandbox.home().display().to_string(), "~");
    let lines: Vec<&str> = screen.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let [lines @ .., typed, "exit"] = &lines[..] else { panic!("{screen}") };
    assert_eq!(*typed, "$ exit");
    let rows: Vec<String> = lines.iter().flat_map(|line| rows(line)).collect();
    let picture = draw(&rows);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/session.svg");
    if std::env::var_os("ACT_CLAUDE_WRITE_PICTURE").is_some() {
        std::fs::write(&file, &picture).unwrap();
    }
    let again = "ACT_CLAUDE_WRITE_PICTURE=1 cargo test --test commands picture";
    assert!(
        std::fs::read_to_string(&file).is_ok_and(|text| text == picture),
        "{} is out of date: {again}\n{screen}",
        file.display()
    );
}

/// The rows that a line takes on the terminal.
fn rows(line: &str) -> Vec<String> {
    let characters: Vec<char> = line.chars().collect();
    characters.chunks(COLUMNS.into()).map(|row| row.iter().collect()).collect()
}

/// Text of one width on a background, readable on light and dark pages and by screen readers.
fn draw(lines: &[String]) -> String {
    const WIDTH: f64 = 8.43;
    const HEIGHT: usize = 20;
    const MARGIN: usize = 16;
    let width = f64::from(COLUMNS) * WIDTH + 2.0 * MARGIN as f64;
    let height = lines.len() * HEIGHT + 2 * MARGIN;
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height}\" width=\"{width:.0}\" height=\"{height}\" role=\"img\">\n\
         <title>A terminal: two sessions of claude, and what act-claude says at their end</title>\n\
         <style>\n\
         rect {{ fill: #f6f8fa; stroke: #d0d7de }}\n\
         text {{ fill: #1f2328; font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, \"DejaVu Sans Mono\", monospace; white-space: pre }}\n\
         .typed {{ font-weight: bold }}\n\
         @media (prefers-color-scheme: dark) {{ rect {{ fill: #151b23; stroke: #3d444d }} text {{ fill: #f0f6fc }} }}\n\
         </style>\n\
         <rect x=\"0.5\" y=\"0.5\" width=\"{:.0}\" height=\"{}\" rx=\"8\"/>\n",
        width - 1.0,
        height - 1
    );
    for (number, line) in lines.iter().enumerate() {
        let y = MARGIN + number * HEIGHT + 14;
        let class = if line.starts_with("$ ") { " class=\"typed\"" } else { "" };
        let line = line.replace('&', "&amp;").replace('<', "&lt;");
        writeln!(picture, "<text x=\"{MARGIN}\" y=\"{y}\"{class} xml:space=\"preserve\">{line}</text>").unwrap();
    }
    picture + "</svg>\n"
}
