//! Measures the cost of admission on the hot path, compared with a policy that accepts without reading, and one that reads
//! as Kubewarden's SDK does (`e2e/peers`). All run alternately in the same host, so that noise affects all of them.
//!
//!     telewarden-bench-admission policy.wasm accept.wasm sdk.wasm
//!
//! Exits with 1 if the cost is above a limit.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use telewarden::{Cache, Error, Module, Options};
use telewarden_bench::row;

const ROUNDS: usize = 200;
const PAGE: usize = 64 * 1024;

/// The maximum cost of a request without our annotations, relative to the accepting policy.
const SMALL: f64 = 1.5;
/// The maximum cost of a new annotation with five endpoints, relative to the accepting policy.
const CREATED: f64 = 6.0;
/// The maximum cost of an update that leaves this annotation as it was, relative to the accepting policy.
const UPDATED: f64 = 3.0;
/// The maximum cost of the settings, relative to the accepting policy.
const SETTINGS: f64 = 3.0;
/// The maximum additional cost of a large request, relative to the additional cost of the SDK's policy.
const LARGE: f64 = 0.5;
/// The maximum memory of the guest in addition to the request.
const MEMORY: usize = 256 * 1024;

fn main() -> ExitCode {
    let paths: Vec<_> = std::env::args_os().skip(1).collect();
    let [ours, accept, sdk] = paths.as_slice() else {
        eprintln!("usage: telewarden-bench-admission POLICY ACCEPT SDK");
        return ExitCode::from(2);
    };
    let load = |path| Module::from_file(path, &Options::default()).unwrap_or_else(|error| panic!("{error}"));
    let modules = [load(accept), load(ours), load(sdk)];

    let small = payload("CREATE", &application(None, 0));
    let large = payload(
        "UPDATE",
        &application(Some("- redis: http://redis.argocd.svc:9121/metrics\n"), 1_200_000),
    );
    let endpoints: String = (0..5)
        .map(|number| format!("- service_{number}: http://service-{number}.argocd.svc:8080/metrics\n"))
        .collect();
    let good = application(Some(&endpoints), 0);
    eprintln!(
        "{:<44} {:>9} {:>11} {:>11} {:>11}",
        "call", "bytes", "accept", "ours", "SDK"
    );
    let [floor, ours_small, _] = times("no annotation", &modules, "validate", &small);
    let small_ratio = ours_small / floor;
    let [floor, ours_large, sdk_large] =
        times("1.2 MB Application, annotation unchanged", &modules, "validate", &large);
    let large_ratio = (ours_large - floor) / (sdk_large - floor);
    let of_floor = |what, operation, payload: &[u8]| {
        let [floor, ours, _] = times(what, &modules, operation, payload);
        ours / floor
    };
    let created = of_floor("5 endpoints, created", "validate", &payload("CREATE", &good));
    let updated = of_floor("5 endpoints, unchanged", "validate", &payload("UPDATE", &good));
    let settings = of_floor("settings", "validate_settings", b"{}");
    let beyond = memory(ours, &large)
        .saturating_sub(memory(ours, &small))
        .saturating_sub(large.len());

    let within = [
        row("admission-small-of-floor", small_ratio, SMALL),
        row("admission-large-of-sdk", large_ratio, LARGE),
        row("admission-created-of-floor", created, CREATED),
        row("admission-updated-of-floor", updated, UPDATED),
        row("admission-settings-of-floor", settings, SETTINGS),
        row("admission-kib-beyond", beyond as f64 / 1024.0, MEMORY as f64 / 1024.0),
    ];
    ExitCode::from(u8::from(within.contains(&false)))
}

/// An Application with a status of the given size in bytes.
fn application(annotation: Option<&str>, status: usize) -> Value {
    let resource = |index: usize| {
        json!({
            "group": "apps", "kind": "Deployment", "namespace": "argocd", "name": format!("resource-{index}"),
            "status": "Synced", "version": "v1", "health": {"status": "Healthy"},
        })
    };
    let each = resource(0).to_string().len() + 4;
    let annotations = match annotation {
        Some(text) => json!({"telegraf.influxdata.com/rubin-telegraf-operator": text}),
        None => json!({"argocd.argoproj.io/sync-wave": "1"}),
    };
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "argocd", "namespace": "argocd", "annotations": annotations},
        "spec": {
            "project": "default",
            "source": {"repoURL": "https://github.com/lsst-sqre/phalanx", "path": "applications/argocd"},
            "destination": {"namespace": "argocd", "server": "https://kubernetes.default.svc"},
        },
        "status": {"resources": (0..status / each).map(resource).collect::<Vec<_>>()},
    })
}

fn payload(operation: &str, object: &Value) -> Vec<u8> {
    let kind = json!({"group": "argoproj.io", "version": "v1alpha1", "kind": "Application"});
    let resource = json!({"group": "argoproj.io", "version": "v1alpha1", "resource": "applications"});
    let old = if operation == "UPDATE" { object } else { &Value::Null };
    let request = json!({
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource,
        "name": "argocd", "namespace": "argocd", "operation": operation,
        "userInfo": {"username": "system:serviceaccount:argocd:argocd-application-controller", "groups": ["system:authenticated"]},
        "object": object, "oldObject": old, "dryRun": false,
    });
    json!({"request": request, "settings": {}}).to_string().into_bytes()
}

/// The median time of each module, in seconds.
fn times(what: &str, modules: &[Module; 3], operation: &str, payload: &[u8]) -> [f64; 3] {
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for (module, times) in modules.iter().zip(&mut times) {
            let started = Instant::now();
            let answer = module
                .call(operation, payload)
                .unwrap_or_else(|error| panic!("{error}"));
            times.push(started.elapsed());
            assert!(
                answer.starts_with(br#"{"accepted":true"#) || answer.starts_with(br#"{"valid":true"#),
                "{}",
                String::from_utf8_lossy(&answer)
            );
        }
    }
    let medians = times.map(|mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    let [accept, ours, sdk] = medians;
    eprintln!(
        "{what:<44} {:>9} {accept:>11.1?} {ours:>11.1?} {sdk:>11.1?}",
        payload.len()
    );
    medians.map(|median| median.as_secs_f64())
}

/// The smallest memory limit with which the module answers.
fn memory(path: &std::ffi::OsStr, payload: &[u8]) -> usize {
    let folder = tempfile::tempdir().expect("a folder");
    let answers = |pages: usize| {
        let options = Options {
            memory: pages * PAGE,
            cache: Cache::Folder(folder.path().to_owned()),
            ..Options::default()
        };
        let module = Module::from_file(path, &options).unwrap_or_else(|error| panic!("{error}"));
        match module.call("validate", payload) {
            Ok(_) => true,
            Err(Error::OutOfMemory { .. } | Error::Link { .. } | Error::Trap { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    };
    let (mut too_few, mut enough) = (0_usize, 1024);
    while enough - too_few > 1 {
        let between = too_few.midpoint(enough);
        if answers(between) {
            enough = between;
        } else {
            too_few = between;
        }
    }
    enough * PAGE
}
