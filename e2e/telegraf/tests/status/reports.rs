//! Reports of sources, as objects: who writes them, and when they go.

use serde_json::{Value, json};
use telewarden_e2e_operator::{Application, Cluster, eventually, for_a_while};
use telewarden_e2e_telegraf::{on_loopback, read_yaml};

use crate::parts::{
    cluster, deployed, install_reports, operator, operator_with, pod, reports, reports_say, says, writes_of_reports,
};

/// A source whose Telegraf does not start, and what is said of that.
async fn waits_for_its_secret(cluster: &Cluster, name: &str) {
    cluster
        .application(&Application::named(name).annotated("queue: http://127.0.0.1:1/metrics\n"))
        .await;
    let deployed = deployed(cluster, &format!("{name}/telegraf-{name}")).await;
    let waiting = json!({"reason": "CreateContainerConfigError", "message": "secret \"telegraf\" not found"});
    pod(
        cluster,
        &deployed,
        &format!("telegraf-{name}"),
        json!({"state": {"waiting": waiting}}),
    )
    .await;
}

/// Anybody can create a Report where another one should be.
#[tokio::test(flavor = "multi_thread")]
async fn in_standalone_a_report_that_cannot_be_written_holds_up_no_other() {
    let cluster = cluster().await;
    install_reports(&cluster).await;
    cluster.namespace("telegraf").await;
    let name = telewarden_policy::report::name("argoproj.io/Application/argocd/mail", "telewarden");
    let forged = json!({
        "apiVersion": "openreports.io/v1alpha1",
        "kind": "Report",
        "metadata": {"name": name, "namespace": "mail"},
        "results": [],
    });
    cluster.put(&forged).await;
    let mut settings = on_loopback();
    settings["topology"] = json!("standalone");
    let _operator = operator_with(&cluster, &settings, &["--reports"]).await;
    for name in ["mail", "shop"] {
        let annotated = Application::named(name).annotated("queue: http://127.0.0.1:1/metrics\n");
        cluster.application(&annotated).await;
    }
    let deployed = deployed(&cluster, "telegraf/telegraf").await;
    let waiting = json!({"reason": "CreateContainerConfigError", "message": "secret \"telegraf\" not found"});
    pod(&cluster, &deployed, "telegraf", json!({"state": {"waiting": waiting}})).await;
    reports_say(&cluster, "shop", &["queue: error"]).await;
    cluster.event("mail", "ForeignObject").await;
    let reports = cluster.of("mail", "openreports.io", "v1alpha1", "Report");
    reports.delete(&name, &Default::default()).await.expect("delete it");
    reports_say(&cluster, "mail", &["queue: error"]).await;
}

fn message(report: &Value) -> &str {
    report["results"][0]["message"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_owned_like_everything_else() {
    let cluster = cluster().await;
    install_reports(&cluster).await;
    let settings = on_loopback();
    // One tells, of two.
    let first = operator_with(&cluster, &settings, &["--reports"]).await;
    let second = operator_with(&cluster, &settings, &["--reports"]).await;
    waits_for_its_secret(&cluster, "shop").await;
    waits_for_its_secret(&cluster, "mail").await;
    let report = reports_say(&cluster, "shop", &["queue: error"]).await;
    reports_say(&cluster, "mail", &["queue: error"]).await;
    assert!(
        message(&report).contains("Secret `telegraf` does not exist"),
        "{report:#}"
    );
    assert_eq!(report["summary"]["error"], 1, "{report:#}");
    let writers: std::collections::BTreeSet<_> = cluster
        .audit()
        .into_iter()
        .filter(|event| event.object_ref.resource == "reports" && event.is_write())
        .map(|event| (event.verb, event.object_ref.namespace))
        .collect();
    assert_eq!(
        writers,
        [("create", "mail"), ("create", "shop")]
            .map(|(verb, namespace)| (verb.to_owned(), namespace.to_owned()))
            .into()
    );

    // What somebody else writes into it is written over.
    let name = report["metadata"]["name"].as_str().expect("a name");
    let forged = json!({"results": [], "summary": {"error": 0, "pass": 9}});
    let kind = ("openreports.io", "v1alpha1", "Report");
    cluster.edit_version("shop", kind, name, &forged).await;
    reports_say(&cluster, "shop", &["queue: error"]).await;
    // An operator that only looks leaves it alone.
    let path = cluster.settings(&settings);
    let diff = cluster.command(&[
        "diff",
        "--settings",
        path.to_str().expect("a path"),
        "--namespace",
        "telewarden",
    ]);
    assert!(diff.status.success(), "{}", String::from_utf8_lossy(&diff.stdout));

    // Nothing changes, and nothing is written by operators that start again.
    let written = writes_of_reports(&cluster);
    assert!(first.stop().success());
    assert!(second.stop().success());
    let again = operator_with(&cluster, &settings, &["--reports"]).await;
    says(&cluster, &again, "shop", &["Secret `telegraf` does not exist"]).await;
    for_a_while(|| async {
        let now = writes_of_reports(&cluster);
        (now == written)
            .then_some(())
            .ok_or(format!("{written} writes, then {now}"))
    })
    .await;

    // It goes with its source,
    cluster.delete_application("shop").await;
    let gone = |namespace: &'static str| {
        let cluster = &cluster;
        move || async move {
            let left = reports(cluster, namespace).await;
            left.is_empty().then_some(()).ok_or(format!("{left:#?}"))
        }
    };
    eventually(gone("shop")).await;
    reports_say(&cluster, "mail", &["queue: error"]).await;
    // and with the flag.
    assert!(again.stop().success());
    let _without = operator(&cluster, &settings).await;
    eventually(gone("mail")).await;
    // All the rights in the file for them are used.
    let used: std::collections::BTreeSet<_> = cluster
        .audit()
        .into_iter()
        .filter(|event| event.object_ref.resource == "reports" && event.user.username.contains("operator"))
        .flat_map(|event| event.needed_verbs())
        .collect();
    let given = telewarden_e2e_operator::given(&read_yaml("deploy/operator/rbac-reports.yaml"));
    assert_eq!(used, given.into_iter().map(|right| right.verb).collect());
}
