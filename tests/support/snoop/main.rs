//! A snooping process of the same user: as soon as it sees a relay, it tries every way to read its data. `snoop STOP
//! SECRET…` ends once the file STOP exists, and prints what it could read, one a line. Its ways are those of Linux.

#[cfg(target_os = "linux")]
mod linux;

fn main() {
    #[cfg(target_os = "linux")]
    linux::snoop();
}
