//! Patterns of filters: one that is accepted is written as it is, and holds nothing that a Telegraf panics at.
#![no_main]

use serde_json::{Value, json};
use telewarden_fuzz::input_with;

libfuzzer_sys::fuzz_target!(|pattern: &str| {
    let options = json!({"tagexclude": [pattern], "tagdrop": {"code": [pattern]}});
    let Some(input) = input_with(&options, &Value::Null) else {
        return;
    };
    assert_eq!(input["tagexclude"][0].as_str(), Some(pattern));
    assert_eq!(input["tagdrop"]["code"][0].as_str(), Some(pattern));
    assert!(pattern.len() <= 256);
    let mut chars = pattern.chars();
    let mut is_open = false;
    let mut before = ' ';
    let mut stars_outside = 0;
    while let Some(c) = chars.next() {
        let is_empty = is_open && matches!((before, c), ('{' | ',', ',' | '}'));
        assert!(!is_empty, "{pattern}");
        before = c;
        match c {
            '\\' => {
                chars.next();
            }
            // Up to the end of a class all characters are its members.
            '[' => {
                chars.find(|c| *c == ']');
            }
            '{' => is_open = true,
            '}' => is_open = false,
            '*' => stars_outside += usize::from(!is_open),
            _ => {}
        }
    }
    assert!(stars_outside <= 3, "{pattern}");
});
