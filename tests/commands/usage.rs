//! `act usage`: the tables on terminals of several widths and in a pipe, JSON, CSV, and what is said about what the sums lack.

use serde_json::{Value, json};

use crate::support::act::{Act, refused as refused_by_act};
use crate::support::fake_claude;
use crate::support::pty::Pty;
use crate::support::sandbox::{Sandbox, Text};

/// The first line of a month's file.
const FIRST: &str = r#"{"v":1,"month":"2025-03","numbers":[]}"#;

/// A sandbox with two aliases, and the ledger of March 2025.
pub fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let alias = |id: &str| json!({"account": "acme", "id": id, "provider_type": "P"});
    sandbox.configure(&json!({
        "accounts": {"acme": sandbox.account("https://acme.example/m")},
        "aliases": {"billing": alias("id-billing"), "web": alias("id-web")},
        "directories": {"~/work": "billing"}
    }));
    sandbox.directory("work");
    write(&sandbox, &["billing", "web"], &[]);
    sandbox
}

/// Writes the ledger, with these names of aliases and these lines more.
pub fn write(sandbox: &Sandbox, aliases: &[&str; 2], more: &[&str]) {
    let home = sandbox.home().display().to_string();
    let lines = [
        json!({"place": 0, "alias": aliases[0], "account": "acme", "directory": format!("{home}/work"), "repository": "github.com/acme/billing"}),
        json!({"place": 1, "alias": aliases[1], "account": "acme", "directory": format!("{home}/web")}),
        json!({"model": 1, "name": "opus"}),
        json!({"model": 2, "name": "haiku"}),
        json!({"session": "s1", "at": 0, "use": {"delivered": [
            [3, 1, 10, 0, 0, 2, 100, 2000, 30000, 400],
            [3, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 754.4, 12, 3, 1, 1, 1]
        ]}}),
        json!({"session": "s2", "at": 1, "use": {
            "waiting": [[4, 1, 6, 0, 0, 0.5, 50, 60]],
            "partial": [[4, 2, 5, 0, 2, 0.25, 7]],
            "delivered": [[4, 1, 5, 0, 0, 0.75, 7]]
        }}),
        json!({"at": 1, "use": {"delivered": [[1, 2, 8, 0, 0, 0.004, 1, 2, 3, 4, 0, 3600, 0, 0, 0, 0, 2]]}}),
    ];
    let mut text = format!("{FIRST}\n");
    for line in lines {
        text += &format!("{line}\n");
    }
    more.iter().for_each(|line| text += &format!("{line}\n"));
    sandbox.write(".local/state/act-claude/usage/2025-03.jsonl", text);
}

const MARCH: [&str; 4] = ["--since", "2025-03-01", "--until", "2025-03-05"];

/// What the command prints about March, in a pipe.
fn march(sandbox: &Sandbox, args: &[&str]) -> String {
    in_a_pipe(sandbox, &[&MARCH[..], args].concat())
}

fn in_a_pipe(sandbox: &Sandbox, args: &[&str]) -> String {
    let mut command = sandbox.act_claude(&[&["act", "usage"], args].concat());
    let output = command.current_dir(sandbox.home().join("work")).output().unwrap();
    assert_eq!((output.err().as_str(), output.code()), ("", 0), "{args:?}");
    output.out()
}

/// What a terminal of this many columns gets, with its styles.
fn raw(sandbox: &Sandbox, columns: usize, variables: &[(&str, &str)], args: &[&str]) -> String {
    let mut command = sandbox.act_claude(&[&["act", "usage"], args].concat());
    command.current_dir(sandbox.home().join("work")).env("COLUMNS", columns.to_string());
    command.envs(variables.iter().copied());
    let mut pty = Pty::start(command);
    pty.finish();
    String::from_utf8(pty.raw()).expect("UTF-8").replace('\r', "")
}

fn on_terminal(sandbox: &Sandbox, columns: usize, args: &[&str]) -> String {
    anstream::adapter::strip_str(&raw(sandbox, columns, &[], &[&MARCH[..], args].concat())).to_string()
}

/// The names of the rows of the table, up to the total.
fn names(text: &str) -> Vec<&str> {
    let names = text.lines().skip(1).map(|line| line.trim_start().split("  ").next().unwrap_or_default());
    names.take_while(|name| *name != "total").collect()
}

fn refused(sandbox: &Sandbox, args: &[&str]) -> String {
    let output = sandbox.act_claude(&[&["act", "usage"], args].concat()).output().unwrap();
    assert_eq!((output.out().as_str(), output.code()), ("", 64), "{args:?}");
    output.err()
}

#[test]
fn a_table_at_80_columns() {
    let sandbox = sandbox();
    let expected = "\
Day             Sessions  Active    Cost  ACT has  The rest
Sat 1 Mar 2025         2   1h00m  <$0.01   <$0.01  -
                input 1, output 2, cache read 3, cache write 4
Mon 3 Mar 2025         1  12m34s   $2.00    $2.00  -
                input 100, output 2,000, cache read 30,000, cache write 400,
                lines +12 -3, commits 1, PRs 1
Tue 4 Mar 2025         1      0s   $1.50    $1.00  $0.50 waiting, 2 points
                                                   rejected in accepted exports
                input 64, output 60
total                  4   1h12m   $3.50    $3.00  $0.50 waiting, 2 points
                                                   rejected in accepted exports
                input 165, output 2,062, cache read 30,003, cache write 404,
                lines +12 -3, commits 1, PRs 1

Cost by day
Sat 1 Mar 2025  <$0.01  █
Sun 2 Mar 2025   $0.00
Mon 3 Mar 2025   $2.00  ████████████████████████████████████████
Tue 4 Mar 2025   $1.50  ████████████████████░░░░░░░░░░
Wed 5 Mar 2025   $0.00
█ ACT has, ░ the rest

What ACT has, and what not
Sat 1 Mar 2025 to Wed 5 Mar 2025: ACT has 30 of 38 points
State       Cost  Points  Why, and what to do
delivered  $2.75      27  ACT has it
partial    $0.25       5  with ACT, in part: it rejected 2 points, and does not
                          say which. Why: act-claude act history --all --failed
waiting    $0.50       6  ACT or the network was down; it is tried again. To
                          deliver it now: act-claude act flush

Costs are US dollars, as Claude Code estimates them. A point is one value that
it sends.
Never counted: sessions with --direct, without telemetry, or whose metrics go to
an endpoint of your own.
";
    assert_eq!(on_terminal(&sandbox, 80, &[]), expected);
}

#[test]
fn tables_at_40_columns_and_in_a_pipe() {
    let sandbox = sandbox();
    let narrow = "\
Alias: web
  Sessions: 3
  Active: 1h00m
  Cost: $1.50
  ACT has: $1.00
  The rest: $0.50 waiting, 2 points
    rejected in accepted exports
  input 65, output 62, cache read 3,
  cache write 4

Alias: total
  Sessions: 3
";
    let text = on_terminal(&sandbox, 40, &["--by", "alias", "--alias", "web"]);
    assert!(text.starts_with(narrow), "{text}");
    assert!(text.contains("\n1 Mar  <$0.01  █\n2 Mar   $0.00\n"), "{text}");
    let wide = "\x20 Alias    Sessions  Active  Input  Output  Cache read  Cache write   Lines  Commits  PRs   Cost  ACT has  The rest
* billing         1  12m34s    100   2,000      30,000          400  +12 -3        1    1  $2.00    $2.00  -
  web             3   1h00m     65      62           3            4   +0 -0        0    0  $1.50    $1.00  $0.50 waiting, 2 points rejected in accepted exports
  total           4   1h12m    165   2,062      30,003          404  +12 -3        1    1  $3.50    $3.00  $0.50 waiting, 2 points rejected in accepted exports

* billing is the alias of this directory

Cost by day
";
    assert!(march(&sandbox, &["--by", "alias"]).starts_with(wide), "{}", march(&sandbox, &["--by", "alias"]));
    assert_eq!(on_terminal(&sandbox, 200, &["--by", "alias"]), march(&sandbox, &["--by", "alias"]));
}

/// The zone is one in which it is about noon: today stays today while the test runs.
#[test]
fn without_arguments_today_the_last_days_and_the_month() {
    let mut sandbox = sandbox();
    let hour = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).hour();
    sandbox.set("TZ", format!("LOC{}", hour - 12));
    let zone = jiff::tz::Offset::from_hours(12 - hour).unwrap().to_time_zone();
    let today = jiff::Timestamp::now().to_zoned(zone).date();
    let week = today.checked_sub(jiff::Span::new().days(6)).unwrap();
    let before = week.yesterday().unwrap();
    let cost = |day: jiff::civil::Date, cost: u32| {
        let list = json!([day.day(), 0, 1, 0, 0, cost, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        (day.first_of_month(), json!({"at": 0, "use": {"delivered": [list]}}).to_string())
    };
    let mut months: std::collections::BTreeMap<_, Vec<String>> = std::collections::BTreeMap::new();
    for (first, line) in [cost(today, 1), cost(week, 2), cost(before, 4)] {
        months.entry(first).or_default().push(line);
    }
    for (first, lines) in months {
        let place = json!({"place": 0, "alias": "web", "account": "acme"});
        let text = format!("{FIRST}\n{place}\n{}\n", lines.join("\n"));
        sandbox.write(&format!(".local/state/act-claude/usage/{}.jsonl", first.strftime("%Y-%m")), text);
    }
    let text = in_a_pipe(&sandbox, &[]);
    let row = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {text}"));
    assert!(
        row("today ").ends_with("  $1.00    $1.00  -") && row("last 7 days ").ends_with("  $3.00    $3.00  -"),
        "{text}"
    );
    let month = [(today, 1), (week, 2), (before, 4)].into_iter().filter(|(day, _)| *day >= today.first_of_month());
    let month = format!("  ${0}.00    ${0}.00  -", month.map(|(_, cost)| cost).sum::<u32>());
    assert!(row("this month ").ends_with(&month), "{text}");
    assert!(text.contains("  $1.00  ██████████\n") && text.contains("\nCost by day\n"), "{text}");
    assert!(text.contains("\nACT has all of it, ") && !text.contains("░"), "{text}");
}

/// What is held says why and what to do, in the words of `act history`.
#[test]
fn what_is_held_says_why() {
    let act = Act::start();
    let mut sandbox = Sandbox::new();
    sandbox.configure_one(&act.endpoint());
    fake_claude::install(&mut sandbox, "post");
    act.answer(refused_by_act(401, "Unauthorized"));
    let mut command = sandbox.act_claude(&["-p", "hi", "--report", "never"]);
    assert!(command.env("CI", "1").current_dir(sandbox.directory("work")).status().unwrap().success());
    let kept =
        |text: &str| text.split_once("Kept on this machine\n").map(|(_, kept)| kept.lines().next().unwrap().to_owned());
    let history = crate::support::eventually("a held export", || {
        kept(&sandbox.act_claude(&["act", "history"]).output().unwrap().out()).filter(|kept| kept.contains("held"))
    });
    let text = in_a_pipe(&sandbox, &["--since", "99y"]);
    let without_age = |line: &str| line.split(": ").skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(kept(&text).map(|kept| without_age(&kept)), Some(without_age(&history)), "{text}");
    assert!(text.contains("\nheld ") && text.contains("act-claude act flush"), "{text}");
    let other = in_a_pipe(&sandbox, &["--since", "99y", "--json"]);
    assert!(
        serde_json::from_str::<Value>(&other).unwrap()["total"]["states"]["held"]["points"].as_u64() > Some(0),
        "{other}"
    );
}

#[test]
fn each_grouping_has_its_names() {
    let sandbox = sandbox();
    for (by, expected) in [
        ("alias", &["* billing", "web"][..]),
        ("day", &["Sat 1 Mar 2025", "Mon 3 Mar 2025", "Tue 4 Mar 2025"]),
        ("week", &["from Mon 24 Feb 2025", "from Mon 3 Mar 2025"]),
        ("month", &["Mar 2025"]),
        ("model", &["opus", "haiku", "none"]),
        ("directory", &["~/work", "~/web"]),
        ("repository", &["github.com/acme/billing", "none"]),
        ("session", &["s1", "s2", "older"]),
    ] {
        let text = march(&sandbox, &["--by", by]);
        if by == "alias" {
            assert!(text.contains("\n* billing is the alias of this directory\n"), "{text}");
        }
        assert_eq!(names(&text), expected, "{by}: {text}");
        let total = text.lines().find(|line| line.trim_start().starts_with("total ")).expect(by);
        assert!(total.contains("$3.50"), "{by}: {text}");
    }
    let web = march(&sandbox, &["--alias", "web"]);
    assert_eq!(names(&web), ["Sat 1 Mar 2025", "Tue 4 Mar 2025"]);
}

#[test]
fn json_has_documented_names() {
    let sandbox = sandbox();
    let json: Value = serde_json::from_str(&march(&sandbox, &["--by", "repository", "--json"])).unwrap();
    let head = [&json["since"], &json["until"], &json["by"], &json["alias"]];
    assert_eq!(head, [&json!("2025-03-01"), &json!("2025-03-05"), &json!("repository"), &Value::Null]);
    let groups = json["groups"].as_array().unwrap();
    assert_eq!((&groups[0]["name"], &groups[1]["name"]), (&json!("github.com/acme/billing"), &Value::Null));
    let total = &json["total"];
    assert_eq!(
        total["act"],
        json!({"points": 30, "cost_usd": 3.004, "cost_usd_in_part": 0.25}),
        "the points of delivered and partial exports without the rejected ones"
    );
    assert_eq!(total["rest"], json!({"points": 8, "cost_usd": 0.5}));
    assert_eq!(total["states"]["waiting"]["cost_usd"], 0.5);
    assert_eq!(total["states"]["partial"]["rejected"], 2);
    assert_eq!(
        (&total["sessions"], &total["active_seconds"], &total["cost_usd"]),
        (&json!(4), &json!(4354.4), &json!(3.504))
    );
    let measured = ["points", "unsummed", "rejected", "cost_usd", "input", "output", "cache_read", "cache_creation"];
    let others =
        ["other_tokens", "active_seconds", "lines_added", "lines_removed", "commits", "pull_requests", "sessions"];
    for name in measured.iter().chain(&others) {
        assert!(total[name].is_number() && groups[0]["states"]["delivered"][name].is_number(), "{name}");
    }
    assert_eq!((&json["faults"], &json["uncounted"]), (&json!([]), &json!({"sessions": 0, "points": 0})));
    let directories: Value = serde_json::from_str(&march(&sandbox, &["--by", "directory", "--json"])).unwrap();
    assert_eq!(directories["groups"][0]["name"], sandbox.home().join("work").display().to_string());
}

#[test]
fn csv_has_a_line_for_each_row_and_state() {
    let sandbox = sandbox();
    let text = march(&sandbox, &["--by", "alias", "--csv"]);
    let titles = "points,unsummed,rejected,cost_usd,input,output,cache_read,cache_creation,other_tokens,active_seconds,\
                  lines_added,lines_removed,commits,pull_requests,sessions";
    let expected = [
        &format!("alias,state,{titles}"),
        "billing,delivered,14,0,0,2,100,2000,30000,400,0,754.4,12,3,1,1,1",
        "web,delivered,13,0,0,0.754,8,2,3,4,0,3600,0,0,0,0,3",
        "web,partial,5,0,2,0.25,7,0,0,0,0,0,0,0,0,0,1",
        "web,waiting,6,0,0,0.5,50,60,0,0,0,0,0,0,0,0,1",
        "",
    ];
    assert_eq!(text.split("\r\n").collect::<Vec<_>>(), expected);
    assert!(march(&sandbox, &["--csv"]).contains("\r\n2025-03-03,delivered,14,"));
    // A name that a spreadsheet would run.
    write(&sandbox, &["=HYPERLINK(\"http://x\",\"y\")", "@web\u{1b}[31m"], &[]);
    let text = march(&sandbox, &["--by", "alias", "--csv"]);
    assert!(text.contains("\r\n\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\",delivered,"), "{text}");
    assert!(text.contains("\r\n'@web\\u{1b}[31m,delivered,"), "{text}");
}

#[test]
fn what_the_sums_lack_is_named() {
    let sandbox = sandbox();
    let unsummed = r#"{"session":"s3","at":0,"use":{"delivered":[[5,1,3,3]]}}"#;
    write(&sandbox, &["billing", "web"], &[unsummed, "{\"torn", "{\"torn"]);
    sandbox.write(".local/state/act-claude/usage/2025-02.jsonl", "{\"v\":9,\"month\":\"2025-02\",\"numbers\":[]}\n");
    sandbox.directory(".local/state/act-claude/usage/2025-01.jsonl");
    let args = ["--since", "2025-01-01", "--until", "2025-03-31"];
    let text = in_a_pipe(&sandbox, &args);
    for said in [
        "\n3 points are in no sum but that of the points: running totals, or no number. ",
        "\n2 lines of ~/.local/state/act-claude/usage/2025-03.jsonl are damaged, and not counted; the other lines are\n",
        "\na newer act-claude wrote ~/.local/state/act-claude/usage/2025-02.jsonl: upgrade this one to count it\n",
        "\n~/.local/state/act-claude/usage/2025-01.jsonl can't be read, and is not counted (",
        "\nCosts are US dollars, as Claude Code estimates them. A point is one value that it sends.\nNever counted: sessions with --direct, without telemetry, or whose metrics go to an endpoint of your own.\n",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let json: Value = serde_json::from_str(&in_a_pipe(&sandbox, &[&args[..], &["--json"]].concat())).unwrap();
    let whys: Vec<&str> =
        json["faults"].as_array().unwrap().iter().map(|fault| fault["why"].as_str().unwrap()).collect();
    assert_eq!(whys, ["unreadable", "newer", "damaged"]);
    assert_eq!((&json["faults"][2]["lines"], &json["total"]["unsummed"]), (&json!(2), &json!(3)));
}

/// A session that an act-claude without a ledger took in.
#[test]
fn points_without_a_row_are_named() {
    let sandbox = sandbox();
    let id = format!("{:012x}{:010x}", 1_741_000_000_000_u64, 1);
    let record = json!({
        "version": 1, "id": id, "kind": "supervised", "start": "2025-03-03T11:00:00Z", "end": "2025-03-03T12:00:00Z",
        "directory": "/w", "alias": "web", "reason": "r", "account": "acme", "claude": "/bin/claude",
        "client_version": "2.1.330", "command_pid": 7, "relay_pid": 8,
        "outcome": {"exports": 3, "points": 45, "states": {"delivered": 3}, "troubles": {}, "rejected_points": 0, "warning": null},
        "totals": {}, "trouble": null, "claude_has_gone": true
    });
    sandbox.write(&format!(".local/state/act-claude/sessions/{id}.json"), record.to_string());
    let text = march(&sandbox, &[]);
    assert!(text.contains("\n45 points of 1 session are not counted here: "), "{text}");
    let json: Value = serde_json::from_str(&march(&sandbox, &["--json"])).unwrap();
    assert_eq!(json["uncounted"], json!({"sessions": 1, "points": 45}));
}

#[test]
fn nothing_yet() {
    let sandbox = sandbox();
    let text = in_a_pipe(&sandbox, &[]);
    assert!(
        text.starts_with("no use is noted, ")
            && text.contains("(~/.local/state/act-claude/usage). To start one: act-claude\n"),
        "{text}"
    );
    assert!(text.ends_with("of your own.\n"), "{text}");
    let empty = Sandbox::new();
    let output = empty.act_claude(&["act", "usage", "--alias", "web"]).output().unwrap();
    assert_eq!(output.code(), 64);
    assert!(!empty.state().exists(), "looking leaves nothing behind");
}

#[test]
fn wrong_values_are_refused_with_the_nearest_right_one() {
    let sandbox = sandbox();
    for (args, said) in [
        (
            &["--since", "7days"][..],
            "act-claude: act usage: --since \"7days\": did you mean 7d? (7d, 2w, 3m, 1y or a day such as 2026-11-01) \
             (act-claude act usage --help shows examples)\n",
        ),
        (
            &["--until", "2025-02-30"],
            "act-claude: act usage: --until \"2025-02-30\": there is no such day: did you mean 2025-02-28? \
             (act-claude act usage --help shows examples)\n",
        ),
        (
            &["--since", "-7d"],
            "act-claude: act usage: --since \"-7d\": it must be a length of time, 7d, 2w, 3m or 1y, or a day such as 2026-11-01 \
             (act-claude act usage --help shows examples)\n",
        ),
        (
            &["--by", "repo"],
            "act-claude: act usage: --by \"repo\" is not one of alias, day, week, month, model, directory, repository, session: \
             did you mean repository? (act-claude act usage --help shows examples)\n",
        ),
        (
            &["--since", "2025-03-02", "--until", "2025-03-01"],
            "act-claude: act usage: --until 2025-03-01 is before --since 2025-03-02: did you mean --since 2025-03-01 --until 2025-03-02?\n",
        ),
        (
            &["--json", "--csv"],
            "act-claude: act usage: --json can't be given together with --csv (act-claude act usage --help shows examples)\n",
        ),
        (
            &["--alias", "bilng"],
            "act-claude: there is no alias \"bilng\"; did you mean \"billing\"? (known: billing, web)\n",
        ),
    ] {
        assert_eq!(refused(&sandbox, args), said);
    }
}

/// An alias that is not configured any more still has its use.
#[test]
fn an_alias_of_the_past_is_found() {
    let sandbox = sandbox();
    write(&sandbox, &["gone", "web"], &[]);
    assert_eq!(names(&march(&sandbox, &["--alias", "gone"])), ["Mon 3 Mar 2025"]);
}

#[test]
fn lines_fit_any_terminal_and_say_the_same_without_colour_and_in_any_locale() {
    let sandbox = sandbox();
    for columns in [20, 30, 40, 60, 80, 120, 200] {
        for by in ["day", "alias", "session"] {
            let text = on_terminal(&sandbox, columns, &["--by", by]);
            let is_long = |word: &str| word.len() > columns.saturating_sub(11);
            for line in text.lines() {
                assert!(line.chars().count() <= columns || line.split(' ').any(is_long), "{columns}: {line}\n{text}");
            }
        }
    }
    let coloured = raw(&sandbox, 80, &[], &MARCH);
    assert!(coloured.contains("\u{1b}["), "{coloured}");
    let plain = anstream::adapter::strip_str(&coloured).to_string();
    assert!(plain.contains("█") && plain.contains("░"), "{plain}");
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        assert_eq!(raw(&sandbox, 80, &[(name, value)], &MARCH), plain, "{name}");
    }
    let ascii = raw(&sandbox, 80, &[("LC_ALL", "C"), ("NO_COLOR", "1")], &MARCH);
    assert_eq!(ascii, plain.replace('█', "#").replace('░', "."));
    assert!(ascii.is_ascii(), "{ascii}");
}

#[test]
fn names_cannot_control_the_terminal() {
    let sandbox = sandbox();
    write(&sandbox, &["a\u{1b}]0;x\u{7}\u{202e}b", "web"], &[]);
    for args in [&["--by", "alias"][..], &["--by", "alias", "--csv"], &["--by", "alias", "--json"]] {
        let text = march(&sandbox, args);
        assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{text}");
    }
    assert!(march(&sandbox, &["--by", "alias"]).contains(r"a\u{1b}]0;x\u{7}\u{202e}b"));
}
