//! Intervals and timeouts: what is accepted is written as Go reads it, and is within the bounds.
#![no_main]

use serde_json::{Value, json};
use telewarden_fuzz::{go_duration, input_with};

libfuzzer_sys::fuzz_target!(|texts: (&str, &str)| {
    let options = json!({"interval": texts.0, "timeout": texts.1});
    let Some(input) = input_with(&options, &Value::Null) else {
        return;
    };
    let read = |name: &str| go_duration(input[name].as_str().expect("text")).expect("a duration of Go");
    let (interval, timeout) = (read("interval"), read("timeout"));
    assert!((10.0..=86400.0).contains(&interval), "{texts:?}");
    assert!((0.1..=60.0).contains(&timeout) && timeout <= interval, "{texts:?}");
});
