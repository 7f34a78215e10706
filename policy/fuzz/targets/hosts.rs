//! Host patterns: a host that is accepted matches, and DNS can know it.
#![no_main]

use serde_json::json;
use telewarden_fuzz::input_with;

/// What a pattern means, by trying everything.
fn matches(pattern: &[&str], host: &[&str]) -> bool {
    match (pattern, host) {
        ([], []) => true,
        (["*", rest @ ..], [_, tail @ ..]) => matches(rest, tail) || matches(pattern, tail),
        ([label, rest @ ..], [first, tail @ ..]) => label == first && matches(rest, tail),
        _ => false,
    }
}

libfuzzer_sys::fuzz_target!(|texts: (&str, &str)| {
    let (pattern, host) = texts;
    // The slow one takes its time.
    if pattern.len() > 40 || host.len() > 300 || host.contains(['/', '?', '#', ':']) {
        return;
    }
    let settings = json!({"endpoints": {"hosts": [pattern]}});
    let options = json!({"url": format!("http://{host}/")});
    if input_with(&options, &settings).is_none() {
        return;
    }
    assert!(host.len() <= 253 && !host.starts_with('['));
    let filled = pattern
        .replace("{namespace}", "argocd")
        .replace("{application}", "argocd")
        .replace("{bucket}", "argocd")
        .replace("{clusterDomain}", "cluster.local");
    let (pattern, host): (Vec<_>, Vec<_>) = (filled.split('.').collect(), host.split('.').collect());
    assert!(matches(&pattern, &host), "{texts:?}");
    for label in host {
        assert!(
            (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-'),
            "{texts:?}"
        );
    }
});
