//! The same attempts with `influxdb.provide: bucketsAndTokens`, on a real API server and a real InfluxDB.
//!
//! After each step the authorizations in the database are exactly those of the sources that were accepted, each of which can
//! write the bucket of its own name and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use telewarden::{Outcome, RenderAnswer};
use telewarden_e2e_operator::{InfluxDb, Operator, eventually};
use telewarden_e2e_telegraf::{IMAGES, bucket_of, grants, merged, providing};

use crate::case::{Case, cases};
use crate::host::Host;
use crate::{Cluster, identity};

/// The parts of one run.
struct Parts {
    cluster: telewarden_e2e_operator::Cluster,
    database: InfluxDb,
}

impl Parts {
    async fn start() -> Self {
        let cluster = telewarden_e2e_operator::Cluster::start().await;
        let rights = include_str!("../../../../deploy/operator/rbac-influxdb.yaml");
        cluster.create_all(rights).await;
        for namespace in ["team-a", "team-b"] {
            cluster.namespace_of_applications(namespace).await;
        }
        let everything = json!({
            "destinations": [{"server": "*", "namespace": "*"}], "sourceNamespaces": ["*"],
        });
        cluster.project("default", everything).await;
        Self {
            cluster,
            database: InfluxDb::start().await,
        }
    }

    async fn operator(&self, settings: &Value) -> Operator {
        providing(&self.cluster, &self.database, settings).await
    }

    /// Waits until the authorizations in the database are those of these sources.
    async fn has_exactly(&self, what: &str, operator: &Operator, expected: &BTreeMap<String, String>) {
        operator.is_quiet().await;
        eventually(|| async {
            let found = grants(&self.cluster, &self.database).await;
            let found = found.map_err(|why| format!("{what}: {why}"))?;
            let found: BTreeMap<_, _> = found
                .into_iter()
                .map(|(source, grant)| (source, grant.bucket))
                .collect();
            (found == *expected)
                .then_some(())
                .ok_or_else(|| format!("{what}: {found:#?}, expected {expected:#?}"))
        })
        .await;
    }

    /// Follows a case through its steps, and removes what it has put.
    async fn follow(&self, case: &Case, settings: &Value, operator: &Operator) {
        let (mut written, mut host) = (Cluster::default(), Host::default());
        let mut live: BTreeMap<String, Value> = BTreeMap::new();
        let mut expected: BTreeMap<String, String> = BTreeMap::new();
        for step in &case.steps {
            let what = format!("{}, {:?}", case.name, step.step);
            written.take(step);
            let wanted = written.sources(|_| true, |_| "127.0.0.1:80".to_owned());
            let gone: Vec<_> = live.keys().filter(|key| !wanted.contains_key(*key)).cloned().collect();
            for source in gone {
                self.remove(&live.remove(&source).expect("it was there")).await;
            }
            for object in &step.objects {
                // Some are of kinds that nobody knows.
                let _ = self.cluster.try_put(object).await;
            }
            for (source, object) in &wanted {
                self.namespaces_of(object, &wanted).await;
                // The API server refuses some annotations by itself. Then the source stays as it was.
                if self.cluster.try_put(object).await.is_ok() {
                    live.insert(source.clone(), object.clone());
                }
            }
            let answer = host.render(settings, &live, &[]);
            let answer = answer.unwrap_or_else(|error| panic!("{what}: {error}"));
            take(&mut expected, &answer, &live);
            self.has_exactly(&what, operator, &expected).await;
            self.nobody_writes_to_another_one(case, &what).await;
        }
        for object in live.values() {
            self.remove(object).await;
        }
        let what = format!("{}, everything is gone", case.name);
        self.has_exactly(&what, operator, &BTreeMap::new()).await;
    }

    /// Puts the namespaces that a source is in and is deployed to, but those that are sources.
    async fn namespaces_of(&self, object: &Value, sources: &BTreeMap<String, Value>) {
        let destination = &object["spec"]["destination"]["namespace"];
        for namespace in [&object["metadata"]["namespace"], destination] {
            let Some(name) = namespace.as_str().filter(|name| *name != "argocd") else {
                continue;
            };
            if !sources.contains_key(&format!("Namespace/{name}")) {
                let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
                // Some names no namespace can have.
                let _ = self.cluster.try_put(&namespace).await;
            }
        }
    }

    async fn remove(&self, object: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (
            text(&object["metadata"]["namespace"]),
            text(&object["metadata"]["name"]),
        );
        match object["kind"].as_str() {
            // No controller empties namespaces here, so it stays without its annotations.
            Some("Namespace") => self.cluster.namespace(&name).await,
            _ => {
                let api = self.cluster.of(&namespace, "argoproj.io", "v1alpha1", "Application");
                api.delete(&name, &Default::default()).await.expect("delete one");
            }
        }
    }

    /// Tries the tokens of the hostile sources on the buckets of all others.
    async fn nobody_writes_to_another_one(&self, case: &Case, what: &str) {
        let found = grants(&self.cluster, &self.database).await.expect("the tokens");
        let hostile: BTreeSet<String> = case.head.hostile.iter().map(|key| identity(key)).collect();
        for (source, own) in found.iter().filter(|(source, _)| hostile.contains(*source)) {
            for (other, grant) in found.iter().filter(|(other, _)| *other != source) {
                let status = self.database.write(&own.token, "square", &grant.bucket).await;
                assert_eq!(status, 403, "{what}: {source} writes the bucket of {other}");
            }
        }
    }
}

/// Takes over what an answer means for the tokens: who is accepted gets one, and who is refused keeps what there was.
fn take(expected: &mut BTreeMap<String, String>, answer: &RenderAnswer, live: &BTreeMap<String, Value>) {
    expected.retain(|source, _| live.contains_key(source));
    for source in &answer.sources {
        match source.outcome {
            Outcome::Rendered => {
                expected.insert(source.source.clone(), bucket_of(&source.source));
            }
            Outcome::Refused => {}
            Outcome::Idle | Outcome::Skipped => {
                expected.remove(&source.source);
            }
        }
    }
}

/// Settings that have everything provided. `None` if they cannot, or if the case has other outputs than one with `{bucket}`.
fn settings(case: &Case, topology: &str, database: &InfluxDb) -> Option<Value> {
    let settings = case.settings(topology, IMAGES[1], Some(&database.url()));
    let settings = merged(settings, json!({"influxdb": {"provide": "bucketsAndTokens"}}));
    let outputs = &settings["classes"]["default"]["outputs"];
    let usual = json!({"influxdb_v2": [{
        "urls": [database.url()], "organization": "square", "bucket": "{bucket}", "token": "${INFLUX_TOKEN}",
    }]});
    let can_provide = Host::default().render(&settings, &BTreeMap::new(), &[]).is_ok();
    (can_provide && *outputs == usual).then_some(settings)
}

async fn nobody_has_the_token_of_another_tenant(topology: &str) {
    let parts = Parts::start().await;
    parts.cluster.namespace("telegraf").await;
    let all = cases();
    let mut by_settings: BTreeMap<String, Vec<&Case>> = BTreeMap::new();
    let mut left_out = Vec::new();
    for case in all
        .iter()
        .filter(|case| case.head.topologies.iter().any(|of| of == topology))
    {
        match settings(case, topology, &parts.database) {
            Some(settings) => by_settings.entry(settings.to_string()).or_default().push(case),
            None => left_out.push(case.name.as_str()),
        }
    }
    let mut followed = 0;
    for (settings, cases) in by_settings {
        let settings = serde_json::from_str(&settings).expect("JSON");
        let operator = parts.operator(&settings).await;
        for case in cases {
            parts.follow(case, &settings, &operator).await;
            followed += 1;
        }
        operator.stop();
    }
    println!("{topology}: {followed} cases, without {}", left_out.join(", "));
    assert!(followed >= 30, "{followed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_the_token_of_another_tenant() {
    nobody_has_the_token_of_another_tenant("application").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow: `make e2e-nightly` runs it"]
async fn nor_does_anybody_in_a_telegraf_for_all() {
    nobody_has_the_token_of_another_tenant("standalone").await;
}
