//! What Kubewarden sends: any bytes are answered, and what goes away is let go.
#![no_main]

use serde_json::value::RawValue;
use telewarden_policy::admission::validate;

libfuzzer_sys::fuzz_target!(|payload: &[u8]| {
    let answer = validate(payload);
    assert_eq!(answer.accepted, answer.code.is_none());
    assert_eq!(answer.accepted, answer.message.is_none());
    if let Ok(object) = serde_json::from_slice::<&RawValue>(payload) {
        let deletion = format!(r#"{{"request":{{"uid":"1","operation":"DELETE","oldObject":{object}}}}}"#);
        assert!(validate(deletion.as_bytes()).accepted);
    }
});
