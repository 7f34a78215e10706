//! The operator's chart, installed with Helm.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::cluster::part;
use crate::{ADMIN, Cluster, objects};

/// The chart.
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/chart/telewarden-operator");
/// The release, which is also the name of the operator's ServiceAccount.
const RELEASE: &str = "telewarden-operator";

/// Runs Helm, and answers its output.
fn helm(arguments: &[&str], input: &str) -> Result<String, String> {
    let mut helm = Command::new(part("TELEWARDEN_E2E_HELM"))
        .args(["--namespace", "telewarden"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start Helm");
    let written = helm.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = helm.wait_with_output().expect("wait for Helm");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    match output.status.success() {
        true => written.map(|()| text(output.stdout)).map_err(|error| error.to_string()),
        false => Err(text(output.stdout) + &text(output.stderr)),
    }
}

/// Runs `helm lint`.
///
/// # Errors
/// Helm's findings.
pub fn lint(values: &Value) -> Result<String, String> {
    helm(&["lint", "--strict", CHART, "--values", "-"], &values.to_string())
}

/// Runs `helm template`.
///
/// # Errors
/// Helm's error.
pub fn template(values: &Value) -> Result<Vec<Value>, String> {
    manifest(values).map(|text| objects(&text))
}

/// Runs `helm template`, and answers its text.
///
/// # Errors
/// Helm's error.
pub fn manifest(values: &Value) -> Result<String, String> {
    helm(&["template", RELEASE, CHART, "--values", "-"], &values.to_string())
}

impl Cluster {
    /// Installs or upgrades the chart, and answers the installed objects.
    ///
    /// # Panics
    /// If Helm or the API server refuses it.
    pub fn install(&self, values: &Value) -> Vec<Value> {
        self.helm(
            &["upgrade", "--install", RELEASE, CHART, "--values", "-"],
            &values.to_string(),
        );
        objects(&self.helm(&["get", "manifest", RELEASE], ""))
    }

    /// What the installed chart says to do next.
    pub fn notes(&self) -> String {
        self.helm(&["get", "notes", RELEASE], "")
    }

    /// Uninstalls the chart.
    ///
    /// # Panics
    /// If Helm or the API server refuses it.
    pub fn uninstall(&self) {
        self.helm(&["uninstall", RELEASE], "");
    }

    fn helm(&self, arguments: &[&str], input: &str) -> String {
        let kubeconfig = self.kubeconfig(ADMIN);
        let kubeconfig = kubeconfig.to_str().expect("a path");
        let arguments = [arguments, &["--kubeconfig", kubeconfig]].concat();
        helm(&arguments, input).unwrap_or_else(|why| panic!("helm {arguments:?} with {input}: {why}"))
    }
}
