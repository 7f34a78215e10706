//! What Argo CD's writes of an Application's status cost: nothing.

use serde_json::{Value, json};
use telewarden_e2e_cluster::{Application, Kind, Node, Road, Tracking, Webhook, eventually, merged, settings};

const APPLICATIONS: usize = 50;

fn name(number: usize) -> String {
    format!("many-{number}")
}

/// What the operator has had the module do so far.
async fn module_calls(node: &Node) -> f64 {
    let pods = node
        .list(Kind::POD, "telewarden", "app.kubernetes.io/name=telewarden-operator")
        .await;
    let mut calls = 0.0;
    for pod in &pods {
        let text = node
            .through_pod("telewarden", &telewarden_e2e_cluster::name_of(pod), 8080, "/metrics")
            .await;
        calls += telewarden_e2e_cluster::sample(&text, "telewarden_module_call_duration_seconds_count");
    }
    calls
}

#[tokio::test]
async fn status_writes_of_50_applications_reach_neither_the_policy_nor_the_module() {
    let settings = merged(
        settings(),
        json!({"topology": "standalone", "standalone": {"namespace": "many"}}),
    );
    let mut road = Road::open("status-writes", Tracking::Annotation, settings).await;
    let node = road.node.clone();
    let webhook = Webhook::install(&node).await;
    road.namespace("many").await;
    for number in 0..APPLICATIONS {
        let name = name(number);
        let annotation = format!("web: http://web.{name}.svc:9100/metrics");
        let application = Application::named(&name).annotated(&annotation);
        let config = format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}, namespace: {name}}}}}");
        road.namespace(&name).await;
        road.workload(&name, &config).await;
        road.application(&name, &application).await;
    }
    for number in 0..APPLICATIONS {
        road.argocd().synced(&node, &name(number)).await;
    }
    eventually("the operator has taken up all of them", || async {
        match module_calls(&node).await {
            calls if calls >= APPLICATIONS as f64 => Ok(()),
            calls => Err(format!("{calls} calls")),
        }
    })
    .await;
    let rolled_out = webhook.calls(&node).await;
    assert!(
        rolled_out >= APPLICATIONS as f64,
        "the policy was asked for each Application: {rolled_out}"
    );
    tokio::time::sleep(std::time::Duration::from_secs(10)).await;

    let (asked, excluded) = (webhook.calls(&node).await, webhook.excluded(&node).await);
    let (calls, seen) = (module_calls(&node).await, node.audit().len());
    for round in 0..4 {
        for number in 0..APPLICATIONS {
            // A status that differs each time, as Argo CD's own: `reconciledAt` is in seconds.
            node.merge(
                Kind::APPLICATION,
                "argocd",
                &name(number),
                json!({"metadata": {"annotations": {
                    "argocd.argoproj.io/refresh": if round % 2 == 0 { "normal" } else { "hard" },
                }}}),
            )
            .await;
        }
        for number in 0..APPLICATIONS {
            eventually("Argo CD has refreshed it", || async {
                let application = node.get(Kind::APPLICATION, "argocd", &name(number)).await?;
                let asked: Option<&Value> = application.pointer("/metadata/annotations/argocd.argoproj.io~1refresh");
                asked
                    .is_none()
                    .then_some(())
                    .ok_or_else(|| "it is asked for".to_owned())
            })
            .await;
        }
    }
    let audit = node.audit();
    let of_argocd = audit.iter().skip(seen).filter(|event| event.user.username == "argocd");
    let writes = of_argocd
        .filter(|event| event.is_write() && event.object_ref.resource == "applications")
        .count();
    let passed = webhook.calls(&node).await - asked;
    let kept_back = webhook.excluded(&node).await - excluded;
    let calls = module_calls(&node).await - calls;
    println!(
        "status writes: the API server took {writes} of Argo CD's writes of Applications; the matchConditions kept back \
         {kept_back} requests, {passed} reached the policy, and the operator called the module {calls} times"
    );
    assert!(writes >= 4 * APPLICATIONS, "{writes}");
    assert!(kept_back >= writes as f64, "{kept_back} of {writes}");
    assert_eq!((passed, calls), (0.0, 0.0));
    webhook.remove(&node).await;
    road.close().await;
}
