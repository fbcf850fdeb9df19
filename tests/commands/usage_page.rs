//! `act usage --html`: the page in a real browser: it asks for nothing, runs nothing, fits a phone, and names stay text.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::network;
use crate::support::sandbox::{Sandbox, Text};
use crate::usage;

/// Writes the page of March.
fn page(sandbox: &Sandbox) -> PathBuf {
    let file = sandbox.home().join("usage.html");
    let args = ["act", "usage", "--since", "2025-03-01", "--until", "2025-03-31", "--html", "usage.html"];
    let output = sandbox.act_claude(&args).output().unwrap();
    assert_eq!((output.out().as_str(), output.err().as_str(), output.code()), ("Written: usage.html\n", "", 0));
    file
}

#[test]
fn the_file_is_private_and_takes_no_other_file_s_place() {
    let sandbox = usage::sandbox();
    for _ in 0..2 {
        let file = page(&sandbox);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    sandbox.write("notes.html", "mine");
    let output = sandbox.act_claude(&["act", "usage", "--html", "notes.html"]).output().unwrap();
    let said = "act-claude: act usage: --html: notes.html exists, and act usage did not write it: name another file, or: rm notes.html\n";
    assert_eq!((output.err().as_str(), output.code()), (said, 64));
    assert_eq!(std::fs::read_to_string(sandbox.home().join("notes.html")).unwrap(), "mine");
}

/// A browser that may use files and nothing else.
struct Browser {
    program: PathBuf,
    sandbox: Sandbox,
}

impl Browser {
    fn start() -> Option<Self> {
        let program = crate::support::program("chromium")?;
        network::isolate().then(|| Self { program, sandbox: Sandbox::new() })
    }

    /// The document after it was loaded, and what the console said.
    fn load(&self, file: &Path, flags: &[&str]) -> (String, Vec<String>) {
        let profile = self.sandbox.home().join("profile");
        let mut command = self.sandbox.command(&self.program);
        command.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            "--virtual-time-budget=3000",
        ]);
        command.args(["--hide-scrollbars", "--allow-file-access-from-files", "--dump-dom"]).args(flags);
        command.arg(format!("--user-data-dir={}", profile.display())).arg(format!("file://{}", file.display()));
        let output = command.output().unwrap();
        assert_eq!(output.code(), 0, "{}", output.err());
        let console = output.err().lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
        (output.out(), console)
    }
}

/// Whether somebody has connected.
fn was_reached(listener: &TcpListener) -> bool {
    listener.set_nonblocking(true).unwrap();
    let reached = listener.accept().is_ok();
    listener.set_nonblocking(false).unwrap();
    reached
}

#[test]
fn a_browser_shows_names_as_text_and_asks_for_nothing() {
    let Some(browser) = Browser::start() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/x", listener.local_addr().unwrap());
    let sandbox = usage::sandbox();
    let hostile = format!("\"><img src=\"{address}\" onerror=\"document.title='run'\">");
    let script = "</title></style><script>document.title='run'</script>".to_owned();
    usage::write(&sandbox, &[&hostile, &script], &[]);
    let file = page(&sandbox);
    let (document, console) = browser.load(&file, &[]);
    assert_eq!(console, [""; 0]);
    assert!(document.contains("<title>Use of Claude Code, Sat 1 Mar 2025 to Mon 31 Mar 2025</title>"), "{document}");
    assert!(document.contains("&lt;script&gt;document.title='run'&lt;/script&gt;"), "{document}");
    assert!(!document.contains("<img") && !document.contains("<script"), "{document}");
    assert!(!was_reached(&listener));

    // Were a name not text, the page's policy would still forbid the request and the script.
    let page = std::fs::read_to_string(&file).unwrap();
    let pierced = page.replace("<main>", &format!("<main>{hostile}<script>document.title='run'</script>"));
    std::fs::write(&file, &pierced).unwrap();
    let (document, console) = browser.load(&file, &[]);
    assert!(document.contains("<title>Use of") && document.contains("<img"), "{document}");
    assert!(console.iter().any(|line| line.contains("Content Security Policy")), "{console:?}");
    assert!(!was_reached(&listener));

    // Without the policy both happen: this test would notice them.
    std::fs::write(&file, pierced.replace("http-equiv=\"Content-Security-Policy\"", "")).unwrap();
    let serve = std::thread::spawn(move || drop(listener.accept()));
    let (document, _) = browser.load(&file, &[]);
    assert!(document.contains("<title>run</title>"), "{document}");
    serve.join().unwrap();
}

#[test]
fn nothing_is_wider_than_a_phone() {
    let Some(browser) = Browser::start() else { return };
    let sandbox = usage::sandbox();
    let long = "an-alias-with-a-name-that-is-much-longer-than-any-line-of-a-phone-could-ever-be";
    usage::write(&sandbox, &[long, &"w".repeat(200)], &[]);
    let file = page(&sandbox);
    let width = |content: &str| {
        std::fs::write(&file, content).unwrap();
        let frame = "<iframe src=\"usage.html\" style=\"width:WIDTHpx;height:800px;border:0\" onload=\"const root = \
                     this.contentDocument.documentElement; document.body.dataset.found = root.scrollWidth\"></iframe>";
        let found = |width: u32| {
            let wrapper = sandbox.write("wrapper.html", frame.replace("WIDTH", &width.to_string()));
            let (document, _) = browser.load(&wrapper, &[]);
            let (_, found) = document.split_once("data-found=\"").unwrap_or_else(|| panic!("{document}"));
            found.split('"').next().unwrap().parse::<u32>().unwrap()
        };
        [found(320), found(360), found(1000)]
    };
    let page = std::fs::read_to_string(&file).unwrap();
    assert_eq!(width(&page), [320, 360, 1000]);
    let wide = page
        .replace("<main>", "<main><pre>".to_owned().as_str())
        .replace("</main>", &format!("{}</pre></main>", "w ".repeat(400)));
    assert!(width(&wide)[1] > 360, "this test would notice it");
}
