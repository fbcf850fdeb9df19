#![no_main]

#[path = "../../properties/spelled.rs"]
mod spelled;
#[path = "../../properties/arguments.rs"]
mod arguments;

libfuzzer_sys::fuzz_target!(|data: &[u8]| arguments::check(data));
