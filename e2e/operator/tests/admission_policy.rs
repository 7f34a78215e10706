//! The ValidatingAdmissionPolicy holds the operator's ServiceAccount to its own objects, even one that may do everything, and
//! is no hindrance to the operator.

use kube::Api;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use telewarden_e2e_operator::{Cluster, SERVICE_ACCOUNT, annotation, eventually, objects, redis, render, template};

const PLAIN: &str = include_str!("../../../deploy/operator/admission-policy.yaml");
const KINDS: &str = "writes only the kinds";
const MARKS: &str = "writes only objects with the labels";
const TOKEN: &str = "have no token and no account";
const NODE: &str = "do not share the network, processes or IPC";
const VOLUMES: &str = "mount ConfigMaps and empty folders only";
const PRIVILEGES: &str = "run without root, privileges and capabilities";
const SELECTS: &str = "NetworkPolicies select Telegraf's pods only";
const SECRETS: &str = "read only the Secrets telegraf";

/// The policy and its binding among some objects.
fn policy_of(objects: Vec<Value>) -> Vec<Value> {
    let mut policy = objects;
    policy.retain(|object| object["apiVersion"] == "admissionregistration.k8s.io/v1");
    assert_eq!(policy.len(), 2, "{policy:#?}");
    policy
}

/// The settings of these tests: everything that the operator can render.
fn settings() -> Value {
    json!({
        "networkPolicy": true,
        "extraResources": [{
            "apiVersion": "ricoberger.de/v1alpha1",
            "kind": "VaultSecret",
            "metadata": {"name": "telegraf-{application}"},
            "spec": {"path": "telegraf"},
        }],
        "pod": {"env": [{"name": "INFLUX_TOKEN", "valueFrom": {"secretKeyRef": {"name": "telegraf", "key": "token"}}}]},
    })
}

/// Acts as the operator's ServiceAccount.
struct Account<'a>(&'a Cluster);

impl Account<'_> {
    fn api(&self, object: &Value, plural: &str) -> Api<DynamicObject> {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (group, version) = text("/apiVersion")
            .rsplit_once('/')
            .unwrap_or(("", text("/apiVersion")));
        let kind = GroupVersionKind::gvk(group, version, text("/kind"));
        let resource = ApiResource::from_gvk_with_plural(&kind, plural);
        let client = self.0.client_of(SERVICE_ACCOUNT);
        match text("/metadata/namespace") {
            "" => Api::all_with(client, &resource),
            namespace => Api::namespaced_with(client, namespace, &resource),
        }
    }

    /// Tries to create an object, as a dry run.
    async fn create(&self, object: &Value, plural: &str) -> Result<(), String> {
        let dry_run = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let decoded = serde_json::from_value(object.clone()).expect("an object");
        outcome(self.api(object, plural).create(&dry_run, &decoded).await)
    }

    /// Tries to change an object, as a dry run.
    async fn patch(&self, object: &Value, plural: &str, patch: &Patch<Value>) -> Result<(), String> {
        let mut params = match patch {
            Patch::Apply(_) => PatchParams::apply("telewarden").force(),
            _ => PatchParams::default(),
        };
        params.dry_run = true;
        outcome(self.api(object, plural).patch(name(object), &params, patch).await)
    }

    /// Tries to delete an object, as a dry run.
    async fn delete(&self, object: &Value, plural: &str) -> Result<(), String> {
        let dry_run = DeleteParams {
            dry_run: true,
            ..DeleteParams::default()
        };
        outcome(self.api(object, plural).delete(name(object), &dry_run).await)
    }
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().expect("a name")
}

fn outcome<T>(result: Result<T, kube::Error>) -> Result<(), String> {
    result.map(drop).map_err(|error| error.to_string())
}

/// Checks that the policy refused a request, and not something else.
fn refuses(done: Result<(), String>, why: &str, what: &str) {
    let message = done.expect_err(what);
    let ours = "ValidatingAdmissionPolicy 'telewarden-operator' with binding 'telewarden-operator' denied request";
    assert!(message.contains(ours) && message.contains(why), "{what}: {message}");
}

fn config_map(namespace: &str, name: &str, labels: Value) -> Value {
    let metadata = json!({"name": name, "namespace": namespace, "labels": labels});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "b"}})
}

fn ours() -> Value {
    json!({"app.kubernetes.io/managed-by": "telewarden", "telegraf.influxdata.com/instance": "telewarden"})
}

/// A cluster with the policy, where the operator's ServiceAccount is cluster-admin.
async fn all_powerful(policy: &[Value]) -> Cluster {
    // The API server allows privileged pods here, so only the policy can refuse them.
    let cluster = Cluster::start_with(&["--allow-privileged=true"]).await;
    for namespace in ["redis", "shop"] {
        cluster.namespace(namespace).await;
    }
    let admin = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "operator-is-admin"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "telewarden-operator", "namespace": "telewarden"}],
    });
    cluster.put(&admin).await;
    for object in policy {
        cluster.put(object).await;
    }
    in_force(&cluster).await;
    cluster
}

/// Waits until the API server enforces the policy.
async fn in_force(cluster: &Cluster) {
    let unmarked = config_map("redis", "unmarked", json!({}));
    eventually(|| async {
        match Account(cluster).create(&unmarked, "configmaps").await {
            Ok(()) => Err("the policy is not in force".to_owned()),
            Err(why) if why.contains(MARKS) => Ok(()),
            Err(why) => Err(why),
        }
    })
    .await;
}

/// The chart's policy for [`settings`].
fn charts() -> Vec<Value> {
    let values = json!({"settings": settings(), "admissionPolicy": {"enabled": true, "secrets": ["telegraf"]}});
    policy_of(template(&values).expect("right values"))
}

#[test]
fn the_file_for_kubectl_is_what_the_chart_renders() {
    let rendered = policy_of(template(&json!({"admissionPolicy": {"enabled": true}})).expect("right values"));
    let plain = policy_of(objects(PLAIN));
    for (plain, rendered) in plain.iter().zip(&rendered) {
        assert_eq!(plain["kind"], rendered["kind"]);
        assert_eq!(plain["metadata"]["name"], rendered["metadata"]["name"]);
        assert_eq!(
            plain["spec"], rendered["spec"],
            "left: admission-policy.yaml, right: the chart"
        );
    }
    let without = template(&json!({})).expect("defaults");
    assert!(
        !without
            .iter()
            .any(|object| object["kind"] == "ValidatingAdmissionPolicy")
    );
}

#[test]
fn the_policy_follows_the_settings() {
    let mut values = json!({"admissionPolicy": {"enabled": true}, "settings": settings()});
    values["settings"]["instance"] = json!("two");
    values["settings"]["pod"] = json!({
        "serviceAccountName": "telegraf",
        "volumes": [{"name": "ca", "secret": {"secretName": "authority"}}],
    });
    values["settings"]["allow"] = json!({"secrets": ["web-*", "a.b"]});
    let policy = policy_of(template(&values).expect("right values"));
    let text = policy[0]["spec"].to_string();
    for expected in [
        "source.secret.?name.orValue('').matches('^(web-.*|a[.]b)$')",
        "'telegraf.influxdata.com/instance'].orValue('') == 'two'",
        "'telewarden-two'",
        "'telewarden-inventory-two'",
        "'telewarden-accepted-two-'",
        "pod.?serviceAccountName.orValue('default') in ['default', 'telegraf']",
        "volume.secret.?secretName.orValue('') in ['authority']",
        "['/configmaps', 'apps/deployments', 'networking.k8s.io/networkpolicies', 'ricoberger.de/vaultsecrets']",
    ] {
        assert!(text.contains(expected), "no {expected} in {text}");
    }
}

#[test]
fn wrong_values_are_refused_and_named() {
    for (values, named) in [
        (json!({"admissionPolicy": true}), "/admissionPolicy"),
        (
            json!({"admissionPolicy": {"enabled": "yes"}}),
            "/admissionPolicy/enabled",
        ),
        (json!({"admissionPolicy": {"enable": true}}), "'enable' not allowed"),
        (
            json!({"admissionPolicy": {"secrets": ["it's"]}}),
            "/admissionPolicy/secrets/0",
        ),
        (
            json!({"settings": {"pod": {"serviceAccountName": "it's"}}}),
            "/settings/pod/serviceAccountName",
        ),
        (
            json!({"settings": {"pod": {"volumes": [{"name": "a", "secret": {"secretName": "it's"}}]}}}),
            "/settings/pod/volumes/0/secret/secretName",
        ),
        (json!({"settings": {"instance": "it's"}}), "/settings/instance"),
    ] {
        let why = template(&values).expect_err(&format!("{values} is taken"));
        assert!(why.contains(named), "{values}: {why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_marked_objects_of_rendered_kinds_may_be_written() {
    let cluster = all_powerful(&charts()).await;
    let account = Account(&cluster);

    // Objects of others, including the operator's own settings.
    let theirs = config_map("redis", "theirs", json!({}));
    let others = config_map(
        "redis",
        "of-another-instance",
        json!({"app.kubernetes.io/managed-by": "telewarden", "telegraf.influxdata.com/instance": "other"}),
    );
    let settings = config_map("telewarden", "telewarden-operator", json!({}));
    let mine = config_map("redis", "mine", ours());
    for object in [&theirs, &others, &settings, &mine] {
        cluster.put(object).await;
    }
    let change = Patch::Merge(json!({"data": {"a": "c"}}));
    for object in [&theirs, &others, &settings] {
        let what = name(object);
        refuses(account.patch(object, "configmaps", &change).await, MARKS, what);
        refuses(account.delete(object, "configmaps").await, MARKS, what);
        // The operator cannot take one over by adding its labels.
        let marks = Patch::Merge(json!({"metadata": {"labels": ours()}}));
        refuses(account.patch(object, "configmaps", &marks).await, MARKS, what);
        let applied = config_map(object["metadata"]["namespace"].as_str().expect("text"), what, ours());
        let apply = Patch::Apply(applied);
        refuses(account.patch(object, "configmaps", &apply).await, MARKS, what);
    }
    account
        .patch(&mine, "configmaps", &change)
        .await
        .expect("ours may be changed");
    account.delete(&mine, "configmaps").await.expect("ours may be deleted");
    for label in ["app.kubernetes.io/managed-by", "telegraf.influxdata.com/instance"] {
        let unmark = Patch::Merge(json!({"metadata": {"labels": {label: null}}}));
        refuses(account.patch(&mine, "configmaps", &unmark).await, MARKS, label);
    }
    let all = account
        .api(&theirs, "configmaps")
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await;
    refuses(
        all.map(drop).map_err(|error| error.to_string()),
        MARKS,
        "deletecollection",
    );

    // Objects with the operator's labels, of kinds that it does not render.
    for (plural, mut object) in [
        ("secrets", json!({"apiVersion": "v1", "kind": "Secret"})),
        (
            "pods",
            json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "a", "image": "a"}]}}),
        ),
        ("serviceaccounts", json!({"apiVersion": "v1", "kind": "ServiceAccount"})),
        (
            "roles",
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "rules": []}),
        ),
        (
            "jobs",
            json!({"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": {
                "restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}],
            }}}}),
        ),
        (
            "applications",
            json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "spec": {"project": "default"}}),
        ),
    ] {
        object["metadata"] = json!({"name": "marked", "namespace": "redis", "labels": ours()});
        refuses(account.create(&object, plural).await, KINDS, plural);
    }
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new", "labels": ours()}});
    refuses(account.create(&namespace, "namespaces").await, KINDS, "namespaces");
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "marked", "labels": ours()},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    });
    refuses(
        account.create(&binding, "clusterrolebindings").await,
        KINDS,
        "clusterrolebindings",
    );
    // Subresources of owned objects.
    let mut deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment"});
    deployment["metadata"] = json!({"name": "mine", "namespace": "redis", "labels": ours()});
    deployment["spec"] = json!({
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "a", "image": "a", "securityContext": {
                "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
            }}],
        }},
    });
    cluster.put(&deployment).await;
    let status = Patch::Merge(json!({"status": {"observedGeneration": 7}}));
    let api = account.api(&deployment, "deployments");
    let patched = api.patch_status("mine", &PatchParams::default(), &status).await;
    refuses(outcome(patched), KINDS, "a status");
    account
        .delete(&deployment, "deployments")
        .await
        .expect("ours may be deleted");
    let token = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}});
    let request = kube::api::Request::new("/api/v1/namespaces/telewarden/serviceaccounts")
        .create_subresource(
            "token",
            "telewarden-operator",
            &PostParams::default(),
            token.to_string().into_bytes(),
        )
        .expect("a request");
    let client = cluster.client_of(SERVICE_ACCOUNT);
    refuses(outcome(client.request::<Value>(request).await), KINDS, "a token");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_keeps_for_itself_is_named() {
    let cluster = all_powerful(&charts()).await;
    let account = Account(&cluster);
    let lease = |namespace: &str, name: &str| {
        let metadata = json!({"name": name, "namespace": namespace});
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": {}})
    };
    let event = |controller: &str| {
        json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": "event", "namespace": "redis"},
            "eventTime": "2026-01-01T00:00:00.000000Z",
            "action": "Render",
            "reason": "Applied",
            "type": "Normal",
            "regarding": {"kind": "Namespace", "name": "redis", "namespace": "redis"},
            "reportingController": controller,
            "reportingInstance": "one",
        })
    };
    let map = |namespace: &str, name: &str| config_map(namespace, name, json!({}));
    let accepted = map("telewarden", "telewarden-accepted-telewarden-0123456789abcdef0123");
    for (plural, object) in [
        ("leases", lease("telewarden", "telewarden-telewarden")),
        ("configmaps", map("telewarden", "telewarden-inventory-telewarden")),
        ("configmaps", accepted.clone()),
        ("events", event("telewarden-operator")),
    ] {
        let created = account.create(&object, plural).await;
        created.unwrap_or_else(|why| panic!("{object} is refused: {why}"));
    }
    for (plural, why, object) in [
        ("leases", KINDS, lease("telewarden", "telewarden-other")),
        ("leases", KINDS, lease("redis", "telewarden-telewarden")),
        ("configmaps", MARKS, map("telewarden", "telewarden-inventory-other")),
        ("configmaps", MARKS, map("redis", "telewarden-inventory-telewarden")),
        (
            "configmaps",
            MARKS,
            map("telewarden", "telewarden-accepted-other-0123456789abcdef0123"),
        ),
        (
            "configmaps",
            MARKS,
            map("redis", "telewarden-accepted-telewarden-0123456789abcdef0123"),
        ),
        ("events", KINDS, event("kubelet")),
    ] {
        refuses(account.create(&object, plural).await, why, &object.to_string());
    }
    // The operator deletes accepted declarations, and none of the others.
    let lease = lease("telewarden", "telewarden-telewarden");
    let inventory = map("telewarden", "telewarden-inventory-telewarden");
    for object in [&lease, &inventory, &accepted] {
        cluster.put(object).await;
    }
    refuses(account.delete(&lease, "leases").await, KINDS, "the Lease");
    refuses(account.delete(&inventory, "configmaps").await, MARKS, "the inventory");
    let change = Patch::Merge(json!({"data": {"a": "c"}}));
    let patched = account.patch(&accepted, "configmaps", &change).await;
    patched.expect("what was accepted may be changed");
    let deleted = account.delete(&accepted, "configmaps").await;
    deleted.expect("what was accepted may be forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_have_no_privileges() {
    let cluster = all_powerful(&charts()).await;
    let account = Account(&cluster);
    let rendered = render(&settings().to_string(), &[redis().object()]);
    let of_kind = |kind: &str| {
        let found = rendered.iter().find(|object| object["kind"] == kind);
        found.unwrap_or_else(|| panic!("no {kind} is rendered")).clone()
    };
    let deployment = of_kind("Deployment");
    account
        .create(&deployment, "deployments")
        .await
        .expect("what is rendered is taken");

    let pod = "/spec/template/spec";
    let container = "/spec/template/spec/containers/0";
    let sidecar = json!({"name": "b", "image": "b", "securityContext": {"privileged": true}});
    let restricted = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    for (why, at, field, value) in [
        (MARKS, "/metadata/labels", "app.kubernetes.io/managed-by", json!("Helm")),
        (
            MARKS,
            "/metadata/labels",
            "telegraf.influxdata.com/instance",
            Value::Null,
        ),
        (TOKEN, pod, "automountServiceAccountToken", json!(true)),
        (TOKEN, pod, "automountServiceAccountToken", Value::Null),
        (TOKEN, pod, "serviceAccountName", json!("deployer")),
        (NODE, pod, "hostNetwork", json!(true)),
        (NODE, pod, "hostPID", json!(true)),
        (NODE, pod, "hostIPC", json!(true)),
        (
            NODE,
            container,
            "ports",
            json!([{"containerPort": 8080, "hostPort": 8080}]),
        ),
        (
            VOLUMES,
            pod,
            "volumes",
            json!([{"name": "config", "hostPath": {"path": "/"}}]),
        ),
        (
            VOLUMES,
            pod,
            "volumes",
            json!([{"name": "config", "secret": {"secretName": "theirs"}}]),
        ),
        (
            VOLUMES,
            pod,
            "volumes",
            json!([{"name": "config", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}]),
        ),
        (PRIVILEGES, pod, "securityContext", Value::Null),
        (
            PRIVILEGES,
            pod,
            "securityContext",
            json!({"runAsNonRoot": true, "runAsUser": 0, "seccompProfile": {"type": "RuntimeDefault"}}),
        ),
        (PRIVILEGES, pod, "securityContext", json!({"runAsNonRoot": true})),
        (PRIVILEGES, container, "securityContext", Value::Null),
        (
            PRIVILEGES,
            container,
            "securityContext",
            json!({"privileged": true, "capabilities": {"drop": ["ALL"]}}),
        ),
        (
            PRIVILEGES,
            container,
            "securityContext",
            json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]}}),
        ),
        (
            PRIVILEGES,
            container,
            "securityContext",
            json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["NET_RAW"]}}),
        ),
        (
            PRIVILEGES,
            container,
            "securityContext",
            json!({"runAsUser": 0, "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}),
        ),
        (
            PRIVILEGES,
            container,
            "securityContext",
            json!({"seccompProfile": {"type": "Unconfined"}, "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]}}),
        ),
        (PRIVILEGES, pod, "initContainers", json!([sidecar])),
        (
            NODE,
            pod,
            "initContainers",
            json!([{"name": "b", "image": "b", "securityContext": restricted,
                "ports": [{"containerPort": 1, "hostPort": 1}]}]),
        ),
        (
            SECRETS,
            container,
            "env",
            json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "theirs", "key": "a"}}}]),
        ),
        (
            SECRETS,
            container,
            "envFrom",
            json!([{"secretRef": {"name": "theirs"}}]),
        ),
    ] {
        let mut changed = deployment.clone();
        let of = changed.pointer_mut(at).and_then(Value::as_object_mut);
        let of = of.expect("it is rendered");
        of.remove(field);
        if !value.is_null() {
            of.insert(field.to_owned(), value.clone());
        }
        let what = format!("{at}/{field}: {value}");
        refuses(account.create(&changed, "deployments").await, why, &what);
    }

    let network_policy = of_kind("NetworkPolicy");
    let created = account.create(&network_policy, "networkpolicies").await;
    created.expect("what is rendered is taken");
    for selector in [json!({}), json!({"matchLabels": {"app": "shop"}})] {
        let mut changed = network_policy.clone();
        changed["spec"]["podSelector"] = selector.clone();
        let created = account.create(&changed, "networkpolicies").await;
        refuses(created, SELECTS, &selector.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_any_kind_that_the_settings_name_are_held_to_the_same() {
    let kind =
        |api_version: &str, kind: &str| json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}});
    let extra = [kind("v1", "Pod"), kind("batch/v1", "CronJob")];
    let values = json!({"settings": {"extraResources": extra}, "admissionPolicy": {"enabled": true}});
    let cluster = all_powerful(&policy_of(template(&values).expect("right values"))).await;
    let account = Account(&cluster);
    let metadata = json!({"name": "a", "namespace": "redis", "labels": ours()});
    let pod = json!({
        "restartPolicy": "Never",
        "automountServiceAccountToken": false,
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "a", "image": "a", "securityContext": {
            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
        }}],
    });
    let of = |pod: &Value| {
        let cron_job = json!({"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {"spec": pod}}}});
        [
            (
                "pods",
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod}),
            ),
            (
                "cronjobs",
                json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": cron_job}),
            ),
        ]
    };
    for (plural, object) in of(&pod) {
        account.create(&object, plural).await.expect(plural);
    }
    let mut on_the_node = pod;
    on_the_node["hostNetwork"] = json!(true);
    for (plural, object) in of(&on_the_node) {
        refuses(account.create(&object, plural).await, NODE, plural);
    }
}

/// The operator does every kind of write: it creates, changes, takes over, reports and deletes.
async fn works_under(topology: &str) {
    let cluster = Cluster::without_operator(&[]).await;
    for namespace in ["redis", "telegraf"] {
        cluster.namespace(namespace).await;
    }
    let of_team = |team: &str| {
        let mut settings = settings();
        settings["topology"] = json!(topology);
        settings["standalone"] = json!({"namespace": "telegraf"});
        settings["pod"]["labels"] = json!({"team": team});
        settings
    };
    let admission_policy = json!({"enabled": true, "secrets": ["telegraf"]});
    let values = json!({"lease": 3, "settings": of_team("one"), "admissionPolicy": admission_policy});
    let installed = cluster.install(&values);
    in_force(&cluster).await;
    cluster.settings(&of_team("one"));
    let deployment = installed.iter().find(|object| object["kind"] == "Deployment");
    let operator = cluster.operator_of_deployment(deployment.expect("a Deployment")).await;
    cluster.application(&redis()).await;
    cluster.is_as_rendered(&of_team("one")).await;
    // In `standalone` the objects belong to all sources, so the Event names none.
    if topology != "standalone" {
        cluster.event("redis", "Applied").await;
    }
    let owned = cluster.owned().await;
    assert!(owned.len() >= 4, "{owned:?}");

    cluster.settings(&of_team("two"));
    cluster
        .application(&redis().annotated(&annotation("redis", &["other"])))
        .await;
    cluster.is_as_rendered(&of_team("two")).await;
    // After a mistake in the annotation, the objects stay, and an Event reports it.
    cluster.application(&redis().annotated("- redis: ftp://redis\n")).await;
    cluster.event("redis", "Refused").await;
    cluster.application(&redis()).await;
    cluster.is_as_rendered(&of_team("two")).await;
    cluster.delete_application("redis").await;
    cluster.is_as_rendered(&of_team("two")).await;
    assert!(operator.stop().success());

    let refused: Vec<_> = cluster
        .audit()
        .into_iter()
        .filter(|event| event.user.username.contains("operator"))
        // The objects of `in_force`.
        .filter(|event| event.object_ref.name != "unmarked" && !event.request_uri.contains("dryRun"))
        .filter(|event| {
            let code = event.response_status.as_ref().map(|status| status.code);
            code == Some(403) || code == Some(422)
        })
        .collect();
    assert!(refused.is_empty(), "the policy is in the operator's way: {refused:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_does_its_work_under_it() {
    works_under("application").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_does_its_work_under_it_in_standalone() {
    works_under("standalone").await;
}
