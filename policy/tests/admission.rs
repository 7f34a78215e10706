//! What requests are answered with.
#![allow(clippy::unwrap_used)]

use kubewarden_policy_sdk::response::ValidationResponse;
use kubewarden_policy_sdk::settings::SettingsValidationResponse;
use rstest::rstest;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use telewarden_policy::admission;

const KEY: &str = "telegraf.influxdata.com/rubin-telegraf-operator";
const DIGEST: &str = "telegraf.influxdata.com/rendered-digest";
const RESOURCES: &str = "telegraf.influxdata.com/rendered";
const GOOD: &str = "- redis: http://redis.argocd.svc:9121/metrics\n";
const OTHER_GOOD: &str = "- server: http://server.argocd.svc:8083/metrics\n";
const BAD: &str = "- redis: http://redis.elsewhere.svc:9121/metrics\n- \"a b\": ftp://x\n";

/// The answer as Kubewarden reads it: with the types of its own SDK.
fn answer_to(payload: &[u8]) -> ValidationResponse {
    let answer = serde_json::to_vec(&admission::validate(payload)).unwrap();
    serde_json::from_slice(&answer).unwrap()
}

fn answer(request: &Value, settings: &Value) -> ValidationResponse {
    answer_to(&serde_json::to_vec(&json!({"request": request, "settings": settings})).unwrap())
}

fn settings_answer(settings: &[u8]) -> SettingsValidationResponse {
    let answer = serde_json::to_vec(&admission::validate_settings(settings)).unwrap();
    serde_json::from_slice(&answer).unwrap()
}

fn request(operation: &str, object: &Value, old: &Value) -> Value {
    json!({"uid": "1", "operation": operation, "object": object, "oldObject": old})
}

fn application(annotations: &Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "argocd", "namespace": "argocd", "annotations": annotations},
        "spec": {
            "project": "default",
            "destination": {"namespace": "argocd", "server": "https://kubernetes.default.svc"},
        },
    })
}

fn annotated(text: &str) -> Value {
    application(&json!({KEY: text}))
}

fn namespace(annotations: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "argocd", "annotations": annotations}})
}

fn application_set(template: &Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": "all", "namespace": "argocd"},
        "spec": {"generators": [{"list": {"elements": []}}], "template": template},
    })
}

/// Where the rules' pages are.
const PAGES: &str = "https://github.com/telewarden/telewarden/blob/main/docs/rules";

/// An object with a change made to it.
fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[name] = value;
    object
}

#[rstest]
#[case::no_annotation(&application(&json!({})))]
#[case::no_annotations_at_all(&application(&Value::Null))]
#[case::annotations_of_others(&application(&json!({"argocd.argoproj.io/refresh": "hard"})))]
#[case::good(&annotated(GOOD))]
#[case::a_good_namespace(&namespace(&json!({KEY: GOOD})))]
// Not ours, whatever it holds.
#[case::another_kind(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"annotations": {KEY: BAD}}}))]
#[case::another_version(&with(annotated(BAD), "/apiVersion", json!("argoproj.io/v2")))]
#[case::another_kind_of_odd_shape(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": 5}))]
// Nothing of ours is in it, so its shape is none of our business.
#[case::an_odd_spec(&with(application(&json!({})), "/spec", json!(5)))]
fn is_accepted(#[case] object: &Value) {
    for (operation, old) in [("CREATE", &Value::Null), ("UPDATE", object)] {
        let answer = answer(&request(operation, object, old), &Value::Null);
        assert!(answer.accepted, "{operation}: {answer:?}");
        assert_eq!((answer.message, answer.code, answer.warnings), (None, None, None));
        assert!(answer.mutated_object.is_none());
    }
}

#[rstest]
#[case::a_bad_annotation(&annotated(BAD), "TW111")]
#[case::a_bad_namespace(&namespace(&json!({KEY: BAD})), "TW111")]
#[case::an_annotation_that_is_a_number(&application(&json!({KEY: 5})), "TW012")]
#[case::an_annotation_that_is_a_list(&application(&json!({KEY: [{"redis": "http://redis.argocd.svc"}]})), "TW012")]
#[case::an_annotation_that_is_null(&application(&json!({KEY: null})), "TW012")]
#[case::no_destination(&with(annotated(GOOD), "/spec", json!({})), "TW401")]
#[case::an_odd_spec(&with(annotated(GOOD), "/spec", json!(5)), "TW403")]
#[case::an_odd_destination(&with(annotated(GOOD), "/spec/destination", json!("argocd")), "TW403")]
#[case::annotations_that_are_a_list(&application(&json!([KEY])), "TW403")]
#[case::odd_metadata(&with(annotated(GOOD), "/metadata", json!("argocd")), "TW403")]
#[case::an_odd_kind(&with(annotated(GOOD), "/kind", json!({})), "TW403")]
#[case::a_number(&json!(5), "TW403")]
#[case::nothing(&Value::Null, "TW403")]
fn is_refused(#[case] object: &Value, #[case] code: &str) {
    let before = with(annotated(GOOD), "/metadata/annotations", json!({}));
    for (operation, old) in [("CREATE", &Value::Null), ("UPDATE", &before)] {
        let answer = answer(&request(operation, object, old), &Value::Null);
        assert!(!answer.accepted, "{operation}");
        assert_eq!(answer.code, Some(422));
        assert!(
            answer.message.as_ref().is_some_and(|message| message.contains(code)),
            "{answer:?}"
        );
    }
}

#[rstest]
#[case::delete("DELETE", annotated(BAD))]
#[case::connect("CONNECT", annotated(BAD))]
#[case::an_operation_of_tomorrow("FROBNICATE", annotated(BAD))]
#[case::delete_of_an_odd_shape("DELETE", json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": 1}))]
#[case::a_finalizer_goes("UPDATE", with(annotated(BAD), "/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")))]
fn what_goes_away_is_never_held(#[case] operation: &str, #[case] object: Value) {
    let old = annotated(GOOD);
    for (object, old) in [(&object, &old), (&object, &object), (&Value::Null, &object)] {
        if (operation, object) != ("UPDATE", &Value::Null) {
            assert!(answer(&request(operation, object, old), &Value::Null).accepted);
        }
    }
}

#[test]
fn a_deletion_timestamp_that_is_null_or_new_means_nothing() {
    let null = with(annotated(BAD), "/metadata/deletionTimestamp", Value::Null);
    assert!(!answer(&request("UPDATE", &null, &annotated(GOOD)), &Value::Null).accepted);
    let created = with(
        annotated(BAD),
        "/metadata/deletionTimestamp",
        json!("2026-01-01T00:00:00Z"),
    );
    assert!(!answer(&request("CREATE", &created, &Value::Null), &Value::Null).accepted);
}

/// An object was admitted, or was there before the policy, and does not pass any more.
#[rstest]
#[case::an_application(annotated(BAD))]
#[case::a_namespace(namespace(&json!({KEY: BAD})))]
#[case::an_odd_spec(with(annotated(GOOD), "/spec", json!(5)))]
#[case::an_application_set(application_set(&annotated(BAD)))]
#[case::an_application_set_of_an_odd_shape(application_set(&json!("none")))]
fn what_was_there_stays(#[case] old: Value) {
    let status = with(old.clone(), "/status", json!({"sync": {"status": "Synced"}}));
    let answer = answer(&request("UPDATE", &status, &old), &Value::Null);
    assert!(answer.accepted && answer.warnings.is_none(), "{answer:?}");
    let created = self::answer(&request("CREATE", &status, &Value::Null), &Value::Null);
    assert!(!created.accepted, "{created:?}");
}

#[test]
fn a_warning_is_short_and_names_its_page() {
    let long = format!("telegraf.influxdata.com/{}", "x".repeat(150));
    let object = application(&json!({KEY: GOOD, long: "x"}));
    let answer = answer(&request("CREATE", &object, &Value::Null), &Value::Null);
    let [warning] = <[String; 1]>::try_from(answer.warnings.unwrap()).unwrap();
    let (text, page) = warning.split_once("; see ").unwrap();
    assert!(text.chars().count() == 120 && text.ends_with('…'), "{warning}");
    assert!(page.starts_with("https://") && warning.len() < 256, "{warning}");
}

#[rstest]
#[case::the_annotation("/metadata/annotations", json!({KEY: format!("{BAD}- x: http://x.argocd.svc\n")}))]
#[case::another_annotation_of_ours("/metadata/annotations", json!({KEY: BAD, "telegraf.influxdata.com/interval": "30s"}))]
#[case::the_namespace("/spec/destination/namespace", json!("dev"))]
#[case::the_server("/spec/destination/server", json!("https://example.com"))]
#[case::the_project("/spec/project", json!("other"))]
fn a_change_of_ours_is_checked(#[case] pointer: &str, #[case] value: Value) {
    let old = annotated(BAD);
    let new = with(old.clone(), pointer, value);
    assert!(!answer(&request("UPDATE", &new, &old), &Value::Null).accepted);
    // On CREATE there is nothing that it could have been before.
    assert!(!answer(&request("CREATE", &old, &old), &Value::Null).accepted);
}

#[rstest]
#[case::a_label("/metadata/labels", json!({"a": "b"}))]
#[case::a_foreign_annotation("/metadata/annotations", json!({"argocd.argoproj.io/refresh": "hard", KEY: BAD}))]
#[case::the_source("/spec/source", json!({"repoURL": "https://example.com"}))]
fn a_change_of_others_is_not(#[case] pointer: &str, #[case] value: Value) {
    let old = annotated(BAD);
    let new = with(old.clone(), pointer, value);
    assert!(answer(&request("UPDATE", &new, &old), &Value::Null).accepted);
}

#[test]
fn what_was_there_and_is_fine_is_not_warned_about_again() {
    let doubtful = annotated("- a: http://redis.argocd.svc:9121/metrics\n- b: http://redis.argocd.svc:9121/metrics\n");
    let created = answer(&request("CREATE", &doubtful, &Value::Null), &Value::Null);
    assert_eq!(
        created.warnings.unwrap(),
        [format!(
            "TW113: endpoint `a` scrapes this URL already; remove one of the two; see {PAGES}/TW113.md"
        )]
    );
    let updated = answer(&request("UPDATE", &doubtful, &doubtful), &Value::Null);
    assert!(updated.accepted && updated.warnings.is_none());
}

#[test]
fn a_stricter_setting_holds_for_what_is_new() {
    let strict = json!({"endpoints": {"schemes": ["https"]}});
    let old = annotated(GOOD);
    assert!(answer(&request("CREATE", &old, &Value::Null), &Value::Null).accepted);
    assert!(!answer(&request("CREATE", &old, &Value::Null), &strict).accepted);
    let updated = answer(&request("UPDATE", &old, &old), &strict);
    assert!(updated.accepted && updated.warnings.is_none());
}

#[test]
fn the_settings_may_name_another_annotation() {
    let settings = json!({"annotation": "example.com/endpoints"});
    let object = application(&json!({"example.com/endpoints": BAD}));
    assert!(answer(&request("CREATE", &object, &Value::Null), &Value::Null).accepted);
    assert!(!answer(&request("CREATE", &object, &Value::Null), &settings).accepted);
}

#[test]
fn every_problem_is_in_one_paragraph() {
    let message = answer(&request("CREATE", &annotated(BAD), &Value::Null), &Value::Null)
        .message
        .unwrap();
    insta::assert_snapshot!(message);
    let two = "- a: http://a.elsewhere.svc\n- b: http://b.elsewhere.svc\n";
    let message = answer(&request("CREATE", &annotated(two), &Value::Null), &Value::Null)
        .message
        .unwrap();
    assert_eq!(
        message.matches("allowed: `").count(),
        1,
        "the same help is given once: {message}"
    );
}

#[test]
fn nothing_reaches_a_terminal_as_a_command() {
    let annotation = "- \"a\\e[31mb\\nc\": http://redis.argocd.svc\n";
    let message = answer(&request("CREATE", &annotated(annotation), &Value::Null), &Value::Null)
        .message
        .unwrap();
    assert!(!message.contains(char::is_control), "{message:?}");
}

#[test]
fn many_warnings_are_counted() {
    let endpoints = (0..60)
        .map(|index| format!("- e{index}: http://redis.argocd.svc:9121/metrics\n"))
        .collect::<String>();
    let warnings = answer(&request("CREATE", &annotated(&endpoints), &Value::Null), &Value::Null)
        .warnings
        .unwrap();
    assert_eq!(warnings.len(), 10);
    assert_eq!(warnings[9], "50 more; `telewarden validate` shows all");
}

#[test]
fn the_audit_log_gets_facts() {
    let facts = |text, mutation| {
        answer(
            &request("CREATE", &annotated(text), &Value::Null),
            &json!({"mutation": mutation}),
        )
        .audit_annotations
        .unwrap()
    };
    let one = facts(GOOD, "digest");
    assert_eq!(one["endpoints"], "1");
    assert!(one["rendered-digest"].starts_with("sha256:") && one["rendered-digest"].len() == 71);
    assert_eq!(one, facts(GOOD, "digest"));
    assert_ne!(one["rendered-digest"], facts(OTHER_GOOD, "digest")["rendered-digest"]);
    assert_eq!(one, facts(GOOD, "resources"));
    // Nothing is rendered for a digest that nobody asked for.
    assert_eq!(facts(GOOD, "none"), [("endpoints".to_owned(), "1".to_owned())].into());
    let standalone = json!({"topology": "standalone"});
    let shared = answer(&request("CREATE", &annotated(GOOD), &Value::Null), &standalone)
        .audit_annotations
        .unwrap();
    assert_eq!(shared["endpoints"], "1");
}

fn mutated(object: &Value, old: &Value, mutation: &str) -> Option<Value> {
    let operation = if old.is_null() { "CREATE" } else { "UPDATE" };
    let answer = answer(&request(operation, object, old), &json!({"mutation": mutation}));
    assert!(answer.accepted, "{answer:?}");
    answer.mutated_object
}

#[test]
fn mutation_writes_what_is_rendered_and_nothing_else() {
    // A number that no float holds, and a depth that no tree of `serde_json` has.
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let object = annotated(GOOD).to_string();
    let object = format!(
        "{},\"status\":{{\"n\":123456789012345678901234567890,\"deep\":{deep}}}}}",
        &object[..object.len() - 1]
    );
    let payload = format!(
        r#"{{"request":{{"uid":"1","operation":"CREATE","object":{object}}},"settings":{{"mutation":"resources"}}}}"#
    );
    let answer = admission::validate(payload.as_bytes());
    let mutated = answer.mutated_object.as_ref().unwrap().get();
    assert!(mutated.contains("123456789012345678901234567890") && mutated.contains(&deep));

    let resources = self::mutated(&annotated(GOOD), &Value::Null, "resources").unwrap();
    let text = resources["metadata"]["annotations"][RESOURCES].as_str().unwrap();
    let list: Value = serde_json::from_str(text).unwrap();
    assert_eq!(
        (&list["kind"], list["items"].as_array().unwrap().len()),
        (&json!("List"), 2)
    );
    let digest = self::mutated(&annotated(GOOD), &Value::Null, "digest").unwrap();
    let hex = Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    assert_eq!(
        digest,
        application(&json!({KEY: GOOD, DIGEST: format!("sha256:{hex}")}))
    );

    // The result passes as it is, and needs nothing more.
    assert_eq!(self::mutated(&digest, &Value::Null, "digest"), None);
    assert_eq!(self::mutated(&resources, &Value::Null, "resources"), None);
}

#[test]
fn mutation_follows_what_changes() {
    let digest = mutated(&annotated(GOOD), &Value::Null, "digest").unwrap();
    let changed = with(
        digest.clone(),
        &format!("/metadata/annotations/{KEY}").replace(KEY, "x"),
        Value::Null,
    );
    let mut changed = with(
        changed,
        "/metadata/annotations",
        digest["metadata"]["annotations"].clone(),
    );
    changed["metadata"]["annotations"][KEY] = json!(OTHER_GOOD);
    let now = mutated(&changed, &digest, "digest").unwrap();
    let fresh = mutated(&annotated(OTHER_GOOD), &Value::Null, "digest").unwrap();
    assert_eq!(
        now["metadata"]["annotations"][DIGEST],
        fresh["metadata"]["annotations"][DIGEST]
    );

    // A status update is left alone, also when the object is older than the setting.
    assert_eq!(mutated(&annotated(GOOD), &annotated(GOOD), "digest"), None);
    // What nothing is rendered for any more loses it.
    let without = application(&json!({DIGEST: digest["metadata"]["annotations"][DIGEST]}));
    assert_eq!(mutated(&without, &digest, "digest").unwrap(), application(&json!({})));
    // One kind takes the place of the other.
    let resources = mutated(&with(digest.clone(), "/spec/project", json!("p")), &digest, "resources").unwrap();
    let annotations = resources["metadata"]["annotations"].as_object().unwrap();
    assert!(annotations.contains_key(RESOURCES) && !annotations.contains_key(DIGEST));
}

#[rstest]
#[case::none("none")]
#[case::digest("digest")]
#[case::resources("resources")]
fn what_the_policy_writes_cannot_be_forged(#[case] mutation: &str) {
    let settings = json!({"mutation": mutation});
    for name in [DIGEST, RESOURCES] {
        let forged = application(&json!({KEY: GOOD, name: "sha256:0"}));
        let created = answer(&request("CREATE", &forged, &Value::Null), &settings);
        assert!(!created.accepted && created.message.unwrap().contains("TW315"));
        let updated = answer(&request("UPDATE", &forged, &annotated(GOOD)), &settings);
        assert!(!updated.accepted);
        // It is what the object had already, whoever wrote it.
        let other = application(&json!({KEY: OTHER_GOOD, name: "sha256:0"}));
        assert!(answer(&request("UPDATE", &other, &forged), &settings).accepted);
        // Without endpoints it means as little.
        let alone = application(&json!({name: "x"}));
        assert!(!answer(&request("CREATE", &alone, &Value::Null), &settings).accepted);
    }
}

#[rstest]
#[case::nothing_of_ours(json!({"metadata": {"name": "{{name}}"}, "spec": {"destination": {"namespace": "{{name}}"}}}), &[])]
#[case::decided(annotated(GOOD), &[])]
#[case::decided_and_bad(annotated(BAD), &["!TW111", "!TW101", "!TW106"])]
#[case::a_hole_in_the_annotation(annotated("- {{name}}: ftp://x\n"), &["!TW106"])]
#[case::a_hole_alone(annotated("{{ .endpoints }}\n"), &["TW407"])]
#[case::a_hole_in_a_host(annotated("- redis: http://redis.{{ .ns }}.svc:{{ .port }}/metrics\n"), &["TW407"])]
#[case::an_unknown_option_beside_a_hole(
    annotated("- redis:\n    url: http://redis.{{ .ns }}.svc\n    intervall: 30s\n"), &["!TW201"]
)]
#[case::a_scheme_before_a_hole(annotated("- redis: ftp://redis.{{ .ns }}.svc\n"), &["!TW106"])]
#[case::a_hole_as_scheme(annotated("- redis: \"{{ .scheme }}://redis.argocd.svc\"\n"), &["TW407"])]
#[case::names_that_are_holes(annotated("- {{.a}}: http://a.argocd.svc\n- {{.b}}: http://b.argocd.svc\n"), &["TW407"])]
#[case::options_that_are_holes(
    annotated("- redis:\n    url: http://redis.argocd.svc\n    interval: {{ .interval }}\n    metric_version: {{ .v }}\n"), &["TW407"]
)]
#[case::lines_that_are_holes(
    annotated("{{- if .redis }}\n- redis: http://redis.argocd.svc\n{{- end }}\n{{ toYaml .more }}\n"), &["TW407"]
)]
#[case::a_mistake_between_lines_that_are_holes(
    annotated("{{- if .redis }}\n- redis: ftp://redis.argocd.svc\n{{- end }}\n"), &["!TW106"]
)]
#[case::another_cluster(with(annotated(GOOD), "/spec/destination/server", json!("https://eu.example.com")), &["TW405"])]
#[case::a_hole_in_one_of_two(
    application(&json!({KEY: "- redis: ftp://x\n", "telegraf.influxdata.com/interval": "{{ .interval }}"})), &["TW407", "!TW106"]
)]
#[case::a_hole_in_the_namespace(
    with(annotated(GOOD), "/spec/destination/namespace", json!("{{name}}")), &["TW407"]
)]
#[case::a_hole_in_the_namespace_and_a_bad_scheme(
    with(annotated("- redis: ftp://redis.argocd.svc\n"), "/spec/destination/namespace", json!("{{name}}")), &["!TW106"]
)]
#[case::no_namespace_yet(with(annotated(GOOD), "/spec/destination", json!({})), &["!TW401"])]
#[case::not_text(application(&json!({KEY: {}})), &["!TW012"])]
fn a_template_is_checked_as_far_as_it_is_decided(#[case] template: Value, #[case] expected: &[&str]) {
    let set = application_set(&template);
    let answer = answer(&request("CREATE", &set, &Value::Null), &json!({"mutation": "digest"}));
    let rejected = expected.iter().any(|code| code.starts_with('!'));
    assert_eq!(answer.accepted, !rejected, "{answer:?}");
    assert!(answer.mutated_object.is_none() && answer.audit_annotations.is_none());
    let text = answer
        .message
        .unwrap_or_else(|| answer.warnings.unwrap_or_default().join("\n"));
    for code in expected.iter().filter(|code| code.starts_with('!') == rejected) {
        assert!(text.contains(code.trim_start_matches('!')), "{code} in {text}");
    }
    if expected.is_empty() {
        assert_eq!(text, "");
    } else if !rejected {
        assert_eq!(text.lines().count(), expected.len(), "{text}");
    }
    // A digit stands in the place of a placeholder's characters, and is nobody's text.
    assert!(!text.contains("111111"), "{text}");
}

#[test]
fn a_template_patch_may_say_anything() {
    let set = application_set(&with(annotated(GOOD), "/spec/destination", json!({})));
    let patch = format!("metadata: {{annotations: {{{KEY}: '{{{{.x}}}}'}}}}");
    let set = with(set, "/spec/templatePatch", json!(patch));
    let answer = answer(&request("CREATE", &set, &Value::Null), &Value::Null);
    assert!(answer.accepted, "{answer:?}");
    assert_eq!(answer.warnings.unwrap().len(), 2);
}

#[test]
fn a_raw_request_is_rendered() {
    let list = answer(&annotated(GOOD), &Value::Null).mutated_object.unwrap();
    let kinds: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["kind"].clone())
        .collect();
    assert_eq!(kinds, ["ConfigMap", "Deployment"]);
    let both = json!({"apiVersion": "v1", "kind": "List", "items": [annotated(GOOD), namespace(&json!({KEY: GOOD}))]});
    let list = answer(&both, &Value::Null).mutated_object.unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 4);
    // Nothing to render is no mistake.
    let list = answer(
        &annotated(GOOD).as_object().map(|_| application(&json!({}))).unwrap(),
        &Value::Null,
    );
    assert_eq!(list.mutated_object.unwrap()["items"], json!([]));
    // An Application that Argo CD is busy with has an `operation`.
    let busy = with(annotated(GOOD), "/operation", json!({"sync": {}}));
    assert!(answer(&busy, &Value::Null).accepted);
    let bad = answer(&annotated(BAD), &Value::Null);
    assert!(!bad.accepted && bad.mutated_object.is_none());
}

#[rstest]
#[case::not_json(b"{\"request\": ")]
#[case::not_utf8(b"{\"request\": {\"uid\": \"1\", \"operation\": \"\xff\"}}")]
#[case::empty(b"")]
#[case::null(b"null")]
#[case::no_request(b"{}")]
#[case::nothing_known(b"{\"request\": {}}")]
#[case::a_text(b"{\"request\": \"Application\"}")]
#[case::odd_settings(b"{\"request\": {\"uid\": \"1\", \"operation\": \"CREATE\"}, \"settings\": 5}")]
#[case::an_operation_that_is_a_number(b"{\"request\": {\"uid\": \"1\", \"operation\": 5, \"object\": {}}}")]
#[case::two_objects(b"{\"request\": {\"uid\": \"1\", \"operation\": \"CREATE\", \"object\": {}, \"object\": {}}}")]
fn a_payload_that_is_no_request_is_answered(#[case] payload: &[u8]) {
    let answer = answer_to(payload);
    assert!(!answer.accepted && answer.code == Some(422));
    assert!(
        answer.message.unwrap().starts_with("TW403"),
        "{:?}",
        answer_to(payload).message
    );
}

#[test]
fn wrong_settings_refuse_what_they_are_needed_for() {
    let settings = json!({"topology": "star", "mutation": 5});
    assert!(answer(&request("CREATE", &application(&json!({})), &Value::Null), &settings).accepted);
    let refused = answer(&request("CREATE", &annotated(GOOD), &Value::Null), &settings);
    assert!(!refused.accepted && refused.message.unwrap().contains("(2) TW501"));
    assert!(answer(&request("UPDATE", &annotated(GOOD), &annotated(GOOD)), &settings).accepted);
}

#[test]
fn settings_are_validated_all_at_once() {
    for fine in [&b"{}"[..], b"null", br#"{"topology": "standalone"}"#] {
        let answer = settings_answer(fine);
        assert!(answer.valid, "{:?}", answer.message);
    }
    for odd in [&b"[]"[..], b"5", b"\"text\"", b"{", b"", b"\xff"] {
        let answer = settings_answer(odd);
        assert!(!answer.valid && answer.message.is_some());
    }
}

#[test]
fn settings_that_are_wrong_in_every_field_are_told_so() {
    let defaults = telewarden_policy::settings::defaults();
    // Of no field's type: every field is text, a number, a boolean, a map or a list of text or maps.
    let wrong: serde_json::Map<_, _> = defaults
        .as_object()
        .unwrap()
        .keys()
        .map(|name| (name.clone(), json!([[1]])))
        .collect();
    let answer = settings_answer(&serde_json::to_vec(&wrong).unwrap());
    let message = answer.message.unwrap();
    assert!(!answer.valid);
    for name in wrong.keys() {
        assert!(message.contains(&format!("`{name}")), "{name} is missing: {message}");
    }
}

#[test]
fn a_large_request_is_answered() {
    let large = with(
        annotated(GOOD),
        "/status",
        json!({"resources": vec![json!({"kind": "Pod", "name": "x".repeat(90)}); 30_000]}),
    );
    let payload = serde_json::to_vec(&json!({"request": request("UPDATE", &large, &large), "settings": {}})).unwrap();
    assert!(payload.len() > 6_000_000);
    assert!(answer_to(&payload).accepted);
}

/// The Services of the namespace, as Kubewarden's `list_resources_by_namespace` answers them.
const SERVICES: &str = r#"{"apiVersion": "v1", "kind": "List", "items": [
    {"metadata": {"name": "redis"}, "spec": {"clusterIP": "10.0.0.1", "type": "ClusterIP", "ports": [{"port": 9121, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}},
    {"metadata": {"name": "headless"}, "spec": {"clusterIP": "None", "ports": [{"port": 80}]}},
    {"metadata": {"name": "elsewhere"}, "spec": {"type": "ExternalName", "externalName": "example.org"}},
    {"metadata": {"name": "portless"}, "spec": {"clusterIP": "10.0.0.2"}}
]}"#;

/// The warnings about an annotation with these endpoints, and the requests for Services.
fn looked_up(urls: &[&str], settings: Value, services: Option<&str>) -> (ValidationResponse, Vec<Value>) {
    let lines = urls.iter().enumerate().map(|(n, url)| format!("- e{n}: {url}\n"));
    let object = annotated(&lines.collect::<String>());
    let payload = json!({"request": request("CREATE", &object, &Value::Null), "settings": settings}).to_string();
    let asked = std::cell::RefCell::new(Vec::new());
    let answer = admission::validate_with(payload.as_bytes(), |request| {
        asked.borrow_mut().push(serde_json::from_slice(request).unwrap());
        services.map(|services| services.as_bytes().to_vec())
    });
    let answer = serde_json::to_vec(&answer).unwrap();
    (serde_json::from_slice(&answer).unwrap(), asked.into_inner())
}

#[rstest]
#[case::there("http://redis.argocd.svc:9121/metrics", None)]
#[case::in_full("http://redis.argocd.svc.cluster.local:9121/metrics", None)]
#[case::no_service(
    "http://rediss.argocd.svc:9121/metrics",
    Some("TW119: endpoint `e0`: there is no Service `rediss` in the namespace `argocd`; did you mean `redis`")
)]
#[case::no_port(
    "http://redis.argocd.svc:8080/metrics",
    Some("TW120: endpoint `e0`: the Service `redis` has no TCP port 8080; its TCP ports: `9121`")
)]
#[case::a_port_of_udp("http://redis.argocd.svc:53/metrics", Some("TW120"))]
#[case::no_port_at_all("http://portless.argocd.svc:80/metrics", Some("TW120"))]
#[case::headless("http://headless.argocd.svc:8080/metrics", None)]
#[case::a_pod_of_a_headless_service("http://pod-0.headless.argocd.svc:8080/metrics", None)]
#[case::a_pod_of_no_service(
    "http://pod-0.headles.argocd.svc:8080/metrics",
    Some("TW119: endpoint `e0`: there is no Service `headles`")
)]
#[case::another_name("http://elsewhere.argocd.svc:8080/metrics", None)]
fn services_that_do_not_exist_are_warned_of(#[case] url: &str, #[case] expected: Option<&str>) {
    let (answer, asked) = looked_up(&[url], json!({"services": "warn"}), Some(SERVICES));
    assert!(answer.accepted);
    assert_eq!(asked.len(), 1);
    match expected {
        None => assert_eq!((answer.warnings, answer.message), (None, None)),
        Some(expected) => {
            // The audit scanner reports the message.
            let message = answer.message.unwrap();
            assert!(message.starts_with(expected), "{message}");
            assert_eq!(answer.warnings.unwrap().len(), 1);
        }
    }
}

#[test]
fn services_are_asked_for_once_with_only_the_fields_that_are_read() {
    let urls = [
        "http://a.argocd.svc:1/",
        "http://a.argocd.svc:2/",
        "http://b.argocd.svc:1/",
        "http://c.other.svc:1/",
        "http://example.org:1/",
    ];
    let settings = json!({"services": "warn", "endpoints": {"hosts": ["*"]}});
    let (answer, asked) = looked_up(&urls, settings, Some(r#"{"items": []}"#));
    let fields = [
        "metadata.name",
        "spec.clusterIP",
        "spec.ports.port",
        "spec.ports.protocol",
        "spec.type",
    ];
    let expected = json!({"api_version": "v1", "kind": "Service", "namespace": "argocd",
        "label_selector": null, "field_selector": null, "field_masks": fields});
    assert_eq!(asked, [expected]);
    // One for each Service of the namespace.
    let missing = answer.warnings.unwrap_or_default();
    assert_eq!(
        missing.iter().filter(|warning| warning.starts_with("TW119")).count(),
        2,
        "{missing:?}"
    );
}

#[rstest]
#[case::by_default(json!({}), GOOD_URL)]
#[case::turned_off(json!({"services": "nothing"}), GOOD_URL)]
#[case::refused(json!({"services": "warn"}), "http://redis.elsewhere.svc/")]
#[case::outside(json!({"services": "warn", "endpoints": {"hosts": ["*"]}}), "http://example.org/")]
fn nothing_is_asked_for(#[case] settings: Value, #[case] url: &str) {
    let (_, asked) = looked_up(&[url], settings, Some(SERVICES));
    assert_eq!(asked, [] as [Value; 0]);
}

const GOOD_URL: &str = "http://redis.argocd.svc:9121/metrics";

#[rstest]
#[case::refused(None)]
#[case::something_else(Some("5"))]
#[case::no_json(Some("forbidden"))]
#[case::no_list(Some(r#"{"items": null}"#))]
fn what_cannot_be_looked_up_is_not_a_finding(#[case] services: Option<&str>) {
    let (answer, asked) = looked_up(&["http://rediss.argocd.svc/"], json!({"services": "warn"}), services);
    assert_eq!(asked.len(), 1);
    assert!(answer.accepted && answer.warnings.is_none() && answer.message.is_none());
}

#[test]
fn services_are_looked_up_with_mutation_too() {
    let settings = json!({"services": "warn", "mutation": "digest"});
    let (answer, asked) = looked_up(&["http://rediss.argocd.svc:9121/"], settings, Some(SERVICES));
    assert!(answer.mutated_object.is_some() && asked.len() == 1);
    assert!(answer.warnings.unwrap()[0].starts_with("TW119"));
}

#[test]
fn many_services_and_many_urls_cost_no_more_than_a_few() {
    let urls: String = (0..3000)
        .map(|n| format!("http://missing-{n}.argocd.svc:1/,"))
        .collect();
    let object = annotated(&format!("a: {{urls: [{urls}]}}"));
    let settings = json!({"services": "warn", "endpoints": {"max": 5000}});
    let payload = json!({"request": request("CREATE", &object, &Value::Null), "settings": settings}).to_string();
    let message = |services: usize| {
        let service = |n| json!({"metadata": {"name": format!("missin-{n}")}, "spec": {"clusterIP": "10.0.0.1"}});
        let list = json!({"items": (0..services).map(service).collect::<Vec<_>>()}).to_string();
        admission::validate_with(payload.as_bytes(), |_| Some(list.as_bytes().to_vec())).message
    };
    let few = message(3000).unwrap();
    assert_eq!(few.matches("there is no Service").count(), 100, "{few}");
    assert_eq!(few.matches("did you mean").count(), 3, "{few}");
    // A list of more than 1 MiB is not read.
    assert_eq!(message(20_000), None);
}
