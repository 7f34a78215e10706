//! Several tenants with a history: what one of them does changes nothing for another.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| telewarden_fuzz::histories::check(text));
