//! The tags by which an output selects metrics or destinations. No annotation and no scraped metric may set them.

use std::borrow::Cow;

use super::template::{TemplateTable, TemplateValue};
use crate::telegraf::Key;

/// The tags of one output: those of `tagpass` and `tagdrop`, of options such as `bucket_tag`, and those that its texts name,
/// such as `topic: t/{{ .Tag "team" }}`.
pub(super) fn of_output(output: &TemplateTable) -> Vec<Key> {
    let mut names = Vec::new();
    add_table(output, &mut names);
    names.iter().filter_map(|name| Key::new(name)).collect()
}

fn add_table(table: &TemplateTable, names: &mut Vec<String>) {
    // Of `outputs.kinesis` (`partition: {method: tag, key: …}`).
    let by_tag = table
        .iter()
        .any(|(option, value)| option.as_str() == "method" && text(value).as_deref() == Some("tag"));
    for (option, value) in table {
        let option = option.as_str();
        match value {
            TemplateValue::Table(tags) if matches!(option, "tagpass" | "tagdrop") => {
                names.extend(tags.keys().map(|tag| tag.as_str().to_owned()));
            }
            TemplateValue::Text(name) if option.ends_with("_tag") || by_tag && option == "key" => {
                names.push(name.literal_text().into_owned());
            }
            value => add_value(value, names),
        }
    }
}

fn add_value(value: &TemplateValue, names: &mut Vec<String>) {
    match value {
        TemplateValue::Text(text) => add_text(&text.literal_text(), names),
        TemplateValue::List(values) => values.iter().for_each(|value| add_value(value, names)),
        TemplateValue::Table(table) => add_table(table, names),
        TemplateValue::Tables(tables) => tables.iter().for_each(|table| add_table(table, names)),
        TemplateValue::Integer(_) | TemplateValue::Float(_) | TemplateValue::Boolean(_) => {}
    }
}

fn text(value: &TemplateValue) -> Option<Cow<'_, str>> {
    match value {
        TemplateValue::Text(text) => Some(text.literal_text()),
        _ => None,
    }
}

/// Adds what may be the name of a tag in a text: `tag:NAME` (`outputs.cloudwatch_logs`), `{{NAME}}` (`outputs.elasticsearch`),
/// `.Tag "NAME"` (Go templates), `tags.NAME` and `tags["NAME"]` (`metricpass`). A name too many does no harm.
fn add_text(text: &str, names: &mut Vec<String>) {
    // Each has one of these, and most texts have neither.
    if !text.as_bytes().windows(2).any(|pair| matches!(pair, b"ag" | b"{{")) {
        return;
    }
    for start in ["tag:", "{{", ".Tag ", "tags.", "tags["] {
        for (_, rest) in text
            .match_indices(start)
            .map(|(at, start)| text.split_at(at + start.len()))
        {
            let rest = rest.trim_start_matches([' ', '"', '\'', '`', '(']);
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            if end > 0 {
                names.push(rest[..end].to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    #[rstest]
    #[case("influxdb_v2", json!({"bucket_tag": "team"}))]
    #[case("file", json!({"tagpass": {"team": ["a"]}}))]
    #[case("file", json!({"metricpass": "tags.team == \"a\""}))]
    #[case("file", json!({"metricpass": "tags[\"team\"] == \"a\""}))]
    #[case("kinesis", json!({"partition": {"method": "tag", "key": "team"}}))]
    #[case("cloudwatch_logs", json!({"log_stream": "tag:team"}))]
    #[case("elasticsearch", json!({"index_name": "telegraf-{{{{team}}-%Y"}))]
    #[case("mqtt", json!({"topic": "t/{{{{ .Tag \"team\" }}"}))]
    fn a_tag_that_chooses_is_reserved(#[case] plugin: &str, #[case] output: Value) {
        let settings = json!({"classes": {"default": {"outputs": {plugin: [output]}}}});
        let (settings, findings) = crate::settings::read(Some(&settings));
        let settings = settings.unwrap_or_else(|| panic!("{findings:?}"));
        assert!(
            settings.inputs.reserved_tags.contains("team"),
            "{:?}",
            settings.inputs.reserved_tags
        );
        let scraped: Vec<_> = settings.inputs.choosing_tags.iter().map(|tag| tag.as_str()).collect();
        assert!(scraped.contains(&"team"), "{scraped:?}");
    }

    #[test]
    fn other_texts_reserve_nothing() {
        let output = json!({"servers": ["http://tags.example.com:8086"], "topic": "tag/{bucket}", "client_id": "tag"});
        let (settings, findings) =
            crate::settings::read(Some(&json!({"classes": {"default": {"outputs": {"mqtt": [output]}}}})));
        let settings = settings.unwrap_or_else(|| panic!("{findings:?}"));
        let names: Vec<_> = settings.inputs.choosing_tags.iter().map(|tag| tag.as_str()).collect();
        assert_eq!(names, ["example"]);
    }
}
