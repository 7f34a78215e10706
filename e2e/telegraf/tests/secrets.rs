//! The token reaches only the configured output, whatever an annotation contains.
//!
//! `e2e/hostile/` has a file for each attempt. In it `CAPTURE` is the one host and port that the settings allow, where a
//! server records what Telegraf sends; `says` is either `harmless` or the codes with which it is refused.
//! `TELEWARDEN_BLESS=1` writes the codes anew.

use std::fs;

use serde_json::{Value, json};
use telewarden_e2e_telegraf::{
    Attempt, IMAGES, Recorder, Reply, Server, TOKEN, Telegraf, application, attempts, eventually, merged, on_loopback,
    outputs_to, rendered, try_render,
};
use telewarden_policy::protocol::{Outcome, RenderAnswer, SourceAnswer};

/// The core's answer to an attempt.
fn answer(attempt: &Attempt, capture: &str, output: &str, topology: &str, image: &str) -> RenderAnswer {
    let mut source = application("argocd", "");
    source["metadata"]["annotations"] = attempt.annotations(capture).into();
    let agent = json!({"interval": "200ms", "flush_interval": "200ms"});
    let settings = json!({
        "topology": topology,
        "pod": {"image": image},
        "classes": {"default": {"agent": agent}},
        "endpoints": {"hosts": ["127.0.0.1"]},
    });
    let settings = merged(merged(on_loopback(), outputs_to(output)), settings);
    let settings = match attempt.settings.clone() {
        Value::Null => settings,
        own => merged(settings, own),
    };
    try_render(&settings, &[source], &[])
}

fn said(source: &SourceAnswer) -> String {
    if source.outcome != Outcome::Refused {
        return "harmless".to_owned();
    }
    let errors = source.diagnostics.iter().filter(|finding| finding.is_error());
    let codes: Vec<_> = errors.map(|finding| finding.code.as_ref()).collect();
    format!("refused {}", codes.join(" "))
}

#[test]
fn there_are_enough_attempts() {
    assert!(attempts().len() >= 150);
}

const TOPOLOGIES: [&str; 3] = ["application", "endpoint", "standalone"];

#[test]
fn each_attempt_is_refused_or_harmless_as_its_file_says() {
    let mut wrong = Vec::new();
    let attempts = attempts();
    for (topology, attempt) in TOPOLOGIES
        .iter()
        .flat_map(|topology| attempts.iter().map(move |a| (topology, a)))
    {
        let path = &attempt.path;
        let answer = answer(attempt, "127.0.0.1:80", "http://127.0.0.1:1", topology, IMAGES[0]);
        let said = said(&answer.sources[0]);
        // In `standalone`, annotations about an Application's own Telegraf are refused for another reason.
        let as_it_says = match *topology {
            "standalone" => said.split(' ').next() == attempt.says.split(' ').next(),
            _ => said == attempt.says,
        };
        if !as_it_says {
            if *topology == "application" && std::env::var_os("TELEWARDEN_BLESS").is_some() {
                let text = fs::read_to_string(path).expect("a file");
                fs::write(
                    path,
                    text.replace(&format!("says: {}\n", attempt.says), &format!("says: {said}\n")),
                )
                .expect("a file that can be written");
            }
            wrong.push(format!(
                "{}, {topology}: the file says {}, the core {said}",
                path.display(),
                attempt.says
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn capture() -> Server {
    // Labels with the values that an attempt asks for.
    Server::start(|_| Reply::new(200, "text/plain", "x{t=\"1\"} 1\ny{prometheus_app=\"other\"} 1\n"))
}

/// The capture endpoint records a token that is sent to it: without this test, the others could not fail.
#[test]
fn the_capture_endpoint_sees_a_token() {
    let capture = capture();
    let text = format!(
        "[agent]\ninterval = \"200ms\"\nomit_hostname = true\nskip_processors_after_aggregators = true\n\
         [[inputs.prometheus]]\nurls = [\"{}\"]\n[[outputs.health]]\nservice_address = \"http://:8888\"\n",
        capture.url("/metrics?t=${INFLUX_TOKEN}")
    );
    let telegraf = Telegraf::start_text(&text);
    eventually("a request with the token", || {
        let leaked = capture.requests().iter().any(|request| request.text().contains(TOKEN));
        leaked.then_some(()).ok_or_else(|| telegraf.log())
    });
}

#[test]
fn no_attempt_gets_the_token_or_another_host() {
    no_attempt_gets_it("application");
}

#[test]
fn nor_does_it_where_each_endpoint_has_a_telegraf() {
    no_attempt_gets_it("endpoint");
}

#[test]
fn nor_does_it_in_a_telegraf_for_all() {
    no_attempt_gets_it("standalone");
}

fn no_attempt_gets_it(topology: &str) {
    let mut ran = 0;
    let mut harmless = attempts();
    harmless.retain(|attempt| attempt.says == "harmless");
    for (image, attempt) in IMAGES
        .iter()
        .flat_map(|image| harmless.iter().map(move |attempt| (image, attempt)))
    {
        let path = &attempt.path;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let capture = capture();
        let output = Recorder::answering(|_| Reply::empty(204));
        // Without a port in the URL it is 80 or 443, where nothing listens.
        let elsewhere = fs::read_to_string(path).is_ok_and(|text| !text.contains("CAPTURE"));
        let rendered = rendered(answer(attempt, &capture.address(), &output.url(), topology, image)).remove(0);
        for configuration in &rendered.configurations {
            let before = capture.count();
            let mut telegraf = Telegraf::start_named(&rendered, &configuration.name);
            eventually(&name, || {
                telegraf.process().assert_runs();
                (capture.count() > before || elsewhere)
                    .then_some(())
                    .ok_or_else(|| telegraf.log())
            });
            telegraf.process().stop();
            // Telegraf would have logged a failed request to another host.
            let log = telegraf.log();
            let astray: Vec<_> = log
                .lines()
                .filter(|line| line.contains(" E! ") || line.contains("evil.example"))
                .collect();
            assert!(elsewhere || astray.is_empty(), "{name}: {}", astray.join("\n"));
            assert!(!log.contains(TOKEN), "{name}: the token is in the log");
            ran += 1;
        }
        for request in capture.requests() {
            assert!(!request.text().contains(TOKEN), "{name}: {}", request.text());
            assert_eq!(request.header("host"), Some(capture.address().as_str()), "{name}");
        }
        for mut request in output.requests() {
            assert_eq!(
                request.header("authorization"),
                Some(format!("Token {TOKEN}").as_str()),
                "{name}"
            );
            request.headers.retain(|(header, _)| header != "authorization");
            assert!(!request.text().contains(TOKEN), "{name}: {}", request.text());
            assert_eq!(request.parameter("bucket"), Some("argocd"), "{name}");
        }
    }
    println!("{topology}: {ran} Telegrafs ran with harmless attempts");
}
