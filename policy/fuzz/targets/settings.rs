//! The administrator's settings: they are refused, or an Application renders with them.
#![no_main]

use serde_json::Value;
use telewarden_fuzz::{application, rendered};
use telewarden_policy::admission::validate_settings;
use telewarden_policy::diagnostic::Diagnostic;

libfuzzer_sys::fuzz_target!(|document: &[u8]| {
    let answer = validate_settings(document);
    assert!(answer.valid || answer.message.is_some());
    let Ok(settings) = serde_json::from_slice::<Value>(document) else {
        return;
    };
    let application = application(
        "telegraf.influxdata.com/rubin-telegraf-operator",
        "redis: http://redis.argocd.svc:9121/metrics",
    );
    let rendered = rendered(&application, &settings);
    assert_eq!(answer.valid, !rendered.diagnostics.iter().any(Diagnostic::is_error));
    let sources = rendered.sources.iter().map(|source| &source.rendered);
    for configuration in sources.chain(&rendered.shared).flat_map(|rendered| &rendered.configurations) {
        for text in configuration.files.values() {
            text.parse::<toml::Table>().expect("TOML");
        }
    }
});
