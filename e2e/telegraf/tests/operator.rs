//! From an annotation in a cluster to the database: the operator creates the objects, and its own metrics arrive in
//! the database.

use serde_json::json;
use telewarden_e2e_operator::{Application, Cluster, InfluxDb, eventually};
use telewarden_e2e_telegraf::{Telegraf, merged, on_loopback, outputs_to};
use telewarden_policy::protocol::Rendered;

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_own_metrics() {
    let database = InfluxDb::start().await;
    database.create_bucket("telewarden", 0).await;
    let token = database.create_token(&["telewarden"]).await;
    let cluster = Cluster::start().await;
    let operator = cluster
        .operator_with(&merged(on_loopback(), outputs_to(&database.url())))
        .await;
    let annotation = format!("operator: {}", operator.url("/metrics"));
    cluster
        .application(&Application::named("telewarden").annotated(&annotation))
        .await;
    let name = "telegraf-telewarden";
    cluster
        .owns(&[
            &format!("ConfigMap telewarden/{name}"),
            &format!("Deployment telewarden/{name}"),
        ])
        .await;
    let mut objects = cluster.owned_by("telewarden").await;
    objects.push(json!({
        "kind": "Secret", "metadata": {"name": "telegraf"}, "stringData": {"influx-token": token},
    }));
    let in_cluster = Rendered {
        objects,
        ..Rendered::default()
    };

    let telegraf = Telegraf::start_named(&in_cluster, name);
    for (metric, value) in [
        ("sources", 1.0),
        ("endpoints", 1.0),
        ("leader", 1.0),
        ("owned_objects", 2.0),
    ] {
        let name = format!("prometheus_operator_telewarden_{metric}");
        eventually(|| async {
            let series = database.series("telewarden").await;
            let found: Vec<_> = series.iter().filter(|series| series.name == name).collect();
            let is_so = matches!(found.as_slice(), [series]
                if series.values.last() == Some(&value) && series.tags["prometheus_app"] == "telewarden");
            is_so
                .then_some(())
                .ok_or_else(|| format!("{name} is {found:?}\n{}", telegraf.log()))
        })
        .await;
    }
}
