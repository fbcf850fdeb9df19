#![no_main]

#[path = "../../properties/spelled.rs"]
mod spelled;
#[path = "../../properties/configuration.rs"]
mod configuration;

libfuzzer_sys::fuzz_target!(|data: &[u8]| configuration::check(data));
