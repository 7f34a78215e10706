//! The annotation's YAML.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    telewarden_fuzz::check_annotation("telegraf.influxdata.com/rubin-telegraf-operator", text);
});
