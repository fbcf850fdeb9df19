#![no_main]

#[path = "../../properties/spelled.rs"]
mod spelled;
#[path = "../../properties/settings.rs"]
mod settings;

libfuzzer_sys::fuzz_target!(|data: &[u8]| settings::check(data));
