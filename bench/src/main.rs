//! Measures the native core, the module, and the command as a process.
//!
//! Each row is the median of many calls. Comparisons alternate between both sides, so that noise affects both.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use telewarden::{Cache, Module, Options};

fn main() {
    let Some(command) = std::env::args_os().nth(1) else {
        eprintln!("usage: telewarden-bench PATH-OF-TELEWARDEN");
        std::process::exit(2);
    };
    calls();
    processes(Path::new(&command));
}

/// An Application with the given number of endpoints.
fn application(endpoints: usize) -> Value {
    let endpoint = |index| {
        let url = format!("http://service-{index}.argocd.svc:8080/metrics");
        format!("- endpoint_{index}:\n    url: {url}\n    interval: 30s\n    tags: {{tier: web}}\n")
    };
    let annotation: String = (0..endpoints).map(endpoint).collect();
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "argocd", "namespace": "argocd", "annotations": {
            "telegraf.influxdata.com/rubin-telegraf-operator": annotation,
        }},
        "spec": {"destination": {"namespace": "argocd", "server": "https://kubernetes.default.svc"}},
    })
}

fn calls() {
    let module = telewarden::embedded::module(&Options {
        cache: Cache::Off,
        ..Options::default()
    });
    let module = module.unwrap_or_else(|error| panic!("the module does not load: {error}"));
    eprintln!(
        "{:<10} {:>9} {:>12} {:>12} {:>8}",
        "operation", "endpoints", "native", "module", "ratio"
    );
    for endpoints in [1, 5, 64] {
        let application = application(endpoints);
        let render = json!({"protocol": 1, "sources": [application]}).to_string();
        let request = json!({"uid": "1", "operation": "CREATE", "object": application});
        let validate = json!({"request": request, "settings": {}}).to_string();
        row("render", endpoints, &module, &render, |payload| {
            let request = serde_json::from_str(payload).expect("a request");
            serde_json::to_vec(&telewarden_policy::render::render(&request)).expect("an answer")
        });
        row("validate", endpoints, &module, &validate, |payload| {
            let answer = telewarden_policy::admission::validate(payload.as_bytes());
            serde_json::to_vec(&answer).expect("an answer")
        });
    }
}

fn row(operation: &str, endpoints: usize, module: &Module, payload: &str, native: impl Fn(&str) -> Vec<u8>) {
    let in_module = || module.call(operation, payload.as_bytes()).expect("an answer");
    assert_eq!(
        native(payload),
        in_module(),
        "{operation} of {endpoints} endpoints differs"
    );
    let [native, in_module] = medians(200, [&|| drop(native(payload)), &|| drop(in_module())]);
    let ratio = in_module.as_secs_f64() / native.as_secs_f64();
    eprintln!("{operation:<10} {endpoints:>9} {native:>12.1?} {in_module:>12.1?} {ratio:>7.1}x");
}

fn processes(command: &Path) {
    let folder = tempfile::tempdir().expect("a folder");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/argocd.yaml");
    let run = |args: &[&std::ffi::OsStr], cache: &Path| {
        let status = Command::new(command)
            .args(args)
            .env("TELEWARDEN_CACHE", cache)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.expect("it runs").success());
    };
    let validate = ["validate".as_ref(), example.as_os_str()];
    let warm_cache = folder.path().join("warm");
    let cold = || {
        let fresh = tempfile::tempdir().expect("a folder");
        run(&validate, fresh.path());
    };
    let [cold] = medians(5, [&cold]);
    run(&validate, &warm_cache);
    let [version, warm] = medians(
        40,
        [&|| run(&["--version".as_ref()], &warm_cache), &|| {
            run(&validate, &warm_cache)
        }],
    );
    let ratio = |time: Duration| time.as_secs_f64() / version.as_secs_f64();
    eprintln!("\n{:<36} {:>12} {:>8}", "process", "time", "ratio");
    eprintln!("{:<36} {version:>12.1?} {:>7.1}x", "telewarden --version", 1.0);
    eprintln!(
        "{:<36} {warm:>12.1?} {:>7.1}x",
        "telewarden validate, warm",
        ratio(warm)
    );
    eprintln!(
        "{:<36} {cold:>12.1?} {:>7.1}x",
        "telewarden validate, cold",
        ratio(cold)
    );
}

/// The median time of each function. They run alternately.
fn medians<const N: usize>(rounds: usize, things: [&dyn Fn(); N]) -> [Duration; N] {
    let mut times = [const { Vec::new() }; N];
    for _ in 0..rounds {
        for (thing, times) in things.iter().zip(&mut times) {
            let start = Instant::now();
            thing();
            times.push(start.elapsed());
        }
    }
    times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    })
}
