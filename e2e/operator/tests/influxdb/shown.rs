//! No token is shown anywhere but in its Secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::json;
use telewarden_e2e_operator::{ADMIN, ADMINISTRATOR, InfluxDb, eventually, redis};

use crate::provided::{DEPLOYED, REDIS, arguments, as_texts, cluster, has_tokens, settings, tokens};

#[tokio::test(flavor = "multi_thread")]
async fn no_output_contains_a_token() {
    let (cluster, database) = (cluster().await, InfluxDb::start().await);
    cluster.namespace("redis").await;
    let settings = settings(&database, "bucketsAndTokens");
    let mut all = arguments(&cluster, &database, &settings);
    let mut outputs: Vec<(&str, String)> = Vec::new();
    let run = |arguments: &[&str]| {
        let output = cluster.command_of(ADMIN, arguments);
        format!(
            "{:?}\n{}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    };
    let diff = |arguments: &[String]| run(&[&["--log", "trace", "diff"], as_texts(arguments).as_slice()].concat());

    // A token that the database refuses, and says so.
    database.use_token("a-wrong-token-of-an-administrator");
    let mut traced = as_texts(&all);
    traced.extend(["--log", "trace"]);
    let operator = cluster.operator(&traced).await;
    cluster.application(&redis()).await;
    cluster.event("redis", "NotProvided").await;
    outputs.push(("diff with a wrong token", diff(&all)));
    database.use_token(ADMINISTRATOR);
    cluster.owns(&DEPLOYED).await;
    let first = has_tokens(&cluster, &database, &[REDIS]).await[REDIS].clone();
    outputs.push(("diff without a difference", diff(&all)));

    // Somebody edits the Secret, and the operator repairs it.
    let secrets = Api::<Secret>::namespaced(cluster.client.clone(), "redis");
    let name = secrets.list(&ListParams::default()).await.expect("list").items[0].name_any();
    let edit = json!({"data": {"influx-token": STANDARD.encode("mine")}});
    cluster.edit("redis", "", "Secret", &name, &edit).await;
    has_tokens(&cluster, &database, &[REDIS]).await;
    // A new token, and one after the Secret was deleted.
    outputs.push(("rotate", run(&["--log", "trace", "rotate", REDIS])));
    let mut seen = vec![first];
    for step in ["rotated", "deleted"] {
        eventually(|| async {
            let now = tokens(&cluster).await;
            let now = now.get(REDIS).filter(|now| !seen.contains(now));
            now.map(drop).ok_or_else(|| format!("not {step}"))
        })
        .await;
        seen.push(tokens(&cluster).await[REDIS].clone());
        if step == "rotated" {
            cluster.delete("redis", "", "Secret", &name).await;
        }
    }
    has_tokens(&cluster, &database, &[REDIS]).await;
    for path in ["/metrics", "/status", "/healthz", "/readyz"] {
        if let Some((_, page)) = operator.get(path).await {
            outputs.push((path, page));
        }
    }
    outputs.push(("the log", operator.log()));
    operator.stop();

    // What `diff` says of a Secret that would be repaired, and what `apply` says of it.
    cluster.edit("redis", "", "Secret", &name, &edit).await;
    outputs.push(("diff with a difference", diff(&all)));
    let file = cluster.folder().join("redis.yaml");
    std::fs::write(&file, redis().object().to_string()).expect("write a file");
    let file = file.to_str().expect("a path").to_owned();
    all.extend([file, "--instance".to_owned(), "telewarden".to_owned()]);
    outputs.push((
        "apply",
        run(&[&["--log", "trace", "apply"], as_texts(&all).as_slice()].concat()),
    ));
    seen.push(tokens(&cluster).await[REDIS].clone());

    let list = ListParams::default();
    let events = Api::<Event>::all(cluster.client.clone())
        .list(&list)
        .await
        .expect("list");
    outputs.push(("the Events", format!("{:?}", events.items)));
    let maps = Api::<ConfigMap>::all(cluster.client.clone())
        .list(&list)
        .await
        .expect("list");
    outputs.push(("the ConfigMaps", format!("{:?}", maps.items)));
    let deployments = cluster.all("apps", "v1", "Deployment").list(&list).await.expect("list");
    outputs.push(("the Deployments", format!("{:?}", deployments.items)));

    // Otherwise nothing was looked at.
    let (_, log) = outputs.iter().find(|(what, _)| *what == "the log").expect("a log");
    assert!(log.contains("\"TRACE\"") && log.contains("a token was made"), "{log}");
    for (what, text) in &outputs {
        assert!(text.len() > 1, "{what} is empty");
    }
    seen.extend([ADMINISTRATOR.to_owned(), "a-wrong-token-of-an-administrator".to_owned()]);
    for token in &seen {
        for spelled in [token.clone(), STANDARD.encode(token)] {
            for (what, text) in &outputs {
                let at = text.find(&spelled);
                let around = at.map(|at| &text[text.floor_char_boundary(at.saturating_sub(300))..at]);
                assert_eq!(around, None, "there is a token in {what}");
            }
        }
    }
}
