//! The telewarden operator: applies to a cluster what the policy module renders for it.
//!
//! The operator decides nothing about Telegraf or Kubernetes. It reads the cluster, calls the module, and writes.
//!
//! ```text
//!  ┌────────────────┐ settings document         ┌─────────────┐
//!  │settings_source │──────────┐                │   module    │  policy.wasm on wasmtime
//!  └────────────────┘          ▼                └─────────────┘
//!                       ┌─────────────┐ what to watch  ▲  ▲ sources
//!                       │  settings   │────────────────┘  │
//!                       └─────────────┘            ┌─────────────┐
//!                              │                   │   render    │
//!                              ▼                   └─────────────┘
//!  ┌─────────┐ events  ┌───────────────┐   view           ▲
//!  │  watch  │────────▶│ cluster_state │────────┐         │
//!  └─────────┘         └───────────────┘        ▼         ▼
//!       ▲                 │    ▲           ┌─────────────────┐      ┌─────────┐
//!       │            keys ▼    │ written   │    reconcile    │─────▶│ events  │ Events on sources
//!       │              ┌───────────┐       └─────────────────┘      └─────────┘
//!       │              │   queue   │───────────▲  │    │
//!       │              └───────────┘              ▼    ▼
//!       │                       ┌─────────┐ ┌──────────┐ ┌──────────┐
//!       │                       │  owned  │ │ accepted │ │ metrics  │
//!       │                       └─────────┘ └──────────┘ └──────────┘
//!       │                            ▼           ▼            │
//!       │                       ┌──────────────────┐          ▼
//!       │                       │      writer      │     ┌──────────┐
//!       │                       └──────────────────┘     │   http   │ /metrics, /healthz, /readyz
//!       │                                │               └──────────┘
//!  ═════╧════════════════════════════════╧══════════════ kube-apiserver
//! ```
//!
//! - `watch` follows Applications, Namespaces, AppProjects and owned objects, and stores them in `cluster_state`. Each
//!   change queues the key of the source to reconcile; in `topology: standalone` there is only the key `all`.
//! - `queue` runs one attempt at a time for each key, and repeats failed ones.
//! - `reconcile` takes a view of the state, calls the module, and applies the answer to the objects of the source (`owned`)
//!   through the `writer`, which needs the `lease`. `context` has the steps of an attempt.
//! - `standalone` is an attempt about some of many sources that share Telegrafs: it has them rendered in a `group`, stores
//!   accepted declarations (`accepted`), and knows what is in which of the `shards`.
//! - `influxdb` provides buckets and tokens before a source's objects are applied, if the settings say so.
//! - `status` follows whether what was applied works: it asks each Telegraf, and tells the source and whoever asks.
//! - `reports` writes what `status` knows of a source beside its other objects, if the operator is told to.
//! - `operator` starts all of this with the current settings, and restarts it when they change.
//! - `commands` are `run`, `diff`, `apply`, `rotate`, `status` and `doctor`; [`Cli`] is their command line.
//!
//! Imports go one way: `commands`, `operator`, `reconcile`, `standalone`, `context`; then what is about one thing (`group`, `shards`,
//! `owned`, `accepted`, `influxdb`, `status`, `reports`, `conditions`, `watch`); then `writer`, `cluster_state`, `settings`; then
//! `lease`, `module`, `live_object`; then `names`, `error`, `events`, `object_id`, `retry`.
#![forbid(unsafe_code)]

mod accepted;
mod cli;
mod cluster_state;
mod commands;
mod compressed;
mod conditions;
mod connect;
mod context;
mod error;
mod events;
mod group;
mod http;
mod influxdb;
mod inventory;
mod kinds;
mod lease;
mod live_object;
mod logging;
mod managed_fields;
mod metrics;
mod module;
mod names;
mod object;
mod object_id;
mod operator;
mod owned;
mod queue;
mod reconcile;
mod reports;
mod retry;
mod settings;
mod settings_source;
mod shards;
mod standalone;
mod status;
mod watch;
mod writer;
mod yaml;

use std::process::ExitCode;

pub use cli::Cli;
use error::Error;

/// Threads that wait for the API server and read what it answers.
const THREADS: usize = 2;

/// Runs a command. The exit code is 0 on success, 1 if something is left to do, 2 on errors.
pub fn run(cli: Cli) -> ExitCode {
    logging::start(&cli);
    // It is chosen here, so that nothing changes if a dependency brings a second one. This fails only if one is installed.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // Each thread has memory of its own, and a node can have a hundred processors. The module is called on other threads.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(commands::dispatch(cli.command));
            // A call of the module may still be running. Its answer is not needed.
            runtime.shutdown_background();
            result
        }
        Err(source) => Err(Error::File {
            doing: "start threads".to_owned(),
            source,
        }),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{}", error.chain());
            ExitCode::from(2)
        }
    }
}
