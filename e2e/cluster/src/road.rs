//! Everything between a commit and a series: a git repository, Argo CD, the operator, and the database.

use serde_json::{Value, json};

use crate::{
    Application, ArgoCd, Database, Git, Kind, Node, Tracking, exporter, install_operator, name_of, objects,
    remove_webhooks, restricted_namespace, root,
};

/// The whole road, with a git repository of its own.
pub struct Road {
    /// The cluster.
    pub node: Node,
    /// The database.
    pub database: Database,
    name: String,
    beginning: Option<(ArgoCd, Git)>,
    namespaces: Vec<String>,
    applications: Vec<String>,
}

impl Road {
    /// Starts what does not run, and installs the operator with these settings. The app-of-apps `apps-of-<name>` deploys what is
    /// in the folder `apps` of the repository.
    ///
    /// # Panics
    /// If something does not start.
    pub async fn open(name: &str, tracking: Tracking, settings: Value) -> Self {
        let mut road = Self::from_applications(name, settings).await;
        let argocd = ArgoCd::start(&road.node, tracking).await;
        let git = Git::new(&road.node, name);
        road.beginning = Some((argocd, git));
        road
    }

    /// The part of it that begins with Applications: whoever writes them into the cluster, it is not Argo CD.
    ///
    /// # Panics
    /// If something does not start.
    pub async fn from_applications(name: &str, settings: Value) -> Self {
        let node = Node::connect().await;
        let database = Database::deploy(&node).await;
        ArgoCd::install(&node).await;
        clear(&node).await;
        install_operator(&node, settings).await;
        Self {
            node,
            database,
            // An Application may have the name itself.
            name: format!("apps-of-{name}"),
            beginning: None,
            namespaces: Vec::new(),
            applications: Vec::new(),
        }
    }

    /// Argo CD.
    ///
    /// # Panics
    /// If this is not the whole road.
    pub fn argocd(&self) -> &ArgoCd {
        &self.beginning.as_ref().expect("the whole road").0
    }

    /// The repository.
    ///
    /// # Panics
    /// If this is not the whole road.
    pub fn git(&self) -> &Git {
        &self.beginning.as_ref().expect("the whole road").1
    }

    /// Makes a namespace that takes pods of Pod Security "restricted" only.
    pub async fn namespace(&mut self, name: &str) {
        restricted_namespace(&self.node, name).await;
        if !self.namespaces.iter().any(|there| there == name) {
            self.namespaces.push(name.to_owned());
        }
    }

    /// Deploys an Application with an exporter `web`, in a namespace of its own.
    pub async fn deploy(&mut self, name: &str, application: &Application) {
        self.namespace(name).await;
        self.workload(name, &exporter("web", name)).await;
        self.application(name, application).await;
    }

    /// Deploys the workload of an Application, or changes it.
    pub async fn workload(&self, name: &str, workload: &str) {
        match &self.beginning {
            Some((_, git)) => {
                git.write(&format!("workloads/{name}/web.yaml"), workload);
                git.commit(&format!("The workload of {name}"));
            }
            None => {
                for object in objects(workload) {
                    self.node.put(&object).await;
                }
            }
        }
    }

    /// Deploys an Application whose workload is there, or changes it.
    pub async fn application(&mut self, name: &str, application: &Application) {
        match &self.beginning {
            Some((_, git)) => {
                let manifest = application.manifest(&git.url());
                git.write(&format!("apps/{name}.yaml"), &manifest.to_string());
                git.commit(&format!("Deploy {name}"));
                self.node.put(&root(&self.name, git)).await;
            }
            None => {
                let mut manifest = application.manifest("https://git.example/apps.git");
                // Nobody would take it away again.
                manifest["metadata"]["finalizers"] = Value::Null;
                self.node.put(&manifest).await;
                self.applications.push(name.to_owned());
            }
        }
    }

    /// Deletes everything that was deployed, and its namespaces.
    pub async fn close(self) {
        for name in &self.applications {
            self.node.delete(Kind::APPLICATION, "argocd", name).await;
        }
        if self.beginning.is_some() {
            self.node.delete(Kind::APPLICATION, "argocd", &self.name).await;
            self.node.gone(Kind::APPLICATION, "argocd", &self.name).await;
        }
        for namespace in &self.namespaces {
            self.node.delete(Kind::NAMESPACE, "", namespace).await;
        }
        for namespace in &self.namespaces {
            self.node.gone(Kind::NAMESPACE, "", namespace).await;
        }
    }
}

/// Removes what an earlier test has left, which failed.
async fn clear(node: &Node) {
    remove_webhooks(node).await;
    for set in node.list(Kind::APPLICATION_SET, "argocd", "").await {
        node.delete(Kind::APPLICATION_SET, "argocd", &name_of(&set)).await;
    }
    for application in node.list(Kind::APPLICATION, "argocd", "").await {
        let name = name_of(&application);
        node.merge(
            Kind::APPLICATION,
            "argocd",
            &name,
            json!({"metadata": {"finalizers": null}}),
        )
        .await;
        node.delete(Kind::APPLICATION, "argocd", &name).await;
    }
    let left = node
        .list(Kind::NAMESPACE, "", "pod-security.kubernetes.io/enforce=restricted")
        .await;
    for namespace in &left {
        node.delete(Kind::NAMESPACE, "", &name_of(namespace)).await;
    }
    for namespace in &left {
        node.gone(Kind::NAMESPACE, "", &name_of(namespace)).await;
    }
}
