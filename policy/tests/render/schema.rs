//! What editors say of an annotation, with the JSON Schema, beside what the module says of it.

use jsonschema::Validator;
use serde_json::Value;
use telewarden_policy::diagnostic::{Severity, rules};
use telewarden_policy::schema;

use super::table::{Case, cases};

fn validator(schema: &schemars::Schema) -> Validator {
    jsonschema::validator_for(schema.as_value()).expect("a schema")
}

/// Whether the module finds an error. A warning is none.
fn is_refused(case: &Case) -> bool {
    case.expect.iter().any(|finding| {
        let code = finding.split(' ').next().expect("a code");
        rules::find(code).expect("a rule").severity == Severity::Error
    })
}

#[test]
fn the_schema_of_an_annotation_says_what_the_module_says() {
    let validator = validator(&schema::annotation());
    let mut wrong = Vec::new();
    for case in cases() {
        let Some(text) = case.annotation() else { continue };
        // An editor reads the annotation as YAML first, and says what is wrong with that by itself.
        let value = serde_yaml::from_str::<Value>(&text);
        let accepts = value.is_ok_and(|value| validator.is_valid(&value));
        let agrees = accepts != is_refused(&case);
        match (agrees, &case.schema) {
            (true, Some(why)) => wrong.push(format!("{}: the schema says the same, and not: {why}", case.name)),
            (false, None) if accepts => wrong.push(format!("{}: the schema accepts it", case.name)),
            (false, None) => wrong.push(format!("{}: the schema refuses it", case.name)),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_schema_of_settings_says_what_the_module_says() {
    let validator = validator(&schema::settings());
    for case in cases().iter().filter(|case| !case.settings().is_null()) {
        assert!(validator.is_valid(case.settings()), "{}", case.name);
    }
    for (settings, accepted) in [
        ("{}", true),
        ("{topology: standalone, standalone: {namespace: telegraf}}", true),
        ("{topology: sideways}", false),
        ("{annotations: a.org/b}", false),
        ("{endpoints: {max: -1}}", false),
        ("{endpoints: {max: many}}", false),
        ("{classes: {default: {outputs: {}, extra: 1}}}", false),
    ] {
        let value: Value = serde_yaml::from_str(settings).unwrap();
        let refused = telewarden_policy::settings::read(Some(&value)).0.is_none();
        assert_eq!(refused, !accepted, "{settings}, the module");
        assert_eq!(validator.is_valid(&value), accepted, "{settings}, the schema");
    }
}
