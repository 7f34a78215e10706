//! The pages with commands, word for word: each command is run, and what the page shows is what one sees.
//!
//! The API server has no nodes, so this test does what they would do: it runs the operator of the installed Deployment and
//! the Telegraf of the rendered one, and the names of Services are in `/etc/hosts`, which `e2e/telegraf/run` brings.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use telewarden_e2e_operator::{ADMIN, Application, Cluster, DockerRegistry, Operator, objects};
use telewarden_e2e_telegraf::{Process, Telegraf, eventually, part, repository};
use telewarden_policy::protocol::Rendered;

const TOKEN: &str = "administrators-token";
const CHART: &str = "oci://ghcr.io/telewarden/charts";

/// A command of a page, and what it shows.
struct Step {
    command: String,
    shown: String,
}

/// The commands of a page: blocks of `console`, where `$` begins a command and `>` goes on with it.
fn steps(page: &str) -> Vec<Step> {
    let text = fs::read_to_string(repository("docs").join(page)).expect("a page");
    let mut steps: Vec<Step> = Vec::new();
    let mut indent = None;
    for line in text.lines() {
        let Some(width) = indent else {
            indent = line
                .trim_start()
                .starts_with("```console")
                .then(|| line.len() - line.trim_start().len());
            continue;
        };
        let line = line.get(width..).unwrap_or_default();
        if line == "```" {
            indent = None;
        } else if let Some(command) = line.strip_prefix("$ ") {
            let (command, shown) = (command.to_owned(), String::new());
            steps.push(Step { command, shown });
        } else {
            let step = steps.last_mut().expect("a command comes first");
            match line.strip_prefix("> ") {
                Some(more) => step.command += &format!("\n{more}"),
                None => step.shown += &format!("{line}\n"),
            }
        }
    }
    steps
}

/// True if a text is what a page shows, where `…` stands for any text.
fn is_shown(shown: &str, text: &str) -> bool {
    let parts: Vec<_> = shown.trim().split('…').map(|part| part.trim_matches('\n')).collect();
    let text = text.trim();
    let [first, middle @ .., last] = parts.as_slice() else {
        return text == shown.trim();
    };
    let rest = text.strip_prefix(first).and_then(|rest| rest.strip_suffix(last));
    let after = |rest: &'_ str, part: &&str| rest.find(*part).map(|at| at + part.len());
    let Some(mut rest) = rest else { return false };
    for part in middle {
        match after(rest, part) {
            Some(at) => rest = &rest[at..],
            None => return false,
        }
    }
    true
}

#[test]
fn what_is_shown_is_compared() {
    assert!(is_shown("a\n…\nd\n", "a\nb\nc\nd\n"));
    assert!(is_shown("a … c", "a b c"));
    assert!(is_shown("…", ""));
    assert!(!is_shown("a", "ab"));
    assert!(!is_shown("a\n…\nd", "a\nb\n"));
}

/// A reader of the pages: a cluster, a database, a registry with the chart, and what runs in the cluster.
struct Reader {
    cluster: Cluster,
    registry: DockerRegistry,
    folder: tempfile::TempDir,
    operator: Option<Operator>,
    telegraf: Option<Telegraf>,
    _exporter: Process,
    _database: Process,
}

impl Reader {
    async fn new() -> Self {
        let exporter = Process::start(&part("prometheus-node-exporter"), |command, _| {
            command.args(["--web.listen-address=127.0.0.1:9100", "--collector.disable-defaults"]);
            command.arg("--collector.loadavg");
        });
        let database = Process::start(&part("influxdb"), |command, folder| {
            command.args([
                "--bolt-path",
                "bolt",
                "--engine-path",
                "engine",
                "--sqlite-path",
                "sqlite",
            ]);
            command.args([
                "--http-bind-address=127.0.0.1:8086",
                "--reporting-disabled",
                "--log-level=error",
            ]);
            command.env("HOME", folder);
        });
        let setup = json!({
            "username": "me", "password": "a-long-password", "org": "default", "bucket": "first", "token": TOKEN,
        });
        let setup = format!("curl --silent --fail 127.0.0.1:8086/api/v2/setup --data '{setup}'");
        eventually("InfluxDB", || {
            let output = Command::new("bash").args(["-c", &setup]).output().expect("bash");
            output.status.success().then_some(()).ok_or_else(|| database.log())
        });
        let cluster = Cluster::without_operator(&[]).await;
        cluster.namespace("shop").await;
        let mut shop = Application::named("shop").object();
        shop["metadata"]["annotations"] = Value::Null;
        cluster.put(&shop).await;
        let registry = DockerRegistry::start(cluster.folder()).await;
        let reader = Self {
            cluster,
            registry,
            folder: tempfile::tempdir().expect("a folder"),
            operator: None,
            telegraf: None,
            _exporter: exporter,
            _database: database,
        };
        let chart = repository("deploy/chart/telewarden-operator")
            .canonicalize()
            .expect("the chart");
        let push = format!(
            "helm package {} && helm push telewarden-operator-*.tgz {CHART}",
            chart.display()
        );
        let said = reader.run(&push);
        assert!(said.contains("Pushed:"), "{said}");
        reader
    }

    /// Runs a command as a shell in the checkout would. The chart comes from the local registry.
    fn run(&self, command: &str) -> String {
        let local = format!("--plain-http oci://{}/charts", self.registry.host());
        let command = command
            .replace(CHART, &local)
            .replace(" deploy/", &format!(" {}/", repository("deploy").display()));
        let programs = ["helm", "kubectl"].map(|name| part(name).parent().expect("a folder").display().to_string());
        let output = Command::new("bash")
            .args(["-c", &format!("exec 2>&1\n{command}")])
            .current_dir(self.folder.path())
            .env(
                "PATH",
                format!("{}:{}", programs.join(":"), env::var("PATH").unwrap_or_default()),
            )
            .env("KUBECONFIG", self.cluster.kubeconfig(ADMIN))
            .env("HELM_REGISTRY_CONFIG", self.folder.path().join("registry.json"))
            .env("INFLUXDB_TOKEN", TOKEN)
            .output()
            .expect("bash");
        String::from_utf8_lossy(&output.stdout).replace('\r', "")
    }

    /// What the kubelet of the operator's pod does.
    async fn run_operator(&mut self) {
        let folder = self.cluster.folder();
        let map = self.cluster.config_map("telewarden", "telewarden-operator").await;
        let data = map.and_then(|map| map.data).expect("settings");
        fs::write(folder.join("settings.yaml"), &data["settings.yaml"]).expect("mount the settings");
        fs::write(folder.join("token"), TOKEN).expect("mount the token");
        if self.operator.is_none() {
            let deployment =
                objects(&self.run("kubectl get deployment telewarden-operator --namespace telewarden --output yaml"));
            self.operator = Some(self.cluster.operator_of_deployment(&deployment[0]).await);
        }
    }

    /// What the kubelet of Telegraf's pod does.
    async fn run_telegraf(&mut self) {
        let mut objects = self.cluster.owned_by("telewarden").await;
        objects.extend(self.cluster.owned_secrets().await);
        let rendered = Rendered {
            objects,
            ..Rendered::default()
        };
        self.telegraf = Some(Telegraf::start_named(&rendered, "telegraf-shop"));
    }

    async fn read(&mut self, page: &str) {
        for Step { command, shown } in steps(page) {
            if command.starts_with("kubectl rollout") {
                self.run_operator().await;
                continue;
            }
            if command.starts_with("kubectl port-forward") {
                continue;
            }
            eprintln!("{page}: $ {command}");
            // What only looks is repeated, as a reader would.
            let looks = command.starts_with("kubectl get") || command.starts_with("curl");
            let mut said = self.run(&command);
            if looks && !is_shown(&shown, &said) {
                said = eventually(&command, || {
                    let said = self.run(&command);
                    is_shown(&shown, &said).then_some(said.clone()).ok_or(said)
                });
            }
            assert!(
                is_shown(&shown, &said),
                "{page}: $ {command}\n{shown}\nis shown, but it says\n{said}"
            );
            if self.operator.is_some() && command.starts_with("helm upgrade") {
                self.run_operator().await;
            }
            if self.telegraf.is_none() && command.starts_with("kubectl get deployment telegraf-shop") {
                self.run_telegraf().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quick_start() {
    let mut reader = Reader::new().await;
    reader.read("quick-start.md").await;
    assert!(Path::new(&reader.folder.path().join("mistake.yaml")).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn installing_and_removing() {
    let mut reader = Reader::new().await;
    reader.read("install.md").await;
    reader.run_operator().await;
    reader.read("upgrade-and-uninstall.md").await;
}
