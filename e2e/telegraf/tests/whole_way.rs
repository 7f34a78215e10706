//! From an annotation to a query's answer: exporters, the real Telegraf, and a real database.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use telewarden_e2e_operator::Series;
use telewarden_e2e_telegraf::{
    Database, Exporter, Exposition, Point, Recorder, Telegraf, VictoriaMetrics, application, eventually, examples,
    merged, namespace, node_exporter, on_loopback, outputs_to, read_yaml, render, rendered, whole,
};
use telewarden_policy::protocol::Rendered;

/// A database with buckets, each of which one source writes.
struct End {
    database: Database,
    buckets: Vec<String>,
}

impl End {
    fn new(buckets: &[&str]) -> Self {
        Self {
            database: Database::start(buckets),
            buckets: buckets.iter().map(|&bucket| bucket.to_owned()).collect(),
        }
    }

    /// Settings that scrape loopback and write to this database.
    fn settings(&self) -> Value {
        merged(on_loopback(), outputs_to(&self.database.url()))
    }

    /// Starts the only Telegraf, with the token of this database.
    fn telegraf(&self, rendered: Rendered) -> Telegraf {
        Telegraf::start(&self.database.given(rendered))
    }

    /// Waits until exactly these series are in the only bucket: `name{tag="value"} value`, without the URL tag.
    fn expect(&self, prefix: &str, expected: &[&str]) {
        assert_eq!(self.buckets.len(), 1);
        self.expect_in(&self.buckets[0], prefix, expected);
    }

    /// The same in one of the buckets.
    fn expect_in(&self, bucket: &str, prefix: &str, expected: &[&str]) {
        let expected: BTreeSet<String> = expected.iter().map(|&series| series.to_owned()).collect();
        let mut found = BTreeSet::new();
        eventually("the series", || {
            found = self.spelled(bucket, prefix);
            expected
                .is_subset(&found)
                .then_some(())
                .ok_or_else(|| format!("{found:#?}"))
        });
        assert_eq!(found, expected, "in bucket {bucket}");
    }

    fn spelled(&self, bucket: &str, prefix: &str) -> BTreeSet<String> {
        let mut series = self.database.series(bucket);
        series.retain(|series| series.name.starts_with(prefix));
        let spelled = series.into_iter().map(|series| {
            let tags = series.tags.iter().filter(|(tag, _)| *tag != "url");
            let tags: Vec<_> = tags.map(|(tag, value)| format!("{tag}={value:?}")).collect();
            let last = series.values.last().copied().unwrap_or(f64::NAN);
            format!("{}{{{}}} {last}", series.name, tags.join(","))
        });
        spelled.collect()
    }

    /// Waits for the latest value of the only series with a name and a tag.
    fn expect_one(&self, name: &str, tag: (&str, &str)) -> f64 {
        eventually(name, || {
            let mut series = self.database.series(&self.buckets[0]);
            series.retain(|series| series.name == name && series.tags.get(tag.0).is_some_and(|value| value == tag.1));
            match series.as_slice() {
                [series] => Ok(series.values[series.values.len() - 1]),
                other => Err(format!("{other:?}")),
            }
        })
    }
}

#[test]
fn an_application_with_several_endpoints() {
    let end = End::new(&["argo_cd"]);
    let (classic, open) = (
        Exporter::known(Exposition::Classic),
        Exporter::known(Exposition::OpenMetrics),
    );
    let (_node, node_url) = node_exporter();
    let annotation = format!(
        "- redis: {}\n- server: {}\n- node: {node_url}",
        classic.url(),
        open.url()
    );
    let rendered = whole(render(&end.settings(), &[application("argo-cd", &annotation)]));
    let _telegraf = end.telegraf(rendered);
    end.expect(
        "prometheus_redis_",
        &[
            r#"prometheus_redis_job_seconds_bucket{le="+Inf",prometheus_app="argo_cd"} 4"#,
            r#"prometheus_redis_job_seconds_bucket{le="0.5",prometheus_app="argo_cd"} 2"#,
            r#"prometheus_redis_job_seconds_count{prometheus_app="argo_cd"} 4"#,
            r#"prometheus_redis_job_seconds_sum{prometheus_app="argo_cd"} 2.5"#,
            r#"prometheus_redis_jobs_total{code="200",prometheus_app="argo_cd",queue="in"} 42"#,
            r#"prometheus_redis_queue_length{prometheus_app="argo_cd",queue="in"} 3"#,
            r#"prometheus_redis_queue_length{prometheus_app="argo_cd",queue="out"} 5"#,
        ],
    );
    end.expect(
        // For OpenMetrics, Telegraf removes the suffix of a counter's name.
        "prometheus_server_",
        &[
            r#"prometheus_server_jobs{code="200",prometheus_app="argo_cd",queue="in"} 42"#,
            r#"prometheus_server_queue_length{prometheus_app="argo_cd",queue="in"} 3"#,
            r#"prometheus_server_queue_length{prometheus_app="argo_cd",queue="out"} 5"#,
        ],
    );
    assert!(end.expect_one("prometheus_node_node_load1", ("prometheus_app", "argo_cd")) >= 0.0);
}

#[test]
fn options_of_endpoints_do_what_they_say() {
    let end = End::new(&["portal"]);
    let exporter = || Exporter::known(Exposition::Classic);
    let (one, two, often, seldom) = (exporter(), exporter(), exporter(), exporter());
    let annotation = json!({
        "one": {
            "url": one.url(), "metric_version": 1, "namepass": ["queue_*", "jobs_total"], "tagdrop": {"queue": ["out"]},
            "tags": {"tier": "back \"end\", a=b\\c"}, "url_tag": "endpoint",
        },
        "two": {
            "urls": [two.url()], "fieldinclude": ["queue_length", "jobs_*"], "fieldexclude": ["jobs_total"],
            "taginclude": ["queue", "tier", "prometheus_app"], "tags": {"tier": "fr\u{202e}o\u{e0041}nt"}, "enable_request_metrics": true,
        },
        "often": often.url(),
        "seldom": {"url": seldom.url(), "interval": "3s", "timeout": "2s", "content_length_limit": "1MB"},
    });
    let rendered = whole(render(
        &end.settings(),
        &[application("portal", &annotation.to_string())],
    ));
    let _telegraf = end.telegraf(rendered);
    // Version 1: a measurement for each metric, whose only field is its kind.
    let endpoint = one.url();
    let tags = format!(r#"endpoint={endpoint:?},prometheus_app="portal",queue="in",tier="back \"end\", a=b\\c""#);
    end.expect("queue_", &[&format!("queue_length_gauge{{{tags}}} 3")]);
    end.expect("jobs_", &[&format!(r#"jobs_total_counter{{code="200",{tags}}} 42"#)]);
    end.expect("job_", &[]);
    end.expect(
        "prometheus_two_queue_length",
        &[
            r#"prometheus_two_queue_length{prometheus_app="portal",queue="in",tier="fr\u{202e}o\u{e0041}nt"} 3"#,
            r#"prometheus_two_queue_length{prometheus_app="portal",queue="out",tier="fr\u{202e}o\u{e0041}nt"} 5"#,
        ],
    );
    end.expect("prometheus_two_job", &[]);
    eventually("scrapes", || match (often.scrapes(), seldom.scrapes()) {
        (often @ 12.., seldom @ 2..) if often > 2 * seldom => Ok(()),
        counts => Err(format!("{counts:?}")),
    });
}

#[test]
fn a_namespace_and_its_other_annotations() {
    let end = End::new(&["Namespace:monitoring"]);
    let exporter = Exporter::of("# TYPE up gauge\nup 1\n");
    let mut source = namespace("monitoring", &format!("a.b-c: {}", exporter.url()));
    let annotations = json!({
        "telegraf.influxdata.com/global-tag-literal-team": "square",
        "telegraf.influxdata.com/internal": "true",
        "telegraf.influxdata.com/interval": "1s",
    });
    source = merged(source, json!({"metadata": {"annotations": annotations}}));
    let settings = merged(
        end.settings(),
        json!({"classes": {"default": {"globalTags": {"cluster": "here"}}}}),
    );
    let _telegraf = end.telegraf(whole(render(&settings, &[source])));
    let own = r#"prometheus_a.b-c_up{cluster="here",prometheus_app="Namespace:monitoring",team="square"} 1"#;
    end.expect("prometheus_", &[own]);
    end.expect_one("internal_agent_metrics_gathered", ("team", "square"));
}

#[test]
fn toml_inputs() {
    let end = End::new(&["vault"]);
    let (one, two) = (Exporter::of("a 1\n"), Exporter::of("a 2\nb 3\n"));
    let toml = format!(
        "[[inputs.prometheus]]\nalias = \"vault\"\nurls = [\"{}\"]\n[inputs.prometheus.tags]\ntier = \"secrets\"\n\
         [[inputs.prometheus]]\nurls = [\"{}\"]\nmetric_version = 1\nnamepass = [\"b\"]\n",
        one.url(),
        two.url()
    );
    let mut source = application("vault", "");
    source["metadata"]["annotations"] = json!({"telegraf.influxdata.com/inputs": toml});
    let _telegraf = end.telegraf(whole(render(&end.settings(), &[source])));
    end.expect(
        "prometheus_",
        &[r#"prometheus_vault_a{prometheus_app="vault",tier="secrets"} 1"#],
    );
    end.expect("b_", &[r#"b_value{prometheus_app="vault"} 3"#]);
    end.expect("a_", &[]);
}

#[test]
fn a_telegraf_for_each_endpoint() {
    let end = End::new(&["argo_cd"]);
    let (one, two) = (Exporter::of("x 1\n"), Exporter::of("x 2\n"));
    let settings = merged(end.settings(), json!({"topology": "endpoint"}));
    let annotation = format!("one: {}\ntwo: {}", one.url(), two.url());
    let all = rendered(render(&settings, &[application("argo-cd", &annotation)])).remove(0);
    let all = end.database.given(all);
    let names: Vec<_> = all
        .configurations
        .iter()
        .map(|configuration| configuration.name.clone())
        .collect();
    assert_eq!(names.len(), 2);
    for name in &names {
        let before = end.spelled("argo_cd", "prometheus_").len();
        let telegraf = Telegraf::start_named(&all, name);
        eventually("a write", || {
            (end.spelled("argo_cd", "prometheus_").len() > before)
                .then_some(())
                .ok_or_else(|| telegraf.log())
        });
    }
    end.expect(
        "prometheus_",
        &[
            r#"prometheus_one_x{prometheus_app="argo_cd"} 1"#,
            r#"prometheus_two_x{prometheus_app="argo_cd"} 2"#,
        ],
    );
}

#[test]
fn one_telegraf_for_all_keeps_buckets_apart() {
    let end = End::new(&["good", "sly", "Namespace:both"]);
    let good = Exporter::of("x 1\n");
    // A scraped label replaces the input's tag of the same name. It must not reach the database or choose the bucket.
    let sly = Exporter::of("y 1\nz{prometheus_app=\"good\"} 1\n");
    let both = Exporter::of("x 3\n");
    let settings = merged(end.settings(), json!({"topology": "standalone"}));
    let filtered = json!({"sly": {"url": sly.url(), "taginclude": ["nothing"]}, "plain": sly.url()}).to_string();
    let sources = [
        application("good", &format!("x: {}", good.url())),
        application("sly", &filtered),
        namespace("both", &format!("x: {}", both.url())),
    ];
    let shared = render(&settings, &sources).shared.expect("a shared Telegraf");
    let _telegraf = end.telegraf(shared);
    end.expect_in("good", "prometheus_", &[r#"prometheus_x_x{prometheus_app="good"} 1"#]);
    end.expect_in(
        "sly",
        "prometheus_",
        &[
            r#"prometheus_plain_y{prometheus_app="sly"} 1"#,
            r#"prometheus_plain_z{prometheus_app="sly"} 1"#,
            r#"prometheus_sly_y{prometheus_app="sly"} 1"#,
            r#"prometheus_sly_z{prometheus_app="sly"} 1"#,
        ],
    );
    let own = r#"prometheus_x_x{prometheus_app="Namespace:both"} 3"#;
    end.expect_in("Namespace:both", "prometheus_", &[own]);
    for bucket in &end.buckets {
        let series = end.database.series(bucket);
        let strange = |series: &&Series| series.tags.get("prometheus_app") != Some(bucket);
        assert_eq!(series.iter().find(strange), None, "in bucket {bucket}");
    }
}

#[test]
fn two_classes_with_two_outputs() {
    let (ours, theirs) = (End::new(&["app_default"]), End::new(&["app_gold"]));
    let all = End::new(&["everything"]);
    let exporter = Exporter::of("x 1\n");
    let output = |end: &End, bucket: &str, token: &str| json!({"urls": [end.database.url()], "organization": "square", "bucket": bucket, "token": token});
    let outputs = |end: &End| json!({"outputs": {"influxdb_v2": [output(end, "{bucket}", "${INFLUX_TOKEN}"), output(&all, "everything", "${ALL_TOKEN}")]}});
    let agent = on_loopback()["classes"]["default"].clone();
    let class = |end: &End| merged(agent.clone(), outputs(end));
    let variable = |name: &str, secret: &str| json!({"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": "influx-token"}}});
    let settings = merged(
        on_loopback(),
        json!({
            "classes": {"default": class(&ours), "gold": class(&theirs)},
            "pod": {"env": [variable("INFLUX_TOKEN", "telegraf"), variable("ALL_TOKEN", "all")]},
        }),
    );
    for class in ["default", "gold"] {
        let mut source = application(&format!("app-{class}"), &format!("x: {}", exporter.url()));
        source["metadata"]["annotations"]["telegraf.influxdata.com/class"] = json!(class);
        let end = if class == "gold" { &theirs } else { &ours };
        let mut rendered = whole(render(&settings, &[source]));
        rendered.objects.push(all.database.secret("all"));
        let _telegraf = end.telegraf(rendered);
        let tag = format!("prometheus_x_x{{prometheus_app=\"app_{class}\"}} 1");
        end.expect("prometheus_", &[&tag]);
        eventually("the second output", || {
            all.spelled("everything", "prometheus_")
                .contains(&tag)
                .then_some(())
                .ok_or_else(String::new)
        });
    }
}

/// The settings of `examples/rubin`, with other addresses and intervals.
#[test]
fn the_settings_of_rubin() {
    let end = End::new(&["nublado"]);
    let exporter = Exporter::known(Exposition::Classic);
    let rubin = read_yaml("examples/rubin/settings.yaml").remove(0);
    let settings = merged(rubin, end.settings());
    let settings = merged(settings, json!({"inputs": {"allowedPlugins": ["prometheus", "file"]}}));
    let states = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(
        states.path(),
        "state,of=a status=\"healthy\"\nstate,of=b status=\"critical\"\n",
    )
    .expect("a file");
    let toml = format!(
        "[[inputs.file]]\nalias = \"s\"\nfiles = [{:?}]\ndata_format = \"influx\"\n",
        states.path()
    );
    let mut source = application("nublado", &format!("hub: {}", exporter.url()));
    source["metadata"]["annotations"]["telegraf.influxdata.com/inputs"] = json!(toml);
    let _telegraf = end.telegraf(whole(render(&settings, &[source])));
    end.expect(
        "prometheus_hub_queue",
        &[
            r#"prometheus_hub_queue_length{cluster="data.lsst.cloud",prometheus_app="nublado",queue="in"} 3"#,
            r#"prometheus_hub_queue_length{cluster="data.lsst.cloud",prometheus_app="nublado",queue="out"} 5"#,
        ],
    );
    end.expect(
        // `status` is a text.
        "state_status_code",
        &[
            r#"state_status_code{cluster="data.lsst.cloud",of="a",prometheus_app="nublado"} 1"#,
            r#"state_status_code{cluster="data.lsst.cloud",of="b",prometheus_app="nublado"} 3"#,
        ],
    );
}

/// The settings of `examples/outputs/prometheus-remote-write.yaml`, with another address.
#[test]
fn prometheus_remote_write() {
    let database = VictoriaMetrics::start(&[]);
    let exporter = Exporter::known(Exposition::Classic);
    let example = read_yaml("examples/outputs/prometheus-remote-write.yaml").remove(0);
    let mut settings = merged(example, on_loopback());
    let output = &mut settings["classes"]["default"]["outputs"]["http"][0];
    output["url"] = json!(format!("http://{}/api/v1/write", database.address()));
    let source = application("argo-cd", &format!("redis: {}", exporter.url()));
    let _telegraf = Telegraf::start(&whole(render(&settings, &[source])));
    let own = [
        ("application", "argo-cd"),
        ("endpoint", "redis"),
        ("namespace", "argo-cd"),
        ("prometheus_app", "argo_cd"),
    ];
    let expected = |name: &str, more: &[(&str, &str)], value: f64| {
        let tags = own
            .iter()
            .chain(more)
            .map(|&(tag, value)| (tag.to_owned(), value.to_owned()));
        (name.to_owned(), tags.collect::<BTreeMap<_, _>>(), value)
    };
    let expected = [
        expected("job_seconds_count", &[], 4.0),
        expected("jobs_total", &[("code", "200"), ("queue", "in")], 42.0),
        expected("queue_length", &[("queue", "in")], 3.0),
        expected("queue_length", &[("queue", "out")], 5.0),
    ];
    eventually("the series", || {
        let mut found = database.series();
        for series in &mut found {
            series.tags.remove("url");
        }
        found.retain(|series| expected.iter().any(|(name, ..)| *name == series.name));
        let found: Vec<_> = found
            .into_iter()
            .map(|series| (series.name, series.tags, *series.values.last().expect("a value")))
            .collect();
        (found == expected).then_some(()).ok_or_else(|| format!("{found:#?}"))
    });
}

/// Series by bucket: measurement, tags and field.
fn series_by_bucket(recorder: &Recorder) -> BTreeMap<String, BTreeSet<String>> {
    let series = |points: Vec<Point>| {
        let name = |point: Point| {
            let Point {
                measurement,
                tags,
                fields,
            } = point;
            fields
                .into_keys()
                .map(move |field| format!("{measurement} {tags:?} {field}"))
        };
        points.into_iter().flat_map(name).collect()
    };
    recorder
        .points()
        .into_iter()
        .map(|(bucket, points)| (bucket, series(points)))
        .collect()
}

/// `central/telegraf.conf` is a central configuration, written by hand: an output for each endpoint, all with the
/// `tagpass` of
/// their application, so that a metric is written once for each endpoint of its application.
#[test]
fn the_central_configuration_that_this_replaces() {
    let names = ["argocd", "ingress-nginx", "nublado"];
    let sources: Vec<_> = examples().into_iter().flat_map(|(_, sources)| sources).collect();
    let sources = sources
        .into_iter()
        .filter(|source| names.iter().any(|name| source["metadata"]["name"] == *name));
    let sources: Vec<_> = sources.collect();
    assert_eq!(sources.len(), 3);

    // Both scrape the same exporters.
    let mut central = std::fs::read_to_string(telewarden_e2e_telegraf::repository(
        "e2e/telegraf/central/telegraf.conf",
    ))
    .expect("the central configuration");
    let mut annotations: Vec<String> = sources
        .iter()
        .map(|source| source["metadata"]["annotations"].to_string())
        .collect();
    let hosts = [
        "argocd-application-controller-metrics.argocd.svc:8082",
        "argocd-notifications-controller-metrics.argocd.svc:9001",
        "argocd-redis-metrics.argocd.svc:9121",
        "argocd-repo-server-metrics.argocd.svc:8084",
        "argocd-server-metrics.argocd.svc:8083",
        "ingress-nginx-controller-metrics.ingress-nginx:10254",
        "hub.nublado:8081",
    ];
    let exporters: Vec<_> = hosts.iter().map(|_| Exporter::known(Exposition::Classic)).collect();
    for (host, exporter) in hosts.iter().zip(&exporters) {
        let (from, to) = (format!("http://{host}/metrics"), exporter.url());
        assert!(central.contains(&from), "{from}");
        assert!(
            annotations.iter().any(|annotation| annotation.contains(&from)),
            "{from}"
        );
        central = central.replace(&from, &to);
        annotations
            .iter_mut()
            .for_each(|annotation| *annotation = annotation.replace(&from, &to));
    }
    let sources: Vec<_> = sources
        .into_iter()
        .zip(annotations)
        .map(|(mut source, annotations)| {
            source["metadata"]["annotations"] = serde_json::from_str(&annotations).expect("JSON");
            source
        })
        .collect();

    let run = |telegraf: &dyn Fn(&Recorder) -> Telegraf| {
        let recorder = Recorder::answering(|_| telewarden_e2e_telegraf::Reply::empty(204));
        let before: Vec<_> = exporters.iter().map(Exporter::scrapes).collect();
        let mut telegraf = telegraf(&recorder);
        for (exporter, before) in exporters.iter().zip(before) {
            eventually("two scrapes", || {
                (exporter.scrapes() >= before + 2)
                    .then_some(())
                    .ok_or_else(|| telegraf.log())
            });
        }
        telegraf.process().stop();
        recorder
    };
    let rubin = read_yaml("examples/rubin/settings.yaml").remove(0);
    let ours = run(&|recorder| {
        let settings = merged(rubin.clone(), merged(on_loopback(), outputs_to(&recorder.url())));
        let settings = merged(settings, json!({"topology": "standalone"}));
        Telegraf::start(&render(&settings, &sources).shared.expect("a shared Telegraf"))
    });
    let theirs =
        run(&|recorder| Telegraf::start_text(&central.replace("https://monitoring.lsst.codes", &recorder.url())));

    let (ours_by_bucket, theirs_by_bucket) = (series_by_bucket(&ours), series_by_bucket(&theirs));
    let buckets = |series: &BTreeMap<String, BTreeSet<String>>| series.keys().cloned().collect::<Vec<_>>();
    assert_eq!(buckets(&theirs_by_bucket), ["argocd", "ingress_nginx", "nublado"]);
    // The metrics of the base file's `inputs.internal` have no routing tag, so they reach no bucket.
    assert_eq!(ours_by_bucket, theirs_by_bucket);

    let lines_of = |recorder: &Recorder| {
        // How often the same point was sent.
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for request in recorder.requests() {
            for line in String::from_utf8_lossy(&request.body).lines() {
                *seen
                    .entry(format!("{:?} {line}", request.parameter("bucket")))
                    .or_default() += 1;
            }
        }
        let (all, different): (usize, usize) = (seen.values().sum(), seen.len());
        (all, different, seen.into_values().max().unwrap_or(0))
    };
    let (our_lines, their_lines) = (lines_of(&ours), lines_of(&theirs));
    println!("points sent, different points, most often sent: ours {our_lines:?}, central {their_lines:?}");
    assert_eq!(our_lines.0, our_lines.1, "ours sends a point once");
    assert_eq!(
        their_lines.2, 5,
        "the central one sends a point of argocd's once for each of its five endpoints"
    );
}
