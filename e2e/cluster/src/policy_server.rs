//! Kubewarden's own PolicyServer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::node::run;
use crate::policies::{ADDRESS, PORT, Webhooks, id, policies, telewarden};
use crate::{Node, eventually};

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const READINESS_PORT: &str = "9444";

/// The program `policy-server`, which no package registry offers. Where there is none, this says that a test is left out.
pub fn policy_server() -> Option<PathBuf> {
    let program = std::env::var_os("TELEWARDEN_CLUSTER_POLICY_SERVER").filter(|path| !path.is_empty());
    if program.is_none() {
        println!("NOT TESTED: policy-server is not on PATH, nor named in POLICY_SERVER");
    }
    program.map(PathBuf::from)
}

/// A PolicyServer with the policies that `telewarden policies` prints, and their webhooks. A test plays Kubewarden's controller.
pub struct PolicyServer {
    webhooks: Webhooks,
    log: PathBuf,
}

impl PolicyServer {
    /// Starts it with the policies for some settings. Its ServiceAccount may list and watch Services, and nothing else.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(node: &Node, program: &Path, settings: Value) -> Self {
        let folder = node.folder().join("policy-server");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        let file = |name: &str| folder.join(name).display().to_string();
        let (module, certificate, key) = (file("policy.wasm"), file("certificate.pem"), file("certificate.key"));
        run(Command::new(telewarden())
            .current_dir(REPOSITORY)
            .args([
                "annotate",
                "--metadata-path",
                "metadata.yml",
                "--usage-path",
                "docs/kubewarden.md",
            ])
            .args(["policy.wasm", "--output-path", &module]));
        run(Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=policy-server",
            ])
            .args(["-addext", &format!("subjectAltName=IP:{ADDRESS}")])
            .args(["-keyout", &key, "-out", &certificate]));
        let policies = policies(&folder, &settings);
        fs::write(file("policies.yml"), entries(&policies, &module).to_string()).expect("write the policies");
        fs::write(file("kubeconfig"), kubeconfig(node).await).expect("write the kubeconfig");

        let name = "policy-server";
        let environment = format!("KUBECONFIG={}", file("kubeconfig"));
        let program = program.display().to_string();
        node.start(
            name,
            &[
                "env",
                &environment,
                &program,
                "--addr",
                ADDRESS,
                "--port",
                PORT,
                "--readiness-probe-port",
                READINESS_PORT,
                "--workers",
                "1",
                "--policies",
                &file("policies.yml"),
                "--policies-download-dir",
                &file(""),
                "--sigstore-cache-dir",
                &file("sigstore"),
                "--cert-file",
                &certificate,
                "--key-file",
                &key,
                // Its log has each request that reaches it.
                "--log-level",
                "debug",
                "--log-fmt",
                "json",
            ],
        );
        let log = node.folder().join("logs/policy-server.log");
        eventually("the PolicyServer listens", || async {
            let listens = format!("exec 3<>/dev/tcp/{ADDRESS}/{PORT}");
            let enter = concat!(env!("CARGO_MANIFEST_DIR"), "/enter");
            let output = Command::new(enter).args(["bash", "-c", &listens]).output();
            let listens = output.expect("run a command").status.success();
            let said = fs::read_to_string(&log).unwrap_or_default();
            listens
                .then_some(())
                .ok_or_else(|| said.lines().last().unwrap_or_default().to_owned())
        })
        .await;
        let webhooks = Webhooks::register(node, &policies, "validate/", Path::new(&certificate)).await;
        Self { webhooks, log }
    }

    /// How many requests it has got so far.
    ///
    /// # Panics
    /// If its log cannot be read.
    pub fn reviews(&self) -> usize {
        let log = fs::read_to_string(&self.log).expect("its log");
        log.matches("\"admission_review\":").count()
    }

    /// How many requests the matchConditions have kept back so far.
    pub async fn excluded(&self, node: &Node) -> f64 {
        let metric = "apiserver_admission_match_condition_exclusions_total";
        self.webhooks.sum(node, metric).await
    }

    /// Takes away its right to list Services.
    pub async fn forbid_services(&self, node: &Node) {
        let (group, kind) = ("rbac.authorization.k8s.io", "ClusterRoleBinding");
        node.delete_of(group, "v1", kind, "policy-server").await;
    }

    /// Ends it.
    pub async fn remove(self, node: &Node) {
        self.webhooks.remove(node).await;
        node.stop("policy-server");
    }
}

/// What a PolicyServer is told of its policies, as Kubewarden's controller writes it.
fn entries(policies: &[Value], module: &str) -> Value {
    let entry = |policy: &Value| {
        let spec = &policy["spec"];
        let entry = json!({
            "module": format!("file://{module}"),
            "policyMode": spec["mode"],
            "allowedToMutate": spec["mutating"],
            "settings": spec["settings"],
            // It grants all of them to policies that are not in a namespace.
            "hostCapabilities": ["*"],
            "contextAwareResources": spec.get("contextAwareResources").unwrap_or(&json!([])),
        });
        (id(policy), entry)
    };
    Value::Object(policies.iter().map(entry).collect::<Map<_, _>>())
}

/// The kubeconfig of a ServiceAccount with the rights that docs/kubewarden.md names.
async fn kubeconfig(node: &Node) -> String {
    node.namespace("kubewarden", json!({})).await;
    node.apply(
        "apiVersion: v1
kind: ServiceAccount
metadata: {name: policy-server, namespace: kubewarden}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: policy-server}
rules: [{apiGroups: [''], resources: [services], verbs: [list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: policy-server}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: policy-server}
subjects: [{kind: ServiceAccount, name: policy-server, namespace: kubewarden}]
",
    )
    .await;
    let token = run(Command::new(node.part("kubectl"))
        .env("KUBECONFIG", node.folder().join("kubeconfig"))
        .args([
            "create",
            "token",
            "policy-server",
            "--namespace",
            "kubewarden",
            "--duration",
            "4h",
        ]));
    // Argo CD's is for the same address.
    let other = fs::read_to_string(node.folder().join("etc/argocd.kubeconfig")).expect("a kubeconfig");
    other.replace("argocd-token", token.trim())
}
