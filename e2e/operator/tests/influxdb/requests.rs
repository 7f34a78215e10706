//! How many requests the database gets.

use telewarden_e2e_operator::{Application, Cluster, InfluxDb, Operator, annotation, eventually};

use crate::provided::{cluster, has_tokens, operator, settings};

const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

/// What an operator asks when it starts: the organization, its buckets, its authorizations.
const AT_START: f64 = 3.0;

async fn requests(operator: &Operator) -> Option<f64> {
    operator.metric("telewarden_influxdb_requests_total").await
}

/// Waits until so many attempts had a result.
async fn attempts(operator: &Operator, result: &str, count: usize) {
    eventually(|| async {
        let metric = format!("telewarden_reconciles_total{{result=\"{result}\"}}");
        let found = operator.metric(&metric).await;
        (found >= Some(count as f64))
            .then_some(())
            .ok_or_else(|| format!("{found:?} attempts were {result}"))
    })
    .await;
}

async fn put_all(cluster: &Cluster, endpoints: &[&str]) {
    for name in NAMES {
        let application = Application::named(name).annotated(&annotation(name, endpoints));
        cluster.application(&application).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_costs_two_requests_once_and_none_when_nothing_changes() {
    let (cluster, database) = (cluster().await, InfluxDb::start().await);
    for name in NAMES {
        cluster.namespace(name).await;
    }
    put_all(&cluster, &["server"]).await;
    let settings = settings(&database, "bucketsAndTokens");
    let first = operator(&cluster, &database, &settings).await;
    let sources = NAMES.map(|name| format!("argoproj.io/Application/argocd/{name}"));
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    has_tokens(&cluster, &database, &sources).await;
    attempts(&first, "changed", NAMES.len()).await;
    let expected = AT_START + 2.0 * NAMES.len() as f64;
    assert_eq!(requests(&first).await, Some(expected));
    for (what, count) in [("bucket", NAMES.len()), ("token", NAMES.len())] {
        let metric = format!("telewarden_influxdb_made_total{{what=\"{what}\"}}");
        assert_eq!(first.metric(&metric).await, Some(count as f64), "{what}");
    }

    // Other endpoints need nothing of the database.
    put_all(&cluster, &["server", "other"]).await;
    attempts(&first, "changed", 2 * NAMES.len()).await;
    assert_eq!(requests(&first).await, Some(expected));
    first.stop();

    // What is there is looked up once, for all of them.
    let second = operator(&cluster, &database, &settings).await;
    attempts(&second, "unchanged", NAMES.len()).await;
    put_all(&cluster, &["server"]).await;
    attempts(&second, "changed", NAMES.len()).await;
    assert_eq!(requests(&second).await, Some(AT_START));
}
