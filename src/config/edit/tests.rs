use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::*;

fn edited(text: &str, changes: &[Change]) -> String {
    text::apply(Path::new("c.json"), text, changes).expect("the text is JSON")
}

fn account() -> Value {
    json!({"endpoint": "https://act.example/metric-ingestion/v1/acme/otlp/public/metrics", "user": "dev@acme.com",
           "token": {"command": ["secret-tool", "lookup", "service", "act-claude"]}})
}

#[test]
fn a_byte_order_mark_stays_where_it_is() {
    assert_eq!(
        edited("\u{feff}{\"default\": \"a\"}", &[Change::set(["default"], "b")]),
        "\u{feff}{\"default\": \"b\"}"
    );
}

#[test]
fn a_new_file_is_laid_out_for_reading() {
    let changes = [
        Change::set(["accounts", "acme"], account()),
        Change::set(["aliases", "billing"], json!({"account": "acme", "id": "id-1", "provider_type": "P"})),
        Change::set(["aliases", "web"], json!({"account": "acme", "id": "id-2", "provider_type": "P"})),
        Change::set(["directories", "~/work/billing"], "billing"),
        Change::set(["default"], Value::Null),
    ];
    assert_eq!(
        edited("", &changes),
        r#"{
  "accounts": {
    "acme": {
      "endpoint": "https://act.example/metric-ingestion/v1/acme/otlp/public/metrics",
      "user": "dev@acme.com",
      "token": { "command": ["secret-tool", "lookup", "service", "act-claude"] }
    }
  },
  "aliases": {
    "billing": { "account": "acme", "id": "id-1", "provider_type": "P" },
    "web": { "account": "acme", "id": "id-2", "provider_type": "P" }
  },
  "directories": {
    "~/work/billing": "billing"
  },
  "default": null
}
"#
    );
}

#[test]
fn everything_else_stays_as_it_is_written() {
    let before = "{ \"accounts\": {},\r\n\t\"aliases\":  {\"b\" : {\"id\":\"1\",  \"n\": 1.50},\r\n\t            \"a\" : { }},\r\n\
                  \t\"directories\": { \"~/b\": \"b\",   \"\\u0061\": null } }";
    let cases: [(&[Change], &str, &str); 8] = [
        (&[Change::set(["aliases", "b", "id"], "2")], r#""id":"1""#, r#""id":"2""#),
        (&[Change::set(["aliases", "b", "n"], json!(1.5))], "", ""),
        (&[Change::set(["aliases", "b", "x"], json!([1]))], "1.50}", "1.50, \"x\": [1]}"),
        (&[Change::set(["aliases", "c"], json!({}))], "{ }}", "{ },\r\n\t            \"c\": {}}"),
        (&[Change::set(["directories", "~/c"], "b")], "null }", "null, \"~/c\": \"b\" }"),
        (&[Change::remove(["aliases", "b"])], "{\"b\" : {\"id\":\"1\",  \"n\": 1.50},\r\n\t            ", "{"),
        (&[Change::remove(["directories", "a"])], ",   \"\\u0061\": null", ""),
        (&[Change::remove(["directories", "none"]), Change::remove(["none", "none"])], "", ""),
    ];
    for (changes, from, to) in cases {
        assert_eq!(edited(before, changes), before.replacen(from, to, 1), "{changes:?}");
    }
    // A long line is not made longer: the entry goes on a line below its sibling.
    let long = format!("{{\n  \"directories\": {{ \"~/{}\": \"b\" }}\n}}\n", "x".repeat(70));
    let after = edited(&long, &[Change::set(["directories", "~/another"], "b")]);
    assert_eq!(after, long.replace("\"b\" }", "\"b\",\n                   \"~/another\": \"b\" }"));
    assert_eq!(edited("{\"a\": {\"b\": 1}}", &[Change::remove(["a", "b"])]), "{\"a\": {}}");
}

/// A member that is set is there afterwards, and nothing else has changed, whatever the text looks like.
#[test]
fn an_edit_means_what_it_says() {
    let texts = [
        "{}",
        "{ }",
        "{\n}\n",
        "{\"a\":{\"b\":{\"c\":1}}}",
        "{\n    \"a\": {\n        \"b\": {\n            \"c\": 1\n        }\n    }\n}\n",
        "{ \"x}\": \"a\\\"{\", \"a\":\n{ \"b\"\n: {} } }",
    ];
    for text in texts {
        for path in [&["a"][..], &["a", "b"], &["a", "b", "c"], &["a", "n", "e"], &["x}"], &["\"q\n"]] {
            for value in [json!(null), json!("ä\"\n"), json!({"k": {"l": [1, {"m": 2}]}}), json!({})] {
                let mut expected: Value = serde_json::from_str(text).unwrap();
                let mut at = &mut expected;
                for key in path {
                    at = at.as_object_mut().unwrap().entry(*key).or_insert_with(|| json!({}));
                }
                *at = value.clone();
                let after = edited(text, &[Change::set(path.iter().copied(), value.clone())]);
                assert_eq!(
                    serde_json::from_str::<Value>(&after).unwrap(),
                    expected,
                    "{text} {path:?} {value}: {after}"
                );
                let again = edited(&after, &[Change::set(path.iter().copied(), value)]);
                assert_eq!(again, after, "a second time changes nothing");

                let mut expected: Value = serde_json::from_str(&after).unwrap();
                let (last, above) = path.split_last().unwrap();
                let parent = above.iter().fold(&mut expected, |at, key| at.get_mut(*key).unwrap());
                parent.as_object_mut().unwrap().shift_remove(*last);
                let gone = edited(&after, &[Change::remove(path.iter().copied())]);
                assert_eq!(serde_json::from_str::<Value>(&gone).unwrap(), expected, "{after} without {path:?}: {gone}");
            }
        }
    }
}

#[test]
fn what_is_in_the_way_is_named_with_its_place() {
    let fault = |text| text::apply(Path::new("c.json"), text, &[Change::set(["a", "b"], "x")]).unwrap_err().to_string();
    assert_eq!(fault("{\n  \"a\": 5 }"), "c.json:2:8: a must be an object, not 5");
    assert_eq!(fault("{\"a\": {},}"), "c.json:1:9: not valid JSON (trailing comma): remove this comma");
}

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn commit(&self, changes: &[Change]) -> Result<Edited, String> {
        let environment = [("HOME", self.0.path())].into_iter().collect();
        commit(&environment, changes).map_err(|refused| refused.to_string())
    }
    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
    fn mode(&self, name: &str) -> u32 {
        std::fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o7777
    }
}

const CONFIG: &str = ".config/act-claude/config.json";
const BACKUP: &str = ".config/act-claude/config.json.bak";

#[test]
fn a_commit_is_private_backed_up_and_repeatable() {
    let home = Home::new();
    let first = home.commit(&[Change::set(["accounts", "acme"], account())]).unwrap();
    assert_eq!(first, Edited { path: home.path(CONFIG), changed: true, backup: None });
    assert_eq!((home.mode(CONFIG), home.mode(".config/act-claude")), (0o600, 0o700));
    let before = home.text(CONFIG);

    let alias = json!({"account": "acme", "id": "id-1", "provider_type": "P"});
    let second = home.commit(&[Change::set(["aliases", "billing"], alias.clone())]).unwrap();
    assert_eq!(second.backup, Some(home.path(BACKUP)));
    assert_eq!((home.text(BACKUP), home.mode(BACKUP)), (before, 0o600));
    let after = home.text(CONFIG);
    let third = home.commit(&[Change::set(["aliases", "billing"], alias)]).unwrap();
    assert!(!third.changed && third.backup.is_none());
    assert_eq!(home.text(CONFIG), after);
    assert_eq!(std::fs::read_dir(home.path(".config/act-claude")).unwrap().count(), 2, "no temporary file is left");
}

#[test]
fn what_the_reader_refuses_is_not_written() {
    let home = Home::new();
    home.commit(&[Change::set(["accounts", "acme"], account())]).unwrap();
    let before = home.text(CONFIG);
    for (change, expected) in [
        (Change::set(["directories", "~/x"], "none"), "there is no alias \"none\""),
        (Change::set(["accounts", "acme", "endpoint"], "http://act.example/m"), "would send the token unencrypted"),
        (Change::set(["acounts"], json!({})), "did you mean \"accounts\"?"),
    ] {
        let refused = home.commit(&[Change::set(["report"], "never"), change]).unwrap_err();
        assert!(refused.contains(expected) && refused.starts_with("nothing was changed: "), "{refused}");
        assert_eq!(home.text(CONFIG), before);
    }
    // A fault that the file has already is reported with its place; a change that corrects it is accepted.
    let faulty = before.replace("{\n  \"accounts\"", "{\n  \"defualt\": null,\n  \"accounts\"");
    std::fs::write(home.path(CONFIG), &faulty).unwrap();
    let refused = home.commit(&[Change::set(["report"], "never")]).unwrap_err();
    assert!(refused.contains(&format!("{}:2:3: unknown key \"defualt\"", home.path(CONFIG).display())), "{refused}");
    assert_eq!(home.text(CONFIG), faulty);
    home.commit(&[Change::remove(["defualt"])]).unwrap();
    assert_eq!(home.text(CONFIG), before);
}

#[test]
fn a_symbolic_link_stays_one() {
    let home = Home::new();
    std::fs::create_dir_all(home.path(".config/act-claude")).unwrap();
    std::fs::create_dir(home.path("dotfiles")).unwrap();
    std::fs::write(home.path("dotfiles/act.json"), "{}\n").unwrap();
    std::os::unix::fs::symlink(home.path("dotfiles/act.json"), home.path(CONFIG)).unwrap();
    home.commit(&[Change::set(["report"], "never")]).unwrap();
    assert!(std::fs::symlink_metadata(home.path(CONFIG)).unwrap().is_symlink());
    assert_eq!(home.text("dotfiles/act.json"), "{\n  \"report\": \"never\"\n}\n");
    assert_eq!(home.text(BACKUP), "{}\n");
}

#[test]
fn directories_are_written_with_a_tilde() {
    let environment = [("HOME", "/home/u")].into_iter().collect();
    let key = |path: &str| directory_key(Path::new(path), &environment);
    assert_eq!(key("/home/u/work/a"), "~/work/a");
    assert_eq!(key("/home/u"), "~");
    assert_eq!(key("/home/user2"), "/home/user2");
}

/// A no-break space may be part of a name, but JSON does not allow it between members.
#[test]
fn a_new_line_begins_with_white_space_of_json_only() {
    for space in ['\u{a0}', '\u{85}', '\u{3000}'] {
        let long = format!("{space}{}", "x".repeat(100));
        let before = format!("{{\"{long}\": 1,\t\"directories\": {{\"~/a\": \"b\"}}}}");
        let after = edited(&before, &[Change::set(["directories", "~/c"], "b")]);
        let expected: Value = json!({long: 1, "directories": {"~/a": "b", "~/c": "b"}});
        assert!(after.contains('\n'), "{after}");
        assert_eq!(serde_json::from_str::<Value>(&after).ok(), Some(expected), "{after}");
    }
}
