//! Test support: the real Telegraf, exporters and database on loopback, and servers in front of them that record requests
//! or inject faults.
//!
//! A rendered configuration is never changed for a test. Tests set what they need (outputs, intervals) in the settings, as
//! an administrator would. The command line and the environment come from the rendered Deployment, and the files are where
//! the kubelet would put them.
//!
//! No test asserts times: [`eventually`] waits as long as a busy machine may need.
#![forbid(unsafe_code)]

mod attempts;
mod database;
mod exporter;
mod grants;
mod http;
mod line_protocol;
mod process;
mod recorder;
mod render;
mod telegraf;
mod victoria_metrics;
mod volume;

pub use attempts::{Attempt, attempts};
pub use database::Database;
pub use exporter::{Exporter, Exposition, known_values, node_exporter};
pub use grants::{Grant, bucket_of, grants, providing};
pub use http::{Body, Reply, Request, Server, get};
pub use line_protocol::{Point, parse as parse_line};
pub use process::{Process, eventually, free_port};
pub use recorder::{Recorder, Write};
pub use render::{
    ANNOTATION, application, examples, namespace, on_loopback, outputs_to, read_yaml, render, rendered, try_render,
    whole,
};
pub use telegraf::{HEALTH, IMAGES, TOKEN, Telegraf, Verdict, check, judge, refused};
pub use telewarden_e2e_operator::merged;
pub use victoria_metrics::VictoriaMetrics;
pub use volume::Volume;

use std::env;
use std::path::PathBuf;

/// The path of a real part, which `e2e/telegraf/run` sets.
///
/// # Panics
/// If it is not set: a missing part is a failure, and not a reason to skip a test.
pub fn part(name: &str) -> PathBuf {
    let variable = format!("TELEWARDEN_PART_{}", name.replace(['-', '.'], "_").to_uppercase());
    match env::var_os(&variable) {
        Some(path) => path.into(),
        None => panic!("{variable} is not set: start these tests with e2e/telegraf/run"),
    }
}

/// A path in this repository.
pub fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}
