//! The real Telegraf reads every kind of rendered configuration, and starts with it.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use telewarden_e2e_telegraf::{
    IMAGES, application, check, examples, judge, merged, read_yaml, render, rendered, try_render,
};

const TOPOLOGIES: [&str; 3] = ["application", "endpoint", "standalone"];

/// Judges what is rendered of sources under settings, in each topology that takes them and by each Telegraf that the
/// settings may name.
fn judge_all(what: &str, settings: &Value, sources: &[Value], wrong: &mut Vec<String>) -> usize {
    let mut judged = 0;
    for (topology, image) in TOPOLOGIES
        .iter()
        .flat_map(|topology| IMAGES.map(|image| (topology, image)))
    {
        let settings = merged(settings.clone(), json!({"topology": topology, "pod": {"image": image}}));
        for rendered in rendered(try_render(&settings, sources, &[])) {
            judged += rendered.configurations.len();
            let complaints = judge(&rendered);
            if !complaints.is_empty() {
                let texts = rendered
                    .configurations
                    .iter()
                    .flat_map(|configuration| configuration.files.values());
                let texts: Vec<_> = texts.map(String::as_str).collect();
                wrong.push(format!(
                    "{what}, {topology}, {image}:\n{}\n{}",
                    complaints.join("\n"),
                    texts.join("\n")
                ));
            }
        }
    }
    judged
}

#[track_caller]
fn assert_accepted(judged: usize, at_least: usize, wrong: &[String]) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(judged >= at_least, "only {judged} configurations were judged");
}

const AGENT: &str = "[agent]\nskip_processors_after_aggregators = true\nomit_hostname = true\n";
const HEALTH: &str = "[[outputs.health]]\nservice_address = \"http://:8888\"\n";
const INTERNAL: &str = "[[inputs.internal]]\n";

#[test]
fn the_judge_says_yes() {
    for image in IMAGES {
        let said = check(image, &format!("{AGENT}{INTERNAL}{HEALTH}"));
        assert!(said.is_empty(), "{image}: {said:?}");
    }
}

#[test]
fn the_judge_says_no() {
    let prometheus = |options: &str| {
        format!("{AGENT}[[inputs.prometheus]]\nurls = [\"http://127.0.0.1:1/metrics\"]\n{options}\n{HEALTH}")
    };
    let cases = [
        ("no TOML", format!("{AGENT}{INTERNAL}{HEALTH}x = = 1\n")),
        ("a string that is not closed", prometheus("alias = \"x")),
        ("a dotted key", prometheus("tags.a = \"b\"")),
        ("an unknown option", prometheus("intervall = \"1s\"")),
        (
            "an unknown plugin",
            format!("{AGENT}[[inputs.no_such_plugin]]\n{HEALTH}"),
        ),
        ("a value of the wrong type", prometheus("urls = 5")),
        ("a duration that is none", prometheus("interval = \"soon\"")),
        ("a size that is none", prometheus("content_length_limit = \"a lot\"")),
        ("a glob that is none", prometheus("fieldinclude = [\"[\"]")),
        ("a secret of no store", prometheus("username = \"@{nowhere:key}\"")),
        (
            "a variable where no text is",
            format!("{AGENT}{INTERNAL}collect_memstats = ${{B}}\n{HEALTH}"),
        ),
        ("no inputs", format!("{AGENT}{HEALTH}")),
        ("no outputs", format!("{AGENT}{INTERNAL}")),
        (
            "a warning",
            format!(
                "[agent]\nomit_hostname = true\n{INTERNAL}[[processors.enum]]\n[[processors.enum.mapping]]\nfields = [\"a\"]\n[processors.enum.mapping.value_mappings]\na = 1\n{HEALTH}"
            ),
        ),
        (
            "an option that is no more",
            format!(
                "{AGENT}{INTERNAL}[[processors.enum]]\n[[processors.enum.mapping]]\nfield = \"a\"\n[processors.enum.mapping.value_mappings]\na = 1\n{HEALTH}"
            ),
        ),
        (
            "an option that is deprecated",
            format!(
                "{AGENT}[[inputs.file]]\nfiles = [\"/dev/null\"]\ndata_format = \"influx\"\nfile_tag = \"a\"\n[[inputs.prometheus]]\nurls = [\"http://127.0.0.1:1\"]\nresponse_timeout = \"3s\"\n{HEALTH}"
            ),
        ),
    ];
    let taken: Vec<_> = IMAGES
        .iter()
        .flat_map(|image| cases.iter().map(move |(what, text)| (image, what, text)))
        .filter(|(image, _, text)| check(image, text).is_empty())
        .map(|(image, what, _)| (image, what))
        .collect();
    assert!(taken.is_empty(), "the judge took {taken:?}");
}

#[test]
fn every_example_is_accepted() {
    let (mut wrong, mut judged) = (Vec::new(), 0);
    for settings in [json!({}), read_yaml("examples/rubin/settings.yaml").remove(0)] {
        for (file, sources) in examples() {
            judged += judge_all(&file, &settings, &sources, &mut wrong);
        }
    }
    let source = application("redis", "redis: http://redis.redis.svc:9121/metrics");
    for file in [
        "influxdb-3",
        "influxdb-cloud",
        "opentelemetry",
        "prometheus-remote-write",
    ] {
        let settings = read_yaml(&format!("examples/outputs/{file}.yaml")).remove(0);
        let judged_here = judge_all(file, &settings, std::slice::from_ref(&source), &mut wrong);
        assert_eq!(judged_here, TOPOLOGIES.len() * IMAGES.len(), "{file}");
    }
    // The default settings refuse the examples whose hosts only the Rubin settings allow.
    assert_accepted(judged, 30, &wrong);
}

#[test]
fn every_annotation_of_the_table_is_accepted() {
    let (mut wrong, mut judged) = (Vec::new(), 0);
    for case in read_yaml("policy/tests/cases/annotations.yaml")
        .remove(0)
        .as_array()
        .expect("a list of cases")
    {
        let text = case["annotation"].as_str();
        let mut source = application("argocd", "");
        let annotations = &mut source["metadata"]["annotations"];
        *annotations = match text {
            Some(text) => annotations_with(text),
            None => json!({}),
        };
        if case["annotations"].is_object() {
            *annotations = merged(annotations.take(), case["annotations"].clone());
        }
        let settings = if case["settings"].is_object() {
            case["settings"].clone()
        } else {
            json!({})
        };
        let name = case["name"].as_str().unwrap_or_default();
        judged += judge_all(name, &settings, &[source], &mut wrong);
    }
    assert_accepted(judged, 40, &wrong);
}

fn annotations_with(text: &str) -> Value {
    json!({telewarden_e2e_telegraf::ANNOTATION: text})
}

/// Several classes, several outputs, processors, aggregator settings, secret references and variables.
#[test]
fn what_settings_can_say_is_accepted() {
    let settings = json!({
        "classes": {
            "default": {
                "globalTags": {"cluster": "a.example", "quoted": "a \"b\" \\ c\td", "unicode": "Zürich \u{1F680} \u{2028}\u{e0041}"},
                "agent": {"interval": "30s", "metric_batch_size": 10000, "metric_buffer_limit": 100_000, "precision": "1ms"},
                "processors": {"enum": [{"mapping": [
                    {"fields": ["status"], "dest": "status_code", "value_mappings": {"healthy": 1, "problem": 2}},
                    {"tags": ["level"], "value_mappings": {"a": 1}, "default": 0},
                ]}]},
                "outputs": {
                    "influxdb_v2": [
                        {"urls": ["http://a.example:8086"], "organization": "o", "bucket": "{bucket}", "token": "${INFLUX_TOKEN}"},
                        {"urls": ["http://b.example:8086"], "organization": "o", "bucket": "all", "token": "${INFLUX_TOKEN}",
                         "namepass": ["prometheus_*"], "tagexclude": ["a"], "http_headers": {"X-Scope": "{namespace}"}},
                    ],
                    "file": [{"files": ["stdout"], "data_format": "influx"}],
                },
            },
            "gold": {"outputs": {"influxdb": [{"urls": ["http://c.example:8086"], "database": "{bucket}"}], "discard": [{}]}},
        },
        "inputs": {"nameOverride": "{application}_{endpoint}", "defaults": {"metric_version": 2, "timeout": "3s"},
                   "tags": {"app": "{application}", "ns": "{namespace}"}},
    });
    let (mut wrong, mut judged) = (Vec::new(), 0);
    for class in ["default", "gold"] {
        let mut source = application(
            "big-app",
            "a-b.c_d: http://a.big-app.svc:8080/metrics\ne: http://e.big-app.svc/",
        );
        source["metadata"]["annotations"]["telegraf.influxdata.com/class"] = json!(class);
        judged += judge_all(class, &settings, &[source], &mut wrong);
    }
    assert_accepted(judged, 5, &wrong);
}

#[test]
fn many_sources_share_one_telegraf() {
    let source = |n: u32| {
        application(
            &format!("app-{n}"),
            &format!("a: http://a.app-{n}.svc/\nb: http://b.app-{n}.svc/"),
        )
    };
    let sources: Vec<_> = (0..60).map(source).collect();
    for image in IMAGES {
        let settings = json!({"topology": "standalone", "pod": {"image": image}});
        let shared = render(&settings, &sources).shared.expect("a shared Telegraf");
        assert_eq!(shared.configurations[0].files.len(), 61);
        assert_eq!(judge(&shared), Vec::<String>::new(), "{image}");
    }
}

#[test]
fn what_a_generator_thinks_of_is_accepted() {
    let text = || {
        prop_oneof![
            "[a-z]{1,4}[*?]?[a-z]{0,3}",
            "[ -#%-~]{0,12}",
            "[a-c,*!{}\\[\\]-]{1,8}",
            Just("a\"b\\\\c'd".to_owned()),
            Just("ünï © \u{1F600}".to_owned()),
            Just("#[[inputs.exec]]".to_owned()),
            Just("'''\"\"\"".to_owned()),
            Just("{a,b}_*".to_owned()),
            Just("[!a-c]_*".to_owned()),
        ]
    };
    let content_type = prop_oneof![
        Just("text"),
        Just("openmetrics-text"),
        Just("protobuf-delimiter"),
        Just("text/plain")
    ];
    let tag = || "[A-Za-z0-9_-]{1,10}";
    let option = prop_oneof![
        (10_u32..5000).prop_map(|n| ("interval", json!(format!("{n}s")))),
        (100_u32..10_000).prop_map(|n| ("timeout", json!(format!("{n}ms")))),
        (1_u32..=2).prop_map(|n| ("metric_version", json!(n))),
        (1_u32..19).prop_map(|n| ("content_length_limit", json!(format!("{n}MiB")))),
        any::<bool>().prop_map(|b| ("ignore_timestamp", json!(b))),
        any::<bool>().prop_map(|b| ("enable_request_metrics", json!(b))),
        any::<bool>().prop_map(|b| ("insecure_skip_verify", json!(b))),
        tag().prop_map(|name| ("url_tag", json!(name))),
        content_type.prop_map(|text| ("content_type_override", json!(text))),
        vec(text(), 0..4).prop_map(|texts| ("fieldinclude", json!(texts))),
        vec(text(), 0..4).prop_map(|texts| ("fieldexclude", json!(texts))),
        vec(text(), 0..4).prop_map(|texts| ("taginclude", json!(texts))),
        vec(text(), 0..4).prop_map(|texts| ("tagexclude", json!(texts))),
        btree_map(tag(), text(), 0..4).prop_map(|tags| ("tags", json!(tags))),
        btree_map(tag(), vec(text(), 0..3), 0..3).prop_map(|tags| ("tagpass", json!(tags))),
        btree_map(tag(), vec(text(), 0..3), 0..3).prop_map(|tags| ("tagdrop", json!(tags))),
    ];
    let path = "[a-z0-9/?=&%_.~-]{0,12}";
    let endpoint = (path, vec(option, 0..5));
    let annotation = btree_map("[A-Za-z0-9_.-]{1,20}", endpoint, 1..4);

    let mut runner = TestRunner::deterministic();
    let (mut wrong, mut judged) = (Vec::new(), 0);
    // Some are refused in all topologies.
    for _ in 0..100 {
        let endpoints = annotation.new_tree(&mut runner).expect("a case").current();
        let endpoint = |(path, options): (String, Vec<(&str, Value)>)| {
            let mut map = json!({"url": format!("https://x.argocd.svc:8080/{path}")});
            options.into_iter().for_each(|(name, value)| map[name] = value);
            map
        };
        let endpoints: BTreeMap<_, _> = endpoints
            .into_iter()
            .map(|(name, case)| (name, endpoint(case)))
            .collect();
        let text = json!(endpoints).to_string();
        judged += judge_all(&text, &json!({}), &[application("argocd", &text)], &mut wrong);
    }
    assert_accepted(judged, 60, &wrong);
}
