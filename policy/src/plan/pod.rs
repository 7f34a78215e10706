//! A Telegraf's pod: the settings, overridden by annotations.

use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, SecretKeySelector};

use super::Need;
use crate::annotation::{Credential, Declaration, Endpoint, Input, ResourceOverrides, SecretEnv};
use crate::settings::{PodVariable, ResourceList, Settings};

/// The parts of a pod that depend on the source.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) image: String,
    pub(crate) requests: ResourceList,
    pub(crate) limits: ResourceList,
    pub(crate) env: Vec<EnvVar>,
    /// A Secret whose entries become environment variables.
    pub(crate) secret_env: Option<SecretEnv>,
    /// `standalone`: a Secret whose keys are the variables with tokens.
    pub(crate) token_env: Option<String>,
    /// Entries of Secrets that are files.
    pub(crate) credentials: Vec<Credential>,
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
            image: declaration.image.as_deref().unwrap_or(&pod.image).to_owned(),
            requests,
            limits,
            env: pod
                .env
                .iter()
                .map(PodVariable::to_env_var)
                .chain(declaration.env.iter().cloned())
                .collect(),
            secret_env: declaration.secret_env.clone(),
            token_env: None,
            credentials: Vec::new(),
        }
    }

    /// Adds the endpoints' credentials.
    pub(super) fn take_credentials(&mut self, endpoints: &[&Endpoint]) {
        for endpoint in endpoints {
            let Input::Prometheus { credentials, .. } = &endpoint.input else {
                continue;
            };
            for credential in credentials {
                let path = credential.path();
                if !credential.is_file() {
                    let variable = credential.variable();
                    if self.env.iter().all(|known| known.name != variable) {
                        self.env
                            .push(variable_of_secret(variable, &credential.secret, &credential.key));
                    }
                } else if self.credentials.iter().all(|known| known.path() != path) {
                    self.credentials.push(credential.clone());
                }
            }
        }
    }

    /// `standalone`: takes all variables with tokens from one Secret. `variable` is one of the settings that has one there.
    pub(super) fn take_shared_token(&mut self, variable: &str, secret: String) {
        self.token_env = Some(secret);
        // Each output has a variable of its own, so nobody has to make the Secret of this one.
        let known = self.env.iter_mut().find(|env| env.name == variable);
        let from = known.and_then(|env| env.value_from.as_mut());
        if let Some(secret) = from.and_then(|from| from.secret_key_ref.as_mut()) {
            secret.optional = Some(true);
        }
    }

    /// Sets the variables with tokens from the Secrets of the needs.
    pub(super) fn take_tokens(&mut self, needs: &[Need]) {
        for need in needs {
            let Some(token) = &need.database.token else { continue };
            let known = self.env.iter_mut().find(|env| env.name == need.variable);
            let own = variable_of_secret(need.variable.clone(), &token.secret, &token.key);
            match known {
                Some(known) => *known = own,
                None => self.env.push(own),
            }
        }
    }
}

/// A variable with an entry of a Secret.
fn variable_of_secret(name: String, secret: &str, key: &str) -> EnvVar {
    EnvVar {
        name,
        value: None,
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: secret.to_owned(),
                key: key.to_owned(),
                optional: None,
            }),
            ..EnvVarSource::default()
        }),
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
