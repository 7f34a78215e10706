//! What each Telegraf tells about itself, and who may see it.

use rstest::rstest;
use serde_json::{Value, json};
use telewarden_policy::protocol::{Configuration, Outcome, Rendered};
use telewarden_policy::render::render;

const KEY: &str = "telegraf.influxdata.com/rubin-telegraf-operator";

/// What is rendered for a source with two endpoints.
fn rendered(settings: &Value, annotations: &Value) -> Rendered {
    let mut all = json!({KEY: "web: http://web.shop.svc:8080/metrics\napi: http://api.shop.svc:8080/metrics\n"});
    all.as_object_mut()
        .unwrap()
        .extend(annotations.as_object().unwrap().clone());
    let source = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "annotations": all}});
    let request = json!({"protocol": 1, "settings": settings, "sources": [source]});
    let answer = render(&serde_json::from_str(&request.to_string()).unwrap());
    assert_eq!(answer.sources[0].outcome, Outcome::Rendered);
    answer.shared.unwrap_or_else(|| answer.sources[0].rendered.clone())
}

fn tables(configuration: &Configuration) -> Vec<toml::Table> {
    configuration.files.values().map(|file| file.parse().unwrap()).collect()
}

/// The instances of all plugins of a kind.
fn plugins(tables: &[toml::Table], kind: &str) -> Vec<(String, toml::Table)> {
    let of_kind = tables.iter().filter_map(|table| table.get(kind)?.as_table()).flatten();
    let instances = of_kind.flat_map(|(plugin, instances)| {
        let instances = instances.as_array().unwrap().iter();
        instances.map(|instance| (plugin.clone(), instance.as_table().unwrap().clone()))
    });
    instances.collect()
}

const OUTPUTS: &str = r#"{
    "influxdb_v2": [
        {"urls": ["http://i.i.svc:8086"], "organization": "o", "bucket": "{bucket}", "token": "t"},
        {"urls": ["http://i.i.svc:8086"], "organization": "o", "bucket": "all", "token": "t", "tagdrop": {"a": ["b"]}}
    ],
    "file": [{"files": ["stdout"], "alias": "mine"}]
}"#;

fn settings(topology: &str) -> Value {
    let outputs: Value = serde_json::from_str(OUTPUTS).unwrap();
    json!({"topology": topology, "networkPolicy": true, "classes": {"default": {"outputs": outputs}}})
}

#[rstest]
fn it_goes_to_its_own_output_and_to_no_other(#[values("application", "endpoint", "standalone")] topology: &str) {
    for asked in [false, true] {
        let annotations = match asked {
            // In `standalone` they are always there, and the annotation is refused.
            true if topology == "standalone" => continue,
            true => json!({"telegraf.influxdata.com/internal": "true"}),
            false => json!({}),
        };
        for configuration in &rendered(&settings(topology), &annotations).configurations {
            let tables = tables(configuration);
            let (mut told, mut others) = (0, 0);
            for (plugin, output) in plugins(&tables, "outputs") {
                match plugin.as_str() {
                    "health" => {}
                    "prometheus_client" => {
                        assert_eq!(output["tagpass"]["telewarden_status"][0].as_str(), Some("*"));
                        told += 1;
                    }
                    _ => {
                        assert_eq!(
                            output["tagdrop"]["telewarden_status"][0].as_str(),
                            Some("*"),
                            "{output}"
                        );
                        others += 1;
                    }
                }
            }
            assert_eq!((told, others), (1, 3));
            // Those that the annotation asks for have no such tag, so that they go to the other outputs.
            let digest = configuration.status.as_deref();
            let internal_inputs = plugins(&tables, "inputs")
                .into_iter()
                .filter(|(plugin, _)| plugin == "internal");
            let tags: Vec<_> = internal_inputs.map(|(_, input)| input.get("tags").cloned()).collect();
            let tagged = tags
                .iter()
                .flatten()
                .filter(|tags| tags["telewarden_status"].as_str() == digest);
            assert_eq!(tagged.count(), 1);
            assert_eq!(tags.contains(&None), asked || topology == "standalone");
        }
    }
}

#[rstest]
fn every_input_and_output_has_a_name_of_its_own(#[values("application", "endpoint", "standalone")] topology: &str) {
    for configuration in &rendered(&settings(topology), &json!({})).configurations {
        let tables = tables(configuration);
        let mut names = Vec::new();
        for kind in ["inputs", "outputs"] {
            let plugins = plugins(&tables, kind).into_iter();
            let named =
                plugins.filter(|(plugin, _)| !["health", "internal", "prometheus_client"].contains(&plugin.as_str()));
            names.extend(named.map(|(plugin, instance)| (plugin, instance["alias"].as_str().unwrap().to_owned())));
        }
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
        let of_source = if topology == "standalone" {
            "Namespace/shop/"
        } else {
            ""
        };
        for (plugin, name) in [("prometheus", "web"), ("influxdb_v2", "influxdb_v2-1")] {
            let name = format!("{of_source}{name}");
            let is_there = names.contains(&(plugin.to_owned(), name.clone()));
            assert!(is_there || topology == "endpoint", "{name} in {names:?}");
        }
        assert!(names.contains(&("file".to_owned(), "mine".to_owned())));
    }
}

#[rstest]
fn a_scraped_label_cannot_pretend_to_be_it(#[values("application", "endpoint", "standalone")] topology: &str) {
    for configuration in &rendered(&settings(topology), &json!({})).configurations {
        for (plugin, input) in plugins(&tables(configuration), "inputs") {
            let excluded = input
                .get("tagexclude")
                .and_then(toml::Value::as_array)
                .cloned()
                .unwrap_or_default();
            let is_excluded = excluded.iter().any(|tag| tag.as_str() == Some("telewarden_status"));
            assert_eq!(is_excluded, plugin == "prometheus", "{input}");
        }
    }
}

#[rstest]
fn only_the_operators_namespace_can_read_it(#[values("application", "endpoint", "standalone")] topology: &str) {
    let mut settings = settings(topology);
    settings["operatorNamespace"] = json!("ops");
    let objects = rendered(&settings, &json!({})).objects;
    let policies: Vec<_> = objects
        .iter()
        .filter(|object| object["kind"] == "NetworkPolicy")
        .collect();
    assert!(!policies.is_empty());
    for policy in policies {
        let from = json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ops"}}}]);
        let expected = json!([{"from": from, "ports": [{"port": 8889, "protocol": "TCP"}]}]);
        assert_eq!(policy["spec"]["ingress"], expected);
    }
}

#[rstest]
fn without_it_there_is_nothing_of_it(#[values("application", "endpoint", "standalone")] topology: &str) {
    let mut settings = settings(topology);
    settings["status"] = json!(false);
    let rendered = rendered(&settings, &json!({}));
    let text = json!({"objects": rendered.objects, "configurations": rendered.configurations}).to_string();
    assert!(!text.contains("telewarden_status") && !text.contains("8889"), "{text}");
    assert!(
        rendered
            .configurations
            .iter()
            .all(|configuration| configuration.status.is_none())
    );
    for object in rendered
        .objects
        .iter()
        .filter(|object| object["kind"] == "NetworkPolicy")
    {
        assert_eq!(object["spec"]["ingress"], json!([]));
    }
}

#[test]
fn the_digest_changes_with_the_configuration_alone() {
    let digest = |settings: &Value| rendered(settings, &json!({})).configurations[0].status.clone().unwrap();
    for topology in ["application", "standalone"] {
        let mut settings = settings(topology);
        let before = digest(&settings);
        settings["pod"] = json!({"nodeSelector": {"a": "b"}});
        assert_eq!(digest(&settings), before);
        settings["classes"]["default"]["globalTags"] = json!({"cluster": "a"});
        assert_ne!(digest(&settings), before);
    }
}
