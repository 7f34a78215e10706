//! With the value `namespaces`, the operator can write in these namespaces only.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, ListParams, PostParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use telewarden_e2e_operator::{
    Application, Cluster, Right, SERVICE_ACCOUNT, annotation, eventually, for_a_while, given, redis, render, template,
};

fn settings(team: &str) -> Value {
    json!({
        "networkPolicy": true,
        "extraResources": [{
            "apiVersion": "ricoberger.de/v1alpha1",
            "kind": "VaultSecret",
            "metadata": {"name": "telegraf-{application}"},
            "spec": {"path": team},
        }],
        "pod": {"labels": {"team": team}},
        "classes": {"default": {"outputs": {"influxdb_v2": [{"urls": [format!("http://influxdb.{team}.svc:8086")]}]}}},
    })
}

fn values(namespaces: &[&str]) -> Value {
    json!({"lease": 3, "settings": settings("one"), "namespaces": namespaces})
}

/// The rights that the chart grants with some values.
fn rights(values: &Value) -> BTreeSet<Right> {
    given(&template(values).expect("right values"))
}

#[test]
fn writes_are_granted_in_the_named_namespaces_alone() {
    let rights = rights(&values(&["redis", "shop", "redis"]));
    let writes = ["create", "update", "patch", "delete"];
    let written: BTreeSet<_> = rights
        .iter()
        .filter(|right| writes.contains(&right.verb.as_str()))
        .map(|right| (right.namespace.as_str(), right.resource.as_str()))
        .collect();
    let kinds = ["configmaps", "deployments", "networkpolicies", "vaultsecrets"];
    let mut expected: BTreeSet<_> = ["redis", "shop"]
        .into_iter()
        .flat_map(|namespace| kinds.map(|kind| (namespace, kind)))
        .collect();
    expected.extend([
        ("telewarden", "configmaps"),
        ("telewarden", "leases"),
        ("telewarden", "events"),
        ("argocd", "events"),
        ("default", "events"),
    ]);
    assert_eq!(written, expected);
}

#[test]
fn in_its_own_namespace_it_writes_the_inventory_alone() {
    let of_config_maps = |values: &Value| -> Vec<Value> {
        let rendered = template(values).expect("right values");
        let rules = rendered
            .iter()
            .filter(|object| object["metadata"]["namespace"] == "telewarden")
            .flat_map(|role| role["rules"].as_array().cloned().unwrap_or_default());
        rules
            .filter(|rule| rule["resources"] == json!(["configmaps"]))
            .collect()
    };
    let mut values = values(&["redis"]);
    let rules = of_config_maps(&values);
    assert_eq!(rules.len(), 1, "{rules:#?}");
    assert_eq!(rules[0]["resourceNames"], json!(["telewarden-inventory-telewarden"]));
    // In `standalone`, accepted declarations too.
    values["settings"]["topology"] = json!("standalone");
    let rules = of_config_maps(&values);
    assert_eq!(rules.len(), 2, "{rules:#?}");
    assert_eq!(rules[1]["verbs"], json!(["create", "patch", "delete"]));
}

/// The sources of `standalone` are not in the namespaces that are named.
#[tokio::test(flavor = "multi_thread")]
async fn in_standalone_it_looks_up_services_and_writes_reports_where_the_sources_are() {
    let cluster = Cluster::without_operator(&[]).await;
    for namespace in ["telegraf", "shop"] {
        cluster.namespace(namespace).await;
    }
    cluster.create_all(include_str!("../crds/openreports.yaml")).await;
    let report = |namespace: &str| {
        let metadata = json!({"name": "telewarden-test", "namespace": namespace});
        json!({"apiVersion": "openreports.io/v1alpha1", "kind": "Report", "metadata": metadata})
    };
    // The API server serves a new kind a moment later.
    eventually(|| async {
        cluster
            .try_put(&report("default"))
            .await
            .map_err(|error| error.to_string())
    })
    .await;
    let settings = json!({"topology": "standalone", "networkPolicy": true});
    cluster.install(&json!({"settings": settings, "namespaces": ["telegraf"], "status": {"reports": true}}));

    let client = cluster.client_of(SERVICE_ACCOUNT);
    let config_map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    for (namespace, resource, object, may) in [
        ("telegraf", ("", "v1", "ConfigMap"), &config_map, true),
        ("shop", ("", "v1", "ConfigMap"), &config_map, false),
        ("shop", ("openreports.io", "v1alpha1", "Report"), &report("shop"), true),
    ] {
        let (group, version, kind) = resource;
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource);
        let object: DynamicObject = serde_json::from_value(object.clone()).expect("an object");
        match api.create(&PostParams::default(), &object).await {
            Ok(_) => assert!(may, "it may write a {kind} in {namespace}"),
            Err(kube::Error::Api(status)) => assert!(!may && status.code == 403, "{kind} in {namespace}: {status:?}"),
            Err(error) => panic!("{kind} in {namespace}: {error}"),
        }
    }
    Api::<Service>::namespaced(client.clone(), "shop")
        .list(&ListParams::default())
        .await
        .expect("list Services");
    Api::<EndpointSlice>::namespaced(client, "shop")
        .list(&ListParams::default())
        .await
        .expect("list EndpointSlices");
}

#[test]
fn wrong_namespaces_are_refused_and_named() {
    for (namespaces, named) in [
        (json!("redis"), "/namespaces"),
        (json!(["team-*"]), "/namespaces/0"),
        (json!([""]), "/namespaces/0"),
    ] {
        let why = template(&json!({"namespaces": namespaces})).expect_err("it is taken");
        assert!(why.contains(named), "{namespaces}: {why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_does_its_work_with_them_and_uses_every_one() {
    let cluster = Cluster::without_operator(&[]).await;
    cluster.namespace("redis").await;
    let mut values = values(&["redis"]);
    // Reasons are only looked for when an endpoint fails.
    values["status"] = json!({"reasons": false});
    let installed = cluster.install(&values);

    // Somebody else's objects are read to say whose they are,
    let objects = render(&settings("one").to_string(), &[redis().object()]);
    assert_eq!(objects.len(), 4);
    cluster.put_foreign(&objects).await;
    cluster.settings(&settings("one"));
    let deployment = installed.iter().find(|object| object["kind"] == "Deployment");
    let operator = cluster.operator_of_deployment(deployment.expect("a Deployment")).await;
    cluster.application(&redis()).await;
    cluster.delete_foreign("redis", &objects).await;
    // ours are created, changed,
    cluster.is_as_rendered(&settings("one")).await;
    cluster.settings(&settings("two"));
    cluster.is_as_rendered(&settings("two")).await;
    // Events are sent about Applications, Namespaces and settings,
    cluster.settings(&json!({"topology": "none"}));
    cluster.event(&operator.name(), "SettingsRefused").await;
    cluster.settings(&settings("two"));
    let wrong = json!({"telegraf.influxdata.com/rubin-telegraf-operator": "- redis: ftp://redis\n"});
    cluster
        .put(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "annotations": wrong}}))
        .await;
    cluster.event("shop", "Refused").await;
    // and all is deleted.
    cluster.delete_application("redis").await;
    cluster.owns(&[]).await;
    assert!(operator.stop().success());
    let mut rights = given(&installed);
    // An apply that creates needs the right to create too. The audit log has it as `patch`.
    rights.remove(&Right {
        namespace: "telewarden".to_owned(),
        group: String::new(),
        resource: "configmaps".to_owned(),
        verb: "create".to_owned(),
    });
    cluster.rights_were_enough_and_all_used(&rights);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_not_named_is_out_of_reach() {
    let cluster = Cluster::without_operator(&[]).await;
    for namespace in ["redis", "shop"] {
        cluster.namespace(namespace).await;
    }
    let installed = cluster.install(&values(&["redis"]));
    cluster.settings(&settings("one"));
    let deployment = installed.iter().find(|object| object["kind"] == "Deployment");
    let operator = cluster.operator_of_deployment(deployment.expect("a Deployment")).await;
    let shop = Application::named("shop").annotated(&annotation("shop", &["server"]));
    cluster.application(&shop).await;
    let note = cluster.event("shop", "Failed").await;
    assert!(note.contains("forbidden"), "{note}");
    // The other sources are served.
    cluster.application(&redis()).await;
    let owned = [
        "ConfigMap redis/telegraf-redis",
        "Deployment redis/telegraf-redis",
        "NetworkPolicy redis/telegraf-redis",
        "VaultSecret redis/telegraf-redis",
    ];
    cluster.owns(&owned).await;
    for_a_while(|| async {
        let found = cluster.owned().await;
        (found == owned).then_some(()).ok_or_else(|| format!("{found:?}"))
    })
    .await;
    assert!(operator.stop().success());

    // The operator's token cannot write there either, or read objects that it does not own.
    let client = cluster.client_of(SERVICE_ACCOUNT);
    let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "a"}})).expect("a ConfigMap");
    for (namespace, may) in [("redis", true), ("shop", false), ("telewarden", false)] {
        let created = Api::namespaced(client.clone(), namespace)
            .create(&PostParams::default(), &map)
            .await;
        match created {
            Ok(_) => assert!(may, "it may write in {namespace}"),
            Err(kube::Error::Api(status)) => assert!(!may && status.code == 403, "{namespace}: {status:?}"),
            Err(error) => panic!("{namespace}: {error}"),
        }
    }
}
