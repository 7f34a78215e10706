//! From an annotation in a cluster to the database: the operator creates the objects, and its own metrics arrive in
//! the database.

use telewarden_e2e_operator::{Application, Cluster};
use telewarden_e2e_telegraf::{Database, Recorder, TOKEN, Telegraf, eventually, merged, on_loopback, outputs_to};
use telewarden_policy::protocol::Rendered;

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_own_metrics() {
    let database = Database::start();
    let recorder = Recorder::before(database.address());
    let cluster = Cluster::start().await;
    let operator = cluster
        .operator_with(&merged(on_loopback(), outputs_to(&recorder.url())))
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
    let in_cluster = Rendered {
        objects: cluster.owned_by("telewarden").await,
        ..Rendered::default()
    };

    let telegraf = Telegraf::start_named(&in_cluster, name);
    for (metric, value) in [
        ("sources", 1.0),
        ("endpoints", 1.0),
        ("leader", 1.0),
        ("owned_objects", 2.0),
    ] {
        let query = format!("prometheus_operator_telewarden_{metric}{{prometheus_app=\"telewarden\"}}");
        eventually(metric, || {
            let found = database.query(&query);
            (found == [value])
                .then_some(())
                .ok_or_else(|| format!("{query} is {found:?}\n{}", telegraf.log()))
        });
    }
    for write in recorder.writes() {
        assert_eq!(
            (write.organization.as_str(), write.bucket.as_str()),
            ("square", "telewarden")
        );
        assert_eq!(write.authorization, format!("Token {TOKEN}"));
    }
}
