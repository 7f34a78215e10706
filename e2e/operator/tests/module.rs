//! Which module runs, and what happens when it fails.

use std::fs;

use serde_json::json;
use telewarden::artifact::{Location, Metadata, Registry, annotate};
use telewarden_e2e_operator::{Application, Cluster, DockerRegistry, annotation, eventually, for_a_while, redis};

/// A public key that has signed none of the modules.
const KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGEyrJx395XFXu1X0rRALLoX6bhxfnFTCDMmdMOkkqC8=
-----END PUBLIC KEY-----
";

const REDIS: [&str; 2] = ["ConfigMap redis/telegraf-redis", "Deployment redis/telegraf-redis"];

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_and_a_call_that_does_not_end_do_not_hold_up_the_others() {
    let cluster = Cluster::start().await;
    for name in ["endless", "good", "trap"] {
        cluster.namespace(name).await;
    }
    let fragile = wat::parse_str(include_str!("policies/fragile.wat")).expect("a module");
    let path = cluster.folder().join("fragile.wasm");
    fs::write(&path, fragile).expect("write a module");
    let path = path.to_str().expect("a path");
    let operator = cluster
        .operator(&["--policy", path, "--module-deadline", "200", "--at-once", "1"])
        .await;
    for (name, text) in [("endless", "loop!"), ("trap", "trap!"), ("good", "nothing of the kind")] {
        cluster.application(&Application::named(name).annotated(text)).await;
    }
    cluster.owns(&["ConfigMap good/telegraf-good"]).await;
    let endless = cluster.event("endless", "Failed").await;
    assert!(endless.contains("200"), "{endless}");
    cluster.event("trap", "Failed").await;
    for reason in ["deadline", "trap"] {
        let errors = operator
            .metric(&format!("telewarden_errors_total{{reason=\"{reason}\"}}"))
            .await;
        assert_eq!(errors, Some(1.0), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_standalone_the_source_that_takes_too_much_memory_keeps_its_file_and_the_others_are_served() {
    let cluster = Cluster::start().await;
    // Almost the maximum size of annotations. The module's memory contains it several times.
    let comment = "x".repeat(250_000);
    the_others_are_served(&cluster, &["--module-memory", "2"], &comment, "memory").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_standalone_the_source_whose_rendering_does_not_end_keeps_its_file_and_the_others_are_served() {
    let cluster = Cluster::start().await;
    let path = cluster.folder().join("endless.wasm");
    fs::write(&path, with_a_loop_in_front(&policy())).expect("write a module");
    let arguments = ["--policy", path.to_str().expect("a path"), "--module-deadline", "2000"];
    the_others_are_served(&cluster, &arguments, "loop!", "more than 2s").await;
}

/// The built module.
fn policy() -> Vec<u8> {
    let path = std::env::var_os("TELEWARDEN_E2E_POLICY").expect("the module");
    fs::read(path).expect("the module")
}

/// The built module, changed so that it never returns if the request contains `loop!`.
fn with_a_loop_in_front(policy: &[u8]) -> Vec<u8> {
    let text = wasmprinter::print_bytes(policy).expect("a module");
    let between = |from: &str, to: &str| {
        let (_, rest) = text.split_once(from).expect("what every waPC module has");
        rest.split_once(to).expect("its end").0.to_owned()
    };
    let export = "(export \"__guest_call\" (func ";
    let (_, import) = text.split_once("\"__guest_request\"").expect("an import");
    let request = import.split_once("(;").and_then(|(_, rest)| rest.split_once(";)"));
    let guest_call = between(export, ")");
    let in_front = include_str!("policies/in_front.wat")
        .replace("$guest_request", request.expect("its number").0)
        .replace("$guest_call", &guest_call);
    let text = text.replace(&format!("{export}{guest_call}))"), "");
    let (text, _) = text.rsplit_once(')').expect("the module's end");
    wat::parse_str(format!("{text}{in_front})")).expect("a module")
}

/// Two sources. The module fails for one of them once its annotation contains a comment.
async fn the_others_are_served(cluster: &Cluster, arguments: &[&str], comment: &str, why: &str) {
    cluster.namespace("telegraf").await;
    let settings = cluster.settings(&json!({"topology": "standalone"}));
    let settings = ["--settings", settings.to_str().expect("a path")];
    let arguments = [arguments, &settings].concat();
    let operator = cluster.operator(&arguments).await;
    let culprit = |endpoint: &str| Application::named("culprit").annotated(&annotation("culprit", &[endpoint]));
    cluster.application(&culprit("before")).await;
    cluster.application(&redis()).await;
    let scrapes = async |application: &str, endpoint: &str| {
        let file = format!("application.argocd.{application}.conf");
        let map = cluster.config_map("telegraf", "telegraf").await;
        let data = map.and_then(|map| map.data).unwrap_or_default();
        let text = data.get(&file).cloned().unwrap_or_default();
        match text.contains(&format!("http://{endpoint}.{application}.svc")) {
            true => Ok(()),
            false => Err(format!("{file} is {text:?}")),
        }
    };
    eventually(|| scrapes("culprit", "before")).await;
    eventually(|| scrapes("redis", "server")).await;

    let mut failing = culprit("after");
    failing.annotation = format!("# {comment}\n{}", failing.annotation);
    cluster.application(&failing).await;
    let note = cluster.event("culprit", "Failed").await;
    assert!(note.contains(why), "{note}");
    let changed = |endpoint: &str| redis().annotated(&annotation("redis", &[endpoint]));
    cluster.application(&changed("exporter")).await;
    eventually(|| scrapes("redis", "exporter")).await;
    for_a_while(|| scrapes("culprit", "before")).await;
    let failed = cluster.events("redis").await;
    assert!(
        !failed.iter().any(|event| event.reason.as_deref() == Some("Failed")),
        "{failed:#?}"
    );

    // Also by an operator that starts after the failure.
    operator.kill();
    cluster.application(&changed("sentinel")).await;
    let _operator = cluster.operator(&arguments).await;
    eventually(|| scrapes("redis", "sentinel")).await;
    for_a_while(|| scrapes("culprit", "before")).await;

    cluster.application(&culprit("mended")).await;
    eventually(|| scrapes("culprit", "mended")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_is_pulled_from_a_registry_by_its_digest() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    cluster.application(&redis()).await;
    let registry = DockerRegistry::start(cluster.folder()).await;
    let at = tokio::task::spawn_blocking({
        let (host, cluster) = (registry.host(), cluster.folder().display().to_string());
        move || {
            let metadata = include_str!("../../../metadata-render.yml");
            let mut metadata: Metadata = serde_yaml::from_str(metadata).expect("the metadata");
            // A module that is not in the cache.
            metadata
                .annotations
                .get_or_insert_default()
                .insert("cluster".to_owned(), cluster);
            let wasm = annotate(&policy(), metadata, &json!("v1"), None).expect("annotate it");
            let to: Location = format!("registry://{host}/telewarden:v1").parse().expect("an address");
            let registry = Registry { plain_http: vec![host] };
            registry.push(&wasm, &to).expect("push it").to_string()
        }
    });
    let at = at.await.expect("push it");
    let host = registry.host();
    let run = |command: &[&str], address: &str| {
        let module = ["--policy", address, "--plain-http", &host];
        cluster.command(&[command, &module].concat())
    };

    let by_tag = at.rsplit_once('@').expect("a digest").0;
    let refused = run(&["run", "--once"], &format!("{by_tag}:v1"));
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{why}");
    assert!(why.contains("names no digest"), "{why}");

    // The module is not signed, and the built-in one has no signature.
    let key = cluster.folder().join("cosign.pub");
    fs::write(&key, KEY).expect("write a key");
    let key = ["run", "--once", "--key", key.to_str().expect("a path")];
    let unsigned = run(&key, &at);
    let why = String::from_utf8_lossy(&unsigned.stderr).into_owned();
    assert_eq!(unsigned.status.code(), Some(2), "{why}");
    assert!(why.contains("is not signed"), "{why}");
    let built_in = cluster.command(&key);
    let why = String::from_utf8_lossy(&built_in.stderr).into_owned();
    assert_eq!(built_in.status.code(), Some(2), "{why}");
    assert!(why.contains("`--key` is for modules from a registry"), "{why}");

    let diff = run(&["diff"], &at);
    assert_eq!(diff.status.code(), Some(1), "{diff:?}");
    let once = run(&["run", "--once"], &at);
    assert_eq!(once.status.code(), Some(0), "{once:?}");
    cluster.owns(&REDIS).await;

    // A cached module needs no registry.
    drop(registry);
    let diff = run(&["diff"], &at);
    assert_eq!(diff.status.code(), Some(0), "{diff:?}");
}
