//! Where each endpoint is written, for hosts that show the text.

use serde_json::Value;

use crate::annotation_name::Content;
use crate::diagnostic::{Findings, Place};
use crate::located::{Data, Key, Node, from_toml, from_yaml};

/// The name of each endpoint, and its place in an Application or a Namespace. `annotation` is the name that the settings give to the
/// annotation with the endpoints. An input of Telegraf without an `alias` is not in it.
pub fn places(object: &Value, annotation: &str) -> Vec<(String, Place)> {
    let mut places = Vec::new();
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

fn add_endpoints(root: Option<Node>, places: &mut Vec<(String, Place)>) {
    let Some(root) = root else { return };
    let maps = match &root.data {
        Data::List(items) => items.as_slice(),
        _ => std::slice::from_ref(&root),
    };
    for map in maps {
        for (key, _) in entries(&map.data) {
            places.push((key.text.clone(), key.place()));
        }
    }
}

fn add_inputs(root: Option<Node>, places: &mut Vec<(String, Place)>) {
    let Some(root) = root else { return };
    for (_, section) in entries(&root.data) {
        for (_, instances) in entries(&section.data) {
            let Data::List(instances) = &instances.data else {
                continue;
            };
            for instance in instances {
                for (key, value) in entries(&instance.data) {
                    if let (Data::Text(name), "alias") = (&value.data, key.text.as_str()) {
                        places.push((name.clone(), value.place()));
                    }
                }
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
    #[case("telewarden.io/endpoints", "web: http://a\nredis: http://b\n", &[("web", 1, 1), ("redis", 2, 1)])]
    #[case("telewarden.io/endpoints", "- web: http://a\n- redis:\n    url: http://b\n", &[("web", 1, 3), ("redis", 2, 3)])]
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
