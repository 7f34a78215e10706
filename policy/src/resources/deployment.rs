//! The Deployment that runs Telegraf. It meets Pod Security "restricted"
//! (<https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>).

use serde_json::{Map, Value as Json};

use super::metadata::{metadata, owner_labels, pod_labels, pod_selector};
use super::object::{
    Container, Deployment, DeploymentSpec, Metadata, PodSpec, PodTemplate, config_map_volume, credentials_volume, pair,
    single,
};
use crate::plan::configuration::HEALTH_PORT;
use crate::plan::{ConfigFiles, Workload, label_value};
use crate::settings::{
    CONFIG_DIRECTORY, CONFIG_VOLUME, CREDENTIALS_DIRECTORY, CREDENTIALS_VOLUME, Fields, Reload, ResourceList, Settings,
};
use crate::sorted_map::sorted_map;
use crate::well_known::{STATUS_PORT, TOKENS};

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
        let name = "telegraf.influxdata.com/config-digest".to_owned();
        annotations.insert(name, workload.files.digest());
    }
    if workload.has_tokens {
        annotations.insert(TOKENS.to_owned(), String::new());
    }
    let spec = DeploymentSpec {
        replicas: 1,
        revision_history_limit: i32::try_from(pod.revision_history_limit).unwrap_or(i32::MAX),
        selector: pod_selector(name),
        // The new pod must be ready before the old one stops, because an extra scrape is better than a missing one.
        strategy: json(r#"{"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}, "type": "RollingUpdate"}"#),
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
    volumes.extend(pod.volumes.iter().map(Fields::to_map));
    PodSpec {
        affinity: pod.affinity.to_map(),
        automount_service_account_token: false,
        // Otherwise Telegraf's environment contains every service of the namespace.
        enable_service_links: false,
        containers: [container(workload, settings)],
        image_pull_secrets: pod.image_pull_secrets.iter().map(Fields::to_map).collect(),
        node_selector: pod.node_selector.clone(),
        priority_class_name: pod.priority_class_name.to_string(),
        tolerations: pod.tolerations.clone(),
        topology_spread_constraints: pod.topology_spread_constraints.iter().map(Fields::to_map).collect(),
        security_context: pod.security_context.to_map(),
        service_account_name: pod.service_account_name.to_string(),
        volumes,
    }
}

fn container(workload: &Workload<'_>, settings: &Settings) -> Container {
    let pod = &workload.pod;
    let mut env_from = Vec::new();
    if let Some(env) = &pod.secret_env {
        let secret = single("name", env.secret.as_str().into());
        env_from.push(pair(("prefix", env.prefix.as_str().into()), ("secretRef", secret)).into());
    }
    if let Some(secret) = &pod.token_env {
        env_from.push(single("secretRef", single("name", secret.as_str().into())));
    }
    let mut volume_mounts = vec![mount(CONFIG_DIRECTORY, CONFIG_VOLUME)];
    if !pod.credentials.is_empty() {
        volume_mounts.push(mount(CREDENTIALS_DIRECTORY, CREDENTIALS_VOLUME));
    }
    volume_mounts.extend(settings.pod.volume_mounts.iter().map(Fields::to_map));
    let mut ports = vec![port(HEALTH_PORT, "health")];
    if workload.status.is_some() {
        ports.push(port(STATUS_PORT, "status"));
    }
    Container {
        args: arguments(&workload.files, settings.reload),
        command: ["telegraf"],
        env: pod.env.clone(),
        env_from,
        image: pod.image.clone(),
        liveness_probe: probe(10),
        name: "telegraf",
        ports,
        readiness_probe: probe(5),
        resources: pair(
            ("limits", resource_list(&pod.limits)),
            ("requests", resource_list(&pod.requests)),
        ),
        security_context: json(
            r#"{"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": true}"#,
        ),
        volume_mounts,
    }
}

/// JSON that is written here. A test reads every object with the types of Kubernetes.
fn json(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_default()
}

/// A probe of the health output.
fn probe(period: u8) -> Json {
    let mut probe = json(
        r#"{"failureThreshold": 6, "httpGet": {"path": "/", "port": "health"}, "periodSeconds": 0, "timeoutSeconds": 5}"#,
    );
    probe["periodSeconds"] = period.into();
    probe
}

fn port(number: u16, name: &str) -> Map<String, Json> {
    pair(("containerPort", number.into()), ("name", name.into()))
}

fn mount(path: &str, volume: &str) -> Map<String, Json> {
    let mut mount = pair(("mountPath", path.into()), ("name", volume.into()));
    mount.insert("readOnly".to_owned(), true.into());
    mount
}

/// Telegraf's command line: <https://docs.influxdata.com/telegraf/v1/commands/>.
fn arguments(files: &ConfigFiles, reload: Reload) -> Vec<String> {
    let mut arguments = match files {
        ConfigFiles::One(_) => vec![
            "--config".to_owned(),
            format!("{CONFIG_DIRECTORY}/{}", ConfigFiles::FILE),
        ],
        ConfigFiles::Directory { .. } => vec!["--config-directory".to_owned(), CONFIG_DIRECTORY.to_owned()],
    };
    if reload == Reload::Watch {
        // A ConfigMap volume changes by a symlink swap, which `inotify` does not report for the file. Polling detects it.
        arguments.extend(["--watch-config", "poll", "--watch-interval", "10s"].map(str::to_owned));
    }
    arguments
}

fn resource_list(list: &ResourceList) -> Json {
    pair(
        ("cpu", list.cpu.as_str().into()),
        ("memory", list.memory.as_str().into()),
    )
    .into()
}
