//! What is said of settings: every mistake once, at its own place, by the whole path of the setting.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use rstest::rstest;
use serde_json::{Value, json};
use telewarden_policy::diagnostic::Diagnostic;
use telewarden_policy::settings::{Settings, read};

fn read_yaml(yaml: &str) -> (Option<Settings>, Vec<Diagnostic>) {
    let document: Value = serde_yaml::from_str(yaml).unwrap();
    read(Some(&document))
}

/// The one finding, as `CODE place: message `.
fn only_finding(yaml: &str) -> String {
    let (settings, findings) = read_yaml(yaml);
    assert!(settings.is_none(), "{yaml}");
    let [finding] = &findings[..] else {
        panic!("{yaml}: {} findings: {findings:#?}", findings.len());
    };
    let place = finding.place.as_ref().unwrap();
    format!("{} {}: {}", finding.code, place.pointer, finding.message)
}

#[rstest]
#[case(
    "topology: sideways",
    "TW501 /topology: `topology` is `sideways`, but must be `application`, `endpoint` or `standalone`"
)]
#[case("topologie: standalone", "TW501 /topologie: `topologie` is not a setting")]
#[case("endpoints: {maxx: 5}", "TW501 /endpoints/maxx: `endpoints.maxx` is not a setting")]
#[case(
    "annotation: 5",
    "TW501 /annotation: `annotation` is `5`, but must be text: write `\"5\"`"
)]
#[case(
    "networkPolicy: \"true\"",
    "TW501 /networkPolicy: `networkPolicy` is text, but must be `true` or `false`: write `true`"
)]
#[case(
    "networkPolicy: maybe",
    "TW501 /networkPolicy: `networkPolicy` is text, but must be `true` or `false`"
)]
#[case("endpoints: 5", "TW501 /endpoints: `endpoints` is `5`, but must be a map")]
#[case(
    "endpoints: {hosts: \"*\"}",
    "TW501 /endpoints/hosts: `endpoints.hosts` is text, but must be a list"
)]
#[case(
    "endpoints: {hosts: [\"*\", 5]}",
    "TW501 /endpoints/hosts/1: `endpoints.hosts[1]` is `5`, but must be text: write `\"5\"`"
)]
#[case(
    "inputs: {tags: {a: [b]}}",
    "TW501 /inputs/tags/a: `inputs.tags.a` is a list, but must be text"
)]
fn a_wrong_shape_is_told_by_its_path(#[case] yaml: &str, #[case] expected: &str) {
    assert_eq!(only_finding(yaml), expected);
}

#[rstest]
#[case(
    "endpoints: {max: 1.5}",
    "`endpoints.max` is `1.5`, but must be a whole number, 1 or more"
)]
#[case(
    "endpoints: {max: -1}",
    "`endpoints.max` is `-1`, but must be a whole number, 1 or more"
)]
#[case(
    "endpoints: {max: 0}",
    "`endpoints.max` is `0`, but must be a whole number, 1 or more"
)]
#[case(
    "endpoints: {max: \"64\"}",
    "`endpoints.max` is text, but must be a whole number, 1 or more: write `64`"
)]
#[case(
    "endpoints: {max: many}",
    "`endpoints.max` is text, but must be a whole number, 1 or more"
)]
#[case(
    "endpoints: {max: true}",
    "`endpoints.max` is `true`, but must be a whole number, 1 or more"
)]
fn a_count_is_a_whole_number(#[case] yaml: &str, #[case] expected: &str) {
    assert_eq!(only_finding(yaml), format!("TW501 /endpoints/max: {expected}"));
}

#[rstest]
#[case("endpoints: {schemes: [ftp]}", "TW501 /endpoints/schemes/0")]
#[case("endpoints: {schemes: []}", "TW501 /endpoints/schemes")]
#[case("endpoints: {schemes: http}", "TW501 /endpoints/schemes")]
#[case("endpoints: {hosts: [a..b]}", "TW504 /endpoints/hosts/0")]
#[case("endpoints: {minInterval: 2h, maxInterval: 1h}", "TW501 /endpoints/maxInterval")]
#[case("endpoints: {minInterval: 2 hours, maxInterval: 1s}", "TW203 /endpoints/minInterval")]
#[case("pod: {resources: {requests: {cpu: 10}}}", "TW501 /pod/resources/requests/cpu")]
#[case("pod: {resources: {limits: {cpu: 1m}}}", "TW311 /pod/resources/requests/cpu")]
#[case(
    "pod: {resources: {requests: {cpu: lots}, limits: {cpu: 1m}}}",
    "TW309 /pod/resources/requests/cpu"
)]
#[case(
    "classes: {default: {outputs: {influxdb_v2: 5}}}",
    "TW501 /classes/default/outputs/influxdb_v2"
)]
#[case(
    "classes: {default: {outputs: {influxdb_v2: [5]}}}",
    "TW501 /classes/default/outputs/influxdb_v2/0"
)]
#[case("classes: {default: {outputs: {}}}", "TW502 /classes/default/outputs")]
#[case("classes: {default: {outputs: {file: []}}}", "TW502 /classes/default/outputs")]
#[case("{classes: {gold: 5}, defaultClass: gold}", "TW501 /classes/gold")]
#[case("{classes: 5, defaultClass: gold}", "TW501 /classes")]
#[case("pod: {env: [{nam: A}]}", "TW501 /pod/env/0/nam")]
#[case("pod: {affinity: none}", "TW501 /pod/affinity")]
#[case("pod: {imagePullSecrets: [registry]}", "TW501 /pod/imagePullSecrets/0")]
#[case("pod: {volumes: [{emptyDir: {}}]}", "TW501 /pod/volumes/0")]
#[case("pod: {volumes: [{name: config, emptyDir: {}}]}", "TW501 /pod/volumes/0")]
#[case(
    "pod: {volumeMounts: [{name: a, mountPath: /etc/telegraf/}]}",
    "TW501 /pod/volumeMounts/0"
)]
#[case("pod: {volumeMounts: [{name: a}]}", "TW501 /pod/volumeMounts/0")]
#[case("pod: {revisionHistoryLimit: -1}", "TW501 /pod/revisionHistoryLimit")]
fn one_mistake_is_one_finding(#[case] yaml: &str, #[case] expected: &str) {
    let finding = only_finding(yaml);
    assert_eq!(finding.split(": ").next(), Some(expected), "{finding}");
}

/// Settings with `bucketsAndTokens` and one output, in which some options are replaced or, with null, removed.
fn with_output(change: &Value) -> Value {
    let mut output = json!({
        "urls": ["http://influxdb.influxdb.svc:8086"],
        "organization": "o",
        "bucket": "{bucket}",
        "token": "${INFLUX_TOKEN}",
    });
    for (option, value) in change.as_object().unwrap() {
        output[option] = value.clone();
    }
    output.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    json!({"influxdb": {"provide": "bucketsAndTokens"}, "classes": {"default": {"outputs": {"influxdb_v2": [output]}}}})
}

#[rstest]
#[case(json!({}), None)]
#[case(json!({"bucket": "metrics"}), None)]
#[case(json!({"bucket": "eu/{bucket}"}), None)]
#[case(json!({"urls": null}), Some(""))]
#[case(json!({"urls": []}), Some("/urls"))]
#[case(json!({"urls": ["http://one:8086", "http://two:8086"]}), Some("/urls"))]
#[case(json!({"urls": ["http://influxdb.{namespace}.svc:8086"]}), Some("/urls"))]
#[case(json!({"urls": ["${INFLUX_URL}"]}), Some("/urls"))]
#[case(json!({"urls": ["http://admin:secret@influxdb:8086"]}), Some("/urls"))]
#[case(json!({"organization": null}), Some(""))]
#[case(json!({"organization": "{namespace}"}), Some("/organization"))]
#[case(json!({"organization": "${ORG}"}), Some("/organization"))]
#[case(json!({"bucket": "${BUCKET}"}), Some("/bucket"))]
#[case(json!({"bucket": "{application}"}), Some("/bucket"))]
#[case(json!({"bucket_tag": "bucket"}), Some("/bucket_tag"))]
#[case(json!({"token": "plain"}), Some("/token"))]
#[case(json!({"token": null}), Some(""))]
fn what_cannot_be_provided_is_told_at_the_option(#[case] change: Value, #[case] option: Option<&str>) {
    let document = with_output(&change);
    let (_, findings) = read(Some(&document));
    let places: Vec<_> = findings
        .iter()
        .map(|finding| finding.place.as_ref().unwrap().pointer.clone())
        .collect();
    let expected = option.map(|option| format!("/classes/default/outputs/influxdb_v2/0{option}"));
    assert_eq!(places, Vec::from_iter(expected), "{findings:#?}");
    assert!(findings.iter().all(|finding| finding.code == "TW516"), "{findings:#?}");
    // Nothing is asked of settings that have nothing provided.
    let mut document = document;
    document["influxdb"]["provide"] = json!("nothing");
    assert_eq!(read(Some(&document)).1, []);
}

#[rstest]
#[case("influxdb: {provide: buckets, retention: 30m}", "TW516 /influxdb/retention")]
#[case(
    "{influxdb: {provide: buckets}, classes: {gold: {retention: 59m}}}",
    "TW516 /classes/gold/retention"
)]
#[case(
    "{influxdb: {provide: buckets}, classes: {default: {outputs: {file: [{files: [stdout]}]}}}}",
    "TW516 /influxdb/provide"
)]
#[case(
    "{influxdb: {provide: bucketsAndTokens}, sources: {sharedBuckets: true}}",
    "TW516 /sources/sharedBuckets"
)]
#[case("influxdb: {tokenSecret: {name: A b}}", "TW511 /influxdb/tokenSecret/name")]
#[case("influxdb: {tokenSecret: {key: \"a b\"}}", "TW511 /influxdb/tokenSecret/key")]
#[case("influxdb: {provide: bucket}", "TW501 /influxdb/provide")]
fn a_mistake_in_what_is_provided_is_one_finding(#[case] yaml: &str, #[case] expected: &str) {
    let finding = only_finding(yaml);
    assert_eq!(finding.split(": ").next(), Some(expected), "{finding}");
}

#[test]
fn outputs_whose_buckets_could_be_the_same_are_refused() {
    let output = |bucket: &str, variable: &str| json!({"urls": ["http://influxdb.influxdb.svc:8086"], "organization": "o", "bucket": bucket, "token": variable});
    let places = |outputs: Value, gold: Value| {
        let classes = json!({
            "default": {"outputs": {"influxdb_v2": outputs}},
            "gold": {"outputs": {"influxdb_v2": gold}},
        });
        let (_, findings) = read(Some(
            &json!({"influxdb": {"provide": "bucketsAndTokens"}, "classes": classes}),
        ));
        findings
            .iter()
            .map(|finding| finding.place.as_ref().unwrap().pointer.clone())
            .collect::<Vec<_>>()
    };
    let own = || output("{bucket}", "${T}");
    assert_eq!(places(json!([own()]), json!([own()])), [""; 0]);
    let bucket = "/classes/gold/outputs/influxdb_v2/0/bucket";
    // An Application `gold-x` could have the bucket of `x` in class `gold`, or one be called like another bucket.
    assert_eq!(
        places(json!([own()]), json!([output("gold_{bucket}", "${T}")])),
        [bucket]
    );
    assert_eq!(places(json!([own()]), json!([output("metrics", "${T}")])), [bucket]);
    // Another URL can be another name of the same database.
    let mut renamed = output("gold_{bucket}", "${T}");
    renamed["urls"] = json!(["http://influxdb.influxdb.svc.cluster.local:8086"]);
    assert_eq!(places(json!([own()]), json!([renamed])), [bucket]);
    // In another organization they are others.
    let elsewhere = |variable: &str| {
        let mut output = output("metrics", variable);
        output["organization"] = json!("other");
        output
    };
    assert_eq!(places(json!([own()]), json!([elsewhere("${T}")])), [""; 0]);
    // One variable cannot hold two tokens.
    let token = "/classes/default/outputs/influxdb_v2/1/token";
    assert_eq!(places(json!([own(), elsewhere("${T}")]), json!([own()])), [token]);
    assert_eq!(places(json!([own(), elsewhere("${ALL}")]), json!([own()])), [""; 0]);
}

#[rstest]
#[case("classes: {a/b: {agent: 5}}", "/classes/a~1b/agent")]
#[case("classes: {a~b: {outputs: {}}}", "/classes/a~0b/outputs")]
#[case("classes: {a/b: {allow: [\"\"]}}", "/classes/a~1b/allow/0")]
#[case("classes: {a/b: {globalTags: {t: \"{x}\"}}}", "/classes/a~1b/globalTags/t")]
#[case(
    "{defaultClass: a/b, topology: standalone, classes: {a/b: {outputs: {file: [{files: [\"{bucket}\"], tagpass: {a: [b]}}]}}}}",
    "/classes/a~1b/outputs/file/0/tagpass"
)]
#[case("{classes: {a/b: {outputs: {health: [{}]}}}}", "/classes/a~1b/outputs/health")]
#[case("inputs: {tags: {a/b: c}}", "/inputs/tags/a~1b")]
#[case("inputs: {defaults: {a/b: c}}", "/inputs/defaults/a~1b")]
#[case("pod: {labels: {argocd.argoproj.io/a: c}}", "/pod/labels/argocd.argoproj.io~1a")]
#[case("pod: {nodeSelector: {a/b: [c]}}", "/pod/nodeSelector/a~1b")]
#[case("pod: {env: [{name: A, a/b: c}]}", "/pod/env/0/a~1b")]
#[case("a/b: c", "/a~1b")]
#[case(
    "extraResources: [{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {a/b: \"{x}\"}}]",
    "/extraResources/0/data/a~1b"
)]
fn a_pointer_is_escaped(#[case] yaml: &str, #[case] pointer: &str) {
    let (_, findings) = read_yaml(yaml);
    assert_eq!(findings[0].place.as_ref().unwrap().pointer, pointer);
    let document: Value = serde_yaml::from_str(yaml).unwrap();
    assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
}

#[test]
fn a_place_is_printed_as_a_path() {
    let (_, findings) = read_yaml("classes: {a/b: {agent: 5}}");
    assert_eq!(findings[0].place.as_ref().unwrap().to_string(), "`classes.a/b.agent`");
}

#[rstest]
#[case("namepass", true)]
#[case("namedrop", true)]
#[case("namepass", false)]
fn a_default_that_would_drop_everything_is_an_error_of_the_settings(#[case] option: &str, #[case] version_2: bool) {
    let version = if version_2 { 2 } else { 1 };
    let document = json!({"inputs": {"defaults": {"metric_version": version, option: ["redis_*"]}}});
    let (settings, findings) = read(Some(&document));
    assert_eq!(settings.is_none(), version_2, "{findings:#?}");
    if version_2 {
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].code, "TW205");
        let place = findings[0].place.as_ref().unwrap();
        assert_eq!(place.pointer, format!("/inputs/defaults/{option}"));
    }
}

#[test]
fn every_mistake_is_told_at_once() {
    let yaml = "{annotation: a b, topologie: x, endpoints: {max: 0, minInterval: soon, schemes: [ftp, gopher]}, \
                pod: {image: telegraf}, classes: {gold: {agent: 5}}}";
    let (_, findings) = read_yaml(yaml);
    let mut places: Vec<_> = findings
        .iter()
        .map(|finding| finding.place.as_ref().unwrap().pointer.as_str())
        .collect();
    places.sort_unstable();
    let expected = [
        "/annotation",
        "/classes/gold/agent",
        "/endpoints/max",
        "/endpoints/minInterval",
        "/endpoints/schemes/0",
        "/endpoints/schemes/1",
        "/pod/image",
        "/topologie",
    ];
    assert_eq!(places, expected);
}

#[test]
fn a_question_is_not_followed_by_a_full_stop() {
    let payload = br#"{"topologie": "standalone", "endpoints": {"maxx": 5}}"#;
    let message = telewarden_policy::admission::validate_settings(payload)
        .message
        .unwrap();
    assert!(message.contains("did you mean `topology`?"), "{message}");
    assert!(!message.contains("?."), "{message}");
}
