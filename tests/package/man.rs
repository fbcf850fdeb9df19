//! Writes the man page for the package to standard output: commands from clap, variables and exit statuses from
//! docs/reference.md.

use std::io::Write;

use act_claude::commands as act;
use act_claude::plan::flags as cli;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

const REFERENCE: &str = include_str!("../../docs/reference.md");

fn main() -> std::io::Result<()> {
    let mut page = Vec::new();
    let commands = act::commands();
    let version = commands.get_version().unwrap_or_default().to_owned();
    let mut head = Roff::new();
    head.control("TH", ["ACT-CLAUDE", "1", "\"\"", &format!("act-claude {version}"), "User Commands"]);
    head.control("SH", ["NAME"]);
    head.text([roman("act-claude - starts Claude Code under the Agent Control Tower alias of the directory")]);
    head.control("SH", ["SYNOPSIS"]);
    let name = bold("act-claude");
    head.text([name.clone(), roman(" [FLAGS] [claude's own arguments] [FLAGS]")]).control("PP", []);
    head.text([name, bold(" act "), italic("COMMAND"), roman(" [OPTIONS]")]);
    head.control("SH", ["DESCRIPTION"]);
    head.text([roman(
        "Claude runs as if started directly; its metrics reach ACT under the alias of the directory, and one line says \
         what ACT accepted. Own flags stand in front of claude's arguments or, for a session, at their end; everything \
         else reaches claude unchanged.",
    )]);
    head.control("SH", ["FLAGS"]);
    for flag in &cli::FLAGS {
        let also = flag.variable.map(|variable| format!(" (also {variable})")).unwrap_or_default();
        item(&mut head, &[flag.name, flag.value.unwrap_or_default()].join(" "), &format!("{}{also}", flag.about));
    }
    head.control("SH", ["COMMANDS"]);
    head.to_writer(&mut page)?;
    let names = act::help::GROUPS.iter().flat_map(|(_, names)| names.iter());
    for command in names.filter_map(|name| commands.find_subcommand(name)) {
        let mut roff = Roff::new();
        roff.control("SS", [format!("act-claude act {}", command.get_name()).as_str()]);
        roff.text([roman(command.get_about().map(ToString::to_string).unwrap_or_default())]);
        roff.to_writer(&mut page)?;
        let mut options = Vec::new();
        Man::new(command.clone()).render_options_section(&mut options)?;
        // Groups of options are no sections of the page.
        let options = String::from_utf8_lossy(&options).replace(".SH OPTIONS\n", "");
        let options = options.lines().map(|line| match line.strip_prefix(".SH ") {
            Some(group) => format!(".PP\n\\fB{}\\fR\n", group.trim_matches('"')),
            None => format!("{line}\n"),
        });
        page.write_all(options.collect::<String>().as_bytes())?;
        let mut roff = Roff::new();
        for example in act::help::examples(command.get_name()) {
            roff.control("PP", []).text([roman(format!("{}:", example.about))]);
            roff.control("RS", ["4"]).control("nf", []);
            roff.text([bold(example.line)]).control("fi", []).control("RE", []);
        }
        roff.to_writer(&mut page)?;
    }
    let mut tail = Roff::new();
    for (heading, section) in [("Variables", "ENVIRONMENT"), ("Exit status", "EXIT STATUS"), ("Files", "FILES")] {
        tail.control("SH", [section]);
        rows(heading).for_each(|(term, text)| item(&mut tail, &term, &text));
    }
    tail.to_writer(&mut page)?;
    std::io::stdout().write_all(&page)
}

fn item(roff: &mut Roff, term: &str, text: &str) {
    roff.control("TP", []).text([bold(term.trim_end())]).text([roman(text)]);
}

/// The rows of the table under a heading of the reference.
fn rows(heading: &str) -> impl Iterator<Item = (String, String)> {
    let section = REFERENCE.split("\n## ").find(|section| section.starts_with(heading)).unwrap_or_default();
    section.lines().filter(|line| line.starts_with("| `")).filter_map(|line| {
        let mut cells = line.trim_matches('|').split(" | ").map(|cell| cell.trim().replace('`', ""));
        Some((cells.next()?, cells.next()?))
    })
}
