//! Sources that are created, changed, refused, moved and deleted, and the objects that the operator owns for them.

use serde_json::json;
use telewarden_e2e_operator::{Application, Cluster, annotation, eventually, for_a_while, redis};

const REDIS: [&str; 2] = ["ConfigMap redis/telegraf-redis", "Deployment redis/telegraf-redis"];

#[tokio::test(flavor = "multi_thread")]
async fn annotate_change_break_mend_and_remove() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    let _operator = cluster.operator(&[]).await;

    cluster.application(&Application::named("redis")).await;
    for_a_while(|| async {
        cluster
            .owned()
            .await
            .is_empty()
            .then_some(())
            .ok_or("something was applied".to_owned())
    })
    .await;

    cluster.application(&redis()).await;
    cluster.owns(&REDIS).await;
    cluster.is_as_rendered(&json!({})).await;
    assert!(cluster.event("redis", "Applied").await.contains("created"));

    cluster
        .application(&redis().annotated(&annotation("redis", &["server", "exporter"])))
        .await;
    cluster.is_as_rendered(&json!({})).await;
    let changed = cluster
        .config_map("redis", "telegraf-redis")
        .await
        .expect("it is there")
        .data;
    assert!(
        changed
            .as_ref()
            .is_some_and(|data| data["telegraf.conf"].contains("http://exporter.redis.svc:9121/metrics"))
    );

    cluster
        .application(&redis().annotated("- server: \"http://evil.example/metrics\"\n"))
        .await;
    let note = cluster.event("redis", "Refused").await;
    assert!(note.contains("TW") && note.contains("line 1"), "{note}");
    let running = cluster
        .config_map("redis", "telegraf-redis")
        .await
        .expect("what runs keeps running")
        .data;
    assert_eq!(running, changed, "what runs stays as it was");

    cluster.application(&redis()).await;
    cluster.is_as_rendered(&json!({})).await;

    cluster.application(&redis().annotated("")).await;
    cluster.owns(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_the_application_also_while_the_operator_is_down() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    let operator = cluster.operator(&[]).await;
    cluster.application(&redis()).await;
    cluster.owns(&REDIS).await;
    cluster.delete_application("redis").await;
    cluster.owns(&[]).await;

    cluster.application(&redis()).await;
    cluster.owns(&REDIS).await;
    assert!(operator.stop().success(), "it stops gracefully");
    cluster.delete_application("redis").await;
    let _operator = cluster.operator(&[]).await;
    cluster.owns(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn change_the_destination() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    cluster.namespace("elsewhere").await;
    let operator = cluster.operator(&[]).await;
    cluster.application(&redis()).await;
    cluster.owns(&REDIS).await;
    let elsewhere = redis().to("elsewhere").annotated(&annotation("elsewhere", &["server"]));
    cluster.application(&elsewhere).await;
    cluster
        .owns(&[
            "ConfigMap elsewhere/telegraf-redis",
            "Deployment elsewhere/telegraf-redis",
        ])
        .await;

    operator.kill();
    cluster.application(&redis()).await;
    let _operator = cluster.operator(&[]).await;
    cluster.owns(&REDIS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_does_not_exist_yet_is_waited_for() {
    let cluster = Cluster::start().await;
    let _operator = cluster.operator(&[]).await;
    cluster.application(&redis()).await;
    assert!(cluster.event("redis", "WaitingForNamespace").await.contains("redis"));
    assert!(!cluster.has_namespace("redis").await, "it is not created");
    cluster.namespace("redis").await;
    cluster.owns(&REDIS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_applications_and_a_namespace_share_one_namespace() {
    let cluster = Cluster::start().await;
    let _operator = cluster.operator(&[]).await;
    let annotation_of = annotation("redis", &["server"]);
    cluster
        .put(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
            "name": "redis", "annotations": {"telegraf.influxdata.com/rubin-telegraf-operator": annotation_of},
        }}))
        .await;
    cluster.application(&redis()).await;
    cluster
        .application(&Application {
            name: "sentinel".to_owned(),
            ..redis()
        })
        .await;
    cluster
        .owns(&[
            "ConfigMap redis/telegraf",
            "ConfigMap redis/telegraf-redis",
            "ConfigMap redis/telegraf-sentinel",
            "Deployment redis/telegraf",
            "Deployment redis/telegraf-redis",
            "Deployment redis/telegraf-sentinel",
        ])
        .await;
    cluster.is_as_rendered(&json!({})).await;
    cluster.delete_application("sentinel").await;
    cluster
        .owns(&[
            "ConfigMap redis/telegraf",
            "ConfigMap redis/telegraf-redis",
            "Deployment redis/telegraf",
            "Deployment redis/telegraf-redis",
        ])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_endpoints_and_names_of_253_characters() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    let _operator = cluster.operator(&[]).await;
    let long = |last: &str| {
        let label = "x".repeat(50);
        let name = format!("{label}.{label}.{label}.{label}.{}", "x".repeat(48));
        format!("{name}{last}")
    };
    for last in ["a", "b"] {
        assert_eq!(long(last).len(), 253);
        cluster
            .application(&Application {
                name: long(last),
                ..redis()
            })
            .await;
    }
    let names: Vec<String> = (0..64).map(|number| format!("exporter-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    cluster
        .application(&redis().annotated(&annotation("redis", &names)))
        .await;
    cluster.is_as_rendered(&json!({})).await;
    eventually(|| async {
        let owned = cluster.owned().await.len();
        (owned == 6)
            .then_some(())
            .ok_or_else(|| format!("{owned} objects are owned"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_of_another_cluster_is_skipped() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    let _operator = cluster.operator(&[]).await;
    cluster.application(&redis()).await;
    cluster.owns(&REDIS).await;
    cluster
        .application(&Application {
            server: "https://other.example".to_owned(),
            ..redis()
        })
        .await;
    assert!(
        cluster
            .event("redis", "Skipped")
            .await
            .contains("https://other.example")
    );
    cluster.owns(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_project_does_not_permit_is_refused_until_it_does() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    let _operator = cluster.operator(&[]).await;
    cluster
        .application(&Application {
            project: "team".to_owned(),
            ..redis()
        })
        .await;
    assert!(cluster.event("redis", "Refused").await.contains("does not exist"));
    let everything = json!({"server": "*", "namespace": "*"});
    cluster
        .project(
            "team",
            json!({"destinations": [everything, {"server": "*", "namespace": "!red*"}]}),
        )
        .await;
    eventually(|| async {
        let note = cluster.event("redis", "Refused").await;
        note.contains("does not permit namespace").then_some(()).ok_or(note)
    })
    .await;
    assert!(cluster.owned().await.is_empty());
    cluster.project("team", json!({"destinations": [everything]})).await;
    cluster.owns(&REDIS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_would_warn_of_what_is_rendered_is_named() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    let _operator = cluster.operator(&[]).await;
    let everything = json!({"server": "*", "namespace": "*"});
    let spec = json!({"destinations": [everything], "orphanedResources": {"warn": true}});
    cluster.project("team", spec).await;
    cluster
        .application(&Application {
            project: "team".to_owned(),
            ..redis()
        })
        .await;
    cluster.owns(&REDIS).await;
    let note = cluster.event("redis", "Doubtful").await;
    assert!(
        note.contains("TW415") && note.contains("kind: Deployment, name: \"telegraf*\""),
        "{note}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn global_projects_count_as_argocd_cm_lists_them() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    let _operator = cluster.operator(&[]).await;
    // Two projects: one permits nothing, the other everything.
    cluster
        .put(&json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": "team", "namespace": "argocd", "labels": {"follows": "global"}},
            "spec": {"destinations": []},
        }))
        .await;
    let global = async |namespaces: &[&str]| {
        let permit = |namespace: &&str| json!({"server": "*", "namespace": namespace});
        let destinations: Vec<_> = namespaces.iter().map(permit).collect();
        cluster.project("global", json!({"destinations": destinations})).await;
    };
    global(&["red*"]).await;
    let list = async |text: &str| {
        let metadata = json!({"name": "argocd-cm", "namespace": "argocd"});
        let data = json!({"globalProjects": text});
        cluster
            .put(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}))
            .await;
    };
    let list_for =
        |label: &str| format!("- projectName: global\n  labelSelector: {{matchLabels: {{follows: {label}}}}}\n");
    let scraping = |endpoint: &str| Application {
        project: "team".to_owned(),
        ..redis().annotated(&annotation("redis", &[endpoint]))
    };
    let refused = async |why: &str| {
        eventually(|| async {
            let events = cluster.events("redis").await;
            let notes: Vec<_> = events
                .into_iter()
                .filter(|event| event.reason.as_deref() == Some("Refused"))
                .filter_map(|event| event.note)
                .collect();
            match notes.iter().any(|note| note.contains(why)) {
                true => Ok(()),
                false => Err(format!("nobody said {why:?}: {notes:#?}")),
            }
        })
        .await;
    };
    let stays = async |expected: &[String]| {
        for_a_while(|| async {
            let owned = cluster.owned().await;
            (owned == expected).then_some(()).ok_or(format!("owned are {owned:?}"))
        })
        .await;
    };

    cluster.application(&scraping("server")).await;
    refused("does not permit namespace").await;
    list(&list_for("another")).await;
    stays(&[]).await;
    list(&list_for("global")).await;
    cluster.owns(&REDIS).await;
    cluster.is_as_rendered(&json!({})).await;

    // The objects of a refused source stay.
    let scraped = async || {
        let map = cluster.config_map("redis", "telegraf-redis").await;
        map.and_then(|map| map.data).unwrap_or_default()["telegraf.conf"].clone()
    };
    let before = scraped().await;
    let follows_nothing = async |endpoint: &str| {
        cluster.application(&scraping(endpoint)).await;
        for_a_while(|| async {
            (scraped().await == before)
                .then_some(())
                .ok_or(format!("{endpoint} is scraped"))
        })
        .await;
    };
    list("- projectName: [global").await;
    refused("cannot be read in `argocd-cm`").await;
    follows_nothing("unreadable").await;
    cluster.delete("argocd", "", "ConfigMap", "argocd-cm").await;
    follows_nothing("unlisted").await;
    global(&["red*", "!redis"]).await;
    list(&list_for("global")).await;
    follows_nothing("denied").await;
    global(&["red*"]).await;
    cluster.is_as_rendered(&json!({})).await;
    assert!(scraped().await.contains("http://denied.redis.svc"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_not_repeated_and_a_status_update_costs_nothing() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    let operator = cluster.operator(&[]).await;
    let broken = redis().annotated("- server: [");
    cluster.application(&broken).await;
    cluster.event("redis", "Refused").await;
    let refused = || async {
        let events = cluster.events("redis").await;
        events
            .iter()
            .filter(|event| event.reason.as_deref() == Some("Refused"))
            .count()
    };
    for revision in 0..20 {
        let mut object = broken.object();
        object["status"] = json!({"sync": {"revision": revision.to_string()}});
        cluster.put(&object).await;
    }
    operator.kill();
    let operator = cluster.operator(&[]).await;
    for_a_while(|| async {
        (refused().await == 1)
            .then_some(())
            .ok_or("the Event is repeated".to_owned())
    })
    .await;
    eventually(|| async {
        let refused = operator.metric("telewarden_reconciles_total{result=\"refused\"}").await;
        (refused == Some(1.0))
            .then_some(())
            .ok_or("it was not looked at".to_owned())
    })
    .await;
    let calls = operator.metric("telewarden_module_call_duration_seconds_count").await;
    cluster
        .put(&{
            let mut object = broken.object();
            object["status"] = json!({"sync": {"revision": "last"}});
            object
        })
        .await;
    for_a_while(|| async {
        let now = operator.metric("telewarden_module_call_duration_seconds_count").await;
        (now == calls)
            .then_some(())
            .ok_or(format!("the module was called: {calls:?}, {now:?}"))
    })
    .await;
}
