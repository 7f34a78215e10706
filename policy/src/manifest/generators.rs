//! Generators of ApplicationSets that Argo CD refuses
//! (<https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/Generators/>).

use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, Place, Problem, escape_pointer};
use crate::telegraf::nearest;

/// Every kind of generator.
#[cfg(feature = "files")]
const KINDS: &[&str] = &[
    "clusterDecisionResource",
    "clusters",
    "git",
    "list",
    "matrix",
    "merge",
    "plugin",
    "pullRequest",
    "scmProvider",
];

/// The fields of a generator's body, for the kinds that are expanded here.
#[cfg(feature = "files")]
fn fields(kind: &str) -> Option<&'static [&'static str]> {
    match kind {
        "list" => Some(&["elements", "elementsYaml", "template"]),
        "matrix" => Some(&["generators", "template"]),
        "merge" => Some(&["generators", "mergeKeys", "template"]),
        _ => None,
    }
}

/// The generators in the `spec` of an ApplicationSet.
pub(super) fn of(spec: &Value) -> Result<&[Value], Box<Diagnostic>> {
    match &spec["generators"] {
        Value::Array(generators) => Ok(generators),
        Value::Null => {
            let keys = spec.as_object().into_iter().flat_map(Map::keys);
            let mut misspelt = keys.filter(|key| is_like(key, "generators"));
            Err(Box::new(match misspelt.next() {
                Some(key) => at_key(
                    format!("`{key}` is not a field of `spec`"),
                    did_you_mean("generators"),
                    &format!("/spec/{}", escape_pointer(key)),
                ),
                None => at_key("`spec.generators` is missing".to_owned(), None, "/spec"),
            }))
        }
        _ => Err(Box::new(at_key(
            "`spec.generators` must be a list".to_owned(),
            Some("begin each generator with `- `".to_owned()),
            "/spec/generators",
        ))),
    }
}

/// What Argo CD refuses in a generator and those within it. The playground leaves it out, because it is large.
#[cfg(feature = "files")]
pub(super) fn check(generator: &Value, pointer: &str) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    let Some(map) = generator.as_object() else {
        return findings;
    };
    for (kind, body) in map.iter().filter(|(kind, _)| *kind != "selector") {
        let pointer = format!("{pointer}/{}", escape_pointer(kind));
        if !KINDS.contains(&kind.as_str()) {
            let instead = match nearest(kind, KINDS.iter().copied()) {
                Some(known) => did_you_mean(known),
                None => Some(format!("known: `{}`", KINDS.join("`, `"))),
            };
            findings.push(at_key(format!("`{kind}` is not a generator"), instead, &pointer));
            continue;
        }
        match (body, fields(kind)) {
            (Value::Object(body), Some(fields)) => check_body(kind, body, fields, &pointer, &mut findings),
            (Value::Object(_) | Value::Null, _) => {}
            _ => {
                let instead = (kind == "list").then(|| "write the elements below `elements`".to_owned());
                findings.push(at_key(
                    format!("the `{kind}` generator must be a map"),
                    instead,
                    &pointer,
                ));
            }
        }
    }
    findings
}

#[cfg(feature = "files")]
fn check_body(
    kind: &str,
    body: &Map<String, Value>,
    fields: &[&'static str],
    pointer: &str,
    findings: &mut Vec<Diagnostic>,
) {
    let before = findings.len();
    for key in body.keys().filter(|key| !fields.contains(&key.as_str())) {
        let instead = match nearest(key, fields.iter().copied()) {
            Some(known) => did_you_mean(known),
            None => Some(format!("known: `{}`", fields.join("`, `"))),
        };
        let error = format!("`{key}` is not a field of a `{kind}` generator");
        findings.push(at_key(error, instead, &format!("{pointer}/{}", escape_pointer(key))));
    }
    for field in ["elements", "generators", "mergeKeys"] {
        if body
            .get(field)
            .is_some_and(|value| !value.is_array() && !value.is_null())
        {
            let error = format!("`{field}` must be a list");
            let instead = "begin each entry with `- `".to_owned();
            findings.push(at_key(error, Some(instead), &format!("{pointer}/{field}")));
        }
    }
    // What follows may come from the same mistake.
    if findings.len() > before || kind == "list" {
        return;
    }
    let items = |field: &str| body.get(field).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let children = items("generators");
    match (kind, children.len()) {
        ("matrix", count) if count != 2 => findings.push(at_key(
            format!("Argo CD takes exactly two generators in a `matrix`, not {count}"),
            Some("put a `matrix` of two into another for more".to_owned()).filter(|_| count > 2),
            pointer,
        )),
        ("merge", 0 | 1) => findings.push(at_key(
            "Argo CD takes two or more generators in a `merge`".to_owned(),
            None,
            pointer,
        )),
        _ => {}
    }
    if kind == "merge" && items("mergeKeys").is_empty() {
        findings.push(at_key(
            "`mergeKeys` is missing".to_owned(),
            Some("name the parameters that the generators have in common, such as `mergeKeys: [name]`".to_owned()),
            pointer,
        ));
    }
    for (index, child) in children.iter().enumerate() {
        findings.extend(check(child, &format!("{pointer}/generators/{index}")));
    }
}

fn is_like(key: &str, known: &'static str) -> bool {
    nearest(key, [known].into_iter()).is_some()
}

fn did_you_mean(known: &str) -> Option<String> {
    Some(format!("did you mean `{known}`?"))
}

fn at_key(error: String, instead: Option<String>, pointer: &str) -> Diagnostic {
    let place = Place {
        key: true,
        ..Place::pointer(pointer)
    };
    Problem::Generator { error, instead }.at(place)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::misspelt(json!({"generator": []}), "`generator` is not a field of `spec`", Some("`generators`"))]
    #[case::none(json!({"template": {}}), "`spec.generators` is missing", None)]
    #[case::map(json!({"generators": {"list": {}}}), "`spec.generators` must be a list", Some("`- `"))]
    fn no_list_is_refused(#[case] spec: Value, #[case] message: &str, #[case] help: Option<&str>) {
        let finding = of(&spec).expect_err("it is refused");
        assert_eq!(finding.message, message);
        let said = finding.help.as_deref().unwrap_or_default();
        assert!(said.contains(help.unwrap_or_default()), "{said}");
    }

    #[rstest]
    #[case::fine(json!({"list": {"elements": [{}]}}), None)]
    #[case::selector(json!({"git": {"repoURL": "x"}, "selector": {}}), None)]
    #[case::empty_clusters(json!({"clusters": {}}), None)]
    #[case::matrix(json!({"matrix": {"generators": [{"clusters": {}}, {"list": {"elements": []}}]}}), None)]
    #[case::field(json!({"list": {"element": []}}), Some("`element` is not a field of a `list` generator"))]
    #[case::kind(json!({"cluster": {}}), Some("`cluster` is not a generator"))]
    #[case::list_of_elements(json!({"list": [{"name": "a"}]}), Some("the `list` generator must be a map"))]
    #[case::map_of_elements(json!({"list": {"elements": {"name": "a"}}}), Some("`elements` must be a list"))]
    #[case::three(json!({"matrix": {"generators": [{}, {}, {}]}}), Some("exactly two generators in a `matrix`"))]
    #[case::one(json!({"matrix": {"generators": [{}]}}), Some("exactly two generators in a `matrix`"))]
    #[case::no_keys(json!({"merge": {"generators": [{}, {}]}}), Some("`mergeKeys` is missing"))]
    #[case::alone(json!({"merge": {"mergeKeys": ["a"], "generators": [{}]}}), Some("two or more generators"))]
    #[case::within(
        json!({"matrix": {"generators": [{"clusters": {}}, {"lst": {"elements": []}}]}}),
        Some("`lst` is not a generator")
    )]
    fn what_argo_cd_refuses_is_said(#[case] generator: Value, #[case] expected: Option<&str>) {
        let found = check(&generator, "/spec/generators/0");
        let said: Vec<_> = found.iter().map(|finding| finding.message.as_str()).collect();
        match (said.as_slice(), expected) {
            ([], None) => {}
            ([said], Some(expected)) => assert!(said.contains(expected), "{said}"),
            _ => panic!("{said:?}"),
        }
    }
}
