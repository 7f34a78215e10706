//! Test support: a real kube-apiserver and etcd, and the real operator.
//!
//! The tests know nothing about Telegraf's configuration. The expected objects are those that the module renders, called
//! through the `telewarden` library.
#![forbid(unsafe_code)]

mod cluster;
mod fragile_line;
mod helm;
mod influxdb;
mod objects;
mod operator;
mod random;
mod registry;
mod rights;
mod troubled;

pub use cluster::{ADMIN, AuditEvent, Cluster, SERVICE_ACCOUNT, SERVICE_ACCOUNT_TOO};
pub use fragile_line::FragileLine;
pub use helm::{lint, manifest, template};
pub use influxdb::{ADMINISTRATOR, Authorization, InfluxDb, Series};
pub use objects::{Application, annotation, covers, merged, objects, redis, render};
pub use operator::Operator;
pub use random::Random;
pub use registry::DockerRegistry;
pub use rights::{Right, given};
pub use troubled::Troubled;

use cluster::{free_port, part};

use std::future::Future;
use std::time::{Duration, Instant};

/// The timeout for a test that hangs. It is not an assertion about time.
const HANGS: Duration = Duration::from_secs(180);

/// Waits until a condition holds. `look` answers what is wrong.
///
/// # Panics
/// If it never holds.
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

/// Checks that a condition holds for a while.
///
/// # Panics
/// If it stops holding.
pub async fn for_a_while<F: Future<Output = Result<(), String>>>(look: impl Fn() -> F) {
    for _ in 0..20 {
        if let Err(why) = look().await {
            panic!("it did not stay so: {why}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
