//! Exit statuses.

/// Exit status for a command line that can't be meant (sysexits' EX_USAGE).
pub const USAGE: u8 = 64;
/// Exit status where telemetry is required and can't be had (sysexits' EX_CONFIG).
pub const CONFIGURATION: u8 = 78;

/// An exit status, 0–255. std's can't be read, and the process is ended without std's runtime (see `main.rs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitCode(u8);

impl ExitCode {
    /// 0
    pub const SUCCESS: Self = Self(0);
    /// 1
    pub const FAILURE: Self = Self(1);
}

impl From<u8> for ExitCode {
    fn from(code: u8) -> Self {
        Self(code)
    }
}

impl From<ExitCode> for i32 {
    fn from(code: ExitCode) -> Self {
        code.0.into()
    }
}
