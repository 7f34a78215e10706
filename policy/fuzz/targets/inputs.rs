//! Inputs that are written in Telegraf's TOML.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| telewarden_fuzz::check_annotation("telegraf.influxdata.com/inputs", text));
