#![no_main]

#[path = "../../tests/properties/answer.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|input: &[u8]| property::holds(input));
