//! What a source needs of InfluxDB, if the settings have it provided.

use rstest::rstest;
use serde_json::{Value, json};
use telewarden_policy::protocol::{Database, Outcome, RenderAnswer, Rendered};
use telewarden_policy::render::render;
use telewarden_policy::well_known::TOKENS;

const ANNOTATION: &str = "telegraf.influxdata.com/rubin-telegraf-operator";

fn rendered(sources: &[Value], settings: &Value) -> RenderAnswer {
    let request = json!({"protocol": 1, "settings": settings, "sources": sources}).to_string();
    let answer = render(&serde_json::from_str(&request).unwrap());
    assert_eq!(answer.diagnostics, [], "{settings}");
    answer
}

fn application(namespace: &str, name: &str, endpoints: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": namespace, "annotations": {ANNOTATION: endpoints}},
        "spec": {"destination": {"namespace": "web", "server": "https://kubernetes.default.svc"}},
    })
}

fn namespace(name: &str) -> Value {
    let endpoints = format!("a: http://a.{name}.svc:1/metrics");
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "annotations": {ANNOTATION: endpoints}}})
}

const ENDPOINT: &str = "a: http://a.web.svc:1/metrics";
const ENDPOINTS: &str = "a: http://a.web.svc:1/metrics\nb: http://b.web.svc:1/metrics";

fn settings(provide: &str, topology: &str) -> Value {
    json!({
        "influxdb": {"provide": provide},
        "topology": topology,
        "sources": {"applicationNamespaces": ["team-a"]},
    })
}

/// The objects of a kind.
fn of_kind<'a>(rendered: &'a Rendered, kind: &str) -> Vec<&'a Value> {
    rendered
        .objects
        .iter()
        .filter(|object| object["kind"] == kind)
        .collect()
}

fn secret_of(database: &Database) -> &str {
    &database.token.as_ref().unwrap().secret
}

/// The variables of a Deployment's container with a token, and their Secrets.
fn variable<'a>(deployment: &'a Value, name: &str) -> &'a Value {
    let env = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
        .as_array()
        .unwrap();
    let found: Vec<_> = env.iter().filter(|env| env["name"] == name).collect();
    assert_eq!(found.len(), 1, "{env:?}");
    &found[0]["valueFrom"]["secretKeyRef"]
}

#[rstest]
#[case("application")]
#[case("endpoint")]
#[case("standalone")]
fn nothing_is_needed_unless_the_settings_say_so(#[case] topology: &str) {
    let sources = [application("argocd", "shop", ENDPOINTS)];
    let nothing = rendered(&sources, &settings("nothing", topology));
    let absent = rendered(
        &sources,
        &json!({"topology": topology, "sources": {"applicationNamespaces": ["team-a"]}}),
    );
    assert_eq!(nothing, absent);
    let text = serde_json::to_string(&nothing).unwrap();
    assert!(
        !text.contains("databases") && !text.contains(TOKENS) && !text.contains("\"Secret\""),
        "{text}"
    );
}

#[test]
fn a_bucket_is_needed_and_nothing_else_changes() {
    let sources = [application("argocd", "my-shop", ENDPOINT)];
    let mut with = rendered(&sources, &settings("buckets", "application"));
    let database = Database {
        holder: "argoproj.io/Application/argocd/my-shop".to_owned(),
        url: "http://influxdb.influxdb.svc:8086".to_owned(),
        organization: "default".to_owned(),
        bucket: "my_shop".to_owned(),
        retention_seconds: 30 * 86400,
        token: None,
    };
    assert_eq!(std::mem::take(&mut with.sources[0].rendered.databases), [database]);
    assert_eq!(with, rendered(&sources, &settings("nothing", "application")));
}

#[test]
fn a_source_has_a_token_of_its_own() {
    let sources = [application("argocd", "shop", ENDPOINT)];
    let answer = rendered(&sources, &settings("bucketsAndTokens", "application"));
    let rendered = &answer.sources[0].rendered;
    let [database] = rendered.databases.as_slice() else {
        panic!("{rendered:#?}")
    };
    let token = database.token.as_ref().unwrap();
    assert_eq!(
        (database.holder.as_str(), token.key.as_str()),
        ("argoproj.io/Application/argocd/shop", "influx-token")
    );
    // It stands before the Deployment that uses it, and holds nothing.
    let kinds: Vec<_> = rendered
        .objects
        .iter()
        .map(|object| object["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["Secret", "ConfigMap", "Deployment"]);
    let (secret, deployment) = (&rendered.objects[0], &rendered.objects[2]);
    assert_eq!(secret["metadata"]["name"], json!(token.secret));
    assert_eq!(secret["metadata"]["labels"], deployment["metadata"]["labels"]);
    assert_eq!(secret["metadata"]["annotations"], deployment["metadata"]["annotations"]);
    assert!(secret.get("data").is_none());
    assert_eq!(
        *variable(deployment, "INFLUX_TOKEN"),
        json!({"name": token.secret, "key": "influx-token"})
    );
    assert_eq!(deployment["spec"]["template"]["metadata"]["annotations"][TOKENS], "");
}

#[test]
fn sources_of_one_name_have_different_buckets_and_secrets() {
    let sources = [
        application("argocd", "web", ENDPOINT),
        application("team-a", "web", ENDPOINT),
        namespace("web"),
    ];
    for topology in ["application", "endpoint", "standalone"] {
        let answer = rendered(&sources, &settings("bucketsAndTokens", topology));
        let databases: Vec<_> = answer
            .sources
            .iter()
            .flat_map(|source| &source.rendered.databases)
            .collect();
        let buckets: Vec<_> = databases.iter().map(|database| database.bucket.as_str()).collect();
        assert_eq!(buckets, ["web", "team_a:web", "Namespace:web"], "{topology}");
        let mut places: Vec<_> = databases
            .iter()
            .map(|database| database.token.as_ref().unwrap())
            .collect();
        places.sort_by_key(|token| (&token.secret, &token.key));
        places.dedup_by_key(|token| (&token.secret, &token.key));
        assert_eq!(places.len(), 3, "{topology}");
    }
}

#[test]
fn endpoints_of_a_source_share_its_token() {
    let sources = [application("argocd", "shop", ENDPOINTS)];
    let answer = rendered(&sources, &settings("bucketsAndTokens", "endpoint"));
    let rendered = &answer.sources[0].rendered;
    assert_eq!((rendered.databases.len(), of_kind(rendered, "Secret").len()), (1, 1));
    let deployments = of_kind(rendered, "Deployment");
    assert_eq!(deployments.len(), 2);
    for deployment in deployments {
        assert_eq!(
            variable(deployment, "INFLUX_TOKEN")["name"],
            secret_of(&rendered.databases[0])
        );
    }
}

#[test]
fn in_standalone_each_output_has_a_token() {
    let sources = [application("argocd", "shop", ENDPOINT), namespace("web")];
    let answer = rendered(&sources, &settings("bucketsAndTokens", "standalone"));
    let shared = answer.shared.as_ref().unwrap();
    let holders: Vec<_> = shared
        .databases
        .iter()
        .map(|database| database.holder.as_str())
        .collect();
    assert_eq!(holders, ["argoproj.io/Application/argocd/shop", "Namespace/web"]);
    assert_eq!(of_kind(shared, "Secret").len(), 1);
    let deployment = of_kind(shared, "Deployment")[0];
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(
        container["envFrom"],
        json!([{"secretRef": {"name": "telegraf-tokens"}}])
    );
    assert_eq!(
        variable(deployment, "INFLUX_TOKEN")["optional"],
        true,
        "nobody makes this Secret"
    );
    let files = &shared.configurations[0].files;
    for (database, file) in shared
        .databases
        .iter()
        .zip(["application.argocd.shop.conf", "namespace.web.conf"])
    {
        let token = database.token.as_ref().unwrap();
        assert!(
            files[file].contains(&format!("token = \"${{{}}}\"", token.key)),
            "{}",
            files[file]
        );
        assert!(!files[file].contains("${INFLUX_TOKEN}"), "{}", files[file]);
    }
}

#[test]
fn in_standalone_an_output_for_all_has_one_token() {
    let output = json!({
        "urls": ["http://influxdb.influxdb.svc:8086/"], "organization": "o", "bucket": "all", "token": "$INFLUX_TOKEN",
    });
    let mut settings = settings("bucketsAndTokens", "standalone");
    settings["classes"] = json!({"default": {"outputs": {"influxdb_v2": [output]}, "retention": "2h"}});
    let sources = [application("argocd", "shop", ENDPOINT), namespace("web")];
    let answer = rendered(&sources, &settings);
    let [database] = answer.shared.as_ref().unwrap().databases.as_slice() else {
        panic!("{answer:#?}")
    };
    assert_eq!((database.bucket.as_str(), database.retention_seconds), ("all", 7200));
    assert_eq!(database.url, "http://influxdb.influxdb.svc:8086");
    assert_eq!(database.holder, "all");
    assert!(answer.sources.iter().all(|source| source.rendered.databases.is_empty()));
}

#[test]
fn a_class_has_an_organization_and_a_retention() {
    let output = |organization: &str| {
        json!({"influxdb_v2": [{
            "urls": ["http://influxdb.influxdb.svc:8086"], "organization": organization, "bucket": "{bucket}",
            "token": "${INFLUX_TOKEN}",
        }]})
    };
    let mut settings = settings("bucketsAndTokens", "application");
    settings["classes"] = json!({
        "default": {"outputs": output("one")},
        "gold": {"outputs": output("two"), "retention": "365d"},
    });
    let mut gold = application("argocd", "gold", ENDPOINT);
    gold["metadata"]["annotations"]["telegraf.influxdata.com/class"] = json!("gold");
    let answer = rendered(&[application("argocd", "shop", ENDPOINT), gold], &settings);
    let found: Vec<_> = answer
        .sources
        .iter()
        .map(|source| &source.rendered.databases[0])
        .collect();
    let found: Vec<_> = found
        .iter()
        .map(|of| (of.organization.as_str(), of.retention_seconds / 86400))
        .collect();
    assert_eq!(found, [("one", 30), ("two", 365)]);
}

#[test]
fn another_bucket_is_another_secret() {
    let secret = |bucket: &str| {
        let mut settings = settings("bucketsAndTokens", "application");
        settings["classes"] = json!({"default": {"outputs": {"influxdb_v2": [{
            "urls": ["http://influxdb.influxdb.svc:8086"], "organization": "o", "bucket": bucket, "token": "${T}",
        }]}}});
        let answer = rendered(&[application("argocd", "shop", ENDPOINT)], &settings);
        secret_of(&answer.sources[0].rendered.databases[0]).to_owned()
    };
    assert_eq!(secret("{bucket}"), secret("{bucket}"));
    assert_ne!(secret("{bucket}"), secret("x_{bucket}"));
}

#[test]
fn nothing_is_needed_for_a_refused_source() {
    let source = application("argocd", "shop", "a: http://a.other.svc:1/metrics");
    for topology in ["application", "standalone"] {
        let answer = rendered(std::slice::from_ref(&source), &settings("bucketsAndTokens", topology));
        assert_eq!(answer.sources[0].outcome, Outcome::Refused);
        assert_eq!(answer.sources[0].rendered.databases, []);
        assert!(answer.shared.is_none_or(|shared| shared.databases.is_empty()));
    }
}
