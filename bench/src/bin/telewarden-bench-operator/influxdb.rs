//! Measures a roll-out with buckets and tokens in a real InfluxDB, compared with the same without them, and the requests to
//! the database that an operator sends when nothing changes.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;
use telewarden_bench::row;
use telewarden_e2e_operator::{Cluster, InfluxDb, Operator};

use crate::{
    APPLICATIONS, Cost, Process, ROUNDS, appear, application, delete_all, has_looked_at, median, put_applications, show,
};

/// The maximum time of a roll-out with buckets and tokens, relative to the same without.
const PROVIDE: f64 = 3.0;
/// The time in which an operator could send requests though nothing changes.
const IDLE: Duration = Duration::from_secs(30);

/// Measures both, and answers whether each cost is within its limit.
pub(crate) async fn influxdb() -> [bool; 4] {
    let cluster = &Cluster::start().await;
    cluster
        .create_all(include_str!("../../../../deploy/operator/rbac-influxdb.yaml"))
        .await;
    put_applications(cluster, APPLICATIONS, 0).await;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    let mut last = None;
    for round in 0..ROUNDS {
        let database = InfluxDb::start().await;
        without.push(roll_out(cluster, &database, "nothing").await.0);
        delete_all(cluster).await;
        let (cost, operator) = roll_out(cluster, &database, "bucketsAndTokens").await;
        with.push(cost);
        if round + 1 == ROUNDS {
            last = Some((database, operator));
            break;
        }
        operator.stop();
        delete_all(cluster).await;
    }
    let (without, with) = (median(without), median(with));
    eprintln!(
        "\n{:<44} {:>11} {:>11} {:>11}",
        "1,000 Applications from nothing", "time", "processor", "resident"
    );
    show("influxdb.provide: nothing", without);
    show("influxdb.provide: bucketsAndTokens", with);
    let ratio = with.took.as_secs_f64() / without.took.as_secs_f64();
    let time = row("influxdb-roll-out-of-without", ratio, PROVIDE);

    let (database, operator) = last.expect("one round");
    assert_eq!(database.authorizations().await.len(), APPLICATIONS, "a token for each");
    // The organization, its buckets and its authorizations; and for each source a bucket and a token.
    let sent = row(
        "influxdb-requests",
        requests(&operator).await,
        (3 + 2 * APPLICATIONS) as f64,
    );
    operator.stop();
    // Everything is compared, and what the database has is read: the organization, pages of 100 buckets, the authorizations.
    let operator = start(cluster, &database, "bucketsAndTokens");
    has_looked_at(&operator, "unchanged", APPLICATIONS).await;
    let before = requests(&operator).await;
    // The database makes three buckets by itself.
    let pages = (APPLICATIONS + 3).div_ceil(100);
    let again = row("influxdb-requests-of-restart", before, (2 + pages) as f64);
    for index in 0..APPLICATIONS {
        cluster.put(&application(index, APPLICATIONS, 1024)).await;
    }
    tokio::time::sleep(IDLE).await;
    let idle = requests(&operator).await - before;
    operator.stop();
    [time, sent, again, row("influxdb-requests-of-status", idle, 0.0)]
}

async fn requests(operator: &Operator) -> f64 {
    let requests = operator.metric("telewarden_influxdb_requests_total").await;
    requests.expect("a metric")
}

fn start(cluster: &Cluster, database: &InfluxDb, provide: &str) -> Operator {
    let output = json!({
        "urls": [database.url()], "organization": "square", "bucket": "{bucket}", "token": "${INFLUX_TOKEN}",
    });
    let settings = cluster.settings(&json!({
        "influxdb": {"provide": provide},
        "classes": {"default": {"outputs": {"influxdb_v2": [output]}}},
    }));
    let path = |path: PathBuf| path.to_str().expect("a path").to_owned();
    let (settings, token) = (path(settings), path(database.token_file()));
    cluster.unready_operator(&[
        "--log",
        "info",
        "--settings",
        &settings,
        "--influxdb-token-file",
        &token,
    ])
}

/// Rolls everything out. Answers what it has cost, and the operator.
async fn roll_out(cluster: &Cluster, database: &InfluxDb, provide: &str) -> (Cost, Operator) {
    let started = Instant::now();
    let operator = start(cluster, database, provide);
    // A Deployment is the last of a source's objects.
    appear(cluster, 2 * APPLICATIONS).await;
    let cost = Process(operator.id()).cost(started.elapsed());
    has_looked_at(&operator, "changed", APPLICATIONS).await;
    (cost, operator)
}
