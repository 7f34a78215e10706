//! Sources for which nothing is rendered, or not all.

use serde_json::json;
use telewarden_e2e_operator::Application;
use telewarden_e2e_telegraf::on_loopback;

use crate::parts::{cluster, deployed, operator, pod, runs, says};

const QUEUE: &str = "queue: http://127.0.0.1:1/metrics\n";

/// Rows: `event Refused`, `event Skipped`, `event WaitingForNamespace`, `event ForeignObject`.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_not_applied_says_why() {
    let cluster = cluster().await;
    let operator = operator(&cluster, &on_loopback()).await;

    // Refused from the beginning: nothing runs, and still it is in the list.
    let refused = Application::named("shop").annotated("queue: ftp://127.0.0.1:1/metrics\n");
    cluster.application(&refused).await;
    let texts = ["event Refused failing", "TW106"];
    assert_eq!(says(&cluster, &operator, "shop", &texts).await, 1);

    // Corrected, it is said no more; refused again, what runs is in the list too.
    cluster.application(&Application::named("shop").annotated(QUEUE)).await;
    let rendered = deployed(&cluster, "shop/telegraf-shop").await;
    pod(&cluster, &rendered, "telegraf-shop", runs()).await;
    let silent = "telegraf shop/telegraf-shop unknown";
    says(&cluster, &operator, "shop", &[silent]).await;
    cluster.application(&refused).await;
    says(&cluster, &operator, "shop", &["event Refused failing", silent]).await;
    cluster.delete_application("shop").await;
    assert_eq!(says(&cluster, &operator, "shop", &["follows no such source"]).await, 1);

    // Nothing is wrong with an Application of another cluster.
    let mut elsewhere = Application::named("mail").annotated(QUEUE);
    elsewhere.server = "https://elsewhere.example.com".to_owned();
    cluster.application(&elsewhere).await;
    assert_eq!(says(&cluster, &operator, "mail", &["event Skipped skipped"]).await, 0);

    cluster.application(&Application::named("soon").annotated(QUEUE)).await;
    let texts = ["event WaitingForNamespace pending", "namespace soon does not exist"];
    assert_eq!(says(&cluster, &operator, "soon", &texts).await, 1);

    cluster
        .create_config_map("shop", "telegraf-other", &[("theirs", "1")])
        .await;
    let other = Application::named("other").to("shop").annotated(QUEUE);
    cluster.application(&other).await;
    let texts = ["event ForeignObject failing", "ConfigMap shop/telegraf-other"];
    assert_eq!(says(&cluster, &operator, "other", &texts).await, 1);

    let answer = operator.get("/status").await.map(|(_, text)| text).unwrap_or_default();
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("a status is JSON");
    let states: Vec<_> = answer["sources"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|source| source["state"].clone())
        .collect();
    assert_eq!(
        json!(states),
        json!(["failing", "pending", "skipped"]),
        "worst first: {answer:#}"
    );
}
