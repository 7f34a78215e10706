//! Measures what the status costs the operator: many sources with three endpoints each, on a real kube-apiserver. Pods have
//! addresses on loopback, and a server there answers over real HTTP what a Telegraf would. Of a hundred Telegrafs one never answers.
//!
//!     telewarden-bench-status [SOURCES]
//!
//! Exits with 1 if a cost is above its limit.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use serde_json::json;
use telewarden_bench::row;
use telewarden_e2e_operator::{Application, Cluster, Operator, annotation};
use telewarden_e2e_telegraf::render;
use telewarden_policy::protocol::SourceAnswer;
use telewarden_policy::well_known::{STATUS_PORT, STATUS_TAG};

/// The concurrency of what is prepared.
const AT_ONCE: usize = 16;
/// Applications in each namespace.
const TOGETHER: usize = 10;
const ENDPOINTS: [&str; 3] = ["web", "queue", "cache"];
/// One of so many Telegrafs takes a connection and never answers.
const SILENT: usize = 100;
/// How often each Telegraf is asked, and how long is measured.
const INTERVAL: Duration = Duration::from_secs(60);
const MEASURED: Duration = Duration::from_secs(120);

/// The most that it may cost: percent of a core, and MiB.
const PROCESSOR: f64 = 5.0;
const MEMORY: f64 = 28.0;

#[tokio::main]
async fn main() -> ExitCode {
    let sources = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let sources: usize = sources.unwrap_or(10_000);
    let cluster = Cluster::start().await;
    let pages = prepare(&cluster, sources).await;
    let asked = serve(pages);
    eprintln!(
        "{:<44} {:>11} {:>11} {:>11}",
        format!("{sources} sources with {} endpoints each", ENDPOINTS.len()),
        "core",
        "at rest",
        "at most"
    );
    let start = |seconds: &str| cluster.unready_operator(&["--log", "info", "--status-interval", seconds]);
    // Both that are measured find everything in place.
    let mut first = start("0");
    has_looked_at(&mut first, sources).await;
    first.stop();
    let mut without = start("0");
    has_looked_at(&mut without, sources).await;
    let without = measure("without the status", without).await;

    let seconds = INTERVAL.as_secs().to_string();
    let mut with = start(&seconds);
    has_looked_at(&mut with, sources).await;
    let up = (sources - sources.div_ceil(SILENT)) * ENDPOINTS.len();
    let started = Instant::now();
    is_up(&mut with, up).await;
    eprintln!("everything is known after {:.0} s", started.elapsed().as_secs_f64());
    let before = asked.load(Ordering::Relaxed);
    let with = measure("with the status", with).await;
    eprintln!(
        "{} questions while it was measured",
        asked.load(Ordering::Relaxed) - before
    );
    let within = [
        row(
            "status-percent-of-a-core",
            with.processor - without.processor,
            PROCESSOR,
        ),
        row("status-mib", with.resident - without.resident, MEMORY),
    ];
    ExitCode::from(u8::from(within.contains(&false)))
}

/// What an operator costs while nothing changes.
#[derive(Clone, Copy)]
struct Cost {
    /// Percent of a core.
    processor: f64,
    /// Resident memory in MiB.
    resident: f64,
}

async fn measure(what: &str, operator: Operator) -> Cost {
    let id = operator.id();
    let (before, started) = (processor(id), Instant::now());
    tokio::time::sleep(MEASURED).await;
    let cost = Cost {
        processor: (processor(id) - before) / started.elapsed().as_secs_f64() * 100.0,
        resident: memory(id, "VmRSS"),
    };
    eprintln!(
        "{what:<44} {:>9.2} % {:>7.1} MiB {:>7.1} MiB",
        cost.processor,
        cost.resident,
        memory(id, "VmHWM")
    );
    operator.stop();
    cost
}

/// The processor time of a process in seconds. The kernel's unit is a hundredth.
fn processor(id: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).expect("a process");
    // The program's name can contain spaces.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| fields.get(field).and_then(|text| text.parse::<f64>().ok());
    (ticks(11).expect("a number") + ticks(12).expect("a number")) / 100.0
}

fn memory(id: u32, field: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("a process");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.expect("a number") / 1024.0
}

fn name_of(index: usize) -> String {
    format!("app-{index:05}")
}

/// The address of a pod, on loopback.
fn address_of(index: usize) -> Ipv4Addr {
    let [_, high, middle, low] = u32::try_from(index + 1).expect("a small number").to_be_bytes();
    Ipv4Addr::new(127, high + 1, middle, low)
}

/// Makes the sources, and a pod for each; answers what its Telegraf tells, by address.
async fn prepare(cluster: &Cluster, sources: usize) -> HashMap<IpAddr, String> {
    let namespaces = 0..sources.div_ceil(TOGETHER);
    let put = |index| async move { cluster.namespace(&name_of(index)).await };
    stream::iter(namespaces).for_each_concurrent(AT_ONCE, put).await;
    let put = |index: usize| async move {
        let (name, namespace) = (name_of(index), name_of(index / TOGETHER));
        let application = Application::named(&name).to(&namespace);
        let application = application.annotated(&annotation(&namespace, &ENDPOINTS));
        cluster.application(&application).await;
        let answer = render(&json!({}), &[application.object()]);
        let source = answer.sources.into_iter().next().expect("an answer");
        put_pod(cluster, &namespace, &source, index).await;
        (IpAddr::V4(address_of(index)), page(&source))
    };
    stream::iter(0..sources)
        .map(put)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}

async fn put_pod(cluster: &Cluster, namespace: &str, source: &SourceAnswer, index: usize) {
    let name = &source.rendered.configurations[0].name;
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"telegraf.influxdata.com/name": name}},
        "spec": {"containers": [{"name": "telegraf", "image": "telegraf"}]},
    });
    cluster.put(&pod).await;
    let address = address_of(index).to_string();
    let status = json!({"status": {
        "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
        "containerStatuses": [{
            "name": "telegraf", "image": "telegraf", "imageID": "", "ready": true, "restartCount": 0,
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        }],
    }});
    cluster.write_status(namespace, "Pod", name, &status).await;
}

/// What a Telegraf tells whose endpoints are all up.
fn page(source: &SourceAnswer) -> String {
    let digest = source.rendered.configurations[0].status.as_deref().expect("a digest");
    let mut page = String::new();
    let mut line = |name: &str, labels: &str, value: u64| {
        page.push_str(&format!(
            "internal_{name}{{{labels},{STATUS_TAG}=\"{digest}\",version=\"1.40.1\"}} {value}\n"
        ));
    };
    for endpoint in &source.endpoints {
        let name = &endpoint.name;
        let input = format!("alias=\"{name}\",input=\"prometheus\"");
        line("gather_errors", &input, 0);
        line("gather_metrics_gathered", &input, 5000);
        for url in &endpoint.urls {
            let of_url = format!("alias=\"{name}\",url=\"{url}\"");
            line("prometheus_connection_status", &of_url, 1);
            line("prometheus_gathers_total", &format!("{of_url},status=\"success\""), 100);
            line("prometheus_gathers_total", &format!("{of_url},status=\"failure\""), 0);
        }
    }
    let output = "alias=\"influxdb_v2-1\",output=\"influxdb_v2\"";
    for (field, value) in [
        ("buffer_limit", 100_000),
        ("buffer_size", 10),
        ("metrics_dropped", 0),
        ("metrics_rejected", 0),
        ("metrics_written", 15_000),
    ] {
        line(&format!("write_{field}"), output, value);
    }
    page
}

/// Returns for every Telegraf. Counts what is asked.
fn serve(pages: HashMap<IpAddr, String>) -> Arc<AtomicUsize> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, STATUS_PORT)).expect("the port of the status");
    let (pages, asked) = (Arc::new(pages), Arc::new(AtomicUsize::new(0)));
    let count = asked.clone();
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::Relaxed);
            let address = stream.local_addr().expect("an address").ip();
            let IpAddr::V4(v4) = address else { continue };
            let index = (u32::from(v4) & 0x00ff_ffff) as usize - 0x0001_0001;
            if index.is_multiple_of(SILENT) {
                silent.push(stream);
                // The oldest have been given up.
                if silent.len() > 1000 {
                    silent.drain(..500);
                }
            } else if let Some(page) = pages.get(&address) {
                answer(stream, page);
            }
        }
    });
    asked
}

fn answer(mut stream: TcpStream, page: &str) {
    let mut request = Vec::new();
    let mut piece = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(read) => request.extend_from_slice(&piece[..read]),
        }
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        page.len()
    );
    // Whoever asked may have gone.
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(page.as_bytes()));
}

/// Waits until an operator has looked at all sources.
async fn has_looked_at(operator: &mut Operator, sources: usize) {
    let url = operator.url("/metrics");
    loop {
        goes_on(operator);
        let done: f64 = ["changed", "unchanged"]
            .iter()
            .map(|result| format!("telewarden_reconciles_total{{result=\"{result}\"}} "))
            .filter_map(|metric| {
                let text = get(&url)?;
                text.lines()
                    .find_map(|line| line.strip_prefix(&*metric)?.parse::<f64>().ok())
            })
            .sum();
        if done >= sources as f64 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn get(url: &str) -> Option<String> {
    let (address, path) = url.strip_prefix("http://")?.split_once('/')?;
    telewarden_e2e_telegraf::get(address, &format!("/{path}"))
        .ok()
        .map(|(_, text)| text)
}

/// An operator that has ended is waited for in vain.
fn goes_on(operator: &mut Operator) {
    assert!(operator.runs(), "the operator has ended:\n{}", operator.log());
}

async fn is_up(operator: &mut Operator, endpoints: usize) {
    let metric = "telewarden_endpoint_states{state=\"up\"}";
    while operator.metric(metric).await.is_none_or(|up| up < endpoints as f64) {
        goes_on(operator);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
