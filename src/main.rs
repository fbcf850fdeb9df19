//! `act-claude`: starts Claude Code under the Agent Control Tower alias of the current directory.

use act_claude::claude::locate::Mark;

/// By which copies of this program are known.
#[used]
#[cfg_attr(target_os = "linux", allow(unsafe_code), unsafe(link_section = ".note.act-claude"))]
static MARK: Mark = Mark::OURS;

fn main() -> std::process::ExitCode {
    act_claude::run()
}
