//! What the real ApplicationSet controller makes of an annotated template.

use serde_json::{Value, json};
use telewarden_e2e_cluster::{
    AuditEvent, Kind, Node, Road, Tracking, Webhook, destination, eventually, exporter, for_a_while, settings, text_at,
};

const DIGEST: &str = "/metadata/annotations/telegraf.influxdata.com~1rendered-digest";

/// An ApplicationSet with an Application for each name.
fn application_set(road: &Road, names: &[&str], preserved: &[&str]) -> Value {
    let elements: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": "set", "namespace": "argocd"},
        "spec": {
            "goTemplate": true,
            "generators": [{"list": {"elements": elements}}],
            "preservedFields": {"annotations": preserved},
            "template": {
                "metadata": {
                    "name": "{{ .name }}",
                    "annotations": {"telewarden.io/endpoints": "web: http://web.{{ .name }}.svc:9100/metrics"},
                },
                "spec": {
                    "project": "default",
                    "source": {"repoURL": road.git().url(), "path": "workloads/{{ .name }}", "targetRevision": "main"},
                    "destination": destination("{{ .name }}"),
                    "syncPolicy": {"automated": {"prune": true, "selfHeal": true}},
                },
            },
        },
    })
}

async fn set_of(road: &mut Road, preserved: &[&str]) -> Value {
    for name in ["one", "two"] {
        road.namespace(name).await;
        road.workload(name, &exporter("web", name)).await;
    }
    let set = application_set(road, &["one", "two"], preserved);
    road.node.put(&set).await;
    set
}

async fn remove(road: Road) {
    road.node.delete(Kind::APPLICATION_SET, "argocd", "set").await;
    for name in ["one", "two"] {
        road.node.gone(Kind::APPLICATION, "argocd", name).await;
    }
    road.close().await;
}

/// How often the controller and admission have written an Application.
async fn version(node: &Node, name: &str) -> Result<Value, String> {
    let application = node.get(Kind::APPLICATION, "argocd", name).await?;
    Ok(application["metadata"]["annotations"].clone())
}

#[tokio::test]
async fn each_application_of_a_set_is_scraped_and_one_that_goes_is_not() {
    let mut road = Road::open("sets", Tracking::Annotation, settings()).await;
    let node = road.node.clone();
    set_of(&mut road, &[]).await;
    for name in ["one", "two"] {
        road.argocd().synced(&node, name).await;
        node.telegraf(name).await;
        road.database.has(name, "prometheus_web").await;
    }
    node.put(&application_set(&road, &["one"], &[])).await;
    node.gone(Kind::APPLICATION, "argocd", "two").await;
    eventually("what is ours of it is gone", || async {
        match node.ours("two").await {
            ours if ours.is_empty() => Ok(()),
            ours => Err(format!("{ours:?}")),
        }
    })
    .await;
    assert!(!node.ours("one").await.is_empty());
    remove(road).await;
}

#[tokio::test]
async fn an_annotation_that_somebody_adds_to_its_application_is_taken_away_unless_it_is_preserved() {
    let mut road = Road::open("preserved", Tracking::Annotation, settings()).await;
    let node = road.node.clone();
    set_of(&mut road, &["telewarden.io/interval"]).await;
    road.argocd().synced(&node, "one").await;
    let added = json!({"telewarden.io/interval": "30s", "telewarden.io/class": "default"});
    node.merge(
        Kind::APPLICATION,
        "argocd",
        "one",
        json!({"metadata": {"annotations": added}}),
    )
    .await;
    eventually("the controller takes one of them away", || async {
        let annotations = version(&node, "one").await?;
        match annotations.get("telewarden.io/class") {
            None => Ok(()),
            Some(_) => Err(annotations.to_string()),
        }
    })
    .await;
    assert_eq!(
        version(&node, "one").await.expect("an Application")["telewarden.io/interval"],
        "30s"
    );
    remove(road).await;
}

/// How often the ApplicationSet controller has written an Application so far.
fn writes(node: &Node) -> usize {
    let of_controller = |event: &&AuditEvent| event.is_write() && event.user_agent.contains("applicationset");
    let audit = node.audit();
    let writes = audit.iter().filter(of_controller);
    writes
        .filter(|event| event.object_ref.resource == "applications" && event.object_ref.name == "one")
        .count()
}

/// Has the controller look at its set three times, and answers how often it writes the Application.
async fn writes_of_three_rounds(road: &Road) -> usize {
    let node = &road.node;
    let digest = || async {
        let application = node.get(Kind::APPLICATION, "argocd", "one").await?;
        match text_at(&application, DIGEST) {
            digest if digest.is_empty() => Err(application["metadata"].to_string()),
            _ => Ok(()),
        }
    };
    eventually("admission has added its digest", digest).await;
    road.argocd().synced(node, "one").await;
    let before = writes(node);
    for _ in 0..3 {
        let refresh = json!({"argocd.argoproj.io/application-set-refresh": "true"});
        let refresh = json!({"metadata": {"annotations": refresh}});
        node.merge(Kind::APPLICATION_SET, "argocd", "set", refresh).await;
        eventually("the controller has looked", || async {
            let set = node.get(Kind::APPLICATION_SET, "argocd", "set").await?;
            let asked = set.pointer("/metadata/annotations/argocd.argoproj.io~1application-set-refresh");
            asked.is_none().then_some(()).ok_or_else(|| "it is asked to".to_owned())
        })
        .await;
    }
    let rounds = writes(node) - before;
    for_a_while("the digest stays", digest).await;
    assert_eq!(
        writes(node) - before,
        rounds,
        "the controller and admission go on for ever"
    );
    rounds
}

#[tokio::test]
async fn the_controller_writes_over_the_digest_of_admission_in_each_round_unless_it_is_preserved() {
    let mut road = Road::open("digest", Tracking::Annotation, settings()).await;
    let webhook = Webhook::mutating(&road.node).await;
    set_of(&mut road, &[]).await;
    let written_over = writes_of_three_rounds(&road).await;
    set_of(&mut road, &["telegraf.influxdata.com/rendered-digest"]).await;
    let preserved = writes_of_three_rounds(&road).await;
    println!("the digest: in three rounds {written_over} writes of the controller, {preserved} where it is preserved");
    assert_eq!(preserved, 0);
    assert!(written_over > 0, "it is not written over");
    webhook.remove(&road.node).await;
    remove(road).await;
}
