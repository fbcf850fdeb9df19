//! `act demo` with both real clients, in a network without access to the outside.

use crate::support::client::{self, Lab};
use crate::support::sandbox::{Text, snapshot};

#[test]
fn the_real_client_runs_in_the_demo() {
    for version in client::BOTH {
        let Some(mut lab) = Lab::start(version, &[]) else { return };
        let temporary = lab.sandbox.root().join("tmp");
        std::fs::create_dir(&temporary).unwrap();
        lab.sandbox.set("TMPDIR", &temporary);
        // The user's own variable: the demo must not contact this address and must change no file.
        lab.sandbox.set("ANTHROPIC_BASE_URL", "http://127.0.0.1:9");
        let before = snapshot(&lab.sandbox.home());
        let output = lab.sandbox.act_claude(&["act", "demo"]).output().unwrap();
        let text = output.out();
        assert_eq!((output.code(), output.err()), (0, String::new()), "{text}");
        assert!(
            text.contains("real one; a") && text.contains("act-claude: shop: 1 export delivered (7 points)"),
            "{text}"
        );
        assert!(
            text.contains("All that claude sent has arrived, under the right alias: 2 sessions, 2 exports,"),
            "{text}"
        );
        assert_eq!(snapshot(&lab.sandbox.home()), before);
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
        assert_eq!(lab.messages.turns(), 0);

        let output = lab.sandbox.act_claude(&["act", "demo", "--fail", "401"]).output().unwrap();
        assert_eq!(output.code(), 0, "{}", output.out());
        assert!(output.out().contains("  fix    act-claude act setup --account acme\n"), "{}", output.out());

        let output = lab.sandbox.act_claude(&["act", "demo", "--drop"]).output().unwrap();
        assert_eq!(output.code(), 1, "{}", output.out());
        assert!(output.out().contains("  - billing: tokens: sent 15, received 0\n"), "{}", output.out());
    }
}
