//! Who could still send something: processes that carry this relay's endpoint in their environment, such as
//! the daemon an old client leaves behind.

/// Whether any process but this one carries `secret` in its environment.
#[cfg(target_os = "linux")]
pub fn any(secret: &str) -> bool {
    let own = std::process::id();
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    processes.flatten().any(|entry| {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { return false };
        pid != own
            && std::fs::read(entry.path().join("environ"))
                .is_ok_and(|environ| environ.windows(secret.len()).any(|window| window == secret.as_bytes()))
    })
}

/// Elsewhere `ps` shows the environments of the user's own processes.
#[cfg(not(target_os = "linux"))]
pub fn any(secret: &str) -> bool {
    let output = std::process::Command::new("/bin/ps").args(["-axwwE", "-o", "pid=,command="]).output();
    let own = std::process::id().to_string();
    output.is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .any(|line| line.contains(secret) && line.split_ascii_whitespace().next() != Some(&own))
    })
}
