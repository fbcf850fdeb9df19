#![no_main]

#[path = "../../properties/spelled.rs"]
mod spelled;
#[path = "../../properties/log.rs"]
mod log;

libfuzzer_sys::fuzz_target!(|data: &[u8]| log::check(data));
