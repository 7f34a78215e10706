//! `doctor`: checks that a cluster has the objects that sources need. It only reads.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::{Api, Client};
use serde_json::Value;
use telewarden::{Outcome, PROTOCOL, RenderAnswer, RenderRequest};
use telewarden_policy::needs::{Bucket, Needs, Reference, ReferenceKind, ServicePort};
use telewarden_policy::printable::printable;
use telewarden_policy::settings;

use super::apply::{print_diagnostics, read, read_all};
use crate::cli::Doctor;
use crate::connect::connect;
use crate::error::Error;
use crate::influxdb::{self, AdministratorToken, Lookup};
use crate::module::{self, blocking};
use crate::settings::Settings;
use crate::yaml;

/// An answer to one question.
enum Answer {
    Yes,
    /// What to do.
    No(String),
    /// Why it is not known.
    Unknown(String),
}

/// Checks the sources in files.
pub(crate) async fn doctor(arguments: Doctor) -> Result<ExitCode, Error> {
    let sources = read_all(&arguments.paths)?;
    let module = module::load(&arguments.policy).await?;
    let document = match &arguments.policy.settings {
        Some(path) => yaml::settings(read(path)?, &path.display().to_string())?,
        None => Value::Object(Default::default()),
    };
    let checked = Arc::new(Settings::check(&document, &module).await?);
    let settings = {
        let (settings, findings) = settings::read(Some(&document));
        settings.ok_or_else(|| Error::Settings {
            why: crate::events::describe(&findings),
        })?
    };
    let answer = blocking(move || {
        module.render(&RenderRequest {
            protocol: PROTOCOL,
            settings: Some(&checked.document),
            sources: sources.iter().map(|source| &**source).collect(),
            ..Default::default()
        })
    });
    let answer: RenderAnswer = answer.await.map_err(|source| Error::Module {
        doing: "render the files".to_owned(),
        source,
    })?;
    let (client, _) = connect().await?;

    let (mut counts, mut buckets) = (Counts::default(), BTreeSet::new());
    if print_diagnostics("settings", &answer.diagnostics) {
        counts.no += 1;
    }
    for source in &answer.sources {
        if source.outcome == Outcome::Idle {
            continue;
        }
        println!("{}", printable(&source.source));
        if print_diagnostics(&source.source, &source.diagnostics) {
            counts.no += 1;
        }
        let mut needs = Needs::of(source, answer.shared.as_ref(), &settings);
        buckets.append(&mut needs.buckets);
        let doctor = Look { client: &client };
        for namespace in &needs.namespaces {
            let question = format!("namespace {namespace}");
            counts.found(&question, doctor.namespace(namespace).await);
        }
        for service in &needs.services {
            doctor.service(service, &mut counts).await;
        }
        for url in &needs.elsewhere {
            let answer = Answer::Unknown("it names no service of this cluster".to_owned());
            counts.print(url, answer);
        }
        for reference in &needs.references {
            counts.found(&of_reference(reference), doctor.reference(reference).await);
        }
    }
    if !buckets.is_empty() {
        println!("InfluxDB");
    }
    for bucket in &buckets {
        look_up_bucket(bucket, arguments.influxdb_token_file.as_deref(), &mut counts).await;
    }
    if counts.yes + counts.no + counts.unknown == 0 {
        eprintln!("there is nothing to look at: no source with endpoints");
    }
    Ok(match counts {
        Counts { failed: true, .. } => ExitCode::from(2),
        Counts { no: 0, .. } => ExitCode::SUCCESS,
        _ => ExitCode::from(1),
    })
}

async fn look_up_bucket(bucket: &Bucket, token: Option<&Path>, counts: &mut Counts) {
    let Bucket {
        url,
        organization,
        bucket: name,
    } = bucket;
    let question = format!("bucket {name} of organization {organization} at {url}");
    if token.is_none() {
        let why = "give a token that can read buckets with --influxdb-token-file";
        return counts.print(&question, Answer::Unknown(why.to_owned()));
    }
    let answer = match influxdb::look_up(bucket, AdministratorToken::new(token)).await {
        Ok(Lookup::Exists) => Answer::Yes,
        Ok(Lookup::NoBucket) => Answer::No(format!(
            "it does not exist, and the database drops what is written to it; run `influx bucket create --org \
             {organization} --name {name}`, or set `influxdb.provide`"
        )),
        Ok(Lookup::NoOrganization) => Answer::No(format!(
            "there is no organization {organization} that the token can see"
        )),
        Err(why) => Answer::Unknown(why),
    };
    counts.print(&question, answer);
}

/// How many answers there were.
#[derive(Default)]
struct Counts {
    yes: usize,
    no: usize,
    unknown: usize,
    /// The cluster did not answer, or did not let us ask.
    failed: bool,
}

impl Counts {
    fn print(&mut self, question: &str, answer: Answer) {
        let (word, rest) = match answer {
            Answer::Yes => {
                self.yes += 1;
                ("yes", String::new())
            }
            Answer::No(what_to_do) => {
                self.no += 1;
                ("no", format!(": {what_to_do}"))
            }
            Answer::Unknown(why) => {
                self.unknown += 1;
                ("?", format!(": {why}"))
            }
        };
        println!("  {word:<4} {}{}", printable(question), printable(&rest));
    }

    /// Prints the answer to a question.
    fn found(&mut self, question: &str, answer: kube::Result<Answer>) {
        if let Some(answer) = self.asked(question, answer) {
            self.print(question, answer);
        }
    }

    /// What the cluster was asked, unless it did not answer, which is printed.
    fn asked<T>(&mut self, question: &str, found: kube::Result<T>) -> Option<T> {
        match found {
            Ok(found) => Some(found),
            Err(error) => {
                self.failed = true;
                self.print(question, Answer::Unknown(why(error)));
                None
            }
        }
    }
}

/// Why the cluster did not answer.
fn why(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.code == 403 => format!("this kubeconfig may not ask: {}", status.message),
        error => format!("the cluster does not answer: {error}"),
    }
}

fn of_reference(
    Reference {
        kind,
        namespace,
        name,
        key,
    }: &Reference,
) -> String {
    let kind = match kind {
        ReferenceKind::Secret => "Secret",
        ReferenceKind::ConfigMap => "ConfigMap",
    };
    match key {
        Some(key) => format!("{kind} {namespace}/{name} with the key {key}"),
        None => format!("{kind} {namespace}/{name}"),
    }
}

struct Look<'a> {
    client: &'a Client,
}

impl Look<'_> {
    async fn namespace(&self, name: &str) -> kube::Result<Answer> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        Ok(match namespaces.get_opt(name).await? {
            Some(_) => Answer::Yes,
            None => Answer::No(format!(
                "it does not exist; Argo CD makes it with the sync option `CreateNamespace=true`, or run `kubectl create \
                 namespace {name}`"
            )),
        })
    }

    async fn service(&self, wanted: &ServicePort, counts: &mut Counts) {
        let ServicePort {
            namespace,
            service: name,
            port,
            url,
            ..
        } = wanted;
        let services: Api<Service> = Api::namespaced(self.client.clone(), namespace);
        let question = format!("Service {namespace}/{name}");
        let Some(found) = counts.asked(&question, services.get_opt(name).await) else {
            return;
        };
        let Some(service) = found else {
            let what_to_do = format!("it does not exist; compare {url} with `kubectl get services -n {namespace}`");
            return counts.print(&question, Answer::No(what_to_do));
        };
        counts.print(&question, Answer::Yes);

        let spec = service.spec.unwrap_or_default();
        let ports: Vec<_> = spec.ports.iter().flatten().map(|port| port.port).collect();
        let is_headless = spec.cluster_ip.as_deref() == Some("None");
        let question = format!("port {port} of Service {namespace}/{name}");
        counts.print(
            &question,
            match () {
                // Clients connect to its pods directly, on any port.
                () if is_headless => {
                    Answer::Unknown("the service is headless: the port is one of its pods'".to_owned())
                }
                () if ports.contains(&i32::from(*port)) => Answer::Yes,
                () => {
                    let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
                    Answer::No(format!("it has {}; write one of them into {url}", ports.join(", ")))
                }
            },
        );
        if spec.type_.as_deref() == Some("ExternalName") {
            return;
        }

        let question = format!("ready endpoints of Service {namespace}/{name}");
        let slices: Api<EndpointSlice> = Api::namespaced(self.client.clone(), namespace);
        let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={name}"));
        let Some(slices) = counts.asked(&question, slices.list(&of_service).await) else {
            return;
        };
        let endpoints: Vec<_> = slices.into_iter().flat_map(|slice| slice.endpoints).collect();
        // Absent means ready.
        let is_ready = |conditions: Option<bool>| conditions.unwrap_or(true);
        let ready = endpoints
            .iter()
            .filter(|endpoint| is_ready(endpoint.conditions.as_ref().and_then(|conditions| conditions.ready)))
            .count();
        counts.print(&question, match (ready, endpoints.len()) {
            (0, 0) => Answer::No(format!(
                "there are none: compare its selector with the labels of the pods; `kubectl get pods -n {namespace} --show-labels`"
            )),
            (0, all) => Answer::No(format!("{all} are there, and none is ready; `kubectl get pods -n {namespace}`")),
            _ => Answer::Yes,
        });
    }

    async fn reference(&self, reference: &Reference) -> kube::Result<Answer> {
        let Reference {
            kind,
            namespace,
            name,
            key,
        } = reference;
        // Only the keys of a Secret are used.
        let keys: Option<Vec<String>> = match kind {
            ReferenceKind::Secret => {
                let secrets: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
                let secret = secrets.get_opt(name).await?;
                secret.map(|secret| secret.data.unwrap_or_default().into_keys().collect())
            }
            ReferenceKind::ConfigMap => {
                let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
                let map = maps.get_opt(name).await?;
                map.map(|map| map.data.unwrap_or_default().into_keys().collect())
            }
        };
        Ok(match (keys, key) {
            (None, _) => Answer::No(format!(
                "it does not exist, and Telegraf's pod does not start without it; create it in namespace {namespace}"
            )),
            (Some(keys), Some(key)) if !keys.contains(key) => {
                Answer::No(format!("the key is missing; it has {}", keys.join(", ")))
            }
            _ => Answer::Yes,
        })
    }
}
