//! Measures the operator on a real kube-apiserver: a roll-out, compared with a client that only sends the objects and a
//! `kopf` operator that applies the same objects (`e2e/peers/kopf`); a restart with everything in place; many large Applications; and
//! a roll-out with buckets and tokens in InfluxDB.
//!
//!     telewarden-bench-operator KOPF [roll-out|restart|scale|influxdb]...
//!
//! Comparisons alternate between both sides, so that noise affects both. Exits with 1 if a cost is above its limit.
#![forbid(unsafe_code)]

mod influxdb;
mod scale;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;
use std::pin::pin;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use kube::Client;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, PartialObjectMeta, Patch, PatchParams};
use kube::core::{GroupVersionKind, ListMeta, Request};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::{Value, json};
use telewarden_bench::row;
use telewarden_e2e_operator::{ADMIN, Application, Cluster, Operator, SERVICE_ACCOUNT, annotation, covers, render};

/// The number of Applications to roll out.
const APPLICATIONS: usize = 1000;
/// The concurrency of all clients.
const AT_ONCE: usize = 16;
const ROUNDS: usize = 3;
const OURS: &str = "app.kubernetes.io/managed-by=telewarden,telegraf.influxdata.com/instance=telewarden";

/// The page size of the operator's lists.
const PAGE: u32 = 10;

/// The maximum time of a roll-out, relative to the bare client.
const ROLL_OUT: f64 = 1.3;
/// The maximum time until the operator is ready, relative to the lists alone. Among few sources, the start of the process counts.
const READY: f64 = 1.2;
const READY_OF_FEW: f64 = 1.5;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((kopf, parts)) = arguments.split_first() else {
        eprintln!("usage: telewarden-bench-operator KOPF [roll-out|restart|scale|influxdb]...");
        return ExitCode::from(2);
    };
    let is_asked = |part: &str| parts.is_empty() || parts.iter().any(|asked| asked == part);
    let mut within = Vec::new();
    if is_asked("roll-out") {
        within.push(roll_out(Path::new(kopf)).await);
    }
    if is_asked("restart") {
        within.extend(restart().await);
    }
    if is_asked("scale") {
        within.extend(scale::scale().await);
    }
    if is_asked("influxdb") {
        within.extend(influxdb::influxdb().await);
    }
    ExitCode::from(u8::from(within.contains(&false)))
}

/// A measurement.
#[derive(Clone, Copy, Default)]
struct Cost {
    took: Duration,
    /// User and system time, in seconds.
    processor: f64,
    /// The peak of the resident memory, in MiB.
    resident: f64,
}

/// The cost of a process so far.
struct Process(u32);

impl Process {
    /// The processor time in seconds. The kernel's unit is a hundredth.
    fn processor(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).expect("a process");
        // The program's name can contain spaces.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |field: usize| {
            fields
                .get(field)
                .and_then(|text| text.parse::<f64>().ok())
                .expect("a number")
        };
        (ticks(11) + ticks(12)) / 100.0
    }

    /// The memory in MiB: `VmRSS` is the resident memory, `VmHWM` its peak.
    fn memory(&self, field: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).expect("a process");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
        kib.expect("a number") / 1024.0
    }

    fn cost(&self, took: Duration) -> Cost {
        Cost {
            took,
            processor: self.processor(),
            resident: self.memory("VmHWM"),
        }
    }
}

fn name_of(index: usize) -> String {
    format!("app-{index:05}")
}

/// Annotated Applications, ten in each namespace if there are many.
fn application(index: usize, count: usize, status: usize) -> Value {
    let namespace = name_of(index % APPLICATIONS.min(count));
    application_with(index, count, status, &annotation(&namespace, &["server"]))
}

/// The same with an annotation.
fn application_with(index: usize, count: usize, status: usize, annotation: &str) -> Value {
    let namespace = name_of(index % APPLICATIONS.min(count));
    let name = name_of(index);
    let application = Application::named(&name).to(&namespace);
    let mut object = application.annotated(annotation).object();
    if status > 0 {
        let resource = |index: usize| {
            json!({
                "group": "apps", "kind": "Deployment", "namespace": namespace, "name": format!("resource-{index}"),
                "status": "Synced", "version": "v1", "health": {"status": "Healthy"},
            })
        };
        let each = resource(0).to_string().len() + 1;
        object["status"] = json!({"resources": (0..status / each).map(resource).collect::<Vec<_>>()});
    }
    object
}

async fn put_applications(cluster: &Cluster, count: usize, status: usize) {
    let namespaces = 0..APPLICATIONS.min(count);
    let put = |index| async move { cluster.namespace(&name_of(index)).await };
    stream::iter(namespaces).for_each_concurrent(AT_ONCE, put).await;
    let put = |index| async move { cluster.put(&application(index, count, status)).await };
    stream::iter(0..count).for_each_concurrent(AT_ONCE, put).await;
}

/// Waits until a watch has reported the given number of owned objects.
async fn appear(cluster: &Cluster, count: usize) {
    let of = |group, kind| {
        let config = watcher::Config::default().labels(OURS);
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
        let api = Api::<PartialObjectMeta<DynamicObject>>::all_with(cluster.client.clone(), &resource);
        watcher(api, config).default_backoff().map(move |event| (kind, event))
    };
    let mut events = pin!(stream::select(
        of("", "ConfigMap").boxed(),
        of("apps", "Deployment").boxed()
    ));
    let mut names = BTreeSet::new();
    while let Some((kind, event)) = events.next().await {
        if let Ok(Event::Apply(object) | Event::InitApply(object)) = event {
            names.insert((kind, object.metadata.namespace, object.metadata.name));
        }
        if names.len() == count {
            return;
        }
    }
}

async fn delete_all(cluster: &Cluster) {
    for (group, kind) in [("", "ConfigMap"), ("", "Secret"), ("apps", "Deployment")] {
        let list = cluster
            .all(group, "v1", kind)
            .list_metadata(&ListParams::default().labels(OURS))
            .await;
        let delete = |object: PartialObjectMeta<DynamicObject>| async move {
            let api = cluster.of(&object.metadata.namespace.expect("one"), group, "v1", kind);
            let name = object.metadata.name.expect("one");
            api.delete(&name, &DeleteParams::default()).await.expect("delete it");
        };
        let objects = stream::iter(list.expect("list what is ours").items);
        objects.for_each_concurrent(AT_ONCE, delete).await;
    }
}

/// Measures a roll-out.
async fn roll_out(kopf: &Path) -> bool {
    let cluster = &Cluster::start().await;
    put_applications(cluster, APPLICATIONS, 0).await;
    let sources = (0..APPLICATIONS).map(|index| application(index, APPLICATIONS, 0));
    let rendered: Vec<Vec<Value>> = sources.map(|source| render("{}", &[source])).collect();
    let count = rendered.iter().flatten().count();
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(bare_client(cluster, &rendered).await);
        delete_all(cluster).await;

        let started = Instant::now();
        let operator = cluster.unready_operator(&["--log", "info"]);
        appear(cluster, count).await;
        ours.push(Process(operator.id()).cost(started.elapsed()));
        operator.stop();
        delete_all(cluster).await;
    }
    let log = cluster.folder().join("kopf.log");
    let started = Instant::now();
    let mut child = start_kopf(kopf, &cluster.kubeconfig(ADMIN), &log);
    let appeared = tokio::time::timeout(Duration::from_secs(900), appear(cluster, count)).await;
    let kopf = Process(child.id()).cost(started.elapsed());
    child.kill().and_then(|()| child.wait()).expect("end kopf");
    let log = fs::read_to_string(log).unwrap_or_default();
    assert!(appeared.is_ok(), "kopf has not applied everything:\n{log}");
    // The comparison requires equal results.
    are_there(cluster, &rendered).await;
    delete_all(cluster).await;

    let (bare, ours) = (median(bare), median(ours));
    eprintln!(
        "{:<44} {:>11} {:>11} {:>11}",
        "1,000 Applications, rolled out", "time", "processor", "resident"
    );
    eprintln!(
        "{:<44} {:>9.2} s {:>9.2} s",
        "a client that only applies",
        bare.took.as_secs_f64(),
        bare.processor
    );
    show("telewarden-operator", ours);
    show("kopf, one round", kopf);
    eprintln!(
        "kopf needs {:.1} times the time, {:.1} times the processor time and {:.1} times the memory",
        kopf.took.as_secs_f64() / ours.took.as_secs_f64(),
        kopf.processor / ours.processor,
        kopf.resident / ours.resident,
    );
    let ratio = ours.took.as_secs_f64() / bare.took.as_secs_f64();
    row("operator-roll-out-of-bare-client", ratio, ROLL_OUT)
}

fn start_kopf(kopf: &Path, kubeconfig: &Path, log: &Path) -> Child {
    let log = File::create(log).expect("create a log");
    let mut command = Command::new(kopf);
    command
        .env("KUBECONFIG", kubeconfig)
        .env("AT_ONCE", AT_ONCE.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().expect("start kopf")
}

/// Only sends the server-side applies.
async fn bare_client(cluster: &Cluster, rendered: &[Vec<Value>]) -> Cost {
    let client = cluster.client_of(SERVICE_ACCOUNT);
    let before = Process(std::process::id()).processor();
    let started = Instant::now();
    let tasks = rendered.iter().map(|objects| {
        let (client, objects) = (client.clone(), objects.clone());
        async move {
            let apply = async move {
                for object in objects {
                    let api = api_of(&client, &object);
                    let params = PatchParams::apply("telewarden").force();
                    let name = object["metadata"]["name"].as_str().expect("a name");
                    api.patch(name, &params, &Patch::Apply(&object))
                        .await
                        .expect("apply it");
                }
            };
            tokio::spawn(apply).await.expect("apply them");
        }
    });
    let send = stream::iter(tasks).buffer_unordered(AT_ONCE).collect::<Vec<()>>();
    // A watch, as in the operator's measurement.
    tokio::join!(send, appear(cluster, rendered.iter().flatten().count()));
    Cost {
        took: started.elapsed(),
        processor: Process(std::process::id()).processor() - before,
        // The memory of this process is not comparable.
        resident: f64::NAN,
    }
}

fn api_of(client: &Client, object: &Value) -> Api<DynamicObject> {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).expect("a text");
    let (group, version) = text("/apiVersion").split_once('/').unwrap_or(("", "v1"));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("/kind")));
    Api::namespaced_with(client.clone(), text("/metadata/namespace"), &resource)
}

/// Checks that the cluster contains the rendered objects.
async fn are_there(cluster: &Cluster, rendered: &[Vec<Value>]) {
    let mut live = BTreeMap::new();
    for (group, kind) in [("", "ConfigMap"), ("apps", "Deployment")] {
        let list = cluster
            .all(group, "v1", kind)
            .list(&ListParams::default().labels(OURS))
            .await;
        for object in list.expect("list what is ours").items {
            let id = (
                kind.to_owned(),
                object.metadata.namespace.clone(),
                object.metadata.name.clone(),
            );
            live.insert(id, serde_json::to_value(object).expect("JSON"));
        }
    }
    for object in rendered.iter().flatten() {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let metadata = &object["metadata"];
        let id = (
            text(&object["kind"]),
            Some(text(&metadata["namespace"])),
            Some(text(&metadata["name"])),
        );
        let mut object = object.clone();
        // A list's items do not have them.
        object
            .as_object_mut()
            .expect("an object")
            .retain(|field, _| field != "apiVersion" && field != "kind");
        let found = live.get(&id).unwrap_or_else(|| panic!("{id:?} is missing"));
        covers(&object, found).unwrap_or_else(|why| panic!("{id:?} is not as rendered: {why}"));
    }
}

/// Measures a restart with everything in place.
async fn restart() -> [bool; 2] {
    let cluster = &Cluster::start().await;
    put_applications(cluster, APPLICATIONS, 0).await;
    let operator = cluster.unready_operator(&["--log", "info"]);
    appear(cluster, 2 * APPLICATIONS).await;
    has_looked_at(&operator, "changed", APPLICATIONS).await;
    operator.stop();

    let before = cluster.writes();
    let ratio = ready_of_lists(cluster, "1,000 Applications, started again", APPLICATIONS).await;
    let writes = cluster.writes() - before;
    [
        row("operator-ready-of-lists", ratio, READY_OF_FEW),
        row("operator-restart-writes", writes as f64, 0.0),
    ]
}

/// How much longer an operator takes to be ready than the lists alone, with everything in place.
async fn ready_of_lists(cluster: &Cluster, what: &str, sources: usize) -> f64 {
    let (mut lists, mut ready) = (Vec::new(), Vec::new());
    for _ in 0..2 * ROUNDS - 1 {
        let started = Instant::now();
        list_everything(&cluster.client_of(SERVICE_ACCOUNT)).await;
        lists.push(started.elapsed());

        let started = Instant::now();
        let operator = cluster.unready_operator(&["--log", "info"]);
        while !matches!(operator.get("/readyz").await, Some((200, _))) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        ready.push(started.elapsed());
        has_looked_at(&operator, "unchanged", sources).await;
        operator.stop();
    }
    let middle = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64()
    };
    let (lists, ready) = (middle(&mut lists), middle(&mut ready));
    eprintln!("\n{what:<44} {:>11}", "time");
    eprintln!("{:<44} {lists:>9.2} s", "the lists alone");
    eprintln!("{:<44} {ready:>9.2} s", "telewarden-operator, ready");
    ready / lists
}

async fn has_looked_at(operator: &Operator, result: &str, sources: usize) {
    let metric = format!("telewarden_reconciles_total{{result=\"{result}\"}}");
    while operator
        .metric(&metric)
        .await
        .is_none_or(|looked_at| looked_at < sources as f64)
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The lists that the operator needs, concurrently, with its page size. The answers are read and dropped.
async fn list_everything(client: &Client) {
    #[derive(serde::Deserialize)]
    struct List {
        metadata: ListMeta,
    }
    let paths = [
        ("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications", ""),
        ("/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects", ""),
        ("/api/v1/namespaces", ""),
        ("/api/v1/configmaps", OURS),
        ("/apis/apps/v1/deployments", OURS),
    ];
    let list = |(path, labels): (&'static str, &'static str)| {
        let client = client.clone();
        tokio::spawn(async move {
            let mut params = ListParams::default().limit(PAGE);
            params.label_selector = (!labels.is_empty()).then(|| labels.to_owned());
            loop {
                let request = Request::new(path).list(&params).expect("a request");
                let text = client.request_text(request).await.expect("a list");
                let list: List = serde_json::from_str(&text).expect("a list");
                params.continue_token = list.metadata.continue_.filter(|token| !token.is_empty());
                if params.continue_token.is_none() {
                    break;
                }
            }
        })
    };
    for task in paths.map(list) {
        task.await.expect("list them");
    }
}

/// Shows the memory of an operator, and answers its peak in MiB.
fn shown_memory(what: &str, operator: &Operator) -> f64 {
    let process = Process(operator.id());
    let most = process.memory("VmHWM");
    eprintln!("{what:<44} {:>7.1} MiB {most:>7.1} MiB", process.memory("VmRSS"));
    most
}

fn show(what: &str, cost: Cost) {
    let Cost {
        took,
        processor,
        resident,
    } = cost;
    eprintln!(
        "{what:<44} {:>9.2} s {processor:>9.2} s {resident:>7.1} MiB",
        took.as_secs_f64()
    );
}

/// The round with the median time.
fn median(mut costs: Vec<Cost>) -> Cost {
    costs.sort_by_key(|cost| cost.took);
    costs.get(costs.len() / 2).copied().unwrap_or_default()
}
