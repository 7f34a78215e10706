//! The Deployment that runs Telegraf, as Pod Security "restricted" wants it
//! (<https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>).

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvFromSource, HTTPGetAction, PodSecurityContext, Probe,
    ResourceRequirements, SeccompProfile, SecretEnvSource, SecurityContext, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::metadata::{pod_labels, pod_selector};
use super::object::{Deployment, DeploymentSpec, Metadata, PodSpec, PodTemplate, Volume};
use super::{Owner, digest};
use crate::annotation::Declaration;
use crate::configuration::HEALTH_PORT;
use crate::ordered::ordered_map;
use crate::settings::{Names, Reload, ResourceList, Settings};

/// Where the ConfigMap is mounted.
const DIRECTORY: &str = "/etc/telegraf";

/// Which files Telegraf reads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ConfigFiles {
    /// `telegraf.conf` alone.
    One,
    /// All files of the directory.
    Directory,
}

/// A Deployment of one Telegraf that reads the ConfigMap of the same name.
pub(crate) fn deployment(
    name: &str,
    namespace: &str,
    owner: Owner<'_>,
    (read, files): (ConfigFiles, &BTreeMap<String, String>),
    declaration: &Declaration,
    names: &Names<'_>,
    settings: &Settings,
) -> Deployment {
    let pod = &settings.pod;
    let labels = pod.labels.iter().map(|(label, text)| (label.clone(), text.fill(names)));
    let mut labels = ordered_map(labels);
    labels.extend(owner.labels(settings));
    labels.extend(pod_labels(name));
    let annotations = pod
        .annotations
        .iter()
        .map(|(annotation, text)| (annotation.clone(), text.fill(names)));
    let mut annotations = ordered_map(annotations);
    if settings.reload == Reload::Rollout {
        let all: String = files.iter().map(|(name, text)| format!("{name}\n{text}\n")).collect();
        annotations.insert("telegraf.influxdata.com/config-digest".to_owned(), digest(&all));
    }
    let spec = DeploymentSpec {
        replicas: 1,
        revision_history_limit: 2,
        selector: pod_selector(name),
        // The new one has to be ready before the old one goes: a scrape too many is better than one too few.
        strategy: DeploymentStrategy {
            type_: Some("RollingUpdate".to_owned()),
            rolling_update: Some(RollingUpdateDeployment {
                max_surge: Some(IntOrString::Int(1)),
                max_unavailable: Some(IntOrString::Int(0)),
            }),
        },
        template: PodTemplate {
            metadata: Metadata {
                name: None,
                namespace: None,
                labels,
                annotations,
            },
            spec: pod_spec(name, read, declaration, settings),
        },
    };
    Deployment::deployment(owner.metadata(name, namespace, settings), spec)
}

fn pod_spec(name: &str, read: ConfigFiles, declaration: &Declaration, settings: &Settings) -> PodSpec {
    let pod = &settings.pod;
    PodSpec {
        automount_service_account_token: false,
        // Telegraf would see every service of the namespace in its environment.
        enable_service_links: false,
        containers: vec![container(read, declaration, settings)],
        node_selector: pod.node_selector.clone(),
        tolerations: pod.tolerations.clone(),
        security_context: PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(65532),
            run_as_group: Some(65532),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        },
        volumes: vec![Volume::of_config_map("config", name)],
    }
}

fn container(read: ConfigFiles, declaration: &Declaration, settings: &Settings) -> Container {
    let pod = &settings.pod;
    let env: Vec<_> = pod.env.iter().chain(&declaration.env).cloned().collect();
    let env_from = declaration.secret_env.as_ref().map(|name| EnvFromSource {
        secret_ref: Some(SecretEnvSource {
            name: name.clone(),
            optional: None,
        }),
        ..EnvFromSource::default()
    });
    let probe = |period| Probe {
        http_get: Some(HTTPGetAction {
            path: Some("/".to_owned()),
            port: IntOrString::String("health".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(5),
        failure_threshold: Some(6),
        ..Probe::default()
    };
    Container {
        name: "telegraf".to_owned(),
        image: Some(declaration.image.as_ref().unwrap_or(&pod.image).clone()),
        command: Some(vec!["telegraf".to_owned()]),
        args: Some(arguments(read, settings.reload)),
        env: (!env.is_empty()).then_some(env),
        env_from: env_from.map(|source| vec![source]),
        ports: Some(vec![ContainerPort {
            name: Some("health".to_owned()),
            container_port: i32::from(HEALTH_PORT),
            ..ContainerPort::default()
        }]),
        resources: Some(resources(declaration, settings)),
        liveness_probe: Some(probe(10)),
        readiness_probe: Some(probe(5)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                add: None,
            }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(vec![VolumeMount {
            name: "config".to_owned(),
            mount_path: DIRECTORY.to_owned(),
            read_only: Some(true),
            ..VolumeMount::default()
        }]),
        ..Container::default()
    }
}

/// Telegraf's command line: <https://docs.influxdata.com/telegraf/v1/commands/>.
fn arguments(read: ConfigFiles, reload: Reload) -> Vec<String> {
    let file = format!("{DIRECTORY}/telegraf.conf");
    let mut arguments = match read {
        ConfigFiles::One => vec!["--config".to_owned(), file],
        ConfigFiles::Directory => vec!["--config-directory".to_owned(), DIRECTORY.to_owned()],
    };
    arguments.push("--strict-env-handling".to_owned());
    if reload == Reload::Watch {
        // A ConfigMap volume changes by a symlink swap, which the watch for the file itself does not see; polling does.
        arguments.extend(["--watch-config", "poll", "--watch-interval", "10s"].map(str::to_owned));
    }
    arguments
}

/// The annotations' resources over the settings'. What is given alone moves the other where they would cross.
fn resources(declaration: &Declaration, settings: &Settings) -> ResourceRequirements {
    let (mut requests, mut limits) = (settings.pod.requests.clone(), settings.pod.limits.clone());
    let pairs = [
        (
            &mut requests.cpu,
            &mut limits.cpu,
            &declaration.requests.cpu,
            &declaration.limits.cpu,
        ),
        (
            &mut requests.memory,
            &mut limits.memory,
            &declaration.requests.memory,
            &declaration.limits.memory,
        ),
    ];
    for (request, limit, asked_request, asked_limit) in pairs {
        if let Some(asked) = asked_limit {
            *limit = asked.clone();
            if *request > *limit {
                *request = asked.clone();
            }
        }
        if let Some(asked) = asked_request {
            *request = asked.clone();
            if *request > *limit {
                *limit = asked.clone();
            }
        }
    }
    let list = |list: &ResourceList| {
        Some(ordered_map([
            ("cpu".to_owned(), Quantity(list.cpu.as_str().to_owned())),
            ("memory".to_owned(), Quantity(list.memory.as_str().to_owned())),
        ]))
    };
    ResourceRequirements {
        requests: list(&requests),
        limits: list(&limits),
        ..ResourceRequirements::default()
    }
}
