//! Test support: a node on which pods run, Argo CD, a git repository, and InfluxDB in a pod.
//!
//! `e2e/cluster/test` starts the cluster and says where it is.
#![forbid(unsafe_code)]

mod applications;
mod argocd;
mod database;
mod git;
mod legs;
mod metrics;
mod node;
mod operator;
mod policies;
mod policy_server;
mod road;
mod webhook;
mod workloads;

pub use applications::{Application, destination, root};
pub use argocd::{ArgoCd, Tracking};
pub use database::Database;
pub use git::Git;
pub use legs::Legs;
pub use metrics::sample;
pub use node::{Kind, Node, name_of, text_at};
pub use operator::{install_operator, operators, settings};
pub use policies::remove_webhooks;
pub use policy_server::{PolicyServer, policy_server};
pub use road::Road;
pub use telewarden_e2e_operator::{AuditEvent, merged, objects};
pub use webhook::Webhook;
pub use workloads::{exporter, restricted_namespace};

use std::future::Future;
use std::time::{Duration, Instant};

/// The timeout for a test that hangs. It is not an assertion about time.
const HANGS: Duration = Duration::from_secs(300);

/// Waits until a condition holds, and answers what it found. `look` answers what is wrong.
///
/// # Panics
/// If it never holds.
pub async fn eventually<T, F: Future<Output = Result<T, String>>>(what: &str, look: impl Fn() -> F) -> T {
    let started = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(why) if started.elapsed() > HANGS => panic!("{what}: still not so: {why}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Checks that a condition holds as long as others, which run beside this one, could change it: for some rounds of Argo CD.
///
/// # Panics
/// If it stops holding.
pub async fn for_a_while<F: Future<Output = Result<(), String>>>(what: &str, look: impl Fn() -> F) {
    for _ in 0..40 {
        if let Err(why) = look().await {
            panic!("{what}: it did not stay so: {why}");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
