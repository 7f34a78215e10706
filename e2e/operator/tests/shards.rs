//! `topology: standalone` with many sources: what a change costs, and several Telegrafs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use telewarden_e2e_operator::{Application, Cluster, FragileLine, Operator, Random, annotation, eventually};
use tokio::task::JoinHandle;

fn standalone(shards: Value) -> Value {
    json!({"topology": "standalone", "standalone": {"shards": shards}})
}

/// An Application with three endpoints.
fn small(number: usize) -> Application {
    let name = format!("app-{number:05}");
    let endpoints = annotation(&name, &["one", "two", "three"]);
    Application::named(&name).annotated(&endpoints)
}

/// An Application with 64 endpoints, of which some 36 fill a ConfigMap.
fn large(number: usize) -> Application {
    let name = format!("large-{number:03}");
    let names: Vec<_> = (0..64).map(|number| format!("endpoint-{number:02}")).collect();
    let endpoints = annotation(&name, &names.iter().map(String::as_str).collect::<Vec<_>>());
    Application::named(&name).annotated(&endpoints)
}

/// Does what Kubernetes would do with Deployments in the namespace `telegraf`, at once: their pods run.
struct Rollouts(JoinHandle<()>);

impl Rollouts {
    fn of(cluster: &Cluster) -> Self {
        let api = Api::<Deployment>::namespaced(cluster.client.clone(), "telegraf");
        Self(tokio::spawn(async move {
            loop {
                for deployment in api.list(&ListParams::default()).await.into_iter().flatten() {
                    let generation = deployment.metadata.generation;
                    let status = deployment.status.unwrap_or_default();
                    if status.observed_generation != generation {
                        let status = json!({"status": {"observedGeneration": generation, "replicas": 1,
                            "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}});
                        let name = deployment.metadata.name.unwrap_or_default();
                        // It may have been deleted.
                        let _ = api
                            .patch_status(&name, &PatchParams::default(), &Patch::Merge(status))
                            .await;
                    }
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }))
    }
}

impl Drop for Rollouts {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How many Telegrafs have the file of each source.
async fn files(client: &kube::Client) -> BTreeMap<String, usize> {
    let api = Api::<k8s_openapi::api::core::v1::ConfigMap>::namespaced(client.clone(), "telegraf");
    let mut files = BTreeMap::new();
    let maps = api.list(&ListParams::default()).await.expect("list ConfigMaps");
    let all = maps.items.into_iter().flat_map(|map| map.data.unwrap_or_default());
    for (file, _) in all.filter(|(file, _)| file.starts_with("application.")) {
        *files.entry(file).or_default() += 1;
    }
    files
}

/// Waits until each source has a file in so many Telegrafs.
async fn have_files(cluster: &Cluster, sources: usize, telegrafs: usize) {
    eventually(|| async {
        let files = files(&cluster.client).await;
        let in_so_many = files.values().filter(|count| **count == telegrafs).count();
        (in_so_many == sources && files.len() == sources)
            .then_some(())
            .ok_or_else(|| format!("{in_so_many} of {} files are in {telegrafs} Telegrafs", files.len()))
    })
    .await;
}

/// What a change of one source costs.
#[derive(Debug)]
struct Cost {
    calls: f64,
    requests: usize,
    bytes: u64,
}

/// Starts an operator with so many sources, and changes one of them.
async fn cost_of_a_change(sources: usize) -> Cost {
    let cluster = Cluster::start().await;
    cluster.namespace("telegraf").await;
    for number in 0..sources {
        cluster.application(&small(number)).await;
    }
    let line = FragileLine::to(&cluster, u64::MAX).await;
    let settings = cluster.settings(&standalone(json!("auto")));
    let arguments = ["--no-leader-election", "--settings", settings.to_str().expect("a path")];
    let operator = cluster.operator_by(&line, &arguments);
    let _rollouts = Rollouts::of(&cluster);
    // So many take longer than anything else that is waited for.
    while files(&cluster.client).await.len() < sources {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    have_files(&cluster, sources, 1).await;
    operator.is_quiet().await;
    let calls = async || {
        let calls = operator.metric("telewarden_module_call_duration_seconds_count").await;
        calls.expect("the number of calls")
    };
    let requests = || {
        let audit = cluster.audit();
        let of_operator = audit.iter().filter(|event| event.user.username.contains("operator"));
        of_operator
            .filter(|event| event.verb != "watch" && !event.is_housekeeping())
            .count()
    };
    let before = (calls().await, requests(), line.sent());
    let name = small(sources / 2).name;
    cluster
        .application(&small(sources / 2).annotated(&annotation(&name, &["one", "two", "other"])))
        .await;
    let file = format!("application.argocd.{name}.conf");
    eventually(|| async {
        let api = Api::<k8s_openapi::api::core::v1::ConfigMap>::namespaced(cluster.client.clone(), "telegraf");
        let maps = api.list(&ListParams::default()).await.expect("list ConfigMaps");
        let mut texts = maps.items.into_iter().filter_map(|map| map.data?.remove(&file));
        let is_there = texts.any(|text| text.contains("other"));
        is_there
            .then_some(())
            .ok_or_else(|| "the file has not changed".to_owned())
    })
    .await;
    operator.is_quiet().await;
    let cost = Cost {
        calls: calls().await - before.0,
        requests: requests() - before.1,
        bytes: line.sent() - before.2,
    };
    println!("{sources} sources: {cost:?}");
    cost
}

async fn costs_are_about_the_same(few: usize, many: usize) {
    let (few, many) = (cost_of_a_change(few).await, cost_of_a_change(many).await);
    for cost in [&few, &many] {
        assert!(cost.calls <= 1.0, "{cost:?}");
        // What is accepted, and the file.
        assert!(cost.requests <= 2, "{cost:?}");
    }
    assert!(many.bytes * 2 <= few.bytes * 3, "{few:?} {many:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_costs_as_much_with_many_sources_as_with_few() {
    costs_are_about_the_same(20, 400).await;
}

/// Takes some minutes.
#[tokio::test(flavor = "multi_thread")]
#[ignore]
async fn a_change_costs_as_much_with_ten_thousand_sources_as_with_a_hundred() {
    costs_are_about_the_same(100, 10_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_to_a_new_telegraf_stays_in_the_old_one_until_the_new_one_runs() {
    let cluster = Cluster::start().await;
    cluster.namespace("telegraf").await;
    let settings = standalone(json!("auto"));
    let operator = cluster.operator_with(&settings).await;
    for number in 0..20 {
        cluster.application(&large(number)).await;
    }
    cluster.is_as_rendered(&settings).await;
    cluster
        .owns(&["ConfigMap telegraf/telegraf", "Deployment telegraf/telegraf"])
        .await;
    for number in 20..36 {
        cluster.application(&large(number)).await;
    }
    let two = [
        "ConfigMap telegraf/telegraf",
        "ConfigMap telegraf/telegraf-1",
        "Deployment telegraf/telegraf",
        "Deployment telegraf/telegraf-1",
    ];
    cluster.owns(&two).await;
    operator.is_quiet().await;
    let in_both = || async {
        let files = files(&cluster.client).await;
        assert_eq!(files.len(), 36);
        files.values().filter(|count| **count == 2).count()
    };
    let moving = in_both().await;
    assert!(moving > 5, "{moving}");
    // The operator that comes next knows it, too.
    operator.kill();
    let operator = cluster
        .operator(&["--no-leader-election", "--settings", path(&cluster, &settings).as_str()])
        .await;
    operator.is_quiet().await;
    assert_eq!(in_both().await, moving);
    let _rollouts = Rollouts::of(&cluster);
    have_files(&cluster, 36, 1).await;
    cluster.is_as_rendered(&settings).await;
}

fn path(cluster: &Cluster, settings: &Value) -> String {
    cluster.settings(settings).to_str().expect("a path").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_point_while_shards_grow_nothing_is_lost_and_nothing_left_over() {
    const SOURCES: usize = 40;
    let cluster = Cluster::start().await;
    cluster.namespace("telegraf").await;
    for number in 0..SOURCES {
        cluster.application(&small(number)).await;
    }
    let start = |shards: usize| -> Operator {
        let settings = path(&cluster, &standalone(json!(shards)));
        // A killed operator holds the lease until it expires.
        cluster.unready_operator(&["--no-leader-election", "--settings", &settings])
    };
    let first = start(1);
    have_files(&cluster, SOURCES, 1).await;
    first.kill();
    let _rollouts = Rollouts::of(&cluster);
    // From now on each source has a file at every moment.
    let lost = Arc::new(AtomicUsize::new(0));
    let (client, count) = (cluster.client.clone(), lost.clone());
    let watching = tokio::spawn(async move {
        loop {
            let missing = SOURCES - files(&client).await.len();
            count.fetch_max(missing, Ordering::Relaxed);
        }
    });
    let mut random = Random::new();
    for shards in 2..8 {
        for _ in 0..4 {
            let operator = start(shards);
            tokio::time::sleep(Duration::from_millis(100 + random.below(900))).await;
            operator.kill();
        }
        if shards % 3 == 1 {
            let _operator = start(shards);
            have_files(&cluster, SOURCES, 1).await;
            cluster.is_as_rendered(&standalone(json!(shards))).await;
        }
    }
    watching.abort();
    assert_eq!(lost.load(Ordering::Relaxed), 0, "files were nowhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_telegraf_that_cannot_be_written_holds_up_no_other_one() {
    let cluster = Cluster::start().await;
    cluster.namespace("telegraf").await;
    cluster
        .create_config_map("telegraf", "telegraf-1", &[("of", "somebody else")])
        .await;
    let _operator = cluster.operator_with(&standalone(json!(3))).await;
    for number in 0..12 {
        cluster.application(&small(number)).await;
    }
    let has = |file: String| {
        let cluster = &cluster;
        eventually(move || {
            let file = file.clone();
            async move {
                let files = files(&cluster.client).await;
                files
                    .contains_key(&file)
                    .then_some(())
                    .ok_or(format!("{file} is nowhere"))
            }
        })
    };
    let rendered = telewarden_e2e_operator::render(
        &standalone(json!(3)).to_string(),
        &(0..12).map(|number| small(number).object()).collect::<Vec<_>>(),
    );
    let maps = rendered.iter().filter(|object| object["kind"] == "ConfigMap");
    let maps = maps.filter(|map| map["metadata"]["name"] != "telegraf-1");
    for map in maps {
        for file in map["data"].as_object().into_iter().flatten().map(|(file, _)| file) {
            if file.starts_with("application.") {
                has(file.clone()).await;
            }
        }
    }
    let foreign = cluster.config_map("telegraf", "telegraf-1").await.expect("it stays");
    assert_eq!(foreign.data.unwrap_or_default().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_scraped_when_there_is_room_for_it_again() {
    let cluster = Cluster::start().await;
    cluster.namespace("telegraf").await;
    let _operator = cluster.operator_with(&standalone(json!(1))).await;
    for number in 0..40 {
        cluster.application(&large(number)).await;
    }
    let note = cluster.event("large-039", "Refused").await;
    assert!(note.contains("TW406"), "{note}");
    for number in 0..8 {
        cluster.delete_application(&format!("large-{number:03}")).await;
    }
    have_files(&cluster, 32, 1).await;
}

/// Anybody can create an object in a source's name, which cannot be deleted.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_rendered_for_what_others_make_in_a_source_s_name() {
    let cluster = Cluster::start().await;
    for namespace in ["telegraf", "evil"] {
        cluster.namespace(namespace).await;
    }
    let operator = cluster.operator_with(&standalone(json!("auto"))).await;
    for number in 0..10 {
        cluster.application(&small(number)).await;
    }
    have_files(&cluster, 10, 1).await;
    operator.is_quiet().await;
    let calls = operator
        .metric("telewarden_module_call_duration_seconds_count")
        .await
        .expect("a metric");
    for number in 0..10 {
        let forged = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": format!("evil-{number}"),
                "namespace": "evil",
                "finalizers": ["example.org/stays"],
                "labels": {
                    "app.kubernetes.io/managed-by": "telewarden",
                    "telegraf.influxdata.com/instance": "telewarden",
                },
                "annotations": {"telegraf.influxdata.com/source": format!("argoproj.io/Application/argocd/app-{number:05}")},
            },
        });
        cluster.put(&forged).await;
    }
    // They are deleted, as far as that is possible.
    let api = cluster.of("evil", "", "v1", "ConfigMap");
    eventually(|| async {
        let maps = api.list(&ListParams::default()).await.expect("list them").items;
        let left = maps.iter().filter(|map| {
            map.metadata
                .name
                .as_deref()
                .is_some_and(|name| name.starts_with("evil"))
        });
        let left = left.filter(|map| map.metadata.deletion_timestamp.is_none()).count();
        (left == 0).then_some(()).ok_or(format!("{left} are not deleted"))
    })
    .await;
    operator.is_quiet().await;
    assert_eq!(
        operator.metric("telewarden_module_call_duration_seconds_count").await,
        Some(calls)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_a_patch_has_added_is_removed_by_an_apply() {
    let cluster = Cluster::start().await;
    cluster.namespace("telegraf").await;
    let settings = standalone(json!("auto"));
    let operator = cluster.operator_with(&settings).await;
    cluster.application(&small(0)).await;
    cluster.is_as_rendered(&settings).await;
    // What others change is put right by an apply.
    let change = json!({"data": {"application.argocd.app-00000.conf": "x"}});
    cluster.edit("telegraf", "", "ConfigMap", "telegraf", &change).await;
    cluster.is_as_rendered(&settings).await;
    cluster.application(&small(1)).await;
    cluster.is_as_rendered(&settings).await;
    let operations = || async {
        let map = cluster.config_map("telegraf", "telegraf").await.expect("the ConfigMap");
        let entries = map.metadata.managed_fields.unwrap_or_default().into_iter();
        let ours = entries.filter(|entry| entry.manager.as_deref() == Some("telewarden"));
        let mut operations: Vec<_> = ours.filter_map(|entry| entry.operation).collect();
        operations.sort();
        operations
    };
    assert_eq!(operations().await, ["Apply", "Update"]);
    operator.is_quiet().await;
    operator.kill();
    cluster.delete_application(&small(1).name).await;
    let path = path(&cluster, &settings);
    let _operator = cluster.operator(&["--no-leader-election", "--settings", &path]).await;
    cluster.is_as_rendered(&settings).await;
    assert_eq!(operations().await, ["Apply"]);
}
