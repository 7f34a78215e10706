//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Keeps a cluster as the telewarden policy renders it: one Telegraf for each annotated Argo CD Application or Namespace.
///
/// The cluster is that of the current kubeconfig, or the one that the operator runs in.
#[derive(Debug, Parser)]
#[command(name = "telewarden-operator", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// How logs are written, to standard error [default: json for `run`, else text]
    #[arg(long, global = true, value_enum)]
    pub(crate) log_format: Option<LogFormat>,

    /// What is logged: `warn`, `info`, `debug`, or tracing's filter directives
    #[arg(long, global = true, default_value = "info", env = "TELEWARDEN_LOG")]
    pub(crate) log: String,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A JSON object a line.
    Json,
    /// For people.
    Text,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Watch the cluster and keep it as rendered
    Run(Run),
    /// Print what `run` would change; exit 1 if anything, 2 on errors
    Diff(Diff),
    /// Render local files and apply them once, without an operator
    Apply(Apply),
    /// Say whether the cluster has what the sources in files need; exit 1 if not, 2 if it cannot be asked. Writes nothing
    Doctor(Doctor),
}

/// What renders, and how.
#[derive(Args, Clone, Debug)]
pub(crate) struct Policy {
    /// The settings, as YAML or JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,

    /// Another module than the built-in one: a file, or registry://HOST/NAME@sha256:DIGEST
    #[arg(long, value_name = "FILE|ADDRESS")]
    pub(crate) policy: Option<String>,

    /// Speak to this registry without TLS; can be given several times
    #[arg(
        long,
        value_name = "HOST[:PORT]",
        env = "TELEWARDEN_PLAIN_HTTP",
        value_delimiter = ','
    )]
    pub(crate) plain_http: Vec<String>,

    /// How long one call of the module may take, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 5000)]
    pub(crate) module_deadline: u64,

    /// How much memory one call of the module may use, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    pub(crate) module_memory: usize,
}

/// Where settings are, for those who read them from the cluster too.
#[derive(Args, Clone, Debug)]
pub(crate) struct FromCluster {
    /// Read the settings of a Kubewarden policy, so that admission and operator cannot disagree
    #[arg(long, value_name = "clusteradmissionpolicy/NAME", conflicts_with = "settings")]
    pub(crate) settings_from: Option<String>,

    /// The operator's own namespace, for its Lease and its inventory [default: that of the kubeconfig]
    #[arg(long, env = "POD_NAMESPACE")]
    pub(crate) namespace: Option<String>,

    /// How many sources are worked on at once
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) at_once: u16,
}

/// Arguments of `run`.
#[derive(Args, Debug)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) policy: Policy,

    #[command(flatten)]
    pub(crate) cluster: FromCluster,

    /// Go over everything once, then exit; 1 if something is left undone
    #[arg(long)]
    pub(crate) once: bool,

    /// Have the API server say what would be written, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Where `/healthz`, `/readyz` and `/metrics` are served; not with `--once`
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    pub(crate) listen: SocketAddr,

    /// Write without holding the Lease: no other operator of the same instance may run
    #[arg(long)]
    pub(crate) no_leader_election: bool,

    /// For how many seconds the Lease holds after it was last renewed
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u16).range(2..))]
    pub(crate) lease: u16,
}

/// Arguments of `diff`.
#[derive(Args, Debug)]
pub(crate) struct Diff {
    #[command(flatten)]
    pub(crate) policy: Policy,

    #[command(flatten)]
    pub(crate) cluster: FromCluster,
}

/// Arguments of `apply`.
#[derive(Args, Debug)]
pub(crate) struct Apply {
    /// Files or folders of YAML or JSON; `-` is standard input. In `topology: standalone` they have to hold all sources
    #[arg(value_name = "PATH", default_value = "-")]
    pub(crate) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) policy: Policy,

    /// The instance that the objects are labelled with. Not an operator's: it would prune them
    #[arg(long, default_value = "telewarden-apply")]
    pub(crate) instance: String,

    /// Delete what the same sources rendered before and render no longer; in `topology: standalone` also the files of all
    /// sources that are not given
    #[arg(long)]
    pub(crate) prune: bool,

    /// Have the API server say what would be written, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Arguments of `doctor`.
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Files or folders of YAML or JSON; `-` is standard input
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) policy: Policy,
}
