//! The chart: the API server accepts its objects, the operator runs with them, and wrong values are refused.

use std::collections::BTreeSet;
use std::fs;

use kube::api::PostParams;
use serde_json::{Value, json};
use telewarden_e2e_operator::{
    Cluster, Operator, covers, eventually, given, lint, manifest, objects, redis, render, template,
};

/// The object of a kind among others.
fn of_kind<'a>(kind: &str, objects: &'a [Value]) -> &'a Value {
    let found = objects.iter().find(|object| object["kind"] == kind);
    found.unwrap_or_else(|| panic!("no {kind} in {objects:#?}"))
}

/// The settings in the ConfigMap among some objects.
fn settings(objects: &[Value]) -> Value {
    let text = of_kind("ConfigMap", objects)["data"]["settings.yaml"].as_str();
    serde_yaml::from_str(text.expect("settings")).expect("YAML")
}

/// An entry of `extraResources`.
fn extra(api_version: &str, kind: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "telegraf-{application}"}})
}

/// The object as the API server would store it.
async fn stored(cluster: &Cluster, group: &str, object: &Value) -> Value {
    let kind = object["kind"].as_str().expect("a kind");
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let api = cluster.of("telewarden", group, "v1", kind);
    let stored = api
        .create(&dry_run, &serde_json::from_value(object.clone()).expect("an object"))
        .await;
    stored.unwrap_or_else(|why| panic!("{object:#} is refused: {why}")).data
}

/// Writes the settings to where the operator reads them, as the kubelet does.
async fn mount(cluster: &Cluster) {
    let map = cluster.config_map("telewarden", "telewarden-operator").await;
    let data = map.and_then(|map| map.data).expect("a ConfigMap with data");
    fs::write(cluster.folder().join("settings.yaml"), &data["settings.yaml"]).expect("write settings");
}

/// Runs the operator as the installed Deployment says.
async fn run(cluster: &Cluster, installed: &[Value]) -> Operator {
    if installed.iter().any(|object| object["kind"] == "ConfigMap") {
        mount(cluster).await;
    }
    let deployment = of_kind("Deployment", installed);
    cluster.operator_of_deployment(deployment).await
}

const KEY: &str = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";

/// A module, and the signature that it needs.
fn signed(signature: Value) -> Value {
    json!({"module": format!("registry://example.org/telewarden@sha256:{:064}", 1), "signature": signature})
}

fn identity() -> Value {
    json!({
        "certificateIdentityRegexp": r"https://example\.com/.*@refs/tags/v\d+",
        "certificateOidcIssuer": "https://token.example.com",
        "trustedRoot": "{}",
    })
}

/// Values that set what the other tests leave out.
fn everything() -> Value {
    json!({
        "policy": {"enabled": true},
        "settings": {"annotation": "example.com/endpoints", "mutation": "digest"},
        "serviceAccount": {
            "name": "somebody",
            "annotations": {"example.com/role": "metrics"},
            "labels": {"team": "metrics", "app.kubernetes.io/name": "another"},
        },
        "strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        "revisionHistoryLimit": 3,
        "deploymentAnnotations": {"example.com/owner": "metrics"},
        "extraObjects": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-extra"}, "data": {"a": "b"}},
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: from-text}\n",
        ],
        "extraArgs": ["--module-memory=128"],
        "env": [{"name": "SSL_CERT_FILE", "value": "/etc/certificates/ca.pem"}],
        "volumes": [{"name": "certificates", "configMap": {"name": "certificates"}}],
        "volumeMounts": [{"name": "certificates", "mountPath": "/etc/certificates", "readOnly": true}],
        "podLabels": {"team": "metrics", "app.kubernetes.io/name": "another"},
        "podSecurityContext": {"runAsUser": null, "runAsGroup": null},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"},
        ],
        "priorityClassName": "system-cluster-critical",
        "status": {"reports": true},
        "podDisruptionBudget": {"enabled": true},
        "metrics": {"service": {"enabled": true, "annotations": {"example.com/scrape": "true"}}},
        "networkPolicy": {"enabled": true, "from": [{"namespaceSelector": {}}]},
        "fullnameOverride": "warden",
        "commonLabels": {"cost-centre": "42", "app.kubernetes.io/name": "another"},
    })
}

/// Kinds of prometheus-operator, which a cluster may not have.
fn with_monitor(kind: &str) -> Value {
    let relabel = json!([{"action": "labeldrop", "regex": "pod"}]);
    json!({"metrics": {kind: {
        "enabled": true,
        "labels": {"release": "prometheus"},
        "scrapeTimeout": "10s",
        "relabelings": relabel,
        "metricRelabelings": relabel,
    }}})
}

#[test]
fn the_manifests_are_the_golden_ones() {
    for (name, values) in [
        ("defaults", json!({})),
        ("everything", everything()),
        ("service-monitor", with_monitor("serviceMonitor")),
        ("pod-monitor", with_monitor("podMonitor")),
        (
            "alerts",
            json!({"monitoring": {"rules": {"enabled": true, "labels": {"release": "prometheus"}}}}),
        ),
        (
            "narrow",
            json!({"namespaces": ["shop"], "admissionPolicy": {"enabled": true, "secrets": ["telegraf"]}}),
        ),
    ] {
        insta::assert_snapshot!(name, manifest(&values).expect("right values"));
    }
}

#[test]
fn dashboards_are_what_grafana_looks_for() {
    let values = json!({"monitoring": {"dashboards": {"enabled": true}}});
    let objects = template(&values).expect("right values");
    let with_label = |object: &&Value| object["metadata"]["labels"]["grafana_dashboard"] == "1";
    let [map] = objects.iter().filter(with_label).collect::<Vec<_>>()[..] else {
        panic!("not one object with the label: {objects:#?}");
    };
    let title = |text: &Value| {
        let dashboard: Value = serde_json::from_str(text.as_str().expect("text")).expect("JSON");
        dashboard["title"].as_str().expect("a title").to_owned()
    };
    let titles: BTreeSet<_> = map["data"].as_object().expect("data").values().map(title).collect();
    let expected = ["telewarden: an application", "telewarden: the operator"];
    assert_eq!(titles, expected.map(str::to_owned).into());
}

/// What is admitted is what is applied.
#[tokio::test(flavor = "multi_thread")]
async fn the_policies_have_the_module_and_the_settings_of_the_operator() {
    let policies = |installed: &[Value]| -> Vec<Value> {
        let policies = installed
            .iter()
            .filter(|object| object["kind"] == "ClusterAdmissionPolicy");
        policies.cloned().collect()
    };
    let cluster = Cluster::without_operator(&[]).await;
    // By default they are what `telewarden policies` prints.
    let mut files = objects(include_str!("../../../deploy/cluster-admission-policy.yaml"));
    files.extend(objects(include_str!(
        "../../../deploy/cluster-admission-policy-namespaces.yaml"
    )));
    let installed = policies(&cluster.install(&json!({"policy": {"enabled": true}})));
    assert_eq!(installed.len(), files.len());
    for (file, installed) in files.iter().zip(&installed) {
        assert_eq!(file["spec"], installed["spec"]);
    }
    let module = format!("registry://example.org/telewarden@sha256:{:064}", 1);
    let settings = json!({"annotation": "example.com/endpoints", "mutation": "digest", "services": "warn"});
    let values = json!({"module": module, "settings": settings, "policy": {"enabled": true, "mode": "monitor"}});
    let installed = cluster.install(&values);
    let arguments = &of_kind("Deployment", &installed)["spec"]["template"]["spec"]["containers"][0]["args"];
    assert!(arguments.to_string().contains(&module), "{arguments}");
    for policy in policies(&installed) {
        let spec = &policy["spec"];
        assert_eq!(
            (&spec["module"], &spec["settings"], &spec["mode"]),
            (&json!(module), &settings, &json!("monitor"))
        );
        let of_set = policy["metadata"]["name"] == "telewarden-operator-applicationsets";
        assert_eq!(spec["mutating"], !of_set);
        // What is looked up in the cluster, and only with `services: warn`.
        let services = json!([{"apiVersion": "v1", "kind": "Service"}]);
        assert_eq!(
            spec["contextAwareResources"],
            if of_set { Value::Null } else { services }
        );
        assert_eq!(spec["failurePolicy"], if of_set { "Ignore" } else { "Fail" });
        let conditions = spec["matchConditions"].to_string();
        assert!(conditions.contains("k == 'example.com/endpoints'"), "{conditions}");
        assert!(!conditions.contains("of-the-settings"), "{conditions}");
    }
    cluster.uninstall();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_what_to_do_next() {
    let cluster = Cluster::without_operator(&[]).await;
    let notes = |values: Value| {
        cluster.install(&values);
        cluster.notes()
    };
    let defaults = notes(json!({}));
    for needed in [
        "Secret `telegraf`, key `influx-token`, in the namespace of every annotated source",
        "The bucket must exist",
        "http://influxdb.influxdb.svc:8086",
        "close to cluster-admin",
        "instance=telewarden\n",
        "kubectl get configmap telewarden-operator --namespace telewarden -o jsonpath='{.data.settings\\.yaml}' | telewarden policies",
    ] {
        assert!(defaults.contains(needed), "no {needed:?} in {defaults}");
    }
    let others = notes(json!({
        "policy": {"enabled": true},
        "namespaces": ["default"],
        "settings": {
            "topology": "standalone",
            "instance": "two",
            "influxdb": {"provide": "bucketsAndTokens"},
            "classes": {"default": {"outputs": {"file": [{"files": ["stdout"]}]}}},
        },
    }));
    for needless in [
        "Secret `telegraf`",
        "bucket",
        "http://influxdb",
        "cluster-admin",
        "orphaned",
    ] {
        assert!(!others.contains(needless), "{needless:?} in {others}");
    }
    for needed in ["clusteradmissionpolicies", "instance=two\n"] {
        assert!(others.contains(needed), "no {needed:?} in {others}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_service_account_is_used() {
    let cluster = Cluster::without_operator(&[]).await;
    let values = json!({
        "serviceAccount": {"create": false, "name": "given"},
        "admissionPolicy": {"enabled": true},
        "namespaces": ["default"],
    });
    let installed = cluster.install(&values);
    assert!(installed.iter().all(|object| object["kind"] != "ServiceAccount"));
    for binding in &installed {
        for subject in binding["subjects"].as_array().into_iter().flatten() {
            assert_eq!(subject["name"], "given");
        }
    }
    let pod = &of_kind("Deployment", &installed)["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], "given");
    let policy = of_kind("ValidatingAdmissionPolicy", &installed)["spec"]["matchConditions"].to_string();
    assert!(policy.contains("'system:serviceaccount:telewarden:given'"), "{policy}");

    let installed = cluster.install(&json!({"rbac": {"create": false}}));
    assert!(given(&installed).is_empty());
}

#[test]
fn helm_finds_nothing_wrong_with_it() {
    for values in [
        json!({}),
        json!({"settings": {"networkPolicy": true, "extraResources": [extra("v1", "Secret")]}}),
        json!({"settingsFrom": "telewarden", "settings": {"sources": {"applications": false}}}),
        json!({
            "settings": {"influxdb": {"provide": "bucketsAndTokens"}},
            "influxdbToken": {"secret": "administrator"},
            "admissionPolicy": {"enabled": true, "secrets": ["telegraf"]},
        }),
        signed(json!({"key": KEY})),
        signed(identity()),
        everything(),
        with_monitor("serviceMonitor"),
    ] {
        lint(&values).unwrap_or_else(|found| panic!("{values}: {found}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_it_is_what_the_files_for_kubectl_are() {
    let rendered = template(&json!({})).expect("defaults");
    let mut rights = objects(include_str!("../../../deploy/operator/rbac.yaml"));
    rights.extend(objects(include_str!("../../../deploy/operator/rbac-status.yaml")));
    assert_eq!(given(&rights), given(&rendered), "left: the files, right: the chart");

    let files = objects(include_str!("../../../deploy/operator/deployment.yaml"));
    assert_eq!(settings(&files), settings(&rendered));
    let cluster = Cluster::without_operator(&[]).await;
    let mut deployments = Vec::new();
    for objects in [&files, &rendered] {
        let mut deployment = stored(&cluster, "apps", of_kind("Deployment", objects)).await;
        // Helm adds its own labels.
        deployment["spec"]["selector"].take();
        deployment["spec"]["template"]["metadata"]["labels"].take();
        deployments.push(deployment["spec"].take());
    }
    assert_eq!(
        deployments[0], deployments[1],
        "left: deployment.yaml, right: the chart"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_takes_what_it_renders_and_pods_are_restricted() {
    let cluster = Cluster::without_operator(&[]).await;
    for namespace in ["gitops", "team"] {
        cluster.namespace(namespace).await;
    }
    let restricted = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    let metadata = json!({"name": "telewarden", "labels": restricted});
    cluster
        .put(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}))
        .await;

    let digest = format!("sha256:{:064}", 1);
    let toleration = json!({"key": "metrics", "operator": "Exists", "effect": "NoSchedule"});
    let affinity = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"labelSelector": {"matchLabels": {"a": "b"}}, "topologyKey": "kubernetes.io/hostname"},
    ]}});
    // Values, and the expected part of the pod's template.
    for (values, expected) in [
        (
            json!({}),
            json!({"spec": {"serviceAccountName": "telewarden-operator"}}),
        ),
        (json!({"replicas": 0}), json!({})),
        (
            json!({"image": {"repository": "example.org/operator", "tag": "1", "pullPolicy": "Always"}}),
            json!({"spec": {"containers": [{"image": "example.org/operator:1", "imagePullPolicy": "Always"}]}}),
        ),
        (
            json!({"image": {"repository": "example.org/operator", "tag": "1", "digest": digest}}),
            json!({"spec": {"containers": [{"image": format!("example.org/operator@{digest}")}]}}),
        ),
        (
            json!({
                "imagePullSecrets": [{"name": "pull"}],
                "resources": {"limits": {"memory": "1Gi"}},
                "podAnnotations": {"a/b": "c"},
                "nodeSelector": {"disk": "ssd"},
                "tolerations": [toleration],
                "affinity": affinity,
            }),
            json!({
                "metadata": {"annotations": {"a/b": "c"}},
                "spec": {
                    "imagePullSecrets": [{"name": "pull"}],
                    "containers": [{"resources": {"limits": {"memory": "1Gi"}}}],
                    "nodeSelector": {"disk": "ssd"},
                    "tolerations": [toleration],
                    "affinity": affinity,
                },
            }),
        ),
        (
            json!({"settings": {
                "networkPolicy": true,
                "extraResources": [extra("v1", "Secret"), extra("ricoberger.de/v1alpha1", "VaultSecret")],
                "classes": {"default": {
                    "agent": {"metric_buffer_limit": 1_000_000},
                    "outputs": {"influxdb_v2": [{"token": "${TOKEN}", "bucket": "{{literal}} \"quoted\""}]},
                }},
            }}),
            json!({}),
        ),
        (
            json!({"settings": {"sources": {"argocdNamespace": "gitops", "applicationNamespaces": ["gitops", "team"]}}}),
            json!({}),
        ),
        (
            json!({"settings": {"sources": {"applications": false, "argocdNamespace": "not-there"}}}),
            json!({}),
        ),
        (
            json!({"settingsFrom": "telewarden"}),
            json!({"spec": {"volumes": [{"name": "cache"}]}}),
        ),
        (
            signed(json!({"key": KEY})),
            json!({"spec": {"volumes": [{"name": "settings"}, {"name": "signature"}, {"name": "cache"}]}}),
        ),
        (signed(identity()), json!({})),
        (everything(), json!({})),
    ] {
        let installed = cluster.install(&values);
        let deployment = of_kind("Deployment", &installed);
        let replicas = values.get("replicas").cloned().unwrap_or(json!(2));
        assert_eq!(deployment["spec"]["replicas"], replicas, "{values}");
        if values.get("settingsFrom").is_none() {
            let given = values.get("settings").cloned().unwrap_or(json!({}));
            assert_eq!(settings(&installed), given, "the settings do not arrive");
        }
        let mut pod = deployment["spec"]["template"].clone();
        covers(&expected, &pod).unwrap_or_else(|why| panic!("{values}: {why}"));
        pod["apiVersion"] = json!("v1");
        pod["kind"] = json!("Pod");
        pod["metadata"]["name"] = json!("pod");
        stored(&cluster, "", &pod).await;
    }
}

#[test]
fn the_operator_is_told_whose_signature_the_module_needs() {
    let policy = format!("--policy=registry://example.org/telewarden@sha256:{:064}", 1);
    for (signature, arguments, file) in [
        (json!({}), vec![], None),
        (
            json!({"key": KEY}),
            vec!["--key=/etc/telewarden-signature/key.pem"],
            Some(("key.pem", KEY)),
        ),
        (
            identity(),
            vec![
                r"--certificate-identity-regexp=https://example\.com/.*@refs/tags/v\d+",
                "--certificate-oidc-issuer=https://token.example.com",
                "--trusted-root=/etc/telewarden-signature/trusted_root.json",
            ],
            Some(("trusted_root.json", "{}")),
        ),
        (
            json!({"certificateIdentity": "jo@example.com", "certificateOidcIssuer": "https://accounts.example.com"}),
            vec![
                "--certificate-identity=jo@example.com",
                "--certificate-oidc-issuer=https://accounts.example.com",
            ],
            None,
        ),
    ] {
        let rendered = template(&signed(signature)).expect("right values");
        let pod = &of_kind("Deployment", &rendered)["spec"]["template"];
        let told = pod["spec"]["containers"][0]["args"].as_array().expect("arguments");
        let told: Vec<_> = told
            .iter()
            .filter_map(Value::as_str)
            .skip_while(|told| *told != policy)
            .collect();
        assert_eq!(told, [vec![policy.as_str()], arguments].concat());
        let map = rendered
            .iter()
            .find(|object| object["metadata"]["name"] == "telewarden-operator-signature");
        let data = file.map(|(name, text)| json!({name: text}));
        assert_eq!(map.map(|map| &map["data"]), data.as_ref());
        // The operator reads these files once, so a change restarts it.
        let checksum = &pod["metadata"]["annotations"]["checksum/signature"];
        assert_eq!(checksum.is_string(), file.is_some());
    }
}

#[test]
fn rights_follow_from_the_settings() {
    let all = ["get", "list", "watch", "create", "patch", "delete"];
    let tokens = json!({"settings": {"influxdb": {"provide": "bucketsAndTokens"}}});
    let buckets = json!({"settings": {"influxdb": {"provide": "buckets"}}});
    let with_secrets = template(&json!({"settings": {"extraResources": [extra("v1", "Secret")]}}));
    assert_eq!(
        given(&template(&tokens).expect("tokens")),
        given(&with_secrets.expect("right values"))
    );
    assert_eq!(
        given(&template(&buckets).expect("buckets")),
        given(&template(&json!({})).expect("defaults"))
    );
    let kind = json!({"settings": {"extraResources": [extra("openreports.io/v1alpha1", "Report")]}});
    assert_eq!(
        given(&template(&json!({"status": {"reports": true}})).expect("reports")),
        given(&template(&kind).expect("right values"))
    );
    for (kind, plural) in [
        (extra("v1", "Secret"), "/secrets"),
        (
            extra("external-secrets.io/v1", "ExternalSecret"),
            "external-secrets.io/externalsecrets",
        ),
        (
            extra("networking.k8s.io/v1", "NetworkPolicy"),
            "networking.k8s.io/networkpolicies",
        ),
        (extra("networking.k8s.io/v1", "Ingress"), "networking.k8s.io/ingresses"),
        (extra("v1", "Endpoints"), "/endpoints"),
    ] {
        let values = json!({"settings": {"extraResources": [kind]}, "plurals": {"Endpoints": "endpoints"}});
        let more = &given(&template(&values).expect("right values")) - &given(&template(&json!({})).expect("defaults"));
        let more: Vec<_> = more
            .iter()
            .map(|right| (format!("{}/{}", right.group, right.resource), &*right.verb))
            .collect();
        let mut expected = all.map(|verb| (plural.to_owned(), verb));
        expected.sort();
        assert_eq!(more, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_that_it_installs_does_its_work_and_uses_every_right() {
    let cluster = Cluster::without_operator(&[]).await;
    for namespace in ["redis", "team"] {
        cluster.namespace(namespace).await;
    }
    let of_team = |team: &str| {
        let mut secret = extra("ricoberger.de/v1alpha1", "VaultSecret");
        secret["spec"] = json!({"path": team});
        json!({
            "networkPolicy": true,
            "extraResources": [secret],
            "sources": {"applicationNamespaces": ["team"]},
            "pod": {"labels": {"team": team}},
            "classes": {"default": {"outputs": {"influxdb_v2": [{"urls": [format!("http://influxdb.{team}.svc:8086")]}]}}},
        })
    };
    // Reasons are only looked for when an endpoint fails, and Reports written when something is known.
    let values = |team| json!({"lease": 3, "settings": of_team(team), "status": {"reasons": false, "reports": false}});
    let installed = cluster.install(&values("one"));

    // Somebody else's objects are read to say whose they are,
    let objects = render(&of_team("one").to_string(), &[redis().object()]);
    assert_eq!(objects.len(), 4);
    cluster.put_foreign(&objects).await;
    let operator = run(&cluster, &installed).await;
    cluster.application(&redis()).await;
    cluster.delete_foreign("redis", &objects).await;
    // and ours are created,
    cluster.is_as_rendered(&of_team("one")).await;
    // changed,
    let installed = cluster.install(&values("two"));
    mount(&cluster).await;
    cluster.is_as_rendered(&of_team("two")).await;
    // and deleted.
    cluster.delete_application("redis").await;
    cluster.owns(&[]).await;
    assert!(operator.stop().success());
    cluster.rights_were_enough_and_all_used(&given(&installed));
}

/// The operator's inventory, with the kinds that it has rendered.
fn inventory(kinds: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "telewarden-inventory-telewarden",
            "namespace": "telewarden",
            "annotations": {"applyset.kubernetes.io/contains-group-kinds": kinds},
        },
    })
}

/// Without it, what was rendered before would stay.
#[tokio::test(flavor = "multi_thread")]
async fn a_right_stays_until_what_was_rendered_with_it_is_gone() {
    let cluster = Cluster::without_operator(&[]).await;
    let may_write_secrets = |installed: &[Value]| given(installed).iter().any(|right| right.resource == "secrets");
    let no_tokens = json!({"settings": {"influxdb": {"provide": "nothing"}}});
    assert!(!may_write_secrets(&cluster.install(&no_tokens)));
    cluster.put(&inventory("ConfigMap,Deployment.apps,Secret")).await;
    assert!(may_write_secrets(&cluster.install(&no_tokens)));
    cluster.put(&inventory("ConfigMap,Deployment.apps")).await;
    assert!(!may_write_secrets(&cluster.install(&no_tokens)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_rendered_before_and_may_not_be_listed_any_more_holds_up_nothing() {
    let cluster = Cluster::without_operator(&[]).await;
    cluster.namespace("redis").await;
    let no_tokens = json!({"lease": 3, "settings": {"influxdb": {"provide": "nothing"}}});
    let installed = cluster.install(&no_tokens);
    cluster.put(&inventory("ConfigMap,Deployment.apps,Secret")).await;
    let token = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "telegraf-token-redis",
            "namespace": "redis",
            "labels": {
                "app.kubernetes.io/managed-by": "telewarden",
                "telegraf.influxdata.com/instance": "telewarden",
            },
            "annotations": {"telegraf.influxdata.com/source": "argoproj.io/Application/argocd/redis"},
        },
    });
    cluster.put(&token).await;
    cluster.application(&redis()).await;
    let operator = run(&cluster, &installed).await;
    let rendered = ["ConfigMap redis/telegraf-redis", "Deployment redis/telegraf-redis"];
    cluster.owns(&rendered).await;
    assert!(operator.log().contains("stay until they may be listed"));
    assert_eq!(cluster.owned_secrets().await.len(), 1);
    // The inventory still has the kind, so the chart gives the right, and the operator deletes what is left.
    cluster.install(&no_tokens);
    eventually(|| async {
        let left = cluster.owned_secrets().await;
        left.is_empty().then_some(()).ok_or(format!("{left:#?}"))
    })
    .await;
    cluster.owns(&rendered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn argo_cd_may_be_in_another_namespace() {
    let cluster = Cluster::without_operator(&[]).await;
    for namespace in ["gitops", "redis"] {
        cluster.namespace(namespace).await;
    }
    let values = json!({"lease": 3, "settings": {"sources": {"argocdNamespace": "gitops"}}});
    let installed = cluster.install(&values);
    let operator = run(&cluster, &installed).await;
    let project = json!({"destinations": [{"server": "*", "namespace": "*"}]});
    for (kind, name, spec) in [
        ("AppProject", "default", &project),
        ("Application", "redis", &redis().object()["spec"]),
    ] {
        let mut object = redis().object();
        object["kind"] = json!(kind);
        object["metadata"]["name"] = json!(name);
        object["metadata"]["namespace"] = json!("gitops");
        object["spec"] = spec.clone();
        cluster.put(&object).await;
    }
    cluster
        .owns(&["ConfigMap redis/telegraf-redis", "Deployment redis/telegraf-redis"])
        .await;
    assert!(operator.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_may_read_the_policy_that_it_takes_settings_from() {
    let cluster = Cluster::without_operator(&[]).await;
    cluster.namespace("redis").await;
    cluster.application(&redis()).await;
    let of_team = |team: &str| json!({"networkPolicy": true, "pod": {"labels": {"team": team}}});
    let policy = |settings: &Value| {
        json!({
            "apiVersion": "policies.kubewarden.io/v1",
            "kind": "ClusterAdmissionPolicy",
            "metadata": {"name": "telewarden"},
            "spec": {"settings": settings},
        })
    };
    cluster.put(&policy(&of_team("one"))).await;
    let installed = cluster.install(&json!({"lease": 3, "settingsFrom": "telewarden"}));
    let operator = run(&cluster, &installed).await;
    cluster.is_as_rendered(&of_team("one")).await;
    cluster.put(&policy(&of_team("two"))).await;
    cluster.is_as_rendered(&of_team("two")).await;
    assert!(operator.stop().success());
    let policies = given(&installed)
        .into_iter()
        .filter(|right| right.resource == "clusteradmissionpolicies")
        .map(|right| right.verb);
    assert_eq!(policies.collect::<Vec<_>>(), ["get", "list", "watch"]);
}

#[test]
fn wrong_values_are_refused_and_named() {
    let extra = |extra: Value| json!({"settings": {"extraResources": [extra]}});
    let sources = |sources: Value| json!({"settings": {"sources": sources}});
    for (values, named) in [
        (json!({"replica": 1}), "'replica' not allowed"),
        (json!({"replicas": "two"}), "/replicas"),
        (json!({"replicas": -1}), "/replicas"),
        (json!({"image": {"name": "a"}}), "'name' not allowed"),
        (json!({"image": {"repository": ""}}), "/image/repository"),
        (json!({"image": {"tag": 1.0}}), "/image/tag"),
        (json!({"image": {"digest": "1.0"}}), "/image/digest"),
        (json!({"image": {"pullPolicy": "Sometimes"}}), "/image/pullPolicy"),
        (json!({"imagePullSecrets": ["pull"]}), "/imagePullSecrets/0"),
        (json!({"settings": "file"}), "/settings"),
        (json!({"settings": {"networkPolicy": "yes"}}), "/settings/networkPolicy"),
        (json!({"module": "policy.wasm"}), "/module"),
        (json!({"module": "registry://example.org/telewarden:v1"}), "/module"),
        (signed(json!({"key": "cosign.pub"})), "/signature/key"),
        (signed(json!({"keys": KEY})), "'keys' not allowed"),
        (extra(json!({"kind": "Secret"})), "'apiVersion', 'metadata'"),
        (sources(json!({"applications": "no"})), "/settings/sources/applications"),
        (
            sources(json!({"argocdNamespace": "Argo CD"})),
            "/settings/sources/argocdNamespace",
        ),
        // Patterns are not allowed, because a Role is for one namespace.
        (
            sources(json!({"applicationNamespaces": ["team-*"]})),
            "/settings/sources/applicationNamespaces/0",
        ),
        // The values of `--settings-from`.
        (
            json!({"settingsFrom": "clusteradmissionpolicy/telewarden"}),
            "/settingsFrom",
        ),
        (json!({"plurals": {"Endpoints": ["endpoints"]}}), "/plurals/Endpoints"),
        (json!({"lease": 1}), "/lease"),
        (json!({"resources": {"limit": {}}}), "'limit' not allowed"),
        (json!({"podAnnotations": {"scrape": true}}), "/podAnnotations/scrape"),
        (json!({"nodeSelector": {"disk": 1}}), "/nodeSelector/disk"),
        (json!({"tolerations": ["all"]}), "/tolerations/0"),
        (json!({"affinity": []}), "/affinity"),
        (json!({"policy": {"mode": "warn"}}), "/policy/mode"),
        (
            json!({"settings": {"annotation": "a' || true"}}),
            "/settings/annotation",
        ),
        (json!({"serviceAccount": {"name": "Operator"}}), "/serviceAccount/name"),
        (json!({"extraArgs": ["run"]}), "/extraArgs/0"),
        (json!({"env": ["HTTPS_PROXY=a"]}), "/env/0"),
        (
            json!({"topologySpreadConstraints": [{"maxSkew": 1}]}),
            "/topologySpreadConstraints/0",
        ),
        (
            json!({"podDisruptionBudget": {"maxUnavailable": "one"}}),
            "/podDisruptionBudget/maxUnavailable",
        ),
        (
            json!({"metrics": {"podMonitor": {"interval": "30"}}}),
            "/metrics/podMonitor/interval",
        ),
        (json!({"commonLabels": {"team": 1}}), "/commonLabels/team"),
    ] {
        let why = template(&values).expect_err(&format!("{values} is taken"));
        assert!(
            why.contains("values don't meet the specifications") && why.contains(named),
            "{values}: {why}"
        );
    }
}

/// Rules that the values' schema cannot express.
#[test]
fn values_that_contradict_each_other_are_refused() {
    for (values, named) in [
        (json!({"signature": {"key": KEY}}), "name another one in `module`"),
        (
            signed(json!({"key": KEY, "certificateIdentity": "a", "certificateOidcIssuer": "b"})),
            "give `key`, or an identity, not both",
        ),
        (
            signed(json!({"certificateIdentity": "a", "certificateIdentityRegexp": "a", "certificateOidcIssuer": "b"})),
            "not both",
        ),
        (
            signed(json!({"certificateIdentity": "a"})),
            "needs `certificateOidcIssuer`",
        ),
        (
            signed(json!({"certificateOidcIssuer": "b"})),
            "need `certificateIdentity`",
        ),
        (
            signed(json!({"key": KEY, "trustedRoot": "{}"})),
            "need `certificateIdentity`",
        ),
        (
            json!({"settingsFrom": "telewarden", "policy": {"enabled": true}}),
            "set one of the two",
        ),
        (
            json!({"metrics": {"serviceMonitor": {"enabled": true}, "podMonitor": {"enabled": true}}}),
            "not both",
        ),
    ] {
        let why = template(&values).expect_err(&format!("{values} is taken"));
        assert!(
            why.contains("execution error at") && why.contains(named),
            "{values}: {why}"
        );
    }
}
