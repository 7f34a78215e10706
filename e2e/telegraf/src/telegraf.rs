//! The real Telegraf, as the rendered Deployment runs it.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use telewarden_policy::protocol::Rendered;

use crate::http::get;
use crate::process::{Process, eventually};
use crate::volume::Volume;

/// The address of the rendered health output.
pub const HEALTH: &str = "127.0.0.1:8888";

/// The secret in Telegraf's environment.
pub const TOKEN: &str = "the-token-that-must-not-leak-0123456789abcdef";

/// The images to test: the oldest supported version, and the newest.
pub const IMAGES: [&str; 2] = ["docker.io/library/telegraf:1.38", "docker.io/library/telegraf:1.40"];

/// The program for an image. For a version that is not built, the next lower one is used, and for a tag that is not a
/// version, the newest.
fn program(image: &str) -> PathBuf {
    let minor = image
        .rsplit_once(":1.")
        .and_then(|(_, tag)| tag.split(['.', '-']).next()?.parse::<u32>().ok());
    crate::part(match minor {
        Some(..40) => "telegraf-1.38",
        _ => "telegraf",
    })
}

/// The mount path of the ConfigMap.
const MOUNTED: &str = "/etc/telegraf";

/// A running Telegraf.
#[derive(Debug)]
pub struct Telegraf {
    process: Process,
    volume: Volume,
    health: String,
    _port: Option<Port>,
}

/// The command line and environment of a Telegraf.
#[derive(Clone, Debug)]
struct Launch {
    program: PathBuf,
    files: BTreeMap<String, String>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Launch {
    /// Those of a Deployment. Secrets that are among the objects with `stringData` contain that, and all others the token.
    fn of(rendered: &Rendered, name: &str) -> Self {
        let object = |kind: &str| {
            let mut objects = rendered.objects.iter();
            let found = objects.find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
            found.unwrap_or_else(|| panic!("no {kind} called {name}"))
        };
        let files = &object("ConfigMap")["data"];
        let container = &object("Deployment")["spec"]["template"]["spec"]["containers"][0];
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let secret = |name: &Value| {
            let mut objects = rendered.objects.iter();
            let found = objects.find(|object| object["kind"] == "Secret" && object["metadata"]["name"] == *name);
            found.map_or(&Value::Null, |secret| &secret["stringData"])
        };
        let variable = |variable: &Value| {
            let from = &variable["valueFrom"]["secretKeyRef"];
            let of_secret = secret(&from["name"])[from["key"].as_str().unwrap_or_default()].as_str();
            let value = variable["value"].as_str().or(of_secret).unwrap_or(TOKEN);
            (text(&variable["name"]), value.to_owned())
        };
        let all_of_secret = |from: &Value| -> Vec<(String, String)> {
            let entries = secret(&from["secretRef"]["name"]).as_object().into_iter().flatten();
            entries.map(|(name, value)| (name.clone(), text(value))).collect()
        };
        let of_secrets: Vec<_> = list(&container["envFrom"]).iter().flat_map(all_of_secret).collect();
        Self {
            program: program(&text(&container["image"])),
            files: serde_json::from_value(files.clone()).expect("a ConfigMap holds texts"),
            arguments: list(&container["args"]).iter().map(text).collect(),
            environment: list(&container["env"]).iter().map(variable).chain(of_secrets).collect(),
        }
    }

    /// Those for a file of a test.
    fn of_text(image: &str, text: &str) -> Self {
        let arguments = ["--config", "/etc/telegraf/telegraf.conf", "--strict-env-handling"];
        Self {
            program: program(image),
            files: BTreeMap::from([("telegraf.conf".to_owned(), text.to_owned())]),
            arguments: arguments.map(str::to_owned).to_vec(),
            environment: vec![("INFLUX_TOKEN".to_owned(), TOKEN.to_owned())],
        }
    }

    fn command(&self, command: &mut Command, volume: &Volume, arguments: &[String]) {
        let folder = volume.path().display().to_string();
        command.args(arguments.iter().map(|argument| argument.replace(MOUNTED, &folder)));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
    }
}

impl Telegraf {
    /// Starts the only rendered Telegraf, and waits until its health output answers.
    ///
    /// # Panics
    /// If several were rendered, or it ends.
    pub fn start(rendered: &Rendered) -> Self {
        assert_eq!(rendered.configurations.len(), 1, "more than one Telegraf");
        Self::start_named(rendered, &rendered.configurations[0].name)
    }

    /// Starts one of the rendered Telegrafs.
    ///
    /// # Panics
    /// If it ends.
    pub fn start_named(rendered: &Rendered, name: &str) -> Self {
        Self::ready(Launch::of(rendered, name))
    }

    /// Starts one of the rendered Telegrafs while another one runs, with other ports.
    ///
    /// # Panics
    /// If it ends.
    pub fn start_beside(&self, rendered: &Rendered, name: &str) -> Self {
        let mut launch = Launch::of(rendered, name);
        for text in launch.files.values_mut() {
            *text = text.replace(":8888\"", ":18888\"").replace(":8889\"", ":18889\"");
        }
        Self::await_health(Self::spawn(&launch, "127.0.0.1:18888", None))
    }

    /// Starts one with other arguments for watching its configuration.
    ///
    /// # Panics
    /// If it ends.
    pub fn start_watching(rendered: &Rendered, watch: &[&str]) -> Self {
        let mut launch = Launch::of(rendered, &rendered.configurations[0].name);
        let first = launch
            .arguments
            .iter()
            .position(|argument| argument.starts_with("--watch"));
        launch.arguments.truncate(first.unwrap_or(launch.arguments.len()));
        launch
            .arguments
            .extend(watch.iter().map(|&argument| argument.to_owned()));
        Self::ready(launch)
    }

    /// Starts the newest version with a file of a test.
    ///
    /// # Panics
    /// If it ends.
    pub fn start_text(text: &str) -> Self {
        Self::ready(Launch::of_text(IMAGES[1], text))
    }

    fn ready(launch: Launch) -> Self {
        Self::await_health(Self::spawn(&launch, HEALTH, Some(Port::take())))
    }

    fn await_health(mut telegraf: Self) -> Self {
        eventually("Telegraf's health output", || {
            telegraf.process.assert_runs();
            telegraf.health()
        });
        telegraf
    }

    fn spawn(launch: &Launch, health: &str, port: Option<Port>) -> Self {
        let mut volume = None;
        let process = Process::start(&launch.program, |command, folder| {
            let volume = volume.insert(Volume::new(&folder.join("volume")));
            volume.write(&launch.files);
            launch.command(command, volume, &launch.arguments);
        });
        Self {
            process,
            volume: volume.expect("a volume was made"),
            health: health.to_owned(),
            _port: port,
        }
    }

    /// Sends a probe like the kubelet's.
    ///
    /// # Errors
    /// The response, if its status is not 200.
    pub fn health(&self) -> Result<(), String> {
        match get(&self.health, "/") {
            Ok((200, _)) => Ok(()),
            other => Err(format!("{other:?}\n{}", self.process.log())),
        }
    }

    /// Updates the files of its ConfigMap as the kubelet does.
    pub fn reconfigure(&mut self, rendered: &Rendered) {
        self.reconfigure_named(rendered, &rendered.configurations[0].name);
    }

    /// The same for one of several.
    pub fn reconfigure_named(&mut self, rendered: &Rendered, name: &str) {
        self.volume.write(&Launch::of(rendered, name).files);
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// How often it has loaded its configuration.
    pub fn loads(&self) -> usize {
        self.log().matches("Starting Telegraf").count()
    }
}

/// The real Telegraf's complaints about a configuration; empty if there are none.
pub type Verdict = Vec<String>;

/// Checks all rendered configurations with Telegraf, and starts it with each.
pub fn judge(rendered: &Rendered) -> Verdict {
    let launches = rendered
        .configurations
        .iter()
        .map(|configuration| Launch::of(rendered, &configuration.name));
    launches.flat_map(|launch| verdict(&launch)).collect()
}

/// Checks a text with the Telegraf of an image, and starts it.
pub fn check(image: &str, text: &str) -> Verdict {
    verdict(&Launch::of_text(image, text))
}

/// What an image's Telegraf says if it refuses one of several files, which it reads one after the other. It does not start with
/// them.
pub fn refused(image: &str, texts: &[String]) -> Option<String> {
    let mut process = Process::start(&program(image), |command, folder| {
        command.args(["config", "check", "--strict-env-handling"]);
        for (number, text) in texts.iter().enumerate() {
            let file = folder.join(format!("{number}.conf"));
            std::fs::write(&file, text).expect("a file in a temporary folder");
            command.arg("--config").arg(file);
        }
    });
    let status = eventually("the check's end", || process.ended().ok_or_else(|| process.log()));
    (!status.success()).then(|| process.log())
}

fn verdict(launch: &Launch) -> Verdict {
    let mut complaints = said_by_check(launch);
    complaints.extend(said_at_start(launch));
    complaints
}

/// `config check` does not see everything (it takes `metric_version = 3`, and a configuration without inputs), and answers
/// 0 to what it warns of.
fn said_by_check(launch: &Launch) -> Verdict {
    let mut volume = None;
    let files = launch
        .arguments
        .iter()
        .position(|argument| argument.starts_with("--config"))
        .expect("--config");
    let mut process = Process::start(&launch.program, |command, folder| {
        let volume = volume.insert(Volume::new(&folder.join("volume")));
        volume.write(&launch.files);
        command.args(["config", "check", "--strict-env-handling"]);
        launch.command(command, volume, &launch.arguments[files..files + 2]);
    });
    let status = eventually("the check's end", || process.ended().ok_or_else(|| process.log()));
    let mut complaints = complaints(&process.log());
    if !status.success() && complaints.is_empty() {
        complaints.push(format!("config check: {status}\n{}", process.log()));
    }
    complaints
}

fn said_at_start(launch: &Launch) -> Verdict {
    let mut telegraf = Telegraf::spawn(launch, HEALTH, Some(Port::take()));
    let mut ended = eventually("a start", || match telegraf.process.ended() {
        Some(status) => Ok(Some(status)),
        None => telegraf.health().map(|()| None),
    });
    let started = ended.is_none();
    // A regular end also proves that the start was complete.
    let status = *ended.get_or_insert_with(|| telegraf.process.stop());
    let mut complaints = complaints(&telegraf.log());
    if !(started && status.success()) && complaints.is_empty() {
        complaints.push(format!("start: {status}\n{}", telegraf.log()));
    }
    complaints
}

/// Warnings and errors, without those about missing hosts and about changes of 1.38 that concern every configuration.
fn complaints(log: &str) -> Verdict {
    let world = [
        "Error in plugin: error making HTTP request",
        "Error writing to outputs.",
        "When writing to [http",
        "Strict environment variable handling is the new default",
    ];
    let lines = log
        .lines()
        .filter(|line| line.contains(" W! ") || line.contains(" E! "));
    lines
        .filter(|line| !world.iter().any(|text| line.contains(text)))
        .map(str::to_owned)
        .collect()
}

/// A lock for the port of the health output, which all Telegrafs on a machine share.
#[derive(Debug)]
struct Port(File);

impl Port {
    fn take() -> Self {
        let path = std::env::temp_dir().join("telewarden-e2e-health.lock");
        let file = File::options()
            .create(true)
            .append(true)
            .open(path)
            .expect("a lock file");
        file.lock().expect("the lock");
        eventually("port 8888, which the health output needs", || {
            TcpListener::bind(("0.0.0.0", 8888))
                .map(drop)
                .map_err(|error| error.to_string())
        });
        Self(file)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // The end of the process would release it too.
        let _ = self.0.unlock();
    }
}
