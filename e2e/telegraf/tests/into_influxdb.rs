//! The whole way into the real InfluxDB: an annotation on an empty cluster, the operator, the real Telegraf, and the answer of a
//! Flux query in the source's own bucket.

use serde_json::{Value, json};
use telewarden_e2e_operator::{ADMINISTRATOR, Application, Cluster, InfluxDb, Operator, eventually};
use telewarden_e2e_telegraf::{
    ANNOTATION, Exporter, Telegraf, application, merged, namespace, on_loopback, render, rendered, whole,
};
use telewarden_policy::protocol::Rendered;

fn settings(database: &InfluxDb, topology: &str, provide: &str) -> Value {
    let output = json!({
        "urls": [database.url()], "organization": "square", "bucket": "{bucket}", "token": "${INFLUX_TOKEN}",
    });
    let settings = json!({
        "classes": {"default": {"outputs": {"influxdb_v2": [output]}}},
        "influxdb": {"provide": provide},
        "topology": topology,
    });
    merged(on_loopback(), settings)
}

/// Waits until a query of a bucket has this value.
async fn finds(database: &InfluxDb, telegraf: &Telegraf, (organization, bucket): (&str, &str), measurement: &str) {
    let flux = format!(
        "from(bucket: \"{bucket}\") |> range(start: -1h) |> filter(fn: (r) => r._measurement == \"{measurement}\" \
         and r._field == \"queue_length\" and r.prometheus_app == \"{bucket}\") |> last() |> keep(columns: [\"_value\"])"
    );
    eventually(|| async {
        let (status, answer) = database.query(ADMINISTRATOR, organization, &flux).await;
        let found = answer.lines().any(|line| line.ends_with(",7"));
        (status == 200 && found)
            .then_some(())
            .ok_or_else(|| format!("{flux}: {answer}\n{}", telegraf.log()))
    })
    .await;
}

/// An empty cluster and an empty database, with the operator between them.
struct Parts {
    cluster: Cluster,
    database: InfluxDb,
    operator: Operator,
}

impl Parts {
    /// Starts them. `settings` are those for the address of the database.
    async fn start(settings: impl FnOnce(&InfluxDb) -> Value) -> Self {
        let (cluster, database) = (Cluster::start().await, InfluxDb::start().await);
        cluster
            .create_all(include_str!("../../../deploy/operator/rbac-influxdb.yaml"))
            .await;
        for namespace in ["shop", "mail", "telegraf"] {
            cluster.namespace(namespace).await;
        }
        let path = cluster.settings(&settings(&database));
        let token = database.token_file();
        let arguments = [
            "--settings",
            path.to_str().expect("a path"),
            "--influxdb-token-file",
            token.to_str().expect("a path"),
        ];
        let operator = cluster.operator(&arguments).await;
        Self {
            cluster,
            database,
            operator,
        }
    }

    /// What is in the cluster, when all of these Deployments are, and so many tokens.
    async fn deployed(&self, names: &[&str], tokens: usize) -> Rendered {
        eventually(|| async {
            let owned = self.cluster.owned().await;
            let deployed = |name: &&str| owned.iter().any(|owned| owned == &format!("Deployment {name}"));
            let secrets = self.cluster.owned_secrets().await;
            let found = secrets
                .iter()
                .map(|of| of["stringData"].as_object().map_or(0, |of| of.len()));
            let found: usize = found.sum();
            let done = names.iter().all(deployed) && found == tokens;
            done.then_some(())
                .ok_or_else(|| format!("{owned:?}, {found} tokens\n{}", self.operator.log()))
        })
        .await;
        let mut objects = self.cluster.owned_by("telewarden").await;
        objects.extend(self.cluster.owned_secrets().await);
        Rendered {
            objects,
            ..Rendered::default()
        }
    }
}

async fn from_annotation_to_query(topology: &str, names: &[&str]) {
    let parts = Parts::start(|database| settings(database, topology, "bucketsAndTokens")).await;
    let exporter = Exporter::of("# TYPE queue_length gauge\nqueue_length 7\n");
    let annotation = format!("queue: {}", exporter.url());
    let source = Application::named("shop").annotated(&annotation);
    parts.cluster.application(&source).await;
    let metadata = json!({"name": "shop", "annotations": {ANNOTATION: annotation}});
    let source = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
    parts.cluster.put(&source).await;
    let in_cluster = parts.deployed(names, 2).await;
    let buckets = ["shop", "Namespace:shop"];
    for (index, name) in names.iter().enumerate() {
        let (_, name) = name.split_once('/').expect("a namespace and a name");
        let telegraf = Telegraf::start_named(&in_cluster, name);
        let own = match names.len() {
            1 => &buckets[..],
            _ => &buckets[index..=index],
        };
        for bucket in own {
            finds(&parts.database, &telegraf, ("square", bucket), "prometheus_queue").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_classes_with_two_organizations() {
    let parts = Parts::start(|database| {
        let settings = settings(database, "application", "bucketsAndTokens");
        let mut gold = settings["classes"]["default"].clone();
        gold["outputs"]["influxdb_v2"][0]["organization"] = json!("round");
        merged(settings, json!({"classes": {"gold": gold}}))
    })
    .await;
    parts.database.create_organization("round").await;
    let exporter = Exporter::of("# TYPE queue_length gauge\nqueue_length 7\n");
    for (name, class) in [("shop", "default"), ("mail", "gold")] {
        let annotation = format!("queue: {}", exporter.url());
        let mut source = Application::named(name).annotated(&annotation).object();
        source["metadata"]["annotations"]["telegraf.influxdata.com/class"] = json!(class);
        parts.cluster.put(&source).await;
    }
    let in_cluster = parts.deployed(&["shop/telegraf-shop", "mail/telegraf-mail"], 2).await;
    for (name, organization) in [("shop", "square"), ("mail", "round")] {
        let telegraf = Telegraf::start_named(&in_cluster, &format!("telegraf-{name}"));
        finds(&parts.database, &telegraf, (organization, name), "prometheus_queue").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_telegraf_for_each_source() {
    from_annotation_to_query("application", &["shop/telegraf-shop", "shop/telegraf"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_telegraf_for_all_sources() {
    from_annotation_to_query("standalone", &["telegraf/telegraf"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_telegraf_for_each_endpoint() {
    // The names end in a hash, which does not depend on the settings.
    let annotation = "queue: http://queue.shop.svc/metrics";
    let sources = [application("shop", annotation), namespace("shop", annotation)];
    let all = rendered(render(&json!({"topology": "endpoint"}), &sources));
    let names: Vec<_> = all
        .iter()
        .map(|of| format!("shop/{}", of.configurations[0].name))
        .collect();
    from_annotation_to_query("endpoint", &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

/// What happens without `influxdb.provide` to a source whose bucket nobody has made.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_to_a_missing_bucket_is_lost() {
    let database = InfluxDb::start().await;
    let exporter = Exporter::of("# TYPE queue_length gauge\nqueue_length 7\n");
    let source = application("shop", &format!("queue: {}", exporter.url()));
    let mut rendered = whole(render(&settings(&database, "application", "nothing"), &[source]));
    rendered.objects.push(json!({
        "kind": "Secret", "metadata": {"name": "telegraf"}, "stringData": {"influx-token": ADMINISTRATOR},
    }));
    let telegraf = Telegraf::start(&rendered);
    eventually(|| async {
        let log = telegraf.log();
        log.contains("will be dropped: 404 Not Found").then_some(()).ok_or(log)
    })
    .await;
    // From now on they arrive.
    database.create_bucket("shop", 86400).await;
    finds(&database, &telegraf, ("square", "shop"), "prometheus_queue").await;
}
