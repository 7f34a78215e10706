//! The operator as a process.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{Cluster, FragileLine, HANGS, SERVICE_ACCOUNT, eventually};

/// Numbers the logs of several operators.
static STARTED: AtomicUsize = AtomicUsize::new(0);

/// A running operator.
pub struct Operator {
    child: Child,
    port: u16,
    log: PathBuf,
    name: String,
}

fn program() -> Command {
    let path =
        std::env::var_os("TELEWARDEN_E2E_OPERATOR").expect("TELEWARDEN_E2E_OPERATOR: run these with e2e/operator/run");
    Command::new(path)
}

fn run_with(arguments: &[&str]) -> Command {
    let mut command = program();
    // A follower takes over soon. Benchmarks have a longer one, because a busy API server answers late.
    let lease = std::env::var("TELEWARDEN_E2E_LEASE").unwrap_or_else(|_| "3".to_owned());
    command.args(["run", "--lease", &lease]).args(arguments);
    command
}

impl Cluster {
    /// Runs a command of the operator.
    pub fn command(&self, arguments: &[&str]) -> Output {
        self.command_of(SERVICE_ACCOUNT, arguments)
    }

    /// Runs a command of the operator to its end, with a token.
    pub fn command_of(&self, token: &str, arguments: &[&str]) -> Output {
        let output = program()
            .args(arguments)
            .env("KUBECONFIG", self.kubeconfig(token))
            .stdin(Stdio::null())
            .output();
        output.expect("run the operator")
    }

    /// Writes settings to a file.
    pub fn settings(&self, settings: &Value) -> PathBuf {
        let path = self.folder().join("settings.yaml");
        // Atomically, as a mounted ConfigMap changes.
        let new = self.folder().join("settings.new");
        fs::write(&new, serde_yaml::to_string(settings).expect("YAML")).expect("write settings");
        fs::rename(new, &path).expect("replace the settings");
        path
    }

    /// Starts an operator and waits until it is ready.
    pub async fn operator(&self, arguments: &[&str]) -> Operator {
        let operator = self.unready_operator(arguments);
        operator.is_ready().await;
        operator
    }

    /// Starts an operator with settings and waits until it is ready.
    pub async fn operator_with(&self, settings: &Value) -> Operator {
        let path = self.settings(settings);
        self.operator(&["--settings", path.to_str().expect("a path")]).await
    }

    /// Starts an operator.
    pub fn unready_operator(&self, arguments: &[&str]) -> Operator {
        self.operator_of(SERVICE_ACCOUNT, arguments)
    }

    /// Starts an operator with a token.
    pub fn operator_of(&self, token: &str, arguments: &[&str]) -> Operator {
        self.started(&self.kubeconfig(token), run_with(arguments))
    }

    /// Starts an operator that uses a fragile line.
    pub fn operator_by(&self, line: &FragileLine, arguments: &[&str]) -> Operator {
        self.started(&self.kubeconfig_by(line.port(), SERVICE_ACCOUNT), run_with(arguments))
    }

    /// Starts the operator with the arguments of a Deployment, and waits until it is ready. The mounted folders are replaced
    /// with the test's.
    pub async fn operator_of_deployment(&self, deployment: &Value) -> Operator {
        let arguments = &deployment["spec"]["template"]["spec"]["containers"][0]["args"];
        let arguments = arguments.as_array().expect("arguments").iter();
        let folder = format!("{}/", self.folder().display());
        let mut command = program();
        let mounted = ["/etc/telewarden/", "/etc/telewarden-influxdb/"];
        command.args(arguments.map(|text| {
            let text = text.as_str().expect("text").to_owned();
            mounted
                .iter()
                .fold(text, |text, mounted| text.replace(mounted, &folder))
        }));
        let operator = self.started(&self.kubeconfig(SERVICE_ACCOUNT), command);
        operator.is_ready().await;
        operator
    }

    fn started(&self, kubeconfig: &Path, mut command: Command) -> Operator {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let log = self.folder().join(format!("operator-{number}.log"));
        let name = format!("operator-{number}");
        command.env("TELEWARDEN_LOG", "info,telewarden_operator=debug");
        command.arg("--listen").arg(format!("127.0.0.1:{port}"));
        command.env("KUBECONFIG", kubeconfig).env("POD_NAME", &name);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("create a log"));
        Operator {
            child: command.spawn().expect("start the operator"),
            port,
            log,
            name,
        }
    }
}

impl Operator {
    /// Waits until `/readyz` succeeds.
    pub async fn is_ready(&self) {
        eventually(|| async {
            match self.get("/readyz").await {
                Some((200, _)) => Ok(()),
                answer => Err(format!("/readyz answers {answer:?}; log:\n{}", self.log())),
            }
        })
        .await;
    }

    /// A URL of its HTTP server.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// A page of its HTTP server.
    pub async fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: operator\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// The value of a metric with all its labels, such as `telewarden_errors_total{reason="conflict"}`.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics").await?;
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    /// Waits until no attempt has ended for a second: everything that there was to do is done, or waits for somebody.
    pub async fn is_quiet(&self) {
        let before = Mutex::new((String::new(), Instant::now()));
        eventually(|| async {
            let (_, text) = self.get("/metrics").await.ok_or("no metrics")?;
            let attempts: String = text
                .lines()
                .filter(|line| line.starts_with("telewarden_reconciles_total"))
                .collect();
            let mut before = before.lock().expect("a lock");
            if before.0 != attempts {
                *before = (attempts, Instant::now());
            }
            (before.1.elapsed() > Duration::from_secs(1))
                .then_some(())
                .ok_or_else(|| before.0.clone())
        })
        .await;
    }

    /// The name of the operator's pod.
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// The log.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// True while the operator runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("look at the operator").is_none()
    }

    /// The process ID.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal: `TERM`, `STOP` or `CONT`.
    pub fn signal(&self, signal: &str) {
        let arguments = ["-s", signal, &self.child.id().to_string()];
        let sent = Command::new("kill").args(arguments).status().expect("run kill");
        assert!(sent.success(), "no signal could be sent");
    }

    /// Waits until the operator has ended.
    ///
    /// # Panics
    /// If it never ends.
    pub fn ended(mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("look at the operator") {
                return status;
            }
            assert!(started.elapsed() < HANGS, "it still runs");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops the operator as the kubelet does, and waits.
    pub fn stop(self) -> ExitStatus {
        self.signal("TERM");
        self.ended()
    }

    /// Kills the operator.
    pub fn kill(mut self) {
        self.child.kill().expect("kill the operator");
        self.child.wait().expect("wait for the operator");
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().rev().take(60).collect();
            eprintln!("--- the end of the operator's log");
            lines.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}
