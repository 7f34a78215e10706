//! The settings that count: what is written, merged with the defaults.

use serde_json::{Map, Value as Json};

use super::constant::Constant;
use super::document::{Class, Settings};
use super::kind::Kind;
use super::topology::Topology;

/// Open maps. Null in one of them is a value, and not the default.
const OPEN: &[&str] = &["agent", "defaults", "globalTags", "securityContext", "tags"];

/// A document with every setting, which means the same as `document`. It does not check the document.
pub fn effective(document: &Json) -> Json {
    let mut settings = merge("", &Settings::DEFAULT, document);
    if let Some(limit) = Topology::of(document).memory_limit(document)
        && settings["pod"]["resources"]["limits"].is_object()
    {
        settings["pod"]["resources"]["limits"]["memory"] = limit.into();
    }
    let classes = merge_classes(&document["classes"]);
    if let Some(settings) = settings.as_object_mut() {
        settings.insert("classes".to_owned(), classes);
    }
    settings
}

/// Every class is merged with the built-in one, except its plugins.
fn merge_classes(written: &Json) -> Json {
    let built_in = Map::from_iter([("default".to_owned(), Json::Null)]);
    let written = written.as_object().cloned().unwrap_or_default();
    let classes = built_in.into_iter().chain(written).map(|(name, class)| {
        let mut merged = merge("", &Class::DEFAULT, &class);
        for plugins in ["aggregators", "outputs", "processors"] {
            if class[plugins].is_object() {
                merged[plugins] = class[plugins].clone();
            }
        }
        (name, merged)
    });
    Json::Object(classes.collect())
}

fn merge(name: &str, default: &Constant, written: &Json) -> Json {
    let is_open = OPEN.contains(&name);
    match (default, written) {
        (_, Json::Null) => default.into(),
        (Constant::Map(entries), Json::Object(written)) => {
            let known = entries.iter().map(|(name, default)| {
                let merged = match written.get(*name) {
                    Some(Json::Null) if is_open => Json::Null,
                    Some(written) => merge(name, default, written),
                    None => default.into(),
                };
                ((*name).to_owned(), merged)
            });
            let mut merged: Map<_, _> = known.collect();
            for (name, value) in written {
                merged.entry(name.clone()).or_insert_with(|| value.clone());
            }
            Json::Object(merged)
        }
        _ => written.clone(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::settings::read;

    #[rstest]
    #[case::nothing(json!({}))]
    #[case::null(json!(null))]
    #[case::null_section(json!({"pod": null, "endpoints": {"max": null}}))]
    #[case::shared(json!({"topology": "standalone"}))]
    #[case::shared_with_a_limit(json!({"topology": "standalone", "pod": {"resources": {"limits": {"memory": "1Gi"}}}}))]
    #[case::section(json!({"endpoints": {"max": 3, "hosts": ["*"]}, "inputs": {"tags": {"tier": "web"}}}))]
    #[case::left_to_the_platform(json!({"pod": {"securityContext": {"runAsUser": null, "fsGroup": 3}}}))]
    #[case::classes(json!({"classes": {
        "default": {"agent": {"interval": "30s"}},
        "gold": {"agent": {"debug": true}, "outputs": {"file": [{"files": ["stdout"]}]}},
    }}))]
    #[case::null_class(json!({"classes": {"gold": {"outputs": null, "globalTags": {"a": "b"}}}}))]
    #[case::lists(json!({"pod": {"env": [], "nodeSelector": {"a": "b"}}, "extraResources": [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "labels": null}}
    ]}))]
    fn it_means_the_same(#[case] document: Json) {
        let merged = effective(&document);
        let settings = |document: &Json| {
            let (settings, findings) = read(Some(document));
            format!("{:?}", settings.unwrap_or_else(|| panic!("{document}: {findings:#?}")))
        };
        assert_eq!(settings(&merged), settings(&document));
        // Nothing is left for the defaults to say.
        let (Json::Object(merged), Json::Object(defaults)) = (&merged, super::super::defaults()) else {
            panic!("{merged}")
        };
        assert_eq!(Vec::from_iter(merged.keys()), Vec::from_iter(defaults.keys()));
    }

    #[test]
    fn what_is_written_counts_and_the_rest_is_the_default() {
        let merged = effective(&json!({"endpoints": {"max": 3}, "classes": {"gold": {"agent": {"interval": "30s"}}}}));
        assert_eq!(merged["endpoints"]["max"], 3);
        assert_eq!(merged["endpoints"]["minInterval"], "10s");
        assert_eq!(merged["classes"]["gold"]["agent"]["interval"], "30s");
        assert_eq!(merged["classes"]["gold"]["agent"]["flush_interval"], "60s");
        assert_eq!(merged["classes"]["default"]["agent"]["interval"], "60s");
    }
}
