//! What the tests of what is rendered stand on: the real Telegraf, exporters and database, started on loopback, and
//! servers in front of them that record or inject faults.
//!
//! A configuration is never rewritten for a test. What a test needs different (where metrics go, how often) it says in the
//! settings, as an administrator would; command line and environment come from the rendered Deployment, and the files lie
//! where the kubelet would put them.
//!
//! No test asserts how long something takes: [`eventually`] waits until it is so, for as long as a busy machine may need.
#![forbid(unsafe_code)]

mod database;
mod exporter;
mod http;
mod line_protocol;
mod process;
mod recorder;
mod render;
mod telegraf;
mod volume;

pub use database::{Database, Series};
pub use exporter::{Exporter, Exposition, known_values, node_exporter};
pub use http::{Body, Reply, Request, Server, get};
pub use line_protocol::{Point, parse as parse_line};
pub use process::{Process, eventually, free_port};
pub use recorder::{Recorder, Write};
pub use render::{
    ANNOTATION, application, examples, merged, namespace, on_loopback, outputs_to, read_yaml, render, rendered,
    try_render, whole,
};
pub use telegraf::{HEALTH, IMAGES, TOKEN, Telegraf, Verdict, check, judge};
pub use volume::Volume;

use std::env;
use std::path::PathBuf;

/// Where a real part is, as `e2e/telegraf/run` says.
///
/// # Panics
/// When it says nothing: a part that is missing is a failure, never a skip.
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
