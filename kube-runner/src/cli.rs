//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use telewarden::artifact::SignerArgs;

/// Runs Telegraf for annotated Argo CD Applications and Namespaces, as the telewarden policy renders it.
///
/// Uses the cluster of the current kubeconfig, or the cluster that the operator runs in.
#[derive(Debug, Parser)]
#[command(name = "telewarden-operator", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// The format of logs on standard error [default: json for `run`, else text]
    #[arg(long, global = true, value_enum)]
    pub(crate) log_format: Option<LogFormat>,

    /// The log level (`warn`, `info`, `debug`), or filter directives of tracing
    #[arg(long, global = true, default_value = "info", env = "TELEWARDEN_LOG")]
    pub(crate) log: String,
}

/// The format of logs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Text for people.
    Text,
}

/// The subcommand.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Watch the cluster and apply what the policy renders
    Run(Run),
    /// Print what `run` would change; exit 1 if anything, 2 on errors
    Diff(Diff),
    /// Render local files and apply them once, without an operator
    Apply(Apply),
    /// Replace the tokens of sources in InfluxDB; the operator does it, and the old ones work until the pods are replaced
    Rotate(Rotate),
    /// Print whether the endpoints of sources are scraped, and what is wrong; exit 1 if anything, 2 on errors
    Status(StatusArgs),
    /// Check that the cluster has the objects that sources in files need; exit 1 if not, 2 on errors
    Doctor(Doctor),
    /// Compile the module on standard input into the cache, which `run` does before it loads it
    #[command(hide = true)]
    Compile,
}

/// The module, its limits and the settings.
#[derive(Args, Clone, Debug)]
pub(crate) struct Policy {
    /// The settings, as YAML or JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,

    /// Use this module instead of the built-in one: a file, or registry://HOST/NAME@sha256:DIGEST
    #[arg(long, value_name = "FILE|ADDRESS")]
    pub(crate) policy: Option<String>,

    /// Access this registry without TLS; can be given several times
    #[arg(
        long,
        value_name = "HOST[:PORT]",
        env = "TELEWARDEN_PLAIN_HTTP",
        value_delimiter = ','
    )]
    pub(crate) plain_http: Vec<String>,

    #[command(flatten)]
    pub(crate) signer: SignerArgs,

    /// The deadline of one call of the module, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 5000)]
    pub(crate) module_deadline: u64,

    /// The memory limit of one call of the module, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    pub(crate) module_memory: usize,
}

/// Access to InfluxDB.
#[derive(Args, Clone, Debug)]
pub(crate) struct Influxdb {
    /// A file with the token of an administrator of InfluxDB, for `influxdb.provide` of the settings. It is read again when it
    /// changes
    #[arg(long, value_name = "FILE")]
    pub(crate) influxdb_token_file: Option<PathBuf>,
}

/// Arguments of the commands that read the cluster.
#[derive(Args, Clone, Debug)]
pub(crate) struct FromCluster {
    /// Read the settings of a Kubewarden policy, so that admission and operator cannot disagree
    #[arg(long, value_name = "clusteradmissionpolicy/NAME", conflicts_with = "settings")]
    pub(crate) settings_from: Option<String>,

    /// The operator's namespace, for its Lease and its inventory [default: the kubeconfig's namespace]
    #[arg(long, env = "POD_NAMESPACE")]
    pub(crate) namespace: Option<String>,

    #[command(flatten)]
    pub(crate) influxdb: Influxdb,

    /// How many sources are reconciled at the same time
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

    /// Reconcile everything once, then exit; exit 1 if something is left to do
    #[arg(long)]
    pub(crate) once: bool,

    /// Send dry-run requests only: nothing is written
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// The address of `/healthz`, `/readyz` and `/metrics`; not used with `--once`
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    pub(crate) listen: SocketAddr,

    /// How often each Telegraf is asked how it is, in seconds; 0 for never
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) status_interval: u32,

    /// Write a Report of openreports.io/v1alpha1 for each source into its namespace, where the cluster has that kind
    #[arg(long)]
    pub(crate) reports: bool,

    /// The number of failing endpoints that have a metric of their own
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    pub(crate) failing_series: usize,

    /// Write without the Lease; only safe if no other operator of the same instance runs
    #[arg(long)]
    pub(crate) no_leader_election: bool,

    /// The duration of the Lease, in seconds
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
    /// Files or folders of YAML or JSON; `-` is standard input. In `topology: standalone` they should contain all sources
    #[arg(value_name = "PATH", default_value = "-")]
    pub(crate) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) policy: Policy,

    /// The instance label of the objects. Must differ from an operator's instance, which would prune them
    #[arg(long, default_value = "telewarden-apply")]
    pub(crate) instance: String,

    #[command(flatten)]
    pub(crate) influxdb: Influxdb,

    /// Delete objects that the same sources no longer render; in `topology: standalone` also the files of all sources that
    /// are not given
    #[arg(long)]
    pub(crate) prune: bool,

    /// Send dry-run requests only: nothing is written
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Arguments of `rotate`.
#[derive(Args, Debug)]
pub(crate) struct Rotate {
    /// The source, as `argoproj.io/Application/NAMESPACE/NAME` or `Namespace/NAME`; in `topology: standalone`, `all`. If none is
    /// given, all sources
    #[arg(value_name = "SOURCE")]
    pub(crate) source: Option<String>,

    /// The instance label of the operator's objects
    #[arg(long, default_value = "telewarden")]
    pub(crate) instance: String,
}

/// Arguments of `doctor`.
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Files or folders of YAML or JSON; `-` is standard input
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) policy: Policy,

    /// A file with a token of InfluxDB that can read buckets. Without it, buckets are not looked up
    #[arg(long, value_name = "FILE")]
    pub(crate) influxdb_token_file: Option<PathBuf>,
}

/// Arguments of `status`.
#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    /// The sources, as NAMESPACE/NAME, NAME, or in full as Events have them. If none is given, all
    #[arg(value_name = "[NAMESPACE/]NAME")]
    pub(crate) sources: Vec<String>,

    /// The format
    #[arg(long, short, value_enum, default_value = "table")]
    pub(crate) output: StatusFormat,

    /// Print it again whenever it changes
    #[arg(long)]
    pub(crate) watch: bool,

    /// Wait until everything is well, for so long at most: such as 30s or 5m
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "watch")]
    pub(crate) wait: Option<Duration>,

    /// The operator's namespace
    #[arg(long, short, default_value = "telewarden")]
    pub(crate) namespace: String,

    /// The instance label of the operator's objects
    #[arg(long, default_value = "telewarden")]
    pub(crate) instance: String,

    /// Ask the operator at this URL, such as http://127.0.0.1:8080 of a `kubectl port-forward`, not through the API server
    #[arg(long, value_name = "URL")]
    pub(crate) operator: Option<String>,
}

/// The format of `status`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum StatusFormat {
    /// A table.
    Table,
    /// A table that also has what works.
    Wide,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// A time such as `30s`, `5m` or `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err("write a number and s, m or h, such as 5m".to_owned()),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "write a number and s, m or h, such as 5m".to_owned())?;
    Ok(Duration::from_secs(number.saturating_mul(unit)))
}
