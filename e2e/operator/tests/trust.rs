//! A tenant who can create objects in one namespace affects no other namespace, even with telewarden's own labels.

use std::collections::BTreeMap;

use kube::api::{GetParams, ListParams, Patch, PatchParams};
use kube::core::Request;
use serde_json::{Value, json};
use telewarden_e2e_operator::{
    Application, Cluster, Operator, SERVICE_ACCOUNT, annotation, eventually, for_a_while, redis,
};

const STANDALONE: &str = r#"{"topology": "standalone"}"#;
/// A configuration that a tenant tries to get into the shared Telegraf.
const EXEC: &str = "[[inputs.exec]]\n  commands = [\"/bin/sh\"]\n";

fn standalone() -> Value {
    serde_json::from_str(STANDALONE).expect("JSON")
}

/// The files of the shared Telegraf.
async fn files(cluster: &Cluster) -> BTreeMap<String, String> {
    let map = cluster.config_map("telegraf", "telegraf").await;
    map.and_then(|map| map.data).unwrap_or_default()
}

async fn scrapes(cluster: &Cluster, application: &str, endpoint: &str) -> Result<(), String> {
    let file = format!("application.argocd.{application}.conf");
    let text = files(cluster).await.remove(&file).unwrap_or_default();
    match text.contains(&format!("http://{endpoint}.{application}.svc")) {
        true => Ok(()),
        false => Err(format!("{file} is {text:?}")),
    }
}

/// The ConfigMaps in which accepted declarations are remembered, by source.
async fn remembered(cluster: &Cluster) -> BTreeMap<String, Value> {
    let maps = cluster.of("telewarden", "", "v1", "ConfigMap");
    let params = ListParams::default().labels("telewarden.io/accepted");
    let list = maps.list(&params).await.expect("list them");
    let of = |object: kube::api::DynamicObject| {
        let data = &object.data["data"];
        let source = data["source"].as_str().expect("a source").to_owned();
        (source, serde_json::to_value(object).expect("JSON"))
    };
    list.items.into_iter().map(of).collect()
}

/// A ConfigMap with the operator's marks.
fn marked(namespace: &str, name: &str, source: &str, data: Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {
                "app.kubernetes.io/managed-by": "telewarden",
                "telegraf.influxdata.com/instance": "telewarden",
                "telegraf.influxdata.com/application": "redis",
                "telewarden.io/accepted": "telewarden",
            },
            "annotations": {"telegraf.influxdata.com/source": source},
        },
        "data": data,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_a_tenant_puts_into_the_cluster_never_becomes_configuration() {
    let cluster = Cluster::start().await;
    for namespace in ["telegraf", "redis", "evil"] {
        cluster.namespace(namespace).await;
    }
    let operator = cluster.operator_with(&standalone()).await;
    let evil = |text: &str| Application::named("evil").annotated(text);
    cluster.application(&redis()).await;
    cluster.application(&evil(&annotation("evil", &["server"]))).await;
    eventually(|| scrapes(&cluster, "evil", "server")).await;
    eventually(|| scrapes(&cluster, "redis", "server")).await;
    let before = files(&cluster).await;

    // The source is refused. The tenant creates a ConfigMap with all labels and annotations of telewarden, which claims
    // to hold its old file.
    cluster.application(&evil("- server: [")).await;
    cluster.event("evil", "Refused").await;
    let evil_file = "application.argocd.evil.conf";
    let declaration = evil(&annotation("evil", &["planted"])).object().to_string();
    let source = "argoproj.io/Application/argocd/evil";
    let planted = [
        ("telegraf", "all", json!({evil_file: EXEC, "00-telegraf.conf": EXEC})),
        ("aaa-telegraf", "all", json!({evil_file: EXEC, "more.conf": EXEC})),
        ("zzz-telegraf", source, json!({evil_file: EXEC})),
        (
            "telewarden-accepted-telewarden-0",
            source,
            json!({"source": source, "declaration.json": declaration}),
        ),
    ];
    let plant = async || {
        for (name, source, data) in &planted {
            cluster.put(&marked("evil", name, source, data.clone())).await;
        }
    };
    let stays = async || {
        for_a_while(|| async {
            let now = files(&cluster).await;
            (now == before)
                .then_some(())
                .ok_or(format!("the files are now {now:#?}"))
        })
        .await;
    };
    plant().await;
    stays().await;

    // It is not used when the source is rendered again, nor by an operator that starts now.
    operator.kill();
    plant().await;
    let _operator = cluster.operator_with(&standalone()).await;
    stays().await;
    plant().await;
    cluster
        .application(&redis().annotated(&annotation("redis", &["exporter"])))
        .await;
    eventually(|| scrapes(&cluster, "redis", "exporter")).await;
    let now = files(&cluster).await;
    assert_eq!(now.get(evil_file), before.get(evil_file), "it keeps what was accepted");
    assert_eq!(now.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    assert!(!now.values().any(|text| text.contains("exec")), "{now:#?}");

    // The forged objects are pruned.
    eventually(|| async {
        let owned = cluster.owned().await;
        let left = owned.iter().any(|name| name.contains(" evil/"));
        (!left).then_some(()).ok_or(format!("{owned:?}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_is_remembered_until_its_source_is_gone() {
    let cluster = Cluster::start().await;
    cluster.namespace("telegraf").await;
    let source = "argoproj.io/Application/argocd/redis";
    let operator = cluster.operator_with(&standalone()).await;
    cluster.application(&redis()).await;
    eventually(|| scrapes(&cluster, "redis", "server")).await;
    let maps = remembered(&cluster).await;
    assert_eq!(maps.keys().collect::<Vec<_>>(), [source]);
    let name = maps[source]["metadata"]["name"].as_str().expect("a name").to_owned();
    assert!(name.starts_with("telewarden-accepted-telewarden-"), "{name}");
    assert!(maps[source].to_string().contains("http://server.redis.svc"));

    // The declaration is saved when it is accepted, and not when it is refused.
    cluster.application(&redis().annotated("- server: [")).await;
    cluster.event("redis", "Refused").await;
    assert_eq!(remembered(&cluster).await, maps);

    // A new operator renders the accepted declaration, also with new settings.
    assert!(operator.stop().success());
    cluster.delete("telegraf", "", "ConfigMap", "telegraf").await;
    let writes = cluster.writes();
    let path = cluster.settings(&standalone());
    let diff = cluster.command(&["diff", "--settings", path.to_str().expect("a path")]);
    let text = String::from_utf8_lossy(&diff.stdout).into_owned();
    assert!(text.contains("http://server.redis.svc"), "{text}");
    assert_eq!(cluster.writes(), writes, "diff writes nothing");
    assert_eq!(remembered(&cluster).await, maps);
    let operator = cluster.operator_with(&standalone()).await;
    eventually(|| scrapes(&cluster, "redis", "server")).await;

    // A declaration under the name of another source is ignored.
    let mut forged = maps[source].clone();
    let object = redis().annotated(&annotation("redis", &["forged"])).object();
    forged["metadata"] = json!({
        "name": "telewarden-accepted-telewarden-00000000000000000000",
        "namespace": "telewarden",
        "labels": {"telewarden.io/accepted": "telewarden"},
    });
    forged["data"]["declaration.json"] = json!(object.to_string());
    (forged["apiVersion"], forged["kind"]) = (json!("v1"), json!("ConfigMap"));
    cluster.put(&forged).await;
    operator.kill();
    let _operator = cluster.operator_with(&standalone()).await;
    for_a_while(|| scrapes(&cluster, "redis", "server")).await;
    let forged = "telewarden-accepted-telewarden-00000000000000000000";
    cluster.delete("telewarden", "", "ConfigMap", forged).await;

    cluster.delete_application("redis").await;
    eventually(|| async {
        let left = remembered(&cluster).await;
        left.is_empty().then_some(()).ok_or(format!("{left:#?}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_are_too_much_together_do_not_stop_the_others() {
    let cluster = Cluster::start().await;
    cluster.namespace("telegraf").await;
    let path = cluster.settings(&standalone());
    let arguments = ["--settings", path.to_str().expect("a path"), "--module-memory", "3"];
    let operator = cluster.operator(&arguments).await;
    let large = |name: &str, endpoint: &str| {
        let text = format!("# {}\n{}", "x".repeat(110_000), annotation(name, &[endpoint]));
        Application::named(name).annotated(&text)
    };
    cluster.application(&redis()).await;
    eventually(|| scrapes(&cluster, "redis", "server")).await;
    for number in 0..16 {
        cluster
            .application(&large(&format!("large-{number:02}"), "server"))
            .await;
    }
    cluster
        .application(&redis().annotated(&annotation("redis", &["exporter"])))
        .await;
    eventually(|| scrapes(&cluster, "redis", "exporter")).await;
    // Each is rendered when it changes, and so all of them are, though one call is too small for all.
    for large in ["large-00", "large-15"] {
        eventually(|| scrapes(&cluster, large, "server")).await;
    }

    // An operator that starts renders many in one call, and in more calls where that is too much. None loses what it has.
    assert!(operator.stop().success());
    let before = files(&cluster).await;
    let operator = cluster.operator(&arguments).await;
    cluster
        .application(&redis().annotated(&annotation("redis", &["again"])))
        .await;
    eventually(|| scrapes(&cluster, "redis", "again")).await;
    assert!(operator.log().contains("each half is rendered alone"));
    let mut after = files(&cluster).await;
    let redis = "application.argocd.redis.conf";
    after.insert(redis.to_owned(), before[redis].clone());
    assert_eq!(after, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_in_somebody_elses_name_is_taken_away_and_they_hear_nothing_of_it() {
    let cluster = Cluster::start().await;
    for namespace in ["redis", "evil"] {
        cluster.namespace(namespace).await;
    }
    let _operator = cluster.operator(&[]).await;
    cluster.application(&redis()).await;
    cluster
        .owns(&["ConfigMap redis/telegraf-redis", "Deployment redis/telegraf-redis"])
        .await;
    // It is sent after the objects are written.
    cluster.event("redis", "Applied").await;
    let before = cluster.events("redis").await.len();
    let source = "argoproj.io/Application/argocd/redis";
    for number in 0..5 {
        let name = format!("look-here-{number}");
        cluster.put(&marked("evil", &name, source, json!({}))).await;
    }
    cluster
        .owns(&["ConfigMap redis/telegraf-redis", "Deployment redis/telegraf-redis"])
        .await;
    for_a_while(|| async {
        let events = cluster.events("redis").await;
        (events.len() == before).then_some(()).ok_or(format!("{events:#?}"))
    })
    .await;
    // Events about their own objects are sent.
    cluster
        .application(&redis().to("evil").annotated(&annotation("evil", &["server"])))
        .await;
    eventually(|| async {
        let note = cluster.event("redis", "Applied").await;
        note.contains("deleted ConfigMap redis/telegraf-redis")
            .then_some(())
            .ok_or(note)
    })
    .await;
}

/// The peak memory of a process in MiB.
fn peak_memory(operator: &Operator) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", operator.id())).expect("its status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    let kib: u64 = line
        .split_whitespace()
        .nth(1)
        .expect("a number")
        .parse()
        .expect("a number");
    kib / 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn large_objects_in_our_name_that_do_not_go_away_cost_no_memory() {
    let cluster = Cluster::start().await;
    for namespace in ["redis", "evil"] {
        cluster.namespace(namespace).await;
    }
    let operator = cluster.operator(&[]).await;
    cluster.application(&redis()).await;
    cluster
        .owns(&["ConfigMap redis/telegraf-redis", "Deployment redis/telegraf-redis"])
        .await;
    let without = peak_memory(&operator);
    assert!(operator.stop().success());

    let mut random = telewarden_e2e_operator::Random::new();
    for number in 0..300 {
        let text: String = (0..900_000)
            .map(|_| char::from(b'!' + random.below(90) as u8))
            .collect();
        let mut object = marked("evil", &format!("large-{number}"), "all", json!({"large": text}));
        object["metadata"]["finalizers"] = json!(["evil.example/never"]);
        cluster.put(&object).await;
    }
    let operator = cluster.operator(&[]).await;
    eventually(|| async {
        let api = cluster.of("evil", "", "v1", "ConfigMap");
        let list = api.list_metadata(&ListParams::default()).await;
        let list = list.map_err(|error| error.to_string())?.items;
        let left = list
            .iter()
            .filter(|object| object.metadata.deletion_timestamp.is_none());
        match left.count() {
            0 => Ok(()),
            left => Err(format!("{left} are not deleted")),
        }
    })
    .await;
    // Again, when all objects only wait for their finalizers.
    operator.kill();
    let operator = cluster.operator(&[]).await;
    cluster
        .application(&redis().annotated(&annotation("redis", &["exporter"])))
        .await;
    eventually(|| async {
        let map = cluster
            .config_map("redis", "telegraf-redis")
            .await
            .and_then(|map| map.data);
        let text = map.unwrap_or_default().remove("telegraf.conf").unwrap_or_default();
        text.contains("exporter").then_some(()).ok_or(text)
    })
    .await;
    let with = peak_memory(&operator);
    println!("peak memory: {without} MiB without them, {with} MiB with them");
    assert!(with < without + 100, "{without} MiB without them, {with} MiB with them");
}

#[tokio::test(flavor = "multi_thread")]
async fn argo_cd_that_does_not_deploy_here_is_followed() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    let set = async |data: Value| {
        let metadata = json!({"name": "argocd-cm", "namespace": "argocd"});
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data});
        cluster.put(&map).await;
    };
    set(json!({"cluster.inClusterEnabled": "false"})).await;
    let _operator = cluster.operator(&[]).await;
    cluster.application(&redis()).await;
    let note = cluster.event("redis", "Refused").await;
    assert!(note.contains("inClusterEnabled"), "{note}");
    assert!(cluster.owned().await.is_empty());
    set(json!({})).await;
    cluster
        .owns(&["ConfigMap redis/telegraf-redis", "Deployment redis/telegraf-redis"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_standalone_a_change_of_one_source_says_nothing_anew_of_the_others() {
    let cluster = Cluster::start().await;
    cluster.namespace("telegraf").await;
    let _operator = cluster.operator_with(&standalone()).await;
    for number in 0..5 {
        let name = format!("broken-{number}");
        cluster
            .application(&Application::named(&name).annotated("- server: ["))
            .await;
        cluster.event(&name, "Refused").await;
    }
    let sent = || {
        let audit = cluster.audit();
        let events = audit
            .iter()
            .filter(|event| event.is_write() && event.object_ref.resource == "events");
        events.filter(|event| event.user.uid == SERVICE_ACCOUNT).count()
    };
    let before = sent();
    for endpoint in ["one", "two", "three"] {
        cluster
            .application(&redis().annotated(&annotation("redis", &[endpoint])))
            .await;
        eventually(|| scrapes(&cluster, "redis", endpoint)).await;
    }
    assert_eq!(sent(), before, "Events were sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tenant_has_too_much_of_is_taken_away_in_the_end() {
    let cluster = Cluster::start().await;
    cluster.namespace("evil").await;
    for number in 0..1200 {
        let name = format!("spam-{number}");
        let source = format!("argoproj.io/Application/argocd/none-{}", number % 7);
        cluster.put(&marked("evil", &name, &source, json!({}))).await;
    }
    let _operator = cluster.operator(&[]).await;
    cluster.owns(&[]).await;
    let api = cluster.of("evil", "", "v1", "ConfigMap");
    let left = api.list(&ListParams::default()).await.expect("list").items;
    assert!(left.is_empty());
}

/// Sets managed fields that are nested more deeply than serde_json reads, and annotations, as whoever may write the object can.
async fn nest_deeply(cluster: &Cluster, path: &str, name: &str, annotations: Value) {
    let deep = (0..200).fold(json!({}), |below, _| json!({"f:a": below}));
    let patch = json!({"metadata": {"annotations": annotations, "managedFields": [{
        "manager": "evil", "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": deep},
    }]}});
    let request = Request::new(path).patch(name, &PatchParams::default(), &Patch::Merge(&patch));
    let answer = cluster
        .client
        .request_text(request.expect("a request"))
        .await
        .expect("patch");
    assert!(answer.contains(&r#"{"f:a":"#.repeat(200)), "it is kept: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn managed_fields_that_are_nested_deeply_stop_nobody() {
    // Lists in pages, and streamed ones.
    for flags in [&["--feature-gates=WatchList=false"][..], &[]] {
        let cluster = Cluster::start_with(flags).await;
        for namespace in ["redis", "evil"] {
            cluster.namespace(namespace).await;
        }
        cluster
            .put(&marked("evil", "forged", "Namespace/redis", json!({})))
            .await;
        nest_deeply(&cluster, "/api/v1/namespaces/evil/configmaps", "forged", json!({})).await;
        let endpoints = json!({"telewarden.io/endpoints": annotation("evil", &["server"])});
        nest_deeply(&cluster, "/api/v1/namespaces", "evil", endpoints).await;
        let _operator = cluster.operator(&[]).await;
        cluster.application(&redis()).await;
        let is_there = async |namespace: &str, name: &str| match cluster.config_map(namespace, name).await {
            Some(_) => Ok(()),
            None => Err(format!("{namespace}/{name} is missing")),
        };
        eventually(|| is_there("redis", "telegraf-redis")).await;
        eventually(|| is_there("evil", "telegraf")).await;
        // The forged object is pruned, though the answer to its deletion cannot be read.
        eventually(|| async {
            let forged = Request::new("/api/v1/namespaces/evil/configmaps").get("forged", &GetParams::default());
            match cluster.client.request_text(forged.expect("a request")).await {
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        cluster
            .owns(&[
                "ConfigMap evil/telegraf",
                "ConfigMap redis/telegraf-redis",
                "Deployment evil/telegraf",
                "Deployment redis/telegraf-redis",
            ])
            .await;
    }
}
