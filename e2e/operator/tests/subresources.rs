//! Which subresources can change the annotations of Applications and Namespaces. Admission rules name
//! resources one by one, so a rule for `namespaces` alone does not see the others.

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams, Request};
use serde_json::{Value, json};
use telewarden_e2e_operator::{Cluster, eventually, objects, redis};

const KEY: &str = "telegraf.influxdata.com/rubin-telegraf-operator";

fn annotated(text: &str) -> Value {
    json!({"metadata": {"annotations": {KEY: text}}})
}

fn annotation_of(metadata: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> &str {
    let annotations = metadata.annotations.as_ref();
    annotations
        .and_then(|annotations| annotations.get(KEY))
        .map_or("", String::as_str)
}

/// Annotates a Namespace as its finalizer would, by a PUT of the whole object.
async fn finalize(cluster: &Cluster, name: &str, text: &str) -> Result<Namespace, kube::Error> {
    let mut namespace = Api::<Namespace>::all(cluster.client.clone()).get(name).await?;
    let annotations = namespace.metadata.annotations.get_or_insert_default();
    annotations.insert(KEY.to_owned(), text.to_owned());
    let mut body = serde_json::to_value(namespace).expect("JSON");
    body["apiVersion"] = json!("v1");
    body["kind"] = json!("Namespace");
    let put = Request::new("/api/v1/namespaces")
        .replace_subresource("finalize", name, &PostParams::default(), body.to_string().into_bytes())
        .expect("a request");
    cluster.client.request(put).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_annotated_through_status_and_finalize_too() {
    let cluster = Cluster::without_operator(&[]).await;
    cluster.namespace("redis").await;
    let api = Api::<Namespace>::all(cluster.client.clone());

    let patch = Patch::Merge(annotated("by status"));
    let patched = api.patch_status("redis", &PatchParams::default(), &patch).await;
    assert_eq!(annotation_of(&patched.expect("patch the status").metadata), "by status");
    let stored = api.get("redis").await.expect("get a namespace");
    assert_eq!(annotation_of(&stored.metadata), "by status");

    finalize(&cluster, "redis", "by finalize").await.expect("finalize");
    let stored = api.get("redis").await.expect("get a namespace");
    assert_eq!(annotation_of(&stored.metadata), "by finalize");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_has_no_status_of_its_own() {
    let cluster = Cluster::without_operator(&[]).await;
    cluster.application(&redis()).await;
    let api = cluster.of("argocd", "argoproj.io", "v1alpha1", "Application");
    let patch = Patch::Merge(annotated("by status"));
    match api.patch_status("redis", &PatchParams::default(), &patch).await {
        Err(kube::Error::Api(status)) => assert_eq!(status.code, 404),
        answer => panic!("{answer:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_an_application_set_does_not_reach_its_template() {
    let cluster = Cluster::without_operator(&[]).await;
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    // With a status subresource, as in Argo CD's CRD.
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": "applicationsets.argoproj.io",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for tests"},
        },
        "spec": {
            "group": "argoproj.io",
            "scope": "Namespaced",
            "names": {"kind": "ApplicationSet", "plural": "applicationsets", "singular": "applicationset"},
            "versions": [{
                "name": "v1alpha1",
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": open, "status": open}}},
                "subresources": {"status": {}},
            }],
        },
    });
    cluster.put(&crd).await;
    let api = cluster.of("argocd", "argoproj.io", "v1alpha1", "ApplicationSet");
    eventually(|| async {
        let list = api.list(&Default::default()).await;
        list.map(drop).map_err(|error| error.to_string())
    })
    .await;
    cluster
        .put(&json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "ApplicationSet",
            "metadata": {"name": "teams", "namespace": "argocd"},
            "spec": {"template": {"metadata": {"annotations": {KEY: "first"}}}},
        }))
        .await;
    let mut change = annotated("by status");
    change["spec"] = json!({"template": annotated("by status")});
    change["status"] = json!({"conditions": []});
    let patched = api
        .patch_status("teams", &PatchParams::default(), &Patch::Merge(change))
        .await
        .expect("patch the status");
    assert_eq!(annotation_of(&patched.metadata), "");
    assert_eq!(
        patched.data["spec"]["template"]["metadata"]["annotations"][KEY],
        "first"
    );
    assert_eq!(patched.data["status"]["conditions"], json!([]));
}

/// A ValidatingAdmissionPolicy that refuses exactly the requests that the ClusterAdmissionPolicy for Namespaces would
/// receive.
fn refuses_what_the_policy_is_asked_about() -> [Value; 2] {
    let deployed = objects(include_str!("../../../deploy/cluster-admission-policy-namespaces.yaml"));
    let spec = &deployed[0]["spec"];
    let version = "admissionregistration.k8s.io/v1";
    let policy = json!({
        "apiVersion": version,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "asked"},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": spec["rules"]},
            "matchConditions": spec["matchConditions"],
            "validations": [{"expression": "false", "message": "the policy is asked"}],
        },
    });
    let binding = json!({
        "apiVersion": version,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "asked"},
        "spec": {"policyName": "asked", "validationActions": ["Deny"]},
    });
    [policy, binding]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_is_asked_whichever_way_a_namespace_is_annotated() {
    let cluster = Cluster::without_operator(&[]).await;
    cluster.namespace("redis").await;
    for object in refuses_what_the_policy_is_asked_about() {
        cluster.put(&object).await;
    }
    let api = Api::<Namespace>::all(cluster.client.clone());
    let patch = Patch::Merge(annotated("changed"));
    let params = PatchParams::default();
    let dry_run = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    eventually(|| async {
        match api.patch("redis", &dry_run, &patch).await {
            Ok(_) => Err("the policy is not in force".to_owned()),
            Err(_) => Ok(()),
        }
    })
    .await;
    for (way, answer) in [
        ("the object", api.patch("redis", &params, &patch).await),
        ("status", api.patch_status("redis", &params, &patch).await),
        ("finalize", finalize(&cluster, "redis", "changed").await),
    ] {
        let why = answer.expect_err(way).to_string();
        assert!(why.contains("the policy is asked"), "{way}: {why}");
    }
    // Requests without the annotation do not reach it.
    let condition = json!({"type": "NamespaceDeletionContentFailure", "status": "False", "reason": "a", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let status = Patch::Merge(json!({"status": {"conditions": [condition]}}));
    api.patch_status("redis", &params, &status)
        .await
        .expect("patch the status");
}
