//! Applications, as they lie in git.

use serde_json::{Value, json};

use crate::Git;

/// An Application that is synced automatically, with prune and self-heal, to the namespace with its name.
#[derive(Clone, Debug)]
pub struct Application {
    name: String,
    annotation: String,
    project: String,
    wave: Option<i32>,
}

impl Application {
    /// One without an annotation, in the project `default`.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            annotation: String::new(),
            project: "default".to_owned(),
            wave: None,
        }
    }

    /// The same with an annotation.
    #[must_use]
    pub fn annotated(mut self, annotation: &str) -> Self {
        annotation.clone_into(&mut self.annotation);
        self
    }

    /// The same in another project.
    #[must_use]
    pub fn of_project(mut self, project: &str) -> Self {
        project.clone_into(&mut self.project);
        self
    }

    /// The same in a sync wave of its app-of-apps.
    #[must_use]
    pub fn in_wave(mut self, wave: i32) -> Self {
        self.wave = Some(wave);
        self
    }

    /// Its manifest: it deploys the folder `workloads/<name>` of a repository.
    pub fn manifest(&self, repository: &str) -> Value {
        let mut annotations = json!({});
        if !self.annotation.is_empty() {
            annotations["telewarden.io/endpoints"] = json!(self.annotation);
        }
        if let Some(wave) = self.wave {
            annotations["argocd.argoproj.io/sync-wave"] = json!(wave.to_string());
        }
        let mut object = application(
            &self.name,
            &self.project,
            repository,
            &format!("workloads/{}", self.name),
            &self.name,
        );
        object["metadata"]["annotations"] = annotations;
        object
    }
}

/// The app-of-apps: an Application of the Applications in the folder `apps` of a repository.
pub fn root(name: &str, git: &Git) -> Value {
    application(name, "default", &git.url(), "apps", "argocd")
}

/// This cluster, as a destination.
pub fn destination(namespace: &str) -> Value {
    json!({"server": "https://kubernetes.default.svc", "namespace": namespace})
}

fn application(name: &str, project: &str, repository: &str, path: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": name,
            "namespace": "argocd",
            "finalizers": ["resources-finalizer.argocd.argoproj.io"],
        },
        "spec": {
            "project": project,
            "source": {"repoURL": repository, "path": path, "targetRevision": "main"},
            "destination": destination(namespace),
            "syncPolicy": {"automated": {"prune": true, "selfHeal": true}},
        },
    })
}
