//! `status`: prints whether what was applied works.
//!
//! The operator knows it, and `status` asks the one that leads: through the API server's proxy to its pod, with the rights of
//! whoever asks (docs/decisions/0010-live-status.md).

mod table;

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use telewarden::Causes;
use telewarden_policy::printable::printable;

use crate::cli::{StatusArgs, StatusFormat};
use crate::connect::connect;
use crate::error::Error;
use crate::status::{Health, SourceHealth};
use crate::writer::bounded;

/// How often `--watch` and `--wait` ask.
const AGAIN: Duration = Duration::from_secs(2);
/// The longest answer that is read.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// The port of the operator's HTTP server in its pod.
const PORT: u16 = 8080;

/// Prints the status. Exit 1 if something is not well.
pub(crate) async fn status(arguments: StatusArgs) -> Result<ExitCode, Error> {
    let operator = Operator::find(&arguments).await?;
    let until = arguments.wait.map(|wait| Instant::now() + wait);
    let mut shown = String::new();
    loop {
        let health = select(operator.health().await?, &arguments.sources);
        let is_well = !health.sources.is_empty() && health.sources.iter().all(|source| source.state.is_well());
        let waits = until.is_some_and(|until| !is_well && Instant::now() < until);
        let text = write(&health, arguments.output);
        if !waits && text != shown {
            // Whoever reads may have gone.
            let _ = write!(std::io::stdout(), "{text}");
            shown = text;
        }
        if !waits && !arguments.watch {
            return Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// How the operator is asked.
enum Operator<'a> {
    Url(reqwest::Client, String),
    Cluster(Client, &'a StatusArgs),
}

impl<'a> Operator<'a> {
    async fn find(arguments: &'a StatusArgs) -> Result<Self, Error> {
        let Some(url) = &arguments.operator else {
            return Ok(Self::Cluster(connect().await?.0, arguments));
        };
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let client = client.map_err(|error| failed(&Causes(&error).to_string()))?;
        Ok(Self::Url(client, format!("{}/status", url.trim_end_matches('/'))))
    }

    async fn health(&self) -> Result<Health, Error> {
        let text = match self {
            Self::Url(client, url) => read(client, url).await?,
            Self::Cluster(client, arguments) => proxied(client, arguments).await?,
        };
        serde_json::from_str(&text).map_err(|error| failed(&format!("its answer is not a status: {error}")))
    }
}

async fn read(client: &reqwest::Client, url: &str) -> Result<String, Error> {
    let of = |error: reqwest::Error| failed(&Causes(&error).to_string());
    let mut answer = client.get(url).send().await.map_err(of)?;
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(of)? {
        if body.len() + piece.len() > MAX_ANSWER {
            return Err(failed("its answer is too long"));
        }
        body.extend_from_slice(&piece);
    }
    let text = String::from_utf8_lossy(&body).into_owned();
    match status.is_success() {
        true => Ok(text),
        false => Err(failed(&format!("it answers {status}: {}", printable(text.trim())))),
    }
}

/// Asks the pod that holds the Lease.
async fn proxied(client: &Client, arguments: &StatusArgs) -> Result<String, Error> {
    let StatusArgs {
        namespace, instance, ..
    } = arguments;
    let leases = Api::<Lease>::namespaced(client.clone(), namespace);
    let name = format!("telewarden-{instance}");
    let lease = bounded(leases.get_opt(&name), || {
        format!("read the Lease {namespace}/{name}, which names the operator's pod")
    });
    let lease = lease.await?.ok_or_else(|| {
        failed(&format!(
            "there is no Lease `{name}` in the namespace `{namespace}`: no operator runs there. Name the operator's namespace with \
             --namespace, and the setting `instance` with --instance"
        ))
    })?;
    let holder = lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default();
    // The identity is the pod's name and a random number.
    let Some((pod, _)) = holder.rsplit_once('_') else {
        return Err(failed(&format!(
            "no operator leads: `kubectl get pods --namespace {namespace}` shows whether one runs"
        )));
    };
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{PORT}/proxy/status");
    let request = http::Request::get(path)
        .body(Vec::new())
        .map_err(|error| failed(&error.to_string()))?;
    bounded(client.request_text(request), || {
        format!("ask the operator's pod {namespace}/{pod}")
    })
    .await
}

fn failed(why: &str) -> Error {
    Error::File {
        doing: "ask the operator for the status".to_owned(),
        source: std::io::Error::other(why.to_owned()),
    }
}

/// The sources that are meant.
fn select(mut health: Health, meant: &[String]) -> Health {
    let is_meant = |source: &SourceHealth| {
        let mut parts = source.source.rsplit('/');
        let (name, namespace) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let is = |meant: &String| *meant == source.source || meant == name || *meant == format!("{namespace}/{name}");
        meant.is_empty() || meant.iter().any(is)
    };
    health.sources.retain(is_meant);
    health
}

fn write(health: &Health, format: StatusFormat) -> String {
    let value = || serde_json::to_value(health).expect("a status is JSON");
    match format {
        StatusFormat::Json => format!("{:#}\n", value()),
        StatusFormat::Yaml => crate::yaml::write(&value()),
        StatusFormat::Table => table::table(health, false),
        StatusFormat::Wide => table::table(health, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_named_as_people_do() {
        let all = [
            "argoproj.io/Application/argocd/redis",
            "argoproj.io/Application/team/redis",
            "Namespace/redis",
        ]
        .map(SourceHealth::of);
        let selected = |meant: &[&str]| {
            let meant: Vec<_> = meant.iter().map(|meant| (*meant).to_owned()).collect();
            select(Health { sources: all.to_vec() }, &meant).sources.len()
        };
        assert_eq!(selected(&[]), 3);
        assert_eq!(selected(&["redis"]), 3);
        assert_eq!(selected(&["argocd/redis"]), 1);
        assert_eq!(selected(&["Namespace/redis", "team/redis"]), 2);
        assert_eq!(selected(&["other"]), 0);
    }
}
