//! Exit statuses.

/// Exit status for an invalid command line (sysexits' EX_USAGE).
pub const USAGE: u8 = 64;
/// Exit status where telemetry is required and not possible (sysexits' EX_CONFIG).
pub const CONFIGURATION: u8 = 78;

/// An exit status, 0–255. The value of std's type can't be read, and the process ends without std's runtime (see `main.rs`).
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
