//! A change of an annotation in git, up to the first metric of it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use telewarden_e2e_cluster::{Application, Kind, Legs, Node, Road, Tracking, eventually, merged, settings, text_at};

/// How often endpoints are scraped, in seconds.
const INTERVAL: f64 = 10.0;

fn annotated(endpoints: &[&str]) -> Application {
    let line = |name: &&str| format!("- {name}: http://web.changing.svc:9100/metrics\n");
    Application::named("changing").annotated(&endpoints.iter().map(line).collect::<String>())
}

/// What the kubelet has put into the volumes of a pod from ConfigMaps.
fn volumes(node: &Node, pod: &Value) -> String {
    let uid = text_at(pod, "/metadata/uid");
    let folder = node
        .folder()
        .join("data/kubelet/pods")
        .join(uid)
        .join("volumes/kubernetes.io~configmap");
    let mut text = String::new();
    read_all(&folder, &mut text);
    text
}

fn read_all(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => read_all(&path, text),
            false => text.push_str(&fs::read_to_string(path).unwrap_or_default()),
        }
    }
}

async fn a_change_arrives(reload: &str) {
    let over = json!({"reload": reload, "classes": {"default": {"agent": {"interval": "10s"}}}});
    let mut road = Road::open("changing", Tracking::Annotation, merged(settings(), over)).await;
    let node = road.node.clone();
    road.deploy("changing", &annotated(&["web"])).await;
    road.argocd().synced(&node, "changing").await;
    let pod = node.telegraf("changing").await;
    road.database.has("changing", "prometheus_web").await;
    let before = road
        .database
        .measurements("changing")
        .await
        .expect("the database answers")["prometheus_web"]
        .len();

    let sets = node
        .list(Kind::REPLICA_SET, "changing", "app.kubernetes.io/name=telegraf")
        .await;
    assert_eq!(sets.len(), 1, "a new Telegraf is rolled out once: {sets:#?}");
    let mut legs = Legs::of(&format!("a change with reload: {reload}"));
    road.application("changing", &annotated(&["web", "also"])).await;
    eventually("Argo CD has synced the annotation", || async {
        let application = node.get(Kind::APPLICATION, "argocd", "changing").await?;
        let annotation = text_at(&application, "/metadata/annotations/telewarden.io~1endpoints");
        annotation.contains("also").then_some(()).ok_or(annotation)
    })
    .await;
    legs.leg("from the commit to the Application (Argo CD)");
    node.applied("changing", "prometheus_also").await;
    legs.leg("from the Application to the ConfigMap (the operator)");
    match reload {
        "watch" => {
            eventually("the pod's volume has it", || async {
                let text = volumes(&node, &pod);
                text.contains("prometheus_also").then_some(()).ok_or(text)
            })
            .await;
            legs.leg("from the ConfigMap to the pod's volume (the kubelet)");
        }
        _ => {
            let old = text_at(&pod, "/metadata/uid");
            eventually("the old pod is gone", || async {
                let pods = node
                    .list(Kind::POD, "changing", "app.kubernetes.io/name=telegraf")
                    .await;
                let is_gone = pods.iter().all(|pod| text_at(pod, "/metadata/uid") != old);
                is_gone.then_some(()).ok_or_else(|| format!("{} pods", pods.len()))
            })
            .await;
            node.telegraf("changing").await;
            legs.leg("from the ConfigMap to a new pod, without the old one (the rollout)");
        }
    }
    road.database.has("changing", "prometheus_also").await;
    legs.leg("from there to the first metric (Telegraf, and the database)");
    legs.end();

    // Some more scrapes, so that a gap would be seen.
    let web = eventually("both endpoints are scraped", || async {
        let mut all = road.database.measurements("changing").await?;
        let (web, also) = (all.remove("prometheus_web"), all.remove("prometheus_also"));
        match (web, also) {
            (Some(web), Some(also)) if also.len() >= 3 && web.len() >= before + 3 => Ok(web),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let missed: Vec<_> = web
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .filter(|gap| *gap > 1.5 * INTERVAL)
        .collect();
    println!(
        "a change with reload: {reload}: {} scrapes, none missed but {missed:?}",
        web.len()
    );
    assert!(missed.is_empty(), "scrapes were missed: {missed:?} in {web:?}");

    // With `watch`, it is the same process.
    let now = node.telegraf("changing").await;
    let is_same = text_at(&now, "/metadata/uid") == text_at(&pod, "/metadata/uid");
    assert_eq!(is_same, reload == "watch");
    assert_eq!(now["status"]["containerStatuses"][0]["restartCount"], 0);
    road.close().await;
}

#[tokio::test]
async fn a_change_arrives_by_reload() {
    a_change_arrives("watch").await;
}

#[tokio::test]
async fn a_change_arrives_by_rollout() {
    a_change_arrives("rollout").await;
}
