//! Annotations that are expensive, or look as if they could be: each by its name, as a function of its size.

use serde_json::{Map, Value, json};

use crate::one_source::KEY;

const INPUTS: &str = "telegraf.influxdata.com/inputs";

/// The annotations of a size in bytes.
pub(crate) type Shape = fn(usize) -> Value;

/// Repeats a text up to a size; `#` in it is a number that counts up.
fn repeated(unit: &str, size: usize) -> String {
    let mut text = String::with_capacity(size + unit.len());
    let mut number = 0;
    while text.len() + unit.len() + 6 < size {
        text.push_str(&unit.replace('#', &number.to_string()));
        number += 1;
    }
    text
}

fn one(annotation: &str, before: &str, unit: &str, after: &str, size: usize) -> Value {
    json!({annotation: format!("{before}{}{after}", repeated(unit, size))})
}

/// As many annotations as fit.
pub(crate) fn many(name: &str, value: &str, size: usize) -> Value {
    let mut annotations = Map::from_iter([(KEY.to_owned(), "a: http://a.argocd.svc/".into())]);
    for number in 0..size / (name.len() + value.len() + 6) {
        let number = number.to_string();
        annotations.insert(name.replace('#', &number), value.replace('#', &number).into());
    }
    Value::Object(annotations)
}

/// All of them.
pub(crate) const SHAPES: &[(&str, Shape)] = &[
    ("flow map", |size| one(KEY, "{", "a,", "a}", size)),
    ("flow map of names", |size| one(KEY, "{", "a#: x,", "a: x}", size)),
    ("flow list", |size| one(KEY, "[", "a,", "a]", size)),
    ("flow list of maps", |size| one(KEY, "[", "{a: b},", "a]", size)),
    ("not closed", |size| one(KEY, "", "[a,", "", size)),
    ("quotes", |size| one(KEY, "", "\"", "", size)),
    ("lines", |size| one(KEY, "", "- a\n", "", size)),
    ("nested lists", |size| one(KEY, "", "- - - - a\n", "", size)),
    ("names", |size| one(KEY, "", "a#: http://a#.argocd.svc/\n", "", size)),
    ("one name", |size| one(KEY, "", "a: http://a.argocd.svc/\n", "", size)),
    ("one name in a list", |size| {
        one(KEY, "", "- a: http://a.argocd.svc/\n", "", size)
    }),
    ("wrong urls", |size| one(KEY, "", "a#: http://$/\n", "", size)),
    ("one url", |size| one(KEY, "a: http://", "a.", "a", size)),
    ("one path", |size| one(KEY, "a: http://a.argocd.svc/", "a", "", size)),
    ("urls", |size| {
        one(KEY, "a: {urls: [", "http://a#.argocd.svc/,", "]}", size)
    }),
    ("unknown options", |size| one(KEY, "a:\n", "  o#: 1\n", "", size)),
    ("one option", |size| one(KEY, "a:\n", "  interval: 1s\n", "", size)),
    ("tags", |size| {
        one(KEY, "a: {url: 'http://a.argocd.svc/', tags: {", "t#: v,", "}}", size)
    }),
    ("wrong tags", |size| {
        one(KEY, "a: {url: 'http://a.argocd.svc/', tags: {", "'t #': $,", "}}", size)
    }),
    ("patterns", |size| {
        one(
            KEY,
            "a: {url: 'http://a.argocd.svc/', tagexclude: [",
            "a#*,",
            "]}",
            size,
        )
    }),
    ("patterns of tags", |size| {
        one(
            KEY,
            "a: {url: 'http://a.argocd.svc/', tagdrop: {",
            "t#: ['{}'],",
            "}}",
            size,
        )
    }),
    ("a pattern", |size| {
        one(
            KEY,
            "a: {url: 'http://a.argocd.svc/', tagexclude: ['",
            "{a",
            "']}",
            size,
        )
    }),
    ("anchors", |size| one(KEY, "", "- &a# a\n", "", size)),
    ("aliases", |size| one(KEY, "- &a a\n", "- *a\n", "", size)),
    ("yaml tags", |size| one(KEY, "", "- !t# a\n", "", size)),
    ("comments", |size| one(KEY, "", "# a\n", "", size)),
    ("one comment", |size| one(KEY, "#", "a", "", size)),
    ("blank lines", |size| one(KEY, "a: |\n", "\n", "b", size)),
    ("folded", |size| one(KEY, "a: >\n", "  b\n\n", "b", size)),
    ("spaces", |size| one(KEY, "a:", " ", "b", size)),
    ("tabs", |size| one(KEY, "a:", "\t", "b", size)),
    ("complex keys", |size| one(KEY, "", "? a#\n", "", size)),
    ("documents", |size| one(KEY, "", "---\n", "", size)),
    ("directives", |size| one(KEY, "", "%TAG !a# tag:b\n", "--- a", size)),
    ("escapes", |size| one(KEY, "\"", "\\u0041", "\"", size)),
    ("characters", |size| one(KEY, "a: \"", "é", "\"", size)),
    ("toml line", |size| one(INPUTS, "a = [", "1,", "]", size)),
    ("toml characters", |size| one(INPUTS, "a = [", "\"é\",", "]", size)),
    ("toml inputs", |size| {
        one(INPUTS, "", "[[inputs.prometheus]]\n", "", size)
    }),
    ("toml others", |size| one(INPUTS, "", "[[inputs.redis]]\n", "", size)),
    ("toml tables", |size| one(INPUTS, "", "[a#]\n", "", size)),
    ("toml one table", |size| one(INPUTS, "", "[a]\n", "", size)),
    ("toml errors", |size| one(INPUTS, "", "=\n", "", size)),
    ("toml errors in a line", |size| one(INPUTS, "a = [", "=,", "", size)),
    ("toml dots", |size| one(INPUTS, "a", ".a", " = 1", size)),
    ("toml braces", |size| one(INPUTS, "a = ", "{a=", "", size)),
    ("toml brackets", |size| one(INPUTS, "a = ", "[", "", size)),
    ("toml names", |size| {
        one(INPUTS, "[[inputs.redis]]\n", "a#=1\n", "", size)
    }),
    ("toml one name", |size| {
        one(INPUTS, "[[inputs.redis]]\n", "a=1\n", "", size)
    }),
    ("toml dotted names", |size| {
        one(INPUTS, "[[inputs.redis]]\n", "a.b#=1\n", "", size)
    }),
    ("toml text", |size| one(INPUTS, "a = \"\"\"", "a\n", "\"\"\"", size)),
    ("namepass", |size| {
        one("telegraf.influxdata.com/namepass", "[", "'{',", "]", size)
    }),
    ("unknown annotations", |size| {
        many("telegraf.influxdata.com/unknown-#", "x", size)
    }),
    ("global tags", |size| {
        many("telegraf.influxdata.com/global-tag-literal-#", "x", size)
    }),
    ("variables", |size| {
        many("telegraf.influxdata.com/env-literal-A#", "x", size)
    }),
    ("secret variables", |size| {
        many("telegraf.influxdata.com/env-secretkeyref-A#", "a.b", size)
    }),
    ("other annotations", |size| many("example.com/a#", "x", size)),
    ("endpoints with options", |size| {
        let one_endpoint =
            "a#: {url: 'http://a#.argocd.svc/', tags: {a: b, c: d, e: f}, tagdrop: {a: ['x*', 'y']}, interval: 1m}\n";
        one(KEY, "", one_endpoint, "", size)
    }),
];
