//! Dashboards and alerts of `deploy/monitoring`, on a real VictoriaMetrics that scrapes the operator, and on the real InfluxDB that
//! Telegraf writes to, while there are faults.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use telewarden_e2e_operator::{ADMINISTRATOR, Application, Cluster, InfluxDb, Operator, eventually};
use telewarden_e2e_telegraf::{Telegraf, VictoriaMetrics, free_port, merged, on_loopback, read_yaml, repository};

use crate::parts::{cluster, deployed, node_exporter, operator_with, pod, runs};

/// The only sources of queries.
const OPERATOR: &str = "deploy/monitoring/operator-dashboard.json";
const APPLICATION: &str = "deploy/monitoring/application-dashboard.json";
const RULES: &str = "deploy/monitoring/prometheus-rule.yaml";

fn read(path: &str) -> Value {
    let text = std::fs::read_to_string(repository(path)).expect("a file");
    serde_json::from_str(&text).expect("JSON")
}

/// The queries of a dashboard: those of its panels, and those of its variables.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().expect("targets") {
            let text = target["expr"].as_str().or(target["query"].as_str());
            queries.push((panel["title"].to_string(), text.expect("a query").to_owned()));
        }
    }
    for variable in dashboard["templating"]["list"].as_array().expect("variables") {
        if variable["type"] == "query" {
            let text = variable["query"].as_str().expect("a query");
            queries.push((variable["name"].to_string(), text.to_owned()));
        }
    }
    queries
}

/// The rules, by name.
fn rules() -> BTreeMap<String, Value> {
    let groups = &read_yaml(RULES)[0]["spec"]["groups"];
    let rules = groups.as_array().expect("groups").iter();
    let rules = rules.flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default());
    rules
        .map(|rule| (rule["alert"].as_str().expect("a name").to_owned(), rule))
        .collect()
}

fn expression(rules: &BTreeMap<String, Value>, alert: &str) -> String {
    rules[alert]["expr"].as_str().expect("an expression").to_owned()
}

/// Waits until a query answers something.
async fn answers(database: &VictoriaMetrics, what: &str, query: &str) {
    let query = query.replace("$__rate_interval", "1m");
    eventually(|| async {
        let found = database.query(&query.replace('+', "%2B").replace('&', "%26"));
        (!found.is_empty())
            .then_some(())
            .ok_or(format!("{what}: nothing for {query}"))
    })
    .await;
}

/// Waits until a Flux query answers something.
async fn flux_answers(database: &InfluxDb, what: &str, query: &str) {
    let set = [
        ("v.timeRangeStart", "-1h"),
        ("v.timeRangeStop", "now()"),
        ("v.windowPeriod", "10s"),
        ("${bucket}", "shop"),
        ("${endpoint:regex}", "(prometheus_load)"),
        ("${metric:regex}", "node_load1"),
    ];
    let query = set
        .iter()
        .fold(query.to_owned(), |query, (name, value)| query.replace(name, value));
    assert!(!query.contains("${"), "{query}");
    eventually(|| async {
        let (status, csv) = database.query(ADMINISTRATOR, "square", &query).await;
        // A header and a row.
        let rows = csv.lines().filter(|line| line.starts_with(",_result,")).count();
        (status == 200 && rows > 0)
            .then_some(())
            .ok_or(format!("{what}: {status} for {query}\n{csv}"))
    })
    .await;
}

async fn waits_for_its_secret(cluster: &Cluster, name: &str) {
    let deployed = deployed(cluster, &format!("{name}/telegraf-{name}")).await;
    let waiting = json!({"reason": "CreateContainerConfigError", "message": "secret \"telegraf\" not found"});
    let state = json!({"state": {"waiting": waiting}});
    pod(cluster, &deployed, &format!("telegraf-{name}"), state).await;
}

fn scraping(operator: &Operator) -> VictoriaMetrics {
    let target = operator.url("").trim_start_matches("http://").to_owned();
    VictoriaMetrics::start(&[&target])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_dashboards_and_alerts_answers_something() {
    let cluster = cluster().await;
    for name in ["wrong", "taken", "late"] {
        cluster.namespace(name).await;
    }
    let mut influxdb = InfluxDb::start().await;
    let output = json!({
        "urls": [influxdb.url()], "organization": "square", "bucket": "{bucket}", "token": ADMINISTRATOR,
    });
    let settings = json!({
        "influxdb": {"provide": "buckets"},
        "classes": {"default": {"outputs": {"influxdb_v2": [output]}}},
    });
    let settings = merged(on_loopback(), settings);
    let token = influxdb.token_file();
    let token = ["--influxdb-token-file", token.to_str().expect("a path")];
    let operator = operator_with(&cluster, &settings, &token).await;
    let metrics = scraping(&operator);
    let address = format!("127.0.0.1:{}", free_port());
    let _exporter = node_exporter(&address);

    // One source with an endpoint that fails, one whose Telegraf does not start, one that is refused, and one whose object is
    // somebody else's.
    let of_shop = format!("load: http://{address}/metrics\ndead: http://127.0.0.1:1/metrics\n");
    let annotate = async |name: &str, annotation: &str| {
        let application = Application::named(name).annotated(annotation);
        cluster.application(&application).await;
    };
    cluster
        .create_config_map("taken", "telegraf-taken", &[("theirs", "1")])
        .await;
    annotate("shop", &of_shop).await;
    annotate("mail", "load: http://127.0.0.1:1/metrics\n").await;
    annotate("wrong", "load: ftp://127.0.0.1:1/metrics\n").await;
    annotate("taken", "load: http://127.0.0.1:1/metrics\n").await;
    waits_for_its_secret(&cluster, "mail").await;
    let of_shop = deployed(&cluster, "shop/telegraf-shop").await;
    let _telegraf = Telegraf::start(&of_shop);
    pod(&cluster, &of_shop, "telegraf-shop", runs()).await;

    for (what, query) in queries(&read(APPLICATION)) {
        flux_answers(&influxdb, &what, &query).await;
    }
    // The database goes, so that the operator cannot make a bucket.
    influxdb.stop();
    annotate("late", "load: http://127.0.0.1:1/metrics\n").await;
    for (what, query) in queries(&read(OPERATOR)) {
        answers(&metrics, &what, &query).await;
    }
    let rules = rules();
    for alert in [
        "TelewardenEndpointFailing",
        "TelewardenSourceFailing",
        "TelewardenEndpointUnknown",
        "TelewardenReconcileFailing",
        "TelewardenRefused",
        "TelewardenInfluxdbFailing",
    ] {
        answers(&metrics, alert, &expression(&rules, alert)).await;
    }
    // A module that is slow and an API server in trouble cannot be had here. What is compared is there, and the limit is not
    // reached.
    let slow = expression(&rules, "TelewardenModuleSlow");
    answers(&metrics, "TelewardenModuleSlow", slow.trim_end_matches(" > 2")).await;
    let trouble = expression(&rules, "TelewardenApiServerTrouble");
    for expression in [slow, trouble] {
        assert_eq!(metrics.query(&expression), [] as [f64; 0], "{expression}");
    }
    // Somebody leads until the operator stops.
    let nobody = expression(&rules, "TelewardenNobodyLeads");
    assert_eq!(metrics.query(&nobody), [] as [f64; 0]);
    assert!(operator.stop().success());
    answers(&metrics, "TelewardenNobodyLeads", &nobody).await;
    assert_eq!(rules.len(), 9, "an alert that no test knows");
}

/// Each alert leads to a section of its own, and each section is an alert's.
#[test]
fn each_alert_has_a_section_in_the_runbooks() {
    let page = std::fs::read_to_string(repository("docs/runbooks.md")).expect("the runbooks");
    let sections: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let rules = rules();
    let mut names: Vec<_> = rules.keys().map(String::as_str).collect();
    names.sort_unstable();
    let mut sorted = sections.clone();
    sorted.sort_unstable();
    assert_eq!(names, sorted);
    for (name, rule) in &rules {
        let url = rule["annotations"]["runbook_url"].as_str().expect("a URL");
        let (page, anchor) = url.split_once('#').expect("a section");
        assert!(page.ends_with("/docs/runbooks.md"), "{url}");
        assert_eq!(anchor, name.to_lowercase());
    }
}
