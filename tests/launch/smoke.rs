use crate::support::{
    act::{self, Act},
    fake_claude,
    pty::Pty,
    sandbox::{Sandbox, Text},
};

#[test]
fn smoke() {
    let act = Act::start();
    let mut sandbox = Sandbox::new();
    sandbox.configure_one(&act.endpoint());
    fake_claude::install(&mut sandbox, "print hi\npost\nexit 3");
    let output = sandbox.act_claude(&["--report", "always", "-p", "hi"]).output().unwrap();
    assert_eq!((output.out().as_str(), output.code()), ("hi\n", 3), "{}", output.err());
    let request = &act.wait_for(1)[0];
    assert_eq!(act::credential(request), "BOOMI_TOKEN.dev@acme.com:canary-51f0a9c2-token");
    assert_eq!(output.err(), "act-claude: billing: 1 export delivered (2 points)\n");
    let mut pty = Pty::start(sandbox.act_claude(&["-p", "hi"]));
    let (status, screen) = pty.finish();
    assert_eq!((status.code(), screen.as_str()), (Some(3), "hi\nact-claude: billing: 1 export delivered (2 points)"));
}
