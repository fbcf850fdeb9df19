#![no_main]

#[path = "../../properties/proxies.rs"]
mod proxies;
#[path = "../../properties/spelled.rs"]
mod spelled;

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxies::check(data));
