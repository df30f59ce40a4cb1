#![no_main]

#[path = "../../src/cli/markdown/mod.rs"]
mod markdown;
#[path = "../../tests/properties/markdown.rs"]
mod property;

use markdown::Rendered;

libfuzzer_sys::fuzz_target!(|input: &[u8]| property::holds(input));
