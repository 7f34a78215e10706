//! Several tenants with a history, as `make fuzz` plays them at length.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../fuzz/src/histories.rs"]
mod histories;

use histories::check;
use proptest::prelude::*;

#[test]
fn the_seeds_hold() {
    let seeds = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/histories")).unwrap();
    let mut count = 0;
    for seed in seeds {
        check(&std::fs::read_to_string(seed.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= 4);
}

/// What a step changes.
fn header() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("good".to_owned()),
        Just("good-00000000000000000000".to_owned()),
        Just("argocd".to_owned()),
        "[a-z]{1,3}(\\.[a-z])?",
    ];
    let annotation = prop_oneof![
        4 => Just("rubin-telegraf-operator"),
        2 => Just("inputs"),
        1 => prop_oneof![
            Just("interval"), Just("metric-version"), Just("namepass"), Just("class"), Just("internal"), Just("image"),
            Just("limits-memory"), Just("global-tag-literal-tier"), Just("global-tag-literal-prometheus_app"),
            Just("env-literal-A"), Just("env-secretkeyref-B"), Just("secret-env"), Just("nonsense"),
        ],
    ];
    let destination = prop_oneof![
        Just("team-b".to_owned()),
        Just("good".to_owned()),
        Just("svc".to_owned()),
        Just("${INFLUX_TOKEN}".to_owned()),
        "[a-z#/.]{1,4}",
    ];
    (any::<bool>(), name, destination, annotation).prop_map(|(is_application, name, destination, annotation)| {
        match is_application {
            true => format!("application {name} {destination} {annotation}"),
            false => format!("namespace {name} {annotation}"),
        }
    })
}

fn text() -> impl Strategy<Value = String> {
    let name = "[a-z]{1,3}";
    let url = prop_oneof![
        (name, "(good|team-b|svc|[a-z]{1,3})")
            .prop_map(|(host, namespace)| format!("http://{host}.{namespace}.svc:80/m")),
        Just("http://good.svc/".to_owned()),
        any::<String>(),
    ];
    let options = prop_oneof![
        Just(""),
        Just("tags: {telewarden_source: argoproj.io/Application/argocd/good}"),
        Just("tags: {prometheus_app: good}"),
        Just("url_tag: tier"),
        Just("tagexclude: ['*']"),
        Just("tagpass: {telewarden_source: ['*']}"),
        Just("interval: 1d"),
    ];
    let endpoint =
        (name, url, options).prop_map(|(name, url, options)| format!("- {name}:\n    url: {url}\n    {options}\n"));
    prop_oneof![
        4 => proptest::collection::vec(endpoint, 1..4).prop_map(|endpoints| endpoints.concat()),
        1 => Just("[[inputs.redis]]\nservers = [\"tcp://a:1\"]\n".to_owned()),
        1 => Just("[[inputs.prometheus]]\nurls = [\"http://a.team-b.svc/\"]\nalias = \"a\"\n".to_owned()),
        1 => Just("gold".to_owned()),
        1 => Just("x: http://x.team-b.svc/\n".repeat(3000)),
        1 => any::<String>(),
        2 => Just(String::new()),
        2 => Just("-".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn nothing_of_another_tenant_changes(
        topology in prop_oneof![Just("a"), Just("e"), Just("s"), Just("s")],
        steps in proptest::collection::vec((header(), text()), 1..7),
    ) {
        let steps: Vec<_> = steps.into_iter().map(|(header, text)| format!("{header}\n{text}")).collect();
        check(&format!("{topology}\n{}", steps.join("\n%%\n")));
    }
}
