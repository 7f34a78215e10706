//! Everything between a commit and a series: a git repository, Argo CD, the operator, and the database.

use serde_json::Value;

use crate::{
    Application, ArgoCd, Database, Git, Kind, Node, Tracking, exporter, install_operator, restricted_namespace, root,
};

/// The whole road, with a git repository of its own.
pub struct Road {
    /// The cluster.
    pub node: Node,
    /// The database.
    pub database: Database,
    /// Argo CD.
    pub argocd: ArgoCd,
    /// The repository, whose folder `apps` the app-of-apps of its name deploys.
    pub git: Git,
    name: String,
    namespaces: Vec<String>,
}

impl Road {
    /// Starts what does not run, and installs the operator with these settings.
    ///
    /// # Panics
    /// If something does not start.
    pub async fn open(name: &str, tracking: Tracking, settings: Value) -> Self {
        let node = Node::connect().await;
        let database = Database::deploy(&node).await;
        let argocd = ArgoCd::start(&node, tracking).await;
        install_operator(&node, settings).await;
        let git = Git::new(&node, name);
        let (name, namespaces) = (name.to_owned(), Vec::new());
        Self {
            node,
            database,
            argocd,
            git,
            name,
            namespaces,
        }
    }

    /// Makes a namespace that takes pods of Pod Security "restricted" only.
    pub async fn namespace(&mut self, name: &str) {
        restricted_namespace(&self.node, name).await;
        if !self.namespaces.iter().any(|there| there == name) {
            self.namespaces.push(name.to_owned());
        }
    }

    /// Commits an exporter `web`, for a namespace of this name.
    pub async fn workload(&mut self, name: &str) {
        self.namespace(name).await;
        self.git
            .write(&format!("workloads/{name}/web.yaml"), &exporter("web", name));
        self.git.commit(&format!("The workload of {name}"));
    }

    /// Commits an Application with an exporter `web`, in a namespace of its own.
    pub async fn deploy(&mut self, name: &str, application: &Application) {
        self.namespace(name).await;
        self.write(name, &exporter("web", name), application);
        self.deploy_all().await;
    }

    /// Commits an Application whose workload is there.
    pub async fn commit(&self, name: &str, application: &Application) {
        self.git.write(
            &format!("apps/{name}.yaml"),
            &application.manifest(&self.git).to_string(),
        );
        self.deploy_all().await;
    }

    /// Writes an Application and its workload.
    pub fn write(&self, name: &str, workload: &str, application: &Application) {
        self.git.write(&format!("workloads/{name}/web.yaml"), workload);
        self.git.write(
            &format!("apps/{name}.yaml"),
            &application.manifest(&self.git).to_string(),
        );
    }

    /// Commits what was written, and has the app-of-apps deploy it.
    pub async fn deploy_all(&self) {
        self.git.commit("Deploy");
        self.node.put(&root(&self.name, &self.git)).await;
    }

    /// The name of the app-of-apps.
    pub fn root(&self) -> &str {
        &self.name
    }

    /// Deletes the app-of-apps with all that it deployed, and the namespaces.
    pub async fn close(self) {
        self.node.delete(Kind::APPLICATION, "argocd", &self.name).await;
        self.node.gone(Kind::APPLICATION, "argocd", &self.name).await;
        for namespace in &self.namespaces {
            self.node.delete(Kind::NAMESPACE, "", namespace).await;
        }
        for namespace in &self.namespaces {
            self.node.gone(Kind::NAMESPACE, "", namespace).await;
        }
    }
}
