//! What becomes of options: in the configuration, in the pod, and in the settings.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod one_source;

use one_source::{KEY, request};
use rstest::rstest;
use serde_json::{Value, json};
use telewarden_policy::protocol::RenderAnswer;
use telewarden_policy::render::render;

fn rendered(settings: &Value, annotations: Value) -> RenderAnswer {
    render(&serde_json::from_str(&request(settings, annotations)).unwrap())
}

/// The first input of what is rendered.
fn input(settings: &Value, annotations: Value) -> toml::Table {
    let answer = rendered(settings, annotations);
    let source = &answer.sources[0];
    let configuration = source
        .rendered
        .configurations
        .first()
        .unwrap_or_else(|| panic!("{:#?} {:#?}", answer.diagnostics, source.diagnostics));
    let table: toml::Table = configuration.files["telegraf.conf"].parse().unwrap();
    let inputs = table["inputs"].as_table().unwrap();
    let (_, instances) = inputs.iter().find(|(plugin, _)| *plugin != "internal").unwrap();
    instances[0].as_table().unwrap().clone()
}

fn with_options(options: Value) -> Value {
    let mut endpoint = json!({"url": "http://a.argocd.svc:8080/metrics"});
    endpoint
        .as_object_mut()
        .unwrap()
        .extend(options.as_object().unwrap().clone());
    json!({KEY: json!({"a": endpoint}).to_string()})
}

#[rstest]
#[case("1d", "24h")]
#[case(".5d", "12h")]
#[case("0.5d1m", "12h1m")]
#[case("90s", "90s")]
fn days_are_written_as_hours(#[case] interval: &str, #[case] written: &str) {
    let of_endpoint = input(&Value::Null, with_options(json!({"interval": interval})));
    assert_eq!(of_endpoint["interval"].as_str(), Some(written));
    let mut annotations = with_options(json!({}));
    annotations["telegraf.influxdata.com/interval"] = interval.into();
    assert_eq!(input(&Value::Null, annotations)["interval"].as_str(), Some(written));
    let settings = json!({"inputs": {"defaults": {"interval": interval}}});
    assert_eq!(
        input(&settings, with_options(json!({})))["interval"].as_str(),
        Some(written)
    );
}

#[test]
fn days_are_written_as_hours_for_every_plugin() {
    let settings = json!({"inputs": {"allowedPlugins": ["redis"]}});
    let annotations = json!({"telegraf.influxdata.com/inputs": "[[inputs.redis]]\ninterval = \"1d\"\n"});
    assert_eq!(input(&settings, annotations)["interval"].as_str(), Some("24h"));
}

#[rstest]
#[case(json!({"interval": "2s"}), json!({}), Some("2s"))]
#[case(json!({"interval": "10s"}), json!({}), None)]
#[case(json!({"interval": "20s"}), json!({"timeout": "30s"}), Some("20s"))]
#[case(json!({"interval": "40s"}), json!({"timeout": "30s"}), Some("30s"))]
#[case(json!({}), json!({"timeout": "30s"}), Some("15s"))]
fn a_timeout_of_the_settings_is_never_longer_than_the_interval(
    #[case] options: Value,
    #[case] defaults: Value,
    #[case] timeout: Option<&str>,
) {
    let settings = json!({
        "endpoints": {"minInterval": "1s"},
        "inputs": {"defaults": defaults},
        "classes": {"default": {"agent": {"interval": "15s"}}},
    });
    let input = input(&settings, with_options(options));
    assert_eq!(input.get("timeout").and_then(toml::Value::as_str), timeout);
}

#[rstest]
#[case(json!({"inputs": {"defaults": {"namepass": ["a*"]}}}), "TW205")]
#[case(json!({"inputs": {"defaults": {"namedrop": ["a*"], "metric_version": 2}}}), "TW205")]
#[case(json!({"inputs": {"defaults": {"interval": "2540300h"}}}), "TW212")]
#[case(json!({"inputs": {"defaults": {"timeout": "2562047h"}}}), "TW213")]
#[case(json!({"inputs": {"defaults": {"content_length_limit": "1GB"}}}), "TW215")]
#[case(json!({"inputs": {"defaults": {"tagexclude": ["ur?{}"]}}}), "TW208")]
fn defaults_are_checked_where_they_are_written(#[case] settings: Value, #[case] code: &str) {
    let answer = rendered(&settings, with_options(json!({})));
    let codes: Vec<_> = answer.diagnostics.iter().map(|finding| finding.code.as_ref()).collect();
    assert_eq!(codes, [code]);
    let place = answer.diagnostics[0].place.as_ref().unwrap();
    assert!(place.pointer.starts_with("/inputs/defaults/"), "{}", place.pointer);
}

#[test]
fn defaults_may_filter_names_in_version_one() {
    let settings = json!({"inputs": {"defaults": {"namepass": ["a*"], "metric_version": 1}}});
    assert!(input(&settings, with_options(json!({}))).contains_key("namepass"));
}

#[rstest]
#[case::of_an_output(json!({"classes": {"default": {"outputs": {"file": [{"files": ["$X"]}]}}}}), true)]
#[case::with_a_default(json!({"classes": {"default": {"outputs": {"file": [{"files": ["${X:-a}"]}]}}}}), true)]
#[case::as_a_default(json!({"classes": {"default": {"outputs": {"file": [{"files": ["${A:-$X}"]}]}}}}), true)]
#[case::of_another_class(json!({"classes": {"gold": {"processors": {"override": [{"tags": {"a": "b${X}c"}}]}}}}), true)]
#[case::of_an_aggregator(json!({"classes": {"default": {"aggregators": {"minmax": [{"period": "$X"}]}}}}), true)]
#[case::of_the_agent(json!({"classes": {"default": {"agent": {"logfile": "$X"}}}}), true)]
#[case::of_global_tags(json!({"classes": {"default": {"globalTags": {"a": "$X"}}}}), true)]
#[case::of_tags(json!({"inputs": {"tags": {"a": "$X"}}}), true)]
#[case::of_the_measurement(json!({"inputs": {"nameOverride": "${X}_{endpoint}"}}), true)]
#[case::of_an_option(json!({"inputs": {"defaults": {"tls_server_name": "$X"}}}), true)]
#[case::of_tags_of_all(json!({"inputs": {"defaults": {"tags": {"a": "$X"}}}}), true)]
#[case::of_a_filter(json!({"inputs": {"defaults": {"tagdrop": {"a": ["$X"]}}}}), true)]
#[case::before_a_placeholder(json!({"inputs": {"tags": {"a": "$X_{bucket}"}}}), false)]
#[case::with_a_placeholder(json!({"inputs": {"tags": {"a": "${bucket}$X{bucket}"}}}), true)]
#[case::another(json!({"inputs": {"tags": {"a": "$XY $Y ${XY} X {bucket}"}}}), false)]
fn a_variable_that_the_settings_use_is_reserved(#[case] mut settings: Value, #[case] reserved: bool) {
    settings["allow"] = json!({"env": true});
    let mut annotations = with_options(json!({}));
    annotations["telegraf.influxdata.com/env-literal-X"] = "a".into();
    let answer = rendered(&settings, annotations);
    let codes: Vec<_> = answer.sources[0]
        .diagnostics
        .iter()
        .map(|finding| finding.code.as_ref())
        .collect();
    assert_eq!(codes.contains(&"TW308"), reserved, "{codes:?} {:?}", answer.diagnostics);
}

#[rstest]
#[case("X_argocd", true)]
#[case("X_b", true)]
#[case("Y_argocd", false)]
fn a_variable_that_a_placeholder_completes_is_reserved(#[case] name: &str, #[case] reserved: bool) {
    let settings = json!({"allow": {"env": true}, "inputs": {"tags": {"a": "$X_{bucket}"}}});
    let mut annotations = with_options(json!({}));
    annotations[format!("telegraf.influxdata.com/env-literal-{name}")] = "a".into();
    let answer = rendered(&settings, annotations);
    assert_eq!(!answer.sources[0].diagnostics.is_empty(), reserved);
}

#[rstest]
#[case("limits-memory", "0", false)]
#[case("limits-memory", "0.0Gi", false)]
#[case("limits-cpu", "0m", false)]
#[case("limits-cpu", "1m", true)]
#[case("requests-memory", "0", true)]
fn a_limit_of_zero_is_none_for_kubernetes_and_is_refused(
    #[case] name: &str,
    #[case] text: &str,
    #[case] accepted: bool,
) {
    let mut annotations = with_options(json!({}));
    annotations[format!("telegraf.influxdata.com/{name}")] = text.into();
    let answer = rendered(&Value::Null, annotations);
    assert_eq!(answer.sources[0].diagnostics.is_empty(), accepted, "{answer:#?}");
}

#[rstest]
#[case("docker.io/library/telegraf:1.40", true)]
#[case("docker.io/library/telegraf:1.37", false)]
#[case("docker.io/library/telegraf:0.9", false)]
#[case("docker.io/library/telegraf:1.40 x", false)]
#[case("docker.io/library/telegraf:1.40\u{202e}", false)]
#[case("docker.io/library/telegraf", false)]
fn an_image_that_a_pattern_allows_is_telegraf_1_38_or_later(#[case] image: &str, #[case] accepted: bool) {
    let mut annotations = with_options(json!({}));
    annotations["telegraf.influxdata.com/image"] = image.into();
    let answer = rendered(
        &json!({"allow": {"image": ["docker.io/library/telegraf*"]}}),
        annotations,
    );
    assert_eq!(
        answer.sources[0].diagnostics.is_empty(),
        accepted,
        "{:#?}",
        answer.sources[0].diagnostics
    );
}

#[test]
fn variables_of_a_secret_have_a_prefix() {
    let mut annotations = with_options(json!({}));
    annotations["telegraf.influxdata.com/secret-env"] = "database".into();
    for (prefix, settings) in [
        ("SECRET_", json!({"allow": {"env": true}})),
        ("DB_", json!({"allow": {"env": true, "secretEnvPrefix": "DB_"}})),
    ] {
        let answer = rendered(&settings, annotations.clone());
        let deployment = answer.sources[0]
            .rendered
            .objects
            .iter()
            .find(|object| object["kind"] == "Deployment");
        let env_from = &deployment.unwrap()["spec"]["template"]["spec"]["containers"][0]["envFrom"];
        assert_eq!(
            *env_from,
            json!([{"prefix": prefix, "secretRef": {"name": "database"}}])
        );
    }
}

#[rstest]
#[case("telegraf.influxdata.com/rubin-telegraf-operator", "example.com/scrape")]
#[case("telegraf.influxdata.com/rubin-telegraf-operator", "telegraf.influxdata.com/scrape")]
#[case("telegraf.influxdata.com/scrap", "telegraf.influxdata.com/scrape")]
fn an_unknown_annotation_is_told_the_configured_one(#[case] written: &str, #[case] configured: &str) {
    let annotations = json!({
        configured: "a: http://a.argocd.svc:8080/metrics",
        written: "a: http://a.argocd.svc:8080/metrics",
    });
    let answer = rendered(&json!({"annotation": configured}), annotations);
    let [finding] = answer.sources[0].diagnostics.as_slice() else {
        panic!("{:#?}", answer.sources[0].diagnostics);
    };
    assert_eq!(finding.code, "TW301");
    assert_eq!(finding.help.clone().unwrap(), format!("did you mean `{configured}`?"));
}

#[test]
fn messages_do_not_grow_with_what_they_repeat() {
    let long = "x".repeat(60_000);
    let annotations = json!({
        KEY: format!("- {long}: {{url: {long}, {long}: 1, interval: {long}, tags: {{'{long} ': a}}, fieldinclude: ['{{{long}']}}\n- [{long}]"),
        "telegraf.influxdata.com/namepass": format!("['{{{long}']"),
        "telegraf.influxdata.com/inputs": format!("[[inputs.{long}]]\n[{long}]\n"),
    });
    let answer = rendered(&Value::Null, annotations);
    assert!(answer.sources[0].diagnostics.len() >= 4);
    for finding in &answer.sources[0].diagnostics {
        assert!(
            finding.message.len() < 600,
            "{} {}",
            finding.code,
            finding.message.len()
        );
    }
}
