use crate::support::client::{self, Lab};
use crate::support::sandbox::Text;

#[test]
fn smoke() {
    for version in client::BOTH {
        let Some(lab) = Lab::start(version, &["project"]) else { return };
        lab.sandbox.configure_one(&lab.act.endpoint());
        let bare = lab.claude("project", &["-p", "hi"]).output().unwrap();
        assert_eq!((bare.out().as_str(), bare.code()), ("hello there\n", 0), "{}", bare.err());
        let ours = lab.act_claude("project", &["-p", "hi", "--report", "always"]).output().unwrap();
        assert_eq!((ours.out(), ours.code()), (bare.out(), 0), "{}", ours.err());
        println!("{}", ours.err());
        lab.act.wait_for(1);
    }
}
