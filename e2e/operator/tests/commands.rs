//! The commands that run once: `apply`, `diff` and others.

use std::fs;

use serde_json::{Value, json};
use telewarden_e2e_operator::{Application, Cluster, annotation, redis};

const REDIS: [&str; 2] = ["ConfigMap redis/telegraf-redis", "Deployment redis/telegraf-redis"];

#[tokio::test(flavor = "multi_thread")]
async fn diff_says_what_once_would_do_and_once_does_it() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    cluster.application(&redis()).await;

    let diff = cluster.command(&["diff"]);
    assert_eq!(diff.status.code(), Some(1), "{diff:?}");
    let text = String::from_utf8_lossy(&diff.stdout).into_owned();
    assert!(
        text.contains("# ConfigMap redis/telegraf-redis would be created"),
        "{text}"
    );
    assert!(
        text.contains("+") && text.contains("http://server.redis.svc:9121/metrics"),
        "{text}"
    );
    let dry = cluster.command(&["run", "--once", "--dry-run"]);
    assert_eq!(dry.status.code(), Some(0), "{dry:?}");
    assert!(cluster.owned().await.is_empty(), "neither writes");

    let once = cluster.command(&["run", "--once"]);
    assert_eq!(once.status.code(), Some(0), "{once:?}");
    assert_eq!(cluster.owned().await, REDIS);
    let diff = cluster.command(&["diff"]);
    assert_eq!(
        (diff.status.code(), diff.stdout.as_slice()),
        (Some(0), b"".as_slice()),
        "{diff:?}"
    );

    cluster
        .application(&redis().annotated(&annotation("redis", &["other"])))
        .await;
    let diff = cluster.command(&["diff"]);
    let text = String::from_utf8_lossy(&diff.stdout).into_owned();
    assert_eq!(diff.status.code(), Some(1), "{text}");
    assert!(
        text.contains("# ConfigMap redis/telegraf-redis would be changed"),
        "{text}"
    );
    assert!(
        text.lines()
            .any(|line| line.starts_with('-') && line.contains("server.redis.svc")),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_needs_no_operator_and_none_takes_what_it_applied_for_its_own() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    let file = cluster.folder().join("redis.yaml");
    let write = |annotation: &str| {
        let object = redis().annotated(annotation).object();
        fs::write(&file, serde_yaml::to_string(&object).expect("YAML")).expect("write a file");
    };
    let path = file.to_str().expect("a path");
    write(&redis().annotation);
    let applied = cluster.command(&["apply", path]);
    assert_eq!(applied.status.code(), Some(0), "{applied:?}");
    assert_eq!(cluster.owned_by("telewarden-apply").await.len(), 2);
    let again = cluster.command(&["apply", path]);
    let text = String::from_utf8_lossy(&again.stdout).into_owned();
    assert_eq!(
        text.lines().filter(|line| line.ends_with("unchanged")).count(),
        2,
        "{text}"
    );

    let once = cluster.command(&["run", "--once"]);
    assert_eq!(once.status.code(), Some(0), "{once:?}");
    assert_eq!(
        cluster.owned_by("telewarden-apply").await.len(),
        2,
        "an operator leaves it alone"
    );

    write("");
    let kept = cluster.command(&["apply", path]);
    assert_eq!(kept.status.code(), Some(0), "{kept:?}");
    assert_eq!(
        cluster.owned_by("telewarden-apply").await.len(),
        2,
        "nothing is pruned unless told to"
    );
    let pruned = cluster.command(&["apply", "--prune", path]);
    assert_eq!(pruned.status.code(), Some(0), "{pruned:?}");
    assert_eq!(cluster.owned_by("telewarden-apply").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_can_come_from_the_policy_itself_and_follow_it() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    cluster.application(&redis()).await;
    let of_team = |team: &str| json!({"pod": {"labels": {"team": team}}});
    let set = async |settings: &Value| {
        let policy = json!({
            "apiVersion": "policies.kubewarden.io/v1",
            "kind": "ClusterAdmissionPolicy",
            "metadata": {"name": "telewarden"},
            "spec": {"settings": settings},
        });
        cluster.put(&policy).await;
    };
    set(&of_team("one")).await;
    cluster
        .create_all(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: settings}\nrules:\n\
             - {apiGroups: [policies.kubewarden.io], resources: [clusteradmissionpolicies], verbs: [get, list, watch]}\n---\n\
             apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: settings}\n\
             roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: settings}\n\
             subjects: [{kind: ServiceAccount, name: telewarden-operator, namespace: telewarden}]\n",
        )
        .await;
    let _operator = cluster
        .operator(&["--settings-from", "clusteradmissionpolicy/telewarden"])
        .await;
    cluster.is_as_rendered(&of_team("one")).await;

    set(&of_team("two")).await;
    cluster.is_as_rendered(&of_team("two")).await;

    set(&json!({"pod": {"labels": "three"}})).await;
    let refused = cluster.event("telewarden", "SettingsRefused").await;
    assert!(refused.contains("the previous settings stay"), "{refused}");
    // The new settings apply to new sources.
    let changed = redis().annotated(&annotation("redis", &["server", "exporter"]));
    cluster.application(&changed).await;
    cluster.is_as_rendered(&of_team("two")).await;

    set(&of_team("four")).await;
    cluster.is_as_rendered(&of_team("four")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn diff_shows_what_goes_away_of_an_object_that_was_created_and_never_changed() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    cluster.application(&redis()).await;
    let run = |command: &[&str], settings: &Value| {
        let path = cluster.settings(settings);
        let settings = ["--settings", path.to_str().expect("a path")];
        cluster.command(&[command, &settings].concat())
    };
    let variable = |name: &str| json!({"name": name, "value": name.to_lowercase()});
    let with = |labels: Value, variables: &[Value]| json!({"pod": {"labels": labels, "env": variables}});
    let token = variable("INFLUX_TOKEN");
    let more = with(
        json!({"team": "one", "tier": "two"}),
        &[token.clone(), variable("MORE")],
    );
    let less = with(json!({"team": "one"}), &[token]);

    let once = run(&["run", "--once"], &more);
    assert_eq!(once.status.code(), Some(0), "{once:?}");
    // A field that somebody else set is not shown as removed.
    cluster
        .edit(
            "redis",
            "apps",
            "Deployment",
            "telegraf-redis",
            &json!({"metadata": {"labels": {"theirs": "1"}}}),
        )
        .await;
    let diff = run(&["diff"], &less);
    let text = String::from_utf8_lossy(&diff.stdout).into_owned();
    assert_eq!(diff.status.code(), Some(1), "{diff:?}");
    let lines = |sign: char| -> Vec<&str> {
        let changed = text
            .lines()
            .filter(|line| !line.starts_with("---") && !line.starts_with("+++"));
        let changed = changed.filter_map(|line| line.strip_prefix(sign)).map(str::trim);
        changed
            .filter(|line| !line.starts_with("telegraf.influxdata.com/applied:"))
            .collect()
    };
    assert_eq!(lines('-'), ["tier: two", "- name: MORE", "value: more"], "{text}");
    assert_eq!(lines('+'), [""; 0], "{text}");

    let once = run(&["run", "--once"], &less);
    assert_eq!(once.status.code(), Some(0), "{once:?}");
    cluster.is_as_rendered(&less).await;
    let diff = run(&["diff"], &less);
    assert_eq!(
        (diff.status.code(), diff.stdout.as_slice()),
        (Some(0), b"".as_slice()),
        "{diff:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn in_standalone_diff_shows_that_a_file_goes_away() {
    let cluster = Cluster::start().await;
    cluster.namespace("telegraf").await;
    let settings = cluster.settings(&json!({"topology": "standalone"}));
    let run = |command: &[&str]| {
        let settings = ["--settings", settings.to_str().expect("a path")];
        cluster.command(&[command, &settings].concat())
    };
    cluster.application(&redis()).await;
    cluster
        .application(&Application::named("nublado").annotated(&annotation("nublado", &["hub"])))
        .await;
    let once = run(&["run", "--once"]);
    assert_eq!(once.status.code(), Some(0), "{once:?}");
    cluster.delete_application("nublado").await;
    let diff = run(&["diff"]);
    let text = String::from_utf8_lossy(&diff.stdout).into_owned();
    assert_eq!(diff.status.code(), Some(1), "{diff:?}");
    let goes = |file: &str| text.lines().any(|line| line.starts_with('-') && line.contains(file));
    assert!(goes("application.argocd.nublado.conf: "), "{text}");
    assert!(!goes("application.argocd.redis.conf: "), "{text}");
    let once = run(&["run", "--once"]);
    assert_eq!(once.status.code(), Some(0), "{once:?}");
    let diff = run(&["diff"]);
    assert_eq!(diff.status.code(), Some(0), "{diff:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_standalone_apply_drops_no_file_unless_told_to() {
    let cluster = Cluster::start().await;
    cluster.namespace("telegraf").await;
    let settings = cluster.settings(&json!({"topology": "standalone"}));
    let file = |application: &Application| {
        let path = cluster.folder().join(format!("{}.yaml", application.name));
        let text = serde_yaml::to_string(&application.object()).expect("YAML");
        fs::write(&path, text).expect("write a file");
        path.to_str().expect("a path").to_owned()
    };
    let apply = |arguments: &[&str]| {
        let settings = ["apply", "--settings", settings.to_str().expect("a path")];
        cluster.command(&[&settings, arguments].concat())
    };
    let files = async || {
        let map = cluster.config_map("telegraf", "telegraf").await;
        let mut files = map.and_then(|map| map.data).unwrap_or_default();
        files.retain(|file, _| file.starts_with("application."));
        files
    };
    let nublado = Application::named("nublado").annotated(&annotation("nublado", &["hub"]));
    let (redis_file, nublado_file) = (file(&redis()), file(&nublado));
    let all = apply(&[&redis_file, &nublado_file]);
    assert_eq!(all.status.code(), Some(0), "{all:?}");
    let before = files().await;
    assert_eq!(before.len(), 2, "{before:?}");

    // A broken source keeps its file, and the other one is served.
    let broken = file(&redis().annotated("- server: ["));
    let other = file(&nublado.clone().annotated(&annotation("nublado", &["proxy"])));
    let refused = apply(&[&broken, &other]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let after = files().await;
    let (redis_conf, nublado_conf) = ("application.argocd.redis.conf", "application.argocd.nublado.conf");
    assert_eq!(after.get(redis_conf), before.get(redis_conf));
    assert!(after[nublado_conf].contains("http://proxy.nublado.svc"), "{after:?}");

    // A source that is not in the input keeps its last accepted declaration.
    let mended = file(&redis().annotated(&annotation("redis", &["exporter"])));
    let applied = apply(&[&mended]);
    assert_eq!(applied.status.code(), Some(0), "{applied:?}");
    let both = files().await;
    assert_eq!(both.get(nublado_conf), after.get(nublado_conf));
    assert!(both[redis_conf].contains("http://exporter.redis.svc"), "{both:?}");

    // Without a remembered declaration, its file is removed.
    cluster.forget_accepted("telegraf").await;
    let refused = apply(&[&mended]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{why}");
    assert!(why.contains(nublado_conf) && !why.contains(redis_conf), "{why}");
    assert!(why.contains("--prune"), "{why}");
    assert_eq!(files().await, both, "nothing is applied");

    let pruned = apply(&["--prune", &mended]);
    let said = String::from_utf8_lossy(&pruned.stdout).into_owned();
    assert_eq!(pruned.status.code(), Some(0), "{pruned:?}");
    assert!(said.contains(nublado_conf), "{said}");
    let left = files().await;
    assert_eq!(left.keys().collect::<Vec<_>>(), [redis_conf]);
    assert!(left[redis_conf].contains("http://exporter.redis.svc"), "{left:?}");

    // A source that does not fit into the ConfigMap is refused, and the others stay.
    let names: Vec<String> = (0..64).map(|number| format!("exporter-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let large: Vec<_> = (0..96)
        .map(|number| {
            file(
                &Application::named(&format!("redis-{number}"))
                    .to("redis")
                    .annotated(&annotation("redis", &names)),
            )
        })
        .collect();
    let mut arguments: Vec<&str> = vec!["--prune", &mended];
    arguments.extend(large.iter().map(String::as_str));
    let refused = apply(&arguments);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{why}");
    assert!(why.contains("TW"), "{why}");
    assert_eq!(files().await.get(redis_conf), left.get(redis_conf));
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_says_what_is_wrong_with_settings_that_are_no_map() {
    let cluster = Cluster::start().await;
    for text in ["- instance\n", "3\n", "instance: a\n---\ninstance: b\n"] {
        let path = cluster.folder().join("settings.yaml");
        fs::write(&path, text).expect("write settings");
        let path = path.to_str().expect("a path");
        let refused = cluster.command(&["apply", "--settings", path]);
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{why}");
        assert!(why.contains("settings") && !why.contains("panicked"), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_of_a_folder_with_links_to_itself_ends() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    let folder = cluster.folder().join("sources");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("redis.json"), redis().object().to_string()).expect("write a file");
    for link in ["one", "two"] {
        std::os::unix::fs::symlink(&folder, folder.join(link)).expect("a link");
    }
    let applied = cluster.command(&["apply", folder.to_str().expect("a path")]);
    assert_eq!(applied.status.code(), Some(0), "{applied:?}");
    assert_eq!(cluster.owned_by("telewarden-apply").await.len(), 2);
}
