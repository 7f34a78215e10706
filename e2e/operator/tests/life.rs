//! Restarts and failures of the operator and of the API server, and leader election.

use serde_json::json;
use telewarden_e2e_operator::{
    Application, AuditEvent, Cluster, FragileLine, Operator, Random, SERVICE_ACCOUNT, SERVICE_ACCOUNT_TOO, annotation,
    eventually, for_a_while, redis,
};
use tokio::net::TcpListener;

const REDIS: [&str; 2] = ["ConfigMap redis/telegraf-redis", "Deployment redis/telegraf-redis"];

async fn applications(cluster: &Cluster, count: usize) {
    for number in 0..count {
        let name = format!("app-{number}");
        cluster.namespace(&name).await;
        cluster
            .application(&Application::named(&name).annotated(&annotation(&name, &["server"])))
            .await;
    }
}

/// The namespaces and the names of the Applications that are edited at random.
const RANDOM: [&str; 4] = ["a", "b", "c", "d"];

/// Writes one of four Applications for one of four namespaces, takes its annotation away, or deletes it.
async fn edit_at_random(cluster: &Cluster, random: &mut Random) {
    let name = RANDOM[random.below(4) as usize];
    let to = RANDOM[random.below(4) as usize];
    let endpoints = ["one", "two", "three"];
    let application = Application::named(name).to(to);
    match random.below(6) {
        0 => cluster.application(&application.annotated("")).await,
        1 => {
            let api = cluster.of("argocd", "argoproj.io", "v1alpha1", "Application");
            let _ = api.delete(name, &Default::default()).await;
        }
        _ => {
            let count = 1 + random.below(3) as usize;
            cluster
                .application(&application.annotated(&annotation(to, &endpoints[..count])))
                .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_break_at_any_byte_cost_nothing_but_time() {
    let cluster = Cluster::start().await;
    for name in RANDOM {
        cluster.namespace(name).await;
    }
    let line = FragileLine::to(&cluster, 60_000).await;
    let operator = cluster.operator_by(&line, &["--no-leader-election"]);
    operator.is_ready().await;
    let mut random = Random::new();
    for edit in 0..100 {
        edit_at_random(&cluster, &mut random).await;
        if edit % 10 == 9 {
            cluster.is_as_rendered(&json!({})).await;
        }
    }
    assert!(line.broken() > 0, "no connection has broken");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_point_of_many_edits_the_cluster_ends_as_rendered() {
    let cluster = Cluster::start().await;
    for name in RANDOM {
        cluster.namespace(name).await;
    }
    let mut random = Random::new();
    let mut operator = Some(cluster.unready_operator(&[]));
    for edit in 0..200 {
        edit_at_random(&cluster, &mut random).await;
        if random.below(5) == 0 || operator.is_none() {
            if let Some(running) = operator.take() {
                tokio::time::sleep(std::time::Duration::from_millis(random.below(400))).await;
                running.kill();
            }
            // A killed operator holds the lease until it expires.
            operator = Some(cluster.unready_operator(&["--no-leader-election"]));
        }
        if edit % 50 == 49 {
            cluster.is_as_rendered(&json!({})).await;
        }
    }
    cluster.is_as_rendered(&json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_is_killed_and_restarted_during_a_roll_out() {
    let mut cluster = Cluster::start().await;
    applications(&cluster, 60).await;
    let _operator = cluster.unready_operator(&["--no-leader-election", "--at-once", "1"]);
    eventually(|| async {
        let written = !cluster.owned().await.is_empty();
        written.then_some(()).ok_or("nothing is written yet".to_owned())
    })
    .await;
    cluster.kill_api_server();
    let writes = cluster.writes();
    cluster.restart_api_server(&[]).await;
    cluster.is_as_rendered(&json!({})).await;
    assert!(
        cluster.writes() > writes,
        "everything was written before the API server was killed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_while_watches_expire_is_noticed() {
    let mut cluster = Cluster::start().await;
    applications(&cluster, 3).await;
    let operator = cluster.operator(&["--no-leader-election"]).await;
    cluster.is_as_rendered(&json!({})).await;
    // Something changes while no watch is open, and etcd is compacted before the next one.
    operator.signal("STOP");
    cluster.kill_api_server();
    cluster.restart_api_server(&[]).await;
    cluster.delete_application("app-0").await;
    cluster
        .application(&Application::named("app-1").annotated(&annotation("app-1", &["other"])))
        .await;
    cluster.delete("app-2", "", "ConfigMap", "telegraf-app-2").await;
    cluster.compact().await;
    // After a restart, the API server's watch cache is empty too.
    cluster.kill_api_server();
    cluster.restart_api_server(&[]).await;
    operator.signal("CONT");
    cluster.is_as_rendered(&json!({})).await;
    assert!(operator.log().contains("the watch has expired"));
}

/// What the operator has asked for Applications with.
fn asked_for_applications(cluster: &Cluster) -> Vec<AuditEvent> {
    let audit = cluster.audit().into_iter();
    let asked = audit.filter(|event| {
        event.user.username.contains("operator")
            && event.object_ref.resource == "applications"
            && ["list", "watch"].contains(&event.verb.as_str())
    });
    asked.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_streamed_and_where_they_are_not_they_are_pages() {
    for (flags, verbs) in [
        (&[] as &[_], &["watch"] as &[_]),
        (&["--feature-gates=WatchList=false"], &["watch", "list", "list"]),
    ] {
        let cluster = Cluster::start_with(flags).await;
        applications(&cluster, 15).await;
        let operator = cluster.operator(&[]).await;
        cluster.is_as_rendered(&json!({})).await;
        // A watch is in the audit log when it has ended.
        assert_eq!(operator.stop().code(), Some(0));
        let asked = asked_for_applications(&cluster);
        let first: Vec<_> = asked
            .iter()
            .map(|event| event.verb.as_str())
            .take(verbs.len())
            .collect();
        assert_eq!(first, verbs, "{flags:?}");
        assert!(
            asked[0].request_uri.contains("sendInitialEvents=true"),
            "{:?}",
            asked[0]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_throttles_is_asked_again() {
    // Two requests at once, not counting watches.
    let flags = [
        "--max-requests-inflight=2",
        "--max-mutating-requests-inflight=1",
        "--enable-priority-and-fairness=false",
    ];
    let cluster = Cluster::start_with(&[]).await;
    applications(&cluster, 30).await;
    let mut cluster = cluster;
    cluster.kill_api_server();
    cluster.restart_api_server(&flags).await;
    let operator = cluster.unready_operator(&["--no-leader-election", "--at-once", "32"]);
    cluster.is_as_rendered(&json!({})).await;
    drop(operator);
    let throttled = cluster
        .audit()
        .iter()
        .filter(|event| event.user.username.contains("operator"))
        .filter(|event| event.response_status.as_ref().is_some_and(|status| status.code == 429))
        .count();
    assert!(throttled > 0, "nothing was throttled");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_operators_one_writes_and_the_other_takes_over() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    let first = cluster.operator(&[]).await;
    eventually(|| async {
        (first.metric("telewarden_leader").await == Some(1.0))
            .then_some(())
            .ok_or("the first does not lead".to_owned())
    })
    .await;
    let second = cluster.operator(&[]).await;
    for_a_while(|| async {
        (second.metric("telewarden_leader").await == Some(0.0))
            .then_some(())
            .ok_or("the second leads too".to_owned())
    })
    .await;
    cluster.application(&redis()).await;
    cluster.owns(&REDIS).await;
    assert_eq!(second.metric("telewarden_writes_total{verb=\"created\"}").await, None);
    first.kill();
    cluster
        .application(&redis().annotated(&annotation("redis", &["other"])))
        .await;
    cluster.is_as_rendered(&json!({})).await;
    assert_eq!(second.metric("telewarden_leader").await, Some(1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_but_the_holder_of_the_lease() {
    let cluster = Cluster::start().await;
    applications(&cluster, 60).await;
    let leads = async |operator: &Operator| match operator.metric("telewarden_leader").await {
        Some(1.0) => Ok(()),
        leads => Err(format!("telewarden_leader is {leads:?}")),
    };
    let of_team = |team: &str| json!({"pod": {"labels": {"team": team}}});
    let path = cluster.settings(&of_team("none"));
    let arguments = ["--settings", path.to_str().expect("a path")];
    let tokens = [SERVICE_ACCOUNT, SERVICE_ACCOUNT_TOO];
    let mut leader = cluster.operator_of(tokens[0], &arguments);
    cluster.is_as_rendered(&of_team("none")).await;
    for round in 0..4 {
        eventually(|| leads(&leader)).await;
        let next = cluster.operator_of(tokens[(round + 1) % 2], &arguments);
        next.is_ready().await;
        // The leader is stopped during its work until the other operator leads.
        let team = format!("team-{round}");
        cluster.settings(&of_team(&team));
        let deployments = cluster.of("app-0", "apps", "v1", "Deployment");
        let has_begun = async || {
            let first = deployments.get("telegraf-app-0").await.expect("a Deployment");
            first.data["spec"]["template"]["metadata"]["labels"]["team"] == team.as_str()
        };
        while !has_begun().await {}
        leader.signal("STOP");
        let meanwhile = annotation("app-0", &[&format!("meanwhile-{round}")]);
        cluster
            .application(&Application::named("app-0").annotated(&meanwhile))
            .await;
        eventually(|| leads(&next)).await;
        cluster.is_as_rendered(&of_team(&team)).await;
        leader.signal("CONT");
        assert_eq!(leader.ended().code(), Some(2), "who has lost the lease ends");
        cluster.is_as_rendered(&of_team(&team)).await;
        leader = next;
    }

    // A write is dated by when it was received, a lease by when it was acquired. A write that was sent before the
    // leader
    // was stopped arrives late, and is refused, because it names an older resourceVersion.
    let mut events = cluster.audit();
    events.retain(|event| event.is_write() && tokens.contains(&event.user.uid.as_str()));
    events.retain(|event| event.object_ref.resource != "events");
    let is_lease = |event: &AuditEvent| event.object_ref.resource == "leases";
    events.sort_by_key(|event| match is_lease(event) {
        true => event.stage_timestamp.clone(),
        false => event.request_received_timestamp.clone(),
    });
    let (mut holder, mut writers) = (String::new(), Vec::new());
    for event in events {
        let answered = event.response_status.as_ref().map_or(0, |status| status.code);
        match is_lease(&event) {
            _ if answered >= 300 => {}
            true => holder = event.user.uid,
            false => {
                assert_eq!(event.user.uid, holder, "{event:#?}");
                writers.push(event.user.uid);
            }
        }
    }
    writers.dedup();
    assert!(writers.len() > 4, "each wrote while it led: {writers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_under_way_is_finished_before_the_operator_stops() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    // A webhook for ConfigMaps that never answers. When it closes the connection, the API server continues.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://{}/", listener.local_addr().expect("an address"));
    cluster
        .put(&json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "silent"},
            "webhooks": [{
                "name": "silent.e2e.example",
                "clientConfig": {"url": url},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "redis"}},
                "failurePolicy": "Ignore",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": 30,
            }],
        }))
        .await;
    // The API server needs a moment to load the webhook.
    let asked = async {
        let mut number = 0;
        loop {
            cluster
                .create_config_map("redis", &format!("asked-{number}"), &[])
                .await;
            number += 1;
        }
    };
    tokio::select! {
        () = asked => {}
        connection = listener.accept() => drop(connection.expect("the API server's question")),
    }

    let mut operator = cluster.operator(&[]).await;
    cluster.application(&redis()).await;
    let (connection, _) = listener.accept().await.expect("the API server's question");
    operator.signal("TERM");
    for _ in 0..10 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        assert!(operator.runs(), "it has not waited for the API server's answer");
    }
    assert_eq!(cluster.owned().await, [""; 0], "nothing is written yet");
    drop(connection);
    assert!(operator.ended().success());
    assert_eq!(cluster.owned().await, REDIS, "all that belongs together is there");
    let lease = cluster
        .of("telewarden", "coordination.k8s.io", "v1", "Lease")
        .get("telewarden-telewarden")
        .await;
    let holder = lease.expect("the lease").data["spec"]["holderIdentity"].clone();
    assert!(
        holder.is_null(),
        "the next one may start at once, but the lease is held by {holder}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_the_module_fails_on_does_not_hold_up_the_others() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    cluster.namespace("large").await;
    // Enough time for a small annotation, but not for one of almost the maximum size.
    let operator = cluster.operator(&["--module-memory", "2"]).await;
    let large = format!("# {}\n{}", "x".repeat(250_000), annotation("large", &["server"]));
    cluster
        .application(&Application::named("large").annotated(&large))
        .await;
    cluster.application(&redis()).await;
    cluster.owns(&REDIS).await;
    assert!(cluster.event("large", "Failed").await.contains("memory"));
    assert!(
        operator
            .metric("telewarden_errors_total{reason=\"memory\"}")
            .await
            .is_some_and(|errors| errors > 0.0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_do_not_validate_are_refused_and_the_old_ones_stay() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    let operator = cluster
        .operator_with(&json!({"pod": {"labels": {"team": "one"}}}))
        .await;
    cluster.application(&redis()).await;
    cluster.owns(&REDIS).await;
    cluster.settings(&json!({"topologie": "standalone"}));
    assert!(
        cluster
            .event(&operator.name(), "SettingsRefused")
            .await
            .contains("topologie")
    );
    cluster
        .is_as_rendered(&json!({"pod": {"labels": {"team": "one"}}}))
        .await;
    cluster.settings(&json!({"pod": {"labels": {"team": "two"}}}));
    cluster
        .is_as_rendered(&json!({"pod": {"labels": {"team": "two"}}}))
        .await;
}
