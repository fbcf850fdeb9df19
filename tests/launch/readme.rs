//! README's "Set up by hand", followed literally in an empty home, ends in a delivered export.

use std::io::Write;
use std::process::Stdio;

use crate::support::act::{self, Act};
use crate::support::fake_claude;
use crate::support::sandbox::{Sandbox, TOKEN, Text};

#[test]
fn set_up_by_hand() {
    let readme = include_str!("../../README.md");
    let section = readme.split("\n## Set up by hand\n").nth(1).expect("the section");
    let block = section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("its commands");
    assert!(block.contains("https://agentcontroltower.boomi.com/"), "the real URL");

    let act = Act::start();
    let mut sandbox = Sandbox::new();
    fake_claude::install(&mut sandbox, "print hello\npost\nexit 0");
    sandbox.path_first(crate::support::act_claude().parent().unwrap());
    sandbox.set("ACT_CLAUDE_REPORT", "always");
    sandbox.directory("work/billing");
    let script = block.replace("https://agentcontroltower.boomi.com", &act.origin());
    let mut shell = sandbox
        .command("sh")
        .args(["-eu", "-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    shell.stdin.take().unwrap().write_all(format!("{TOKEN}\n").as_bytes()).unwrap();
    let output = shell.wait_with_output().unwrap();
    assert_eq!(output.code(), 0, "{}", output.err());
    assert!(output.out().contains("alias      billing\n") && output.out().ends_with("hello\n"), "{}", output.out());
    // The first session of an alias says where to see it in ACT.
    let said = output.err();
    assert!(said.starts_with("act-claude: billing: 1 export delivered (2 points)\n"), "{said}");
    assert!(said.ends_with("AI Agent Registry → Agents → Aliases: Monitoring: Active\n"), "{said}");
    let request = &act.wait_for(1)[0];
    assert_eq!(request.header("x-alias-id"), Some("EXT-ACCOUNT-ALIAS-ID"));
    assert_eq!(act::credential(request), format!("BOOMI_TOKEN.you@example.com:{TOKEN}"));
    assert_eq!(act::resource_attributes(&request.json())["providerType"], "PROVIDER-TYPE");
}
