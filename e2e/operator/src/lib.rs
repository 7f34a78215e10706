//! A real kube-apiserver and etcd, and the real operator, for tests that read like sentences.
//!
//! Nothing here knows what Telegraf's configuration looks like: what should be in the cluster is what the module renders,
//! called through the `telewarden` library.
#![forbid(unsafe_code)]

mod cluster;
mod fragile_line;
mod helm;
mod objects;
mod operator;
mod random;
mod registry;
mod rights;

pub use cluster::{ADMIN, AuditEvent, Cluster, SERVICE_ACCOUNT, SERVICE_ACCOUNT_TOO};
pub use fragile_line::FragileLine;
pub use helm::{lint, template};
pub use objects::{Application, annotation, covers, objects, redis, render};
pub use operator::Operator;
pub use random::Random;
pub use registry::DockerRegistry;
pub use rights::{Right, given};

use cluster::{free_port, part};

use std::future::Future;
use std::time::{Duration, Instant};

/// What hangs is a failure. It is no assertion about how long things take: they may take as long as they need.
const HANGS: Duration = Duration::from_secs(180);

/// Waits until something is so. `look` answers what is not.
///
/// # Panics
/// When it never is.
pub async fn eventually<F: Future<Output = Result<(), String>>>(look: impl Fn() -> F) {
    let started = Instant::now();
    loop {
        match look().await {
            Ok(()) => return,
            Err(why) if started.elapsed() > HANGS => panic!("still not so: {why}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Shows that something stays so, for a while in which the operator would have done it.
///
/// # Panics
/// When it does not stay so.
pub async fn for_a_while<F: Future<Output = Result<(), String>>>(look: impl Fn() -> F) {
    for _ in 0..20 {
        if let Err(why) = look().await {
            panic!("it did not stay so: {why}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
