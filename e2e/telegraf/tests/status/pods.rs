//! Telegrafs that do not run, in the words of a kubelet and of a scheduler.

use serde_json::{Value, json};
use telewarden_e2e_operator::{Application, eventually};
use telewarden_e2e_telegraf::on_loopback;

use crate::parts::{cluster, deployed, operator, pod, pod_with, says};

fn waiting(reason: &str, message: &str) -> Value {
    json!({"ready": false, "state": {"waiting": {"reason": reason, "message": message}}})
}

fn ended(reason: &str, code: i32) -> Value {
    json!({
        "ready": false, "restartCount": 4,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 1m20s restarting failed container"}},
        "lastState": {"terminated": {"reason": reason, "exitCode": code}},
    })
}

/// Rows: `Secret … does not exist`, `Secret … has no key …`, `Telegraf was killed: …`, `Telegraf ends with exit code …`, `the image …
/// cannot be had`, `no node takes the pod`, `it has no pod`, `it runs, and does not tell its state`, Event `TelegrafNotRunning`.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_does_not_run_is_told_with_the_reason() {
    let cluster = cluster().await;
    let operator = operator(&cluster, &on_loopback()).await;
    cluster
        .application(&Application::named("shop").annotated("queue: http://127.0.0.1:1/metrics\n"))
        .await;
    let deployed = deployed(&cluster, "shop/telegraf-shop").await;
    assert_eq!(says(&cluster, &operator, "shop", &["it has no pod"]).await, 1);
    let runs = json!({"ready": true, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}});
    for (container, said, is_told) in [
        (
            waiting("ContainerCreating", ""),
            "the container waits (ContainerCreating)",
            false,
        ),
        (
            waiting("CreateContainerConfigError", "secret \"telegraf\" not found"),
            "Secret `telegraf` does not exist in namespace `shop`",
            true,
        ),
        (
            waiting(
                "CreateContainerConfigError",
                "couldn't find key influx-token in Secret shop/telegraf",
            ),
            "Secret `shop/telegraf` has no key `influx-token`",
            true,
        ),
        (
            waiting("ImagePullBackOff", "Back-off pulling image \"telegraf\""),
            "cannot be had",
            true,
        ),
        (
            ended("OOMKilled", 137),
            "Telegraf was killed: it needs more memory than its limit",
            true,
        ),
        (ended("Error", 1), "Telegraf ends with exit code 1", true),
        // It runs, and nobody answers at its address.
        (runs.clone(), "it runs, and does not tell its state", false),
    ] {
        pod(&cluster, &deployed, "telegraf-shop", container).await;
        says(&cluster, &operator, "shop", &[said]).await;
        if is_told {
            eventually(|| async {
                let note = cluster.event("shop", "TelegrafNotRunning").await;
                let events = cluster.events("shop").await;
                let told = events.iter().any(|event| {
                    event.reason.as_deref() == Some("TelegrafNotRunning")
                        && event.note.as_deref().is_some_and(|note| note.contains(said))
                });
                told.then_some(()).ok_or(note)
            })
            .await;
            // It is told again when it is another fault after it was well.
            pod(&cluster, &deployed, "telegraf-shop", runs.clone()).await;
            says(&cluster, &operator, "shop", &["it runs, and does not tell its state"]).await;
        }
    }
    let unschedulable = json!({
        "phase": "Pending",
        "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/3 nodes are available: 3 Insufficient memory.",
        }],
    });
    pod_with(&cluster, &deployed, "telegraf-shop", &unschedulable).await;
    says(
        &cluster,
        &operator,
        "shop",
        &["no node takes the pod: 0/3 nodes are available"],
    )
    .await;
}
