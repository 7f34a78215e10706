//! No tenant affects another: `e2e/hostile/tenants` has a file for each attempt, see [`case`].
//!
//! Each step is rendered by the built module twice, with the hostile sources and without them. Nothing of any other
//! tenant may differ: its outcome, its configuration, its objects. What is accepted is read by the real Telegraf, in each
//! version that settings may name, and where metrics of several tenants meet they are sent through it.
#![forbid(unsafe_code)]

mod case;
mod host;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::Value;
use telewarden::{Outcome, RenderAnswer, Rendered, SourceAnswer};
use telewarden_e2e_telegraf::{Exporter, IMAGES, Recorder, Reply, Telegraf, judge, rendered};

use case::{Case, Step, Written, cases, identity};
use host::Host;

/// The cluster after some steps.
#[derive(Default)]
struct Cluster<'a> {
    written: BTreeMap<&'a str, &'a Written>,
    says: BTreeMap<&'a str, &'a str>,
}

impl<'a> Cluster<'a> {
    fn take(&mut self, step: &'a Step) {
        for (key, written) in &step.sources {
            self.says.remove(key.as_str());
            match written {
                Some(written) => self.written.insert(key, written),
                None => self.written.remove(key.as_str()),
            };
        }
        let says = step.says.iter();
        self.says.extend(says.map(|(key, says)| (key.as_str(), says.as_str())));
    }

    /// The sources by identity, of those whose key is wanted.
    fn sources(&self, wanted: impl Fn(&str) -> bool, exporter: impl Fn(&str) -> String) -> BTreeMap<String, Value> {
        let wanted = self.written.iter().filter(|(key, _)| wanted(key));
        wanted
            .map(|(key, written)| (identity(key), written.object(key, &exporter(key))))
            .collect()
    }
}

/// The outcome of a source, and the codes of its errors, each once.
fn said(source: &SourceAnswer) -> String {
    let errors = source.diagnostics.iter().filter(|finding| finding.is_error());
    let codes: BTreeSet<_> = errors.map(|finding| finding.code.as_ref()).collect();
    let outcome = format!("{:?}", source.outcome).to_lowercase();
    codes.iter().fold(outcome, |said, code| format!("{said} {code}"))
}

/// The files of the shared Telegraf of `standalone`.
fn files(answer: &RenderAnswer) -> BTreeMap<String, String> {
    let shared = answer.shared.iter().flat_map(|shared| &shared.configurations);
    shared.flat_map(|configuration| configuration.files.clone()).collect()
}

/// What differs for other tenants between an answer and the one without the hostile sources.
fn interference(with: &RenderAnswer, without: &RenderAnswer) -> Vec<String> {
    let mut wrong = Vec::new();
    for alone in &without.sources {
        let beside = with.sources.iter().find(|source| source.source == alone.source);
        let beside = beside.map(|source| SourceAnswer {
            index: alone.index,
            ..source.clone()
        });
        if beside.as_ref() != Some(alone) {
            wrong.push(format!("{} differs: {beside:#?}\nbut alone {alone:#?}", alone.source));
        }
    }
    let files_with = files(with);
    for (name, text) in files(without) {
        if files_with.get(&name) != Some(&text) {
            wrong.push(format!(
                "{name} differs: {:?}\nbut alone {text:?}",
                files_with.get(&name)
            ));
        }
    }
    let empty = Rendered::default();
    let of = |answer: &RenderAnswer| answer.shared.clone().unwrap_or_else(|| empty.clone()).objects;
    let objects = of(with);
    for alone in of(without).iter().filter(|object| object["kind"] != "ConfigMap") {
        let named = |object: &&Value| {
            object["kind"] == alone["kind"] && object["metadata"]["name"] == alone["metadata"]["name"]
        };
        let same = match objects.iter().find(named) {
            // The NetworkPolicy is the union of all sources' peers: it may grow, but nothing may be missing.
            Some(beside) if alone["kind"] == "NetworkPolicy" => {
                let rules = |object: &Value| object["spec"]["egress"].as_array().cloned().unwrap_or_default();
                rules(alone).iter().all(|rule| rules(beside).contains(rule))
            }
            beside => beside == Some(alone),
        };
        if !same {
            wrong.push(format!("the {} differs from {alone}", alone["kind"]));
        }
    }
    wrong
}

/// Errors of an answer, without a comparison.
fn faults(case: &Case, answer: &RenderAnswer) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    for source in &answer.sources {
        let name = &source.source;
        for object in &source.rendered.objects {
            let metadata = &object["metadata"];
            let object = format!("{} {}/{}", object["kind"], metadata["namespace"], metadata["name"]);
            if let Some(other) = owners.insert(object.clone(), name).filter(|other| other != name) {
                wrong.push(format!("{object} is {name}'s and {other}'s"));
            }
        }
        if source.diagnostics.len() > 101 {
            wrong.push(format!("{name}: {} findings", source.diagnostics.len()));
        }
        for finding in &source.diagnostics {
            let text = format!("{} {}", finding.message, finding.help.as_deref().unwrap_or_default());
            if text.len() > 2000 {
                wrong.push(format!("{name}: a finding of {} bytes", text.len()));
            }
            let hidden = |c: char| {
                c.is_control()
                    || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
            };
            if text.contains(hidden) {
                wrong.push(format!("{name}: a finding that is not printable: {text:?}"));
            }
        }
    }
    let everything = rendered(answer.clone());
    let texts = everything
        .iter()
        .flat_map(|rendered| &rendered.configurations)
        .flat_map(|configuration| &configuration.files);
    for (name, text) in texts.clone() {
        for line in text.lines().filter(|line| line.replace("$$", "").contains('$')) {
            if line.trim() != "token = \"${INFLUX_TOKEN}\"" {
                wrong.push(format!("{name}: a variable in {line}"));
            }
        }
    }
    let mut all: String = texts.map(|(_, text)| text.as_str()).collect();
    for object in everything.iter().flat_map(|rendered| &rendered.objects) {
        let _ = write!(all, "{object}");
    }
    let nowhere = case.head.nowhere.iter().filter(|text| all.contains(text.as_str()));
    wrong.extend(nowhere.map(|text| format!("{text:?} is in what is rendered")));
    wrong
}

/// Follows a case through its steps.
fn follow(case: &Case, topology: &str, image: &str, judged: &mut BTreeSet<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    let settings = case.settings(topology, image, None);
    let (mut cluster, mut with, mut without) = (Cluster::default(), Host::default(), Host::default());
    let mut before: BTreeMap<String, String> = BTreeMap::new();
    let exporter = |_: &str| "127.0.0.1:80".to_owned();
    for step in &case.steps {
        let mut say = |what: String| wrong.push(format!("{}, {topology}, {image}, {:?}: {what}", case.name, step.step));
        cluster.take(step);
        let all = cluster.sources(|_| true, exporter);
        let tenants = cluster.sources(|key| !case.is_hostile(key), exporter);
        let answers = with.render(&settings, &all, &step.objects);
        let (answer, alone) = match (answers, without.render(&settings, &tenants, &[])) {
            (Ok(answer), Ok(alone)) => (answer, alone),
            (answer, alone) => {
                [answer, alone].into_iter().filter_map(Result::err).for_each(&mut say);
                continue;
            }
        };
        for key in cluster.written.keys() {
            let expected = cluster.says.get(key).copied().unwrap_or("rendered");
            let found = answer.sources.iter().find(|source| source.source == identity(key));
            let found = found.map_or_else(|| "nothing".to_owned(), said);
            // If a topology refuses a source for its own reasons, the case names no codes. A case does not say which of
            // several sources is refused if they are too large together.
            let as_it_says = match expected {
                "refused" => found.starts_with("refused "),
                "any" => true,
                expected => found == expected,
            };
            if !as_it_says {
                say(format!("of {key} it says {found}, not {expected}"));
            }
        }
        interference(&answer, &alone).into_iter().for_each(&mut say);
        faults(case, &answer).into_iter().for_each(&mut say);
        if all.len() == tenants.len() && answer != alone {
            say("something is left of the hostile one".to_owned());
        }
        if topology == "standalone" {
            let now = files(&answer);
            let hostile: Vec<_> = cluster.written.keys().filter(|key| case.is_hostile(key)).collect();
            let refused = |key: &str| {
                let mut sources = answer.sources.iter();
                sources.any(|source| source.source == identity(key) && source.outcome == Outcome::Refused)
            };
            let gone = step.sources.values().any(Option::is_none);
            if hostile.iter().all(|key| refused(key)) && !hostile.is_empty() && !gone {
                let of_tenants = files(&alone);
                let more = now.iter().filter(|(name, _)| !of_tenants.contains_key(*name));
                let changed: Vec<_> = more.filter(|(name, text)| before.get(*name) != Some(*text)).collect();
                if !changed.is_empty() {
                    say(format!("what is refused makes {changed:?}"));
                }
            }
            for source in all.values() {
                match with.render_one(&settings, source) {
                    Ok(one) if files(&one) != now => say("a source rendered alone gives something else".to_owned()),
                    Ok(_) => {}
                    Err(error) => say(error),
                }
            }
            before = now;
        }
        for rendered in rendered(answer) {
            let texts = rendered.configurations.iter().map(|configuration| &configuration.files);
            // Telegraf has read this configuration in another step or case.
            if judged.insert(format!("{image} {:?}", texts.collect::<Vec<_>>())) {
                judge(&rendered).into_iter().for_each(&mut say);
            }
        }
    }
    wrong
}

#[test]
fn there_are_enough_cases() {
    assert!(cases().len() >= 40);
}

#[test]
fn nothing_of_another_tenant_changes() {
    let (mut wrong, mut judged, mut rendered) = (Vec::new(), BTreeSet::new(), 0);
    for case in cases() {
        for topology in &case.head.topologies {
            for image in IMAGES {
                wrong.extend(follow(&case, topology, image, &mut judged));
                rendered += case.steps.len();
            }
        }
    }
    println!(
        "{rendered} steps were rendered, {} configurations were judged",
        judged.len()
    );
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n\n"));
}

/// The name of a metric that no other source's exporter has.
fn metric(key: &str) -> String {
    format!("of_{}", key.replace(['/', '-', '.'], "_"))
}

/// Runs the shared Telegraf of `standalone` through the steps of a case.
fn run(case: &Case, topology: &str, image: &str) -> Vec<String> {
    let Some(run) = &case.head.run else { return Vec::new() };
    let recorder = Recorder::answering(|_| Reply::empty(204));
    let settings = case.settings(topology, image, Some(&recorder.url()));
    let mut exporters: BTreeMap<&str, Exporter> = BTreeMap::new();
    for key in case.steps.iter().flat_map(|step| step.sources.keys()) {
        let name = metric(key);
        let more = run.exports.get(key).map(|text| text.replace("METRIC", &name));
        let text = format!("{name} 1\n{}\n", more.unwrap_or_default());
        exporters.entry(key).or_insert_with(|| Exporter::of(&text));
    }
    let address = |key: &str| {
        let url = exporters[key].url();
        url.trim_start_matches("http://")
            .trim_end_matches("/metrics")
            .to_owned()
    };
    let (mut cluster, mut host) = (Cluster::default(), Host::default());
    let mut wrong = Vec::new();
    let mut say = |what: String| wrong.push(format!("{}, {image}: {what}", case.name));
    for step in &case.steps {
        cluster.take(step);
        let sources = cluster.sources(|_| true, address);
        let answer = match host.render(&settings, &sources, &step.objects) {
            Ok(answer) => answer,
            Err(error) => {
                say(error);
                continue;
            }
        };
        // How a running one takes up a change is `life.rs`' to test.
        let mut telegraf = Telegraf::start(&answer.shared.expect("a shared Telegraf"));
        let accepted = answer
            .sources
            .iter()
            .filter(|source| source.outcome == Outcome::Rendered);
        for source in accepted {
            let key = cluster.written.keys().find(|key| identity(key) == source.source);
            let exporter = &exporters[*key.expect("a source of the case")];
            // Metrics of the second scrape are written after all of the first.
            exporter.await_scrape();
            exporter.await_scrape();
        }
        // Telegraf writes its buffer when it stops.
        let status = telegraf.process().stop();
        if !status.success() {
            say(format!("{:?}: it ended with {status}\n{}", step.step, telegraf.log()));
        }
    }
    let mut buckets: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (bucket, points) in recorder.points() {
        for point in points {
            if point.tags.contains_key("telewarden_source") {
                say(format!("the tag that routes is written: {point:?}"));
            }
            let is_of = |key: &&&str| {
                let name = metric(key);
                point.measurement == name || point.fields.contains_key(&name)
            };
            let Some(key) = exporters.keys().find(is_of) else {
                continue;
            };
            buckets.entry(key).or_default().insert(bucket.clone());
            for (tag, value) in run.tags.get(*key).into_iter().flatten() {
                if point.tags.get(tag) != Some(value) {
                    say(format!("{tag} of {key} is {:?}, not {value}", point.tags.get(tag)));
                }
            }
        }
    }
    for key in exporters.keys() {
        let expected: BTreeSet<_> = run.buckets.get(*key).into_iter().flatten().cloned().collect();
        let found = buckets.remove(key).unwrap_or_default();
        if found != expected {
            say(format!("metrics of {key} are in {found:?}, not in {expected:?}"));
        }
    }
    wrong
}

#[test]
fn metrics_of_several_tenants_stay_apart() {
    let (mut wrong, mut ran) = (Vec::new(), 0);
    for case in cases().iter().filter(|case| case.head.run.is_some()) {
        assert_eq!(case.head.topologies, ["standalone"], "{}", case.name);
        for image in IMAGES {
            wrong.extend(run(case, "standalone", image));
            ran += 1;
        }
    }
    println!("{ran} Telegrafs ran through their steps");
    assert!(ran >= 20, "{ran}");
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n\n"));
}
