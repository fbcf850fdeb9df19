//! The page at 80 and at 40 columns.

use super::*;
use crate::state::session::sample::session;
use crate::state::total::Total;

fn page(width: usize) -> Page {
    Page { width, zone: TimeZone::UTC, home: Some("/home/dev".into()), here: None }
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn sessions() -> [Session; 3] {
    let mut delivered = session("3", &[(State::Delivered, 14)]);
    let total = |value, unit: &str| Total { value, unit: unit.to_owned(), ..Total::default() };
    delivered.record.kind = LaunchKind::Supervised;
    delivered.record.totals.insert("claude_code.cost.usage".to_owned(), total(0.4242, "USD"));
    delivered.record.totals.insert("claude_code.token.usage".to_owned(), total(48210.0, "tokens"));
    let held = session("2", &[(State::Held, 3)]);
    let mut running = session("1", &[(State::Delivered, 1)]);
    running.record.start = "2026-11-23T09:00:00Z".parse().unwrap();
    (running.record.end, running.live, running.running) = (None, true, true);
    running.record.alias = Some("web".to_owned());
    running.record.directory = "/srv/web".into();
    [delivered, held, running]
}

#[test]
fn sessions_by_day() {
    assert_eq!(
        plain(&page(80).sessions(&sessions())),
        "\
Time   Alias    State      Exports  Points  Tokens   Cost
Tue 24 Nov 2026
18:02  billing  delivered       14     210  48,210  $0.42
       ~/work/billing, claude 2.1.330, 12m00s
18:02  billing  held             3      45       -      -
       ~/work/billing, claude 2.1.330, in the background or an editor, 12m00s
       3 exports held: ACT answered 401 Unauthorized. The API token or its user
       is wrong: act-claude act setup --account acme

Mon 23 Nov 2026
09:00  web      running          1      15       -      -
       /srv/web, claude 2.1.330, in the background or an editor
"
    );
}

#[test]
fn each_value_has_its_line_where_there_is_no_room() {
    assert_eq!(
        plain(&page(40).sessions(&sessions()[..2])),
        "\
Tue 24 Nov 2026
Time: 18:02
  Alias: billing
  State: delivered
  Exports: 14
  Points: 210
  Tokens: 48,210
  Cost: $0.42
  ~/work/billing, claude 2.1.330, 12m00s

Time: 18:02
  Alias: billing
  State: held
  Exports: 3
  Points: 45
  ~/work/billing, claude 2.1.330, in the
  background or an editor, 12m00s
  3 exports held: ACT answered 401
  Unauthorized. The API token or its
  user is wrong: act-claude act setup
  --account acme
"
    );
}

#[test]
fn what_went_elsewhere_says_so() {
    let mut redirected = session("1", &[]);
    redirected.record.redirected_by = Some("env.X in s.json".to_owned());
    redirected.record.problem = Some(crate::state::outcome::Problem {
        said: "no export arrived: exports go to https://x".to_owned(),
        cause: "A setting overrides it".to_owned(),
        fix: "remove env.X from s.json".to_owned(),
        code: 78,
    });
    let text = plain(&page(80).sessions(&[redirected]));
    assert!(text.contains("18:02  billing  went elsewhere        -       -       -     -\n"), "{text}");
    let words =
        "no export arrived: exports go to https://x. A setting overrides it:\n       remove env.X from s.json\n";
    assert!(text.ends_with(words), "{text}");
}

/// A relay lives longer than its claude: "running" is said of claude.
#[test]
fn only_what_runs_is_running() {
    let line = |live, running, state: State| {
        let mut session = session("1", &[(state, 1)]);
        (session.record.end, session.live, session.running) = (None, live, running);
        let text = plain(&page(usize::MAX).sessions(&[session]));
        let words = ["running", "claude has ended, its relay still runs"];
        (text.lines().nth(2).unwrap().split("  ").nth(2).unwrap().to_owned(), words.map(|words| text.contains(words)))
    };
    assert_eq!(line(true, true, State::Delivered), ("running".to_owned(), [true, false]));
    assert_eq!(line(true, false, State::Delivered), ("delivered".to_owned(), [false, true]));
    assert_eq!(line(true, false, State::UnderWay), ("under way".to_owned(), [false, true]));
    assert_eq!(line(true, true, State::Held), ("held".to_owned(), [true, false]), "with \"still running\" below");
    assert_eq!(line(false, false, State::Delivered), ("delivered".to_owned(), [false, false]));
}

#[test]
fn no_line_is_wider_than_the_page() {
    for width in 40..200 {
        let text = plain(&page(width).sessions(&sessions()));
        assert!(text.lines().all(|line| page::columns(line) <= width), "{width}\n{text}");
    }
}
