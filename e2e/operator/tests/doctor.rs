//! `doctor` asks a real API server, and writes nothing.

use std::fs;

use serde_json::{Value, json};
use telewarden_e2e_operator::{ADMIN, Cluster, InfluxDb, SERVICE_ACCOUNT, redis};

/// Its output and exit status.
fn doctor(cluster: &Cluster, token: &str, arguments: &[&str]) -> (String, Option<i32>) {
    let output = cluster.command_of(token, &[&["doctor"], arguments].concat());
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8(text).expect("UTF-8"), output.status.code())
}

fn service(port: u16) -> Value {
    let metadata = json!({"name": "server", "namespace": "redis"});
    json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": port}]}})
}

fn slice(ready: bool) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "server-x", "namespace": "redis", "labels": {"kubernetes.io/service-name": "server"}},
        "endpoints": [{"addresses": ["10.1.2.3"], "conditions": {"ready": ready}}],
    })
}

fn secret(key: &str) -> Value {
    let metadata = json!({"name": "telegraf", "namespace": "redis"});
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {key: "5ecret"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn each_thing_that_is_missing_is_said_until_none_is() {
    let cluster = Cluster::start().await;
    let file = cluster.folder().join("redis.yaml");
    fs::write(&file, serde_yaml::to_string(&redis().object()).expect("YAML")).expect("write a file");
    let path = file.to_str().expect("a path");
    // Rights to read only.
    cluster
        .create_all(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: doctor}\nrules:\n\
             - {apiGroups: [''], resources: [namespaces, services, secrets], verbs: [get]}\n\
             - {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list]}\n---\n\
             apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: doctor}\n\
             roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: doctor}\n\
             subjects: [{kind: ServiceAccount, name: telewarden-operator, namespace: telewarden}]\n",
        )
        .await;
    let look = || doctor(&cluster, SERVICE_ACCOUNT, &[path]);

    let (text, status) = look();
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("no   namespace redis: it does not exist"), "{text}");
    assert!(text.contains("no   Service redis/server: it does not exist"), "{text}");
    assert!(
        text.contains("no   Secret redis/telegraf with the key influx-token: it does not exist"),
        "{text}"
    );

    cluster.namespace("redis").await;
    cluster.put(&service(9122)).await;
    cluster.put(&secret("token")).await;
    let (text, status) = look();
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains("yes  namespace redis") && text.contains("yes  Service redis/server"),
        "{text}"
    );
    assert!(
        text.contains("no   port 9121 of Service redis/server: it has 9122"),
        "{text}"
    );
    assert!(
        text.contains("no   ready endpoints of Service redis/server: there are none"),
        "{text}"
    );
    assert!(
        text.contains("with the key influx-token: the key is missing; it has token"),
        "{text}"
    );
    assert!(!text.contains("5ecret"), "{text}");

    cluster.put(&service(9121)).await;
    cluster.put(&secret("influx-token")).await;
    cluster.put(&slice(false)).await;
    let (text, status) = look();
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("1 are there, and none is ready"), "{text}");

    cluster.put(&slice(true)).await;
    let (text, status) = look();
    assert_eq!(status, Some(0), "{text}");
    assert_eq!(
        text.lines().filter(|line| line.starts_with("  yes ")).count(),
        5,
        "{text}"
    );

    assert_eq!(cluster.writes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_looked_up_in_the_database() {
    let (cluster, database) = (Cluster::start().await, InfluxDb::start().await);
    let file = cluster.folder().join("redis.yaml");
    fs::write(&file, serde_yaml::to_string(&redis().object()).expect("YAML")).expect("write a file");
    let output = |organization: &str| json!({"urls": [database.url()], "organization": organization, "bucket": "{bucket}", "token": "${INFLUX_TOKEN}"});
    let token = database.token_file();
    let look = |organization: &str, with_token: bool| {
        let outputs = json!({"influxdb_v2": [output(organization)]});
        let settings = cluster.settings(&json!({"classes": {"default": {"outputs": outputs}}}));
        let mut arguments = vec![
            "--settings",
            settings.to_str().expect("a path"),
            file.to_str().expect("a path"),
        ];
        if with_token {
            arguments.extend(["--influxdb-token-file", token.to_str().expect("a path")]);
        }
        doctor(&cluster, ADMIN, &arguments).0
    };
    let bucket = format!("bucket redis of organization square at {}", database.url());
    let text = look("square", false);
    assert!(text.contains(&format!("?    {bucket}: give a token")), "{text}");
    let text = look("square", true);
    assert!(text.contains(&format!("no   {bucket}: it does not exist")), "{text}");
    let text = look("circle", true);
    assert!(text.contains("there is no organization circle"), "{text}");
    database.create_bucket("redis", 0).await;
    let text = look("square", true);
    assert!(text.contains(&format!("yes  {bucket}\n")), "{text}");
    database.use_token("wrong");
    let text = look("square", true);
    assert!(
        text.contains(&format!("?    {bucket}: the database answers 401")),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_ask_is_told_so() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    let file = cluster.folder().join("redis.yaml");
    fs::write(&file, serde_yaml::to_string(&redis().object()).expect("YAML")).expect("write a file");
    // The operator's own rights do not include Services.
    let (text, status) = doctor(&cluster, SERVICE_ACCOUNT, &[file.to_str().expect("a path")]);
    assert_eq!(status, Some(2), "{text}");
    assert!(
        text.contains("?    Service redis/server: this kubeconfig may not ask"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_file_is_said_too() {
    let cluster = Cluster::start().await;
    let file = cluster.folder().join("redis.yaml");
    let wrong = redis()
        .annotated("- server: ftp://server.redis.svc:9121/metrics\n")
        .object();
    fs::write(&file, serde_yaml::to_string(&wrong).expect("YAML")).expect("write a file");
    let (text, status) = doctor(&cluster, ADMIN, &[file.to_str().expect("a path")]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("TW106"), "{text}");
}
