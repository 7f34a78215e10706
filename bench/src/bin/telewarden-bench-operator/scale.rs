//! Measures the operator with many large Applications: its memory, what changes among them cost, and how soon another one takes over.

use std::time::{Duration, Instant};

use telewarden_bench::row;
use telewarden_e2e_operator::{Cluster, Operator, annotation};

use crate::{
    APPLICATIONS as NAMESPACES, Process, READY, application_with, has_looked_at, name_of, put_applications,
    ready_of_lists, shown_memory,
};

/// The Applications, and the size of the status of each.
const MANY: usize = 10_000;
const STATUS: usize = 20 * 1024;
/// The changes, and the time in which they are made.
const CHANGES: usize = 1_000;
const MINUTE: Duration = Duration::from_secs(60);
/// The duration of the Lease in seconds, as bench/operator sets it.
const LEASE: u64 = 15;

/// The maximum resident memory, in MiB.
const MEMORY: f64 = 64.0;
/// The maximum processor time of the changes, as percent of a core.
const PROCESSOR: f64 = 10.0;
/// The maximum number of requests for a change: the ConfigMap is applied, and an Event is sent.
const REQUESTS: f64 = 2.1;
/// The lists at a take-over: what sources of a `standalone` topology had accepted, of which there are none here.
const TAKE_OVER_LISTS: f64 = 1.0;
/// The maximum time until another operator leads, in seconds, after the one that led is killed and the Lease has expired.
const TAKE_OVER: f64 = 1.0;

pub(crate) async fn scale() -> Vec<bool> {
    let cluster = &Cluster::start().await;
    put_applications(cluster, MANY, STATUS).await;
    eprintln!(
        "\n{:<44} {:>11} {:>11}",
        "10,000 Applications of 20 KB, all annotated", "at rest", "at most"
    );
    let mut most = 0_f64;
    for (what, result) in [("rolling out", "changed"), ("starting again", "unchanged")] {
        let operator = start(cluster);
        has_looked_at(&operator, result, MANY).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        most = most.max(shown_memory(what, &operator));
        operator.stop();
    }
    let ratio = ready_of_lists(cluster, "the same, started again", MANY).await;
    let first = start(cluster);
    has_looked_at(&first, "unchanged", MANY).await;
    let mut within = changes(cluster, &first).await;
    most = most.max(shown_memory("after the changes", &first));
    within.push(row("operator-10000-ready-of-lists", ratio, READY));
    within.push(row("operator-10000-mib", most, MEMORY));
    within.extend(take_over(cluster, first).await);
    within
}

fn start(cluster: &Cluster) -> Operator {
    cluster.unready_operator(&["--log", "info"])
}

/// Changes the annotations of some of the Applications. The first change of an object that was created takes two requests more, to
/// take its fields over, so all are changed once before.
async fn changes(cluster: &Cluster, operator: &Operator) -> Vec<bool> {
    change(cluster, "before", Duration::ZERO).await;
    has_looked_at(operator, "changed", CHANGES).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let process = Process(operator.id());
    let (requests, started, before) = (requests(cluster), Instant::now(), process.processor());
    change(cluster, "changed", MINUTE).await;
    has_looked_at(operator, "changed", 2 * CHANGES).await;
    let took = started.elapsed().as_secs_f64();
    let percent = (process.processor() - before) / took * 100.0;
    // Events are sent a moment later.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let sent = (self::requests(cluster) - requests) as f64 / CHANGES as f64;
    vec![
        row("operator-changes-percent-of-a-core", percent, PROCESSOR),
        row("operator-requests-of-a-change", sent, REQUESTS),
    ]
}

/// Adds an endpoint to some of the Applications, one after the other over some time.
async fn change(cluster: &Cluster, endpoint: &str, time: Duration) {
    let started = Instant::now();
    for change in 0..CHANGES {
        let index = change * (MANY / CHANGES);
        let annotation = annotation(&name_of(index % NAMESPACES), &["server", endpoint]);
        cluster.put(&application_with(index, MANY, STATUS, &annotation)).await;
        let next = time.mul_f64((change + 1) as f64 / CHANGES as f64);
        tokio::time::sleep(next.saturating_sub(started.elapsed())).await;
    }
}

/// The requests of operators so far, without those for the Lease.
fn requests(cluster: &Cluster) -> usize {
    let is_meant = |event: &&telewarden_e2e_operator::AuditEvent| {
        event.user.username.contains("operator") && event.object_ref.resource != "leases"
    };
    cluster.audit().iter().filter(is_meant).count()
}

/// Kills the operator that leads while another one waits.
async fn take_over(cluster: &Cluster, first: Operator) -> Vec<bool> {
    let second = start(cluster);
    second.is_ready().await;
    shown_memory("the one that waits", &second);
    let before = lists(cluster);
    first.kill();
    let killed = Instant::now();
    while second.metric("telewarden_leader").await != Some(1.0) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = killed.elapsed().as_secs_f64() - LEASE as f64;
    has_looked_at(&second, "unchanged", MANY).await;
    let lists = (lists(cluster) - before) as f64;
    vec![
        row("operator-take-over-seconds-after-lease", took, TAKE_OVER),
        row("operator-take-over-lists", lists, TAKE_OVER_LISTS),
    ]
}

/// The lists of sources and of what was rendered that operators have asked for.
fn lists(cluster: &Cluster) -> usize {
    let is_meant = |event: &&telewarden_e2e_operator::AuditEvent| {
        let resource = &*event.object_ref.resource;
        event.user.username.contains("operator")
            && event.verb == "list"
            && ["applications", "namespaces", "configmaps", "deployments"].contains(&resource)
    };
    cluster.audit().iter().filter(is_meant).count()
}
