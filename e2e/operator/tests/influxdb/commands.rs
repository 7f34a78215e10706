//! What `diff` and `apply` do with buckets and tokens.

use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::json;
use telewarden_e2e_operator::{InfluxDb, redis};

use crate::provided::{REDIS, arguments, as_texts, cluster, has_tokens, settings};

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_would_be_made_and_makes_nothing() {
    let (cluster, database) = (cluster().await, InfluxDb::start().await);
    cluster.namespace("redis").await;
    cluster.application(&redis()).await;
    let settings = settings(&database, "bucketsAndTokens");
    let arguments = arguments(&cluster, &database, &settings);
    let diff = || {
        let mut command = vec!["diff"];
        command.extend(as_texts(&arguments));
        let output = cluster.command(&command);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, said, log) = diff();
    assert_eq!(code, Some(1), "{said}{log}");
    assert!(
        said.contains("bucket `redis` in organization `square`") && said.contains("would be made"),
        "{said}"
    );
    assert!(
        said.contains("a token for argoproj.io/Application/argocd/redis would be made"),
        "{said}"
    );
    assert!(database.buckets("square").await.is_empty() && database.authorizations().await.is_empty());

    let operator = cluster.operator(&as_texts(&arguments)).await;
    let found = has_tokens(&cluster, &database, &[REDIS]).await;
    operator.stop();
    let (code, said, log) = diff();
    assert_eq!((code, said.as_str()), (Some(0), ""), "{log}");
    // `diff` does not show the values of a Secret that would be repaired.
    let secrets = Api::<Secret>::namespaced(cluster.client.clone(), "redis");
    let name = secrets.list(&ListParams::default()).await.expect("list").items[0].name_any();
    cluster
        .edit(
            "redis",
            "",
            "Secret",
            &name,
            &json!({"data": {"influx-token": "bWluZQ=="}}),
        )
        .await;
    cluster.delete_application("redis").await;
    let (code, said, log) = diff();
    assert_eq!(code, Some(1), "{said}{log}");
    assert!(
        said.contains("a token of argoproj.io/Application/argocd/redis would be revoked"),
        "{said}"
    );
    assert!(
        !said.contains("bWluZQ") && !log.contains("bWluZQ") && !said.contains(&found[REDIS]),
        "{said}"
    );
    assert_eq!(database.authorizations().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_provides_too() {
    let (cluster, database) = (cluster().await, InfluxDb::start().await);
    cluster.namespace("redis").await;
    let file = cluster.folder().join("redis.yaml");
    std::fs::write(&file, redis().object().to_string()).expect("write a file");
    let settings = settings(&database, "bucketsAndTokens");
    let arguments = arguments(&cluster, &database, &settings);
    let mut command = vec!["apply", file.to_str().expect("a path"), "--instance", "telewarden"];
    command.extend(as_texts(&arguments));
    for expected in ["made", "unchanged"] {
        let output = cluster.command_of(telewarden_e2e_operator::ADMIN, &command);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains(expected), "{said}{log}");
        let found = has_tokens(&cluster, &database, &[REDIS]).await;
        assert_eq!(database.write(&found[REDIS], "square", "redis").await, 204);
        assert!(!said.contains(&found[REDIS]) && !log.contains(&found[REDIS]));
    }
}
