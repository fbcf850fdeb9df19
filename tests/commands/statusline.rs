//! `act statusline` beside the user's own command.

use crate::support::sandbox::{Sandbox, Text};

#[test]
fn a_command_that_writes_without_end_is_cut_and_ends() {
    let sandbox = Sandbox::new();
    sandbox.configure_one("http://127.0.0.1:9/m");
    let output = sandbox.act_claude(&["act", "statusline", "--", "yes"]).output().unwrap();
    assert_eq!((output.code(), output.err()), (0, String::new()));
    assert!(output.out().starts_with("y\ny\n") && output.out().len() < 128 * 1024, "{}", output.out().len());
}
