//! Where each endpoint is written, for hosts that show the text.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::annotation_name::Content;
use crate::diagnostic::{Findings, Place};
use crate::located::{Data, Key, Node, from_toml, from_yaml};

/// The place of each endpoint's name in an Application or a Namespace. `annotation` is the name that the settings give to the
/// annotation with the endpoints. An input of Telegraf without an `alias` is not in it.
pub fn places(object: &Value, annotation: &str) -> BTreeMap<String, Place> {
    let mut places = BTreeMap::new();
    // What is wrong with a text is reported elsewhere.
    let findings = &mut Findings::default();
    for (name, text) in object["metadata"]["annotations"].as_object().into_iter().flatten() {
        let Some(text) = text.as_str() else { continue };
        match Content::of(name, annotation) {
            Some(Content::Endpoints) => add_endpoints(from_yaml(name, text, findings), &mut places),
            Some(Content::Inputs) => add_inputs(from_toml(name, text, findings), &mut places),
            _ => {}
        }
    }
    places
}

fn add_endpoints(root: Option<Node>, places: &mut BTreeMap<String, Place>) {
    let maps = match root.map(|root| root.data) {
        Some(Data::List(items)) => items.into_iter().map(|item| item.data).collect(),
        Some(map) => vec![map],
        None => return,
    };
    for (key, _) in maps.iter().flat_map(entries) {
        places.entry(key.text.clone()).or_insert_with(|| key.place());
    }
}

fn add_inputs(root: Option<Node>, places: &mut BTreeMap<String, Place>) {
    let Some(root) = root else { return };
    let plugins = entries(&root.data)
        .iter()
        .flat_map(|(_, section)| entries(&section.data));
    for (_, instances) in plugins {
        let Data::List(instances) = &instances.data else {
            continue;
        };
        let alias = |instance: &'_ Node| {
            entries(&instance.data)
                .iter()
                .find(|(key, _)| key.text == "alias")
                .cloned()
        };
        for (_, alias) in instances.iter().filter_map(alias) {
            if let Data::Text(name) = &alias.data {
                places.entry(name.clone()).or_insert_with(|| alias.place());
            }
        }
    }
}

fn entries(data: &Data) -> &[(Key, Node)] {
    match data {
        Data::Map(entries) => entries,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("telewarden.io/endpoints", "web: http://a\nredis: http://b\n", &[("redis", 2, 1), ("web", 1, 1)])]
    #[case("telewarden.io/endpoints", "- web: http://a\n- redis:\n    url: http://b\n", &[("redis", 2, 3), ("web", 1, 3)])]
    #[case(
        "telewarden.io/inputs",
        "[[inputs.prometheus]]\nalias = \"web\"\nurls = []\n[[inputs.prometheus]]\nurls = []\n",
        &[("web", 2, 9)]
    )]
    #[case("telewarden.io/endpoints", "web: [", &[])]
    #[case("telewarden.io/interval", "web: http://a", &[])]
    fn names_have_places(#[case] annotation: &str, #[case] text: &str, #[case] expected: &[(&str, u32, u32)]) {
        let object = json!({"metadata": {"annotations": {annotation: text}}});
        let places = places(&object, "telewarden.io/endpoints");
        let found: Vec<_> = places
            .iter()
            .map(|(name, place)| {
                let start = place.range.expect("a range").start;
                (name.as_str(), start.line, start.column)
            })
            .collect();
        assert_eq!(found, expected);
    }
}
