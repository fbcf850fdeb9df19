use super::*;
use crate::rehearsal::receiver::answer::Refusal;

fn page(width: usize) -> Page {
    Page { width, zone: TimeZone::UTC }
}

fn shown(width: usize, export: Export) -> String {
    anstream::adapter::strip_str(&page(width).event(&Event::Export(Box::new(export)))).to_string()
}

#[test]
fn an_accepted_export_at_80_columns() {
    assert_eq!(
        shown(80, sample::export(Answer::Accepted)),
        "\
09:41:07  200 accepted  a1  acme-A1B2C3  dev@acme.com
  CUSTOM_PROVIDER  operation=InvokeAgent  promptType=Interactive  +4 more
  claude_code.session.count            1
  claude_code.cost.usage         0.00014 USD     claude-opus-5-5
  claude_code.token.usage             15 tokens  input 10, output 5
  claude_code.active_time.total    0.247 s       cli
  claude_code.commit.count             2
"
    );
}

#[test]
fn narrow_and_wide() {
    assert_eq!(
        shown(44, sample::export(Answer::Accepted)),
        "\
09:41:07  200 accepted  a1  acme-A1B2C3
  CUSTOM_PROVIDER  +6 more
  claude_code.session.count  1
  claude_code.cost.usage  0.00014 USD
      claude-opus-5-5
  claude_code.token.usage  15 tokens
      input 10, output 5
  claude_code.active_time.total  0.247 s
      cli
  claude_code.commit.count  2
"
    );
    let narrow = shown(30, sample::export(Answer::Accepted));
    assert!(narrow.starts_with("09:41:07  200 accepted  a1\n  acme-A1B2C3\n"), "{narrow}");
    assert!(narrow.contains("  claude_code.token.usage\n      15 tokens\n      input 10, output 5\n"), "{narrow}");
    let wide = shown(160, sample::export(Answer::Accepted));
    assert!(
        wide.contains(
            "  CUSTOM_PROVIDER  operation=InvokeAgent  promptType=Interactive  team=payments  host.arch=amd64  \
             os.type=linux  service.name=claude-code\n"
        ),
        "{wide}"
    );
}

#[test]
fn a_refusal_says_status_message_and_cause() {
    let mut refused = sample::export(Answer::Refused(Refusal::foreign_alias(
        "alias 0f0f0f0f-0000-4000-8000-0f0f0f0f0f0f is account other-Z9Y8X7's, the endpoint is acme-A1B2C3's",
    )));
    refused.payload = None;
    assert_eq!(
        shown(80, refused),
        "\
09:41:07  400 refused  a1  acme-A1B2C3  dev@acme.com
  Alias does not belong to the specified account
  alias 0f0f0f0f-0000-4000-8000-0f0f0f0f0f0f is account other-Z9Y8X7's, the
  endpoint is acme-A1B2C3's
"
    );
}

#[test]
fn no_answer_partial_and_strays() {
    let head = |text: String| text.lines().take(2).map(str::to_owned).collect::<Vec<_>>();
    let mut silent = sample::export(Answer::Silence);
    silent.alias = None;
    assert_eq!(head(shown(80, silent))[0], "09:41:07  no answer  no alias  acme-A1B2C3  dev@acme.com");
    let partial = Answer::Partial { rejected: 3, message: "3 points rejected".to_owned() };
    assert_eq!(
        head(shown(80, sample::export(partial))),
        ["09:41:07  200 partial  a1  acme-A1B2C3  dev@acme.com", "  3 points rejected"]
    );
    let received = sample::export(Answer::Accepted).received;
    let stray = Stray { received, method: "GET".to_owned(), path: "/x\u{1b}[2J".to_owned(), status: 404 };
    assert_eq!(
        anstream::adapter::strip_str(&page(80).event(&Event::Stray(stray))).to_string(),
        "09:41:07  404  GET /x\\u{1b}[2J: not a metrics endpoint\n"
    );
}

#[test]
fn colours_mark_the_outcome() {
    let line = |answer| page(80).event(&Event::Export(Box::new(sample::export(answer))));
    assert!(line(Answer::Accepted).contains("\u{1b}[32m200 accepted\u{1b}[0m"));
    assert!(line(Answer::Refused(Refusal::unauthorized("x"))).contains("\u{1b}[31m401 refused\u{1b}[0m"));
}

#[test]
fn what_arrives_cannot_steer_the_terminal() {
    let mut export = sample::export(Answer::Accepted);
    export.alias = Some("a\u{1b}]0;x\u{7}\n\u{202e}b".to_owned());
    let resource = &mut export.payload.as_mut().unwrap().resources[0];
    resource.attributes.insert("providerType".to_owned(), "P\u{9b}31m".into());
    resource.metrics[0].name = "n\rm".to_owned();
    let text = page(80).event(&Event::Export(Box::new(export)));
    let text = anstream::adapter::strip_str(&text).to_string();
    assert!(text.contains(r"a\u{1b}]0;x\u{7}\n\u{202e}b"), "{text}");
    assert!(text.contains(r"P\u{9b}31m") && text.contains(r"n\rm"), "{text}");
}
