//! `telewarden-operator`: what the module renders is what runs in the cluster.
//!
//! ```text
//!                    settings ──────────┐
//!                                       ▼
//!  watch ─▶ seen ─▶ queue ─▶ reconcile ─▶ module (render)
//!            ▲                   │
//!            └───── owned ◀──────┘ apply, prune
//! ```
//!
//! It decides nothing about Telegraf. [`watch`] fills [`seen`], which names the sources that have to be looked at;
//! [`queue`] has each looked at once at a time; [`reconcile`] asks the module and brings what the source [owns](owned) to
//! the answer.
#![forbid(unsafe_code)]

mod backoff;
mod cli;
mod error;
mod events;
mod fields;
mod http;
mod kinds;
mod leader;
mod local;
mod metrics;
mod object;
mod owned;
mod packed;
mod queue;
mod reconcile;
mod run;
mod seen;
mod settings;
mod watch;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use kube::{Client, Config};
use telewarden::artifact::{Registry, Store};
use telewarden::{Cache, Module, Options};
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command, LogFormat, Policy};
use crate::error::Error;

/// How long one write may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let cli = Cli::parse();
    log(&cli);
    // The client of registries brings another one, which takes its time to gather entropy. It fails where one is installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(dispatch(cli.command));
            // A call of the module may be under way; nobody waits for its answer.
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

async fn dispatch(command: Command) -> Result<ExitCode, Error> {
    match command {
        Command::Run(run) => run::run(run).await,
        Command::Diff(diff) => run::diff(diff).await,
        Command::Apply(apply) => local::apply(apply).await,
    }
}

fn log(cli: &Cli) {
    let format = cli.log_format.unwrap_or(match cli.command {
        Command::Run(_) => LogFormat::Json,
        Command::Diff(_) | Command::Apply(_) => LogFormat::Text,
    });
    let filter = EnvFilter::try_new(&cli.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Json => log
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .init(),
        LogFormat::Text => log.without_time().with_target(false).init(),
    }
}

/// Loads the module that the arguments name.
async fn module(policy: &Policy) -> Result<Module, Error> {
    let options = Options {
        deadline: Duration::from_millis(policy.module_deadline),
        memory: policy.module_memory * 1024 * 1024,
        cache: Cache::of_user(),
    };
    let (address, plain_http) = (policy.policy.clone(), policy.plain_http.clone());
    // Compiling takes all processors for a moment.
    let load = tokio::task::spawn_blocking(move || {
        let module = match address.as_deref() {
            None => telewarden::embedded::module(&options),
            Some(address) if address.starts_with("registry://") => {
                let wasm = Registry { plain_http }.pull_by_digest(address, Store::of_user().as_ref())?;
                Module::new(&wasm, &options)
            }
            Some(file) => Module::from_file(file, &options),
        };
        module.map_err(|source| Error::Module {
            key: "anything: the module cannot be loaded".to_owned(),
            source,
        })
    });
    match load.await {
        Ok(module) => module,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// The cluster of the kubeconfig, or the one around us.
async fn client() -> Result<(Client, Config), Error> {
    let mut config = Config::infer().await.map_err(|source| Error::Api {
        doing: "find a cluster".to_owned(),
        source: kube::Error::InferConfig(source),
    })?;
    // Attempts are repeated as a whole, with what is known by then.
    config.default_retry = false;
    let client = Client::try_from(config.clone()).map_err(|source| Error::Api {
        doing: "connect to the cluster".to_owned(),
        source,
    })?;
    Ok((client, config))
}
