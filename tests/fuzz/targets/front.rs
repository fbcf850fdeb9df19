#![no_main]

#[path = "../../properties/spelled.rs"]
mod spelled;
#[path = "../../properties/front.rs"]
mod front;

libfuzzer_sys::fuzz_target!(|data: &[u8]| front::check(data));
