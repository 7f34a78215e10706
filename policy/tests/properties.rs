//! What holds for any annotation.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod one_source;

use one_source::{KEY, request};
use proptest::prelude::*;
use serde_json::{Value, json};
use telewarden_policy::diagnostic::Diagnostic;
use telewarden_policy::protocol::{Outcome, RenderAnswer};
use telewarden_policy::render::render;

const INPUTS: &str = "telegraf.influxdata.com/inputs";

fn rendered(annotations: Value, settings: &Value) -> RenderAnswer {
    render(&serde_json::from_str(&request(settings, annotations)).unwrap())
}

/// The rendered configuration, read by another parser than ours is written for.
fn configuration(answer: &RenderAnswer) -> Option<toml::Table> {
    let configuration = answer.sources[0].rendered.configurations.first()?;
    let text = &configuration.files["telegraf.conf"];
    Some(text.parse().unwrap_or_else(|error| panic!("{error}\n{text}")))
}

/// Text of which any part may be what somebody would attack with.
fn hostile() -> impl Strategy<Value = String> {
    let bit = prop_oneof![
        3 => "[a-z0-9_.:/-]{1,8}",
        1 => Just("${INFLUX_TOKEN}".to_owned()),
        1 => Just("$$A".to_owned()),
        1 => Just("@{a:b}".to_owned()),
        1 => Just("\"".to_owned()),
        1 => Just("'''".to_owned()),
        1 => Just("\\".to_owned()),
        1 => Just("\n[[inputs.exec]]\ncommands = [\"id\"]\n".to_owned()),
        1 => Just(" # ".to_owned()),
        1 => Just("\u{2028}".to_owned()),
        1 => Just("]".to_owned()),
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(bit, 0..6).prop_map(|bits| bits.concat())
}

/// A text that is often harmless, so that many options are accepted.
fn harmless_or_hostile(harmless: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![4 => harmless, 1 => hostile()]
}

/// An endpoint's options in which any text may be hostile.
fn options() -> impl Strategy<Value = Value> {
    let url = harmless_or_hostile("http://a\\.argocd\\.svc:8080/metrics");
    let text = || harmless_or_hostile("[a-z]{1,8}");
    let key = proptest::option::weighted(0.1, hostile());
    (url, text(), text(), text(), key).prop_map(|(url, tag, value, pattern, key)| {
        let mut options = json!({
            "url": url,
            "tags": {tag.clone(): value.clone(), "tier": value},
            "fieldinclude": [pattern.clone()],
            "tagdrop": {"tier": [pattern]},
        });
        if let Some(key) = key {
            options[key] = json!(true);
        }
        options
    })
}

fn outcome(answer: &RenderAnswer) -> (Outcome, &[Diagnostic]) {
    (answer.sources[0].outcome, &answer.sources[0].diagnostics)
}

/// Nothing that an annotation says is live in the configuration.
fn assert_dead(answer: &RenderAnswer) {
    for text in answer.sources[0]
        .rendered
        .configurations
        .iter()
        .flat_map(|all| all.files.values())
    {
        let of_settings = text.replace("${INFLUX_TOKEN}\"", "\"");
        assert!(!of_settings.contains('$') && !of_settings.contains("@{"), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_answered(text in prop_oneof![any::<String>(), hostile(), "(\\PC|[\\[\\]{}:,&*!|>'\"%@`#?\n -]){0,80}"]) {
        for key in [KEY, INPUTS] {
            let answer = rendered(json!({key: text.clone()}), &Value::Null);
            let (outcome, findings) = outcome(&answer);
            prop_assert_eq!(outcome == Outcome::Refused, findings.iter().any(Diagnostic::is_error));
            assert_dead(&answer);
        }
    }

    #[test]
    fn what_validates_is_what_is_scraped(
        names in proptest::collection::btree_set("[A-Za-z0-9_.-]{1,20}", 1..8),
        path in "(/[a-z0-9%._~-]{0,5}){0,3}",
        port in 1u16..,
        tag in "[ -~&&[^$]]{0,12}",
    ) {
        let path = path.replace('%', "%25");
        let url = |index: usize| format!("http://svc-{index}.argocd.svc:{port}{path}");
        let endpoints: serde_json::Map<_, _> = names.iter().enumerate().map(|(index, name)| {
            (name.clone(), json!({"url": url(index), "tags": {"t": tag}}))
        }).collect();
        let answer = rendered(json!({KEY: Value::Object(endpoints).to_string()}), &Value::Null);
        let refused = tag.contains("@{");
        prop_assert_eq!(outcome(&answer).0 == Outcome::Refused, refused, "{:?}", outcome(&answer).1);
        if !refused {
            let configuration = configuration(&answer).unwrap();
            let inputs = configuration["inputs"]["prometheus"].as_array().unwrap();
            let scraped: Vec<_> = inputs.iter().map(|input| input["urls"][0].as_str().unwrap().to_owned()).collect();
            prop_assert_eq!(scraped, (0..names.len()).map(url).collect::<Vec<_>>());
            for (input, name) in inputs.iter().zip(&names) {
                prop_assert_eq!(input["name_override"].as_str().unwrap(), format!("prometheus_{name}"));
                prop_assert_eq!(input["tags"]["t"].as_str().unwrap(), &tag);
                prop_assert_eq!(input["tags"]["prometheus_app"].as_str().unwrap(), "argocd");
            }
        }
    }

    #[test]
    fn hostile_options_are_refused_or_harmless(
        options in options(),
        name in harmless_or_hostile("[a-z]{1,8}"),
        toml in any::<bool>(),
    ) {
        let annotations = if toml {
            let mut table = options;
            table["alias"] = name.into();
            let table: toml::Table = serde_json::from_value(json!({"inputs": {"prometheus": [table]}})).unwrap();
            json!({INPUTS: table.to_string()})
        } else {
            json!({KEY: json!({name: options}).to_string()})
        };
        let answer = rendered(annotations, &Value::Null);
        assert_dead(&answer);
        if let Some(configuration) = configuration(&answer) {
            let sections: Vec<_> = configuration.keys().map(String::as_str).collect();
            prop_assert_eq!(sections, ["agent", "inputs", "outputs"]);
            let inputs = configuration["inputs"].as_table().unwrap();
            // The first one is ours: Telegraf's own metrics, for the status.
            prop_assert_eq!(inputs.keys().collect::<Vec<_>>(), ["internal", "prometheus"]);
            for (_, instances) in inputs {
                prop_assert_eq!(instances.as_array().unwrap().len(), 1);
            }
        }
    }

    #[test]
    fn any_settings_are_answered(key in "[a-zA-Z]{1,12}|topology|classes|inputs|endpoints|pod|allow|extraResources", value in json_value()) {
        let answer = rendered(json!({KEY: "a: http://a.argocd.svc:8080/metrics"}), &json!({key: value}));
        let refused = answer.diagnostics.iter().any(Diagnostic::is_error);
        prop_assert_eq!(answer.sources.is_empty(), refused);
    }
}

/// Any JSON, not too large.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        hostile().prop_map(Value::from),
        "\\{(application|bucket|endpoint|x)?\\}?".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let name = prop_oneof![
            "[a-z_]{1,6}",
            Just("default".to_owned()),
            Just("outputs".to_owned()),
            Just("hosts".to_owned()),
            Just("env".to_owned()),
            Just("resources".to_owned()),
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(name, inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
