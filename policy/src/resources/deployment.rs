//! The Deployment that runs Telegraf. It meets Pod Security "restricted"
//! (<https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>).

use k8s_openapi::api::apps::v1::{DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvFromSource, HTTPGetAction, Probe, ResourceRequirements, SecretEnvSource,
    SecurityContext, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::metadata::{metadata, owner_labels, pod_labels, pod_selector};
use super::object::{
    Deployment, DeploymentSpec, Metadata, PodSpec, PodTemplate, config_map_volume, credentials_volume,
};
use crate::annotation::CREDENTIALS_DIRECTORY;
use crate::digest::sha256;
use crate::plan::configuration::HEALTH_PORT;
use crate::plan::{ConfigFiles, Pod, Workload, label_value};
use crate::settings::{CONFIG_DIRECTORY, CONFIG_VOLUME, CREDENTIALS_VOLUME, Reload, ResourceList, Settings};
use crate::sorted_map::sorted_map;
use crate::well_known::TOKENS;

/// A Deployment of one Telegraf that reads the ConfigMap of the same name.
pub(super) fn deployment(workload: &Workload<'_>, settings: &Settings) -> Deployment {
    let (name, names) = (&workload.name, &workload.names);
    let pod = &settings.pod;
    let labels = pod.labels.iter();
    let labels = labels.map(|(label, text)| (label.clone(), label_value(&text.fill(names))));
    let mut labels = sorted_map(labels);
    labels.extend(owner_labels(workload.owner, settings));
    labels.extend(pod_labels(name));
    let annotations = pod
        .annotations
        .iter()
        .map(|(annotation, text)| (annotation.clone(), text.fill(names)));
    let mut annotations = sorted_map(annotations);
    if settings.reload == Reload::Rollout {
        let files = workload.files.by_name().iter();
        let all: String = files.map(|(name, text)| format!("{name}\n{text}\n")).collect();
        annotations.insert("telegraf.influxdata.com/config-digest".to_owned(), sha256(&all));
    }
    if workload.needs.iter().any(|need| need.database.token.is_some()) {
        annotations.insert(TOKENS.to_owned(), String::new());
    }
    let spec = DeploymentSpec {
        replicas: 1,
        revision_history_limit: i32::try_from(pod.revision_history_limit).unwrap_or(i32::MAX),
        selector: pod_selector(name),
        // The new pod must be ready before the old one stops, because an extra scrape is better than a missing one.
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
            spec: pod_spec(workload, settings),
        },
    };
    Deployment::deployment(metadata(workload, settings), spec)
}

fn pod_spec(workload: &Workload<'_>, settings: &Settings) -> PodSpec {
    let pod = &settings.pod;
    let mut volumes = vec![config_map_volume(CONFIG_VOLUME, &workload.name)];
    if !workload.pod.credentials.is_empty() {
        volumes.push(credentials_volume(&workload.pod.credentials));
    }
    volumes.extend(pod.volumes.iter().cloned());
    PodSpec {
        affinity: pod.affinity.clone(),
        automount_service_account_token: false,
        // Otherwise Telegraf's environment contains every service of the namespace.
        enable_service_links: false,
        containers: vec![container(workload, settings)],
        image_pull_secrets: pod.image_pull_secrets.clone(),
        node_selector: pod.node_selector.clone(),
        priority_class_name: pod.priority_class_name.clone(),
        tolerations: pod.tolerations.clone(),
        topology_spread_constraints: pod.topology_spread_constraints.clone(),
        security_context: pod.security_context.clone(),
        service_account_name: pod.service_account_name.clone(),
        volumes,
    }
}

fn container(workload: &Workload<'_>, settings: &Settings) -> Container {
    let pod = &workload.pod;
    let mut env_from = Vec::new();
    let mut all_of = |secret: &str, prefix: Option<&str>| {
        env_from.push(EnvFromSource {
            prefix: prefix.map(str::to_owned),
            secret_ref: Some(SecretEnvSource {
                name: secret.to_owned(),
                optional: None,
            }),
            ..EnvFromSource::default()
        });
    };
    if let Some(env) = &pod.secret_env {
        all_of(&env.secret, Some(&env.prefix));
    }
    if let Some(secret) = &pod.token_env {
        all_of(secret, None);
    }
    let mut volume_mounts = vec![VolumeMount {
        name: CONFIG_VOLUME.to_owned(),
        mount_path: CONFIG_DIRECTORY.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    }];
    if !pod.credentials.is_empty() {
        volume_mounts.push(VolumeMount {
            name: CREDENTIALS_VOLUME.to_owned(),
            mount_path: CREDENTIALS_DIRECTORY.to_owned(),
            read_only: Some(true),
            ..VolumeMount::default()
        });
    }
    volume_mounts.extend(settings.pod.volume_mounts.iter().cloned());
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
        image: Some(pod.image.clone()),
        command: Some(vec!["telegraf".to_owned()]),
        args: Some(arguments(&workload.files, settings.reload)),
        env: (!pod.env.is_empty()).then(|| pod.env.clone()),
        env_from: (!env_from.is_empty()).then_some(env_from),
        ports: Some(vec![ContainerPort {
            name: Some("health".to_owned()),
            container_port: i32::from(HEALTH_PORT),
            ..ContainerPort::default()
        }]),
        resources: Some(resources(pod)),
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
        volume_mounts: Some(volume_mounts),
        ..Container::default()
    }
}

/// Telegraf's command line: <https://docs.influxdata.com/telegraf/v1/commands/>.
fn arguments(files: &ConfigFiles, reload: Reload) -> Vec<String> {
    let mut arguments = match files {
        ConfigFiles::One(_) => vec![
            "--config".to_owned(),
            format!("{CONFIG_DIRECTORY}/{}", ConfigFiles::FILE),
        ],
        ConfigFiles::Directory(_) => vec!["--config-directory".to_owned(), CONFIG_DIRECTORY.to_owned()],
    };
    if reload == Reload::Watch {
        // A ConfigMap volume changes by a symlink swap, which `inotify` does not report for the file. Polling detects it.
        arguments.extend(["--watch-config", "poll", "--watch-interval", "10s"].map(str::to_owned));
    }
    arguments
}

fn resources(pod: &Pod) -> ResourceRequirements {
    let list = |list: &ResourceList| {
        Some(sorted_map([
            ("cpu".to_owned(), Quantity(list.cpu.as_str().to_owned())),
            ("memory".to_owned(), Quantity(list.memory.as_str().to_owned())),
        ]))
    };
    ResourceRequirements {
        requests: list(&pod.requests),
        limits: list(&pod.limits),
        ..ResourceRequirements::default()
    }
}
