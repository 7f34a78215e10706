//! A Telegraf's pod: the settings, overridden by annotations.

use k8s_openapi::api::core::v1::EnvVar;

use crate::annotation::{Declaration, ResourceOverrides, SecretEnv};
use crate::settings::{ResourceList, Settings};

/// The parts of a pod that depend on the source.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) image: String,
    pub(crate) requests: ResourceList,
    pub(crate) limits: ResourceList,
    pub(crate) env: Vec<EnvVar>,
    /// A Secret whose entries become environment variables.
    pub(crate) secret_env: Option<SecretEnv>,
}

impl Pod {
    /// The pod of the settings, without annotations.
    pub(crate) fn of_settings(settings: &Settings) -> Self {
        Self::of(&Declaration::default(), settings)
    }

    /// The pod of a source.
    pub(crate) fn of(declaration: &Declaration, settings: &Settings) -> Self {
        let pod = &settings.pod;
        let (requests, limits) = resources(&declaration.requests, &declaration.limits, settings);
        Self {
            image: declaration.image.as_ref().unwrap_or(&pod.image).clone(),
            requests,
            limits,
            env: pod.env.iter().chain(&declaration.env).cloned().collect(),
            secret_env: declaration.secret_env.clone(),
        }
    }
}

/// Merges the annotations' resources with the settings'. If an annotation sets only the request or only the limit, the
/// other is adjusted so that the request is not above the limit.
fn resources(
    asked_requests: &ResourceOverrides,
    asked_limits: &ResourceOverrides,
    settings: &Settings,
) -> (ResourceList, ResourceList) {
    let (mut requests, mut limits) = (
        settings.pod.resources.requests.clone(),
        settings.pod.resources.limits.clone(),
    );
    let pairs = [
        (
            &mut requests.cpu,
            &mut limits.cpu,
            &asked_requests.cpu,
            &asked_limits.cpu,
        ),
        (
            &mut requests.memory,
            &mut limits.memory,
            &asked_requests.memory,
            &asked_limits.memory,
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
    (requests, limits)
}
