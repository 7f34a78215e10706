//! What the examples render to, as snapshots, and what holds for everything that is rendered.

use std::path::Path;

use super::table::cases;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use rstest::rstest;
use serde_json::{Value, json};
use telewarden_policy::protocol::{Outcome, RenderAnswer};
use telewarden_policy::render::render;

fn read(path: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(path);
    serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn rendered(sources: &[Value], settings: &Value) -> RenderAnswer {
    let request = json!({"protocol": 1, "settings": settings, "sources": sources}).to_string();
    render(&serde_json::from_str(&request).unwrap())
}

/// Findings and configurations as a person reads them.
fn shown(answer: &RenderAnswer) -> String {
    let mut text = String::new();
    for source in &answer.sources {
        text += &format!("# {} {:?}\n", source.source, source.outcome);
        for finding in &source.diagnostics {
            let place = finding.place.as_ref().map(ToString::to_string).unwrap_or_default();
            text += &format!("# {} {}: {}\n", finding.code, place, finding.message);
        }
    }
    let of_sources = answer.sources.iter().map(|source| &source.rendered);
    for configuration in of_sources
        .chain(&answer.shared)
        .flat_map(|rendered| &rendered.configurations)
    {
        for (name, file) in &configuration.files {
            text += &format!("\n# {}: {name}\n{file}", configuration.name);
        }
    }
    text
}

fn objects(answer: &RenderAnswer) -> Vec<Value> {
    let of_sources = answer.sources.iter().map(|source| &source.rendered);
    of_sources
        .chain(&answer.shared)
        .flat_map(|rendered| rendered.objects.clone())
        .collect()
}

#[rstest]
#[case("argocd")]
#[case("namespace")]
#[case("toml-inputs")]
#[case("options")]
fn an_example_renders(#[case] name: &str) {
    let answer = rendered(&[read(&format!("{name}.yaml"))], &Value::Null);
    insta::assert_snapshot!(name, shown(&answer));
}

#[test]
fn an_application_renders_these_objects() {
    let answer = rendered(&[read("argocd.yaml")], &json!({"networkPolicy": true}));
    insta::assert_yaml_snapshot!("objects", objects(&answer));
}

#[test]
fn rubins_three_applications_render() {
    let sources = ["argocd.yaml", "nublado.yaml", "ingress-nginx.yaml"].map(read);
    let answer = rendered(&sources, &read("rubin/settings.yaml"));
    insta::assert_snapshot!("rubin", shown(&answer));
}

#[rstest]
#[case("endpoint")]
#[case("standalone")]
fn the_other_topologies_render(#[case] topology: &str) {
    let mut settings = read("rubin/settings.yaml");
    settings["topology"] = topology.into();
    let sources = ["argocd.yaml", "nublado.yaml", "namespace.yaml"].map(read);
    // What only one's own Telegraf could have is refused where all share one.
    let mut sources = sources.to_vec();
    let annotations = sources[2]["metadata"]["annotations"].as_object_mut().unwrap();
    annotations.remove("telewarden.io/limits-memory");
    let answer = rendered(&sources, &settings);
    insta::assert_snapshot!(topology, shown(&answer));
}

#[test]
fn two_shards_render() {
    let sources: Vec<_> = ["one", "two", "three", "four"]
        .into_iter()
        .map(|name| {
            let mut source = read("argocd.yaml");
            source["metadata"]["name"] = json!(name);
            source
        })
        .collect();
    let answer = rendered(
        &sources,
        &json!({"topology": "standalone", "standalone": {"shards": 2}}),
    );
    let mut objects = objects(&answer);
    for object in &mut objects {
        // The files are those of one Telegraf.
        if let Some(data) = object["data"].as_object_mut() {
            data.values_mut().for_each(|text| *text = json!("…"));
        }
    }
    insta::assert_yaml_snapshot!("shards", objects);
}

/// Every answer of the table and of the examples, under settings that render everything.
fn all_answers() -> Vec<RenderAnswer> {
    let of_table = cases()
        .into_iter()
        .map(|case| render(&serde_json::from_str(&case.request()).unwrap()));
    let everything = json!({
        "networkPolicy": true,
        "reload": "rollout",
        "pod": {
            "labels": {"team": "{application}"},
            "annotations": {"example.com/a": "{namespace}"},
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "a", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "disk", "operator": "Exists"}]},
            ]}}},
            "topologySpreadConstraints": [{
                "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "telegraf"}},
            }],
            "priorityClassName": "system-node-critical",
            "serviceAccountName": "telegraf",
            "imagePullSecrets": [{"name": "registry"}],
            "securityContext": {"runAsUser": null, "fsGroup": 5},
            "volumes": [{"name": "certificates", "configMap": {"name": "certificates"}}],
            "volumeMounts": [{"name": "certificates", "mountPath": "/etc/certificates", "readOnly": true}],
            "revisionHistoryLimit": 5,
        },
        "extraResources": [{
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "{application}-token", "labels": {"a": "{bucket}"}},
            "stringData": {"token": "{{literal}"},
        }],
    });
    let topologies = ["application", "endpoint", "standalone"].map(|topology| {
        let mut settings = everything.clone();
        settings["topology"] = topology.into();
        rendered(
            &["argocd.yaml", "options.yaml", "namespace.yaml", "toml-inputs.yaml"].map(read),
            &settings,
        )
    });
    of_table.chain(topologies).collect()
}

#[test]
fn every_object_is_one_of_kubernetes_and_nothing_is_lost() {
    fn kept<T: serde::Serialize + serde::de::DeserializeOwned>(object: &Value) -> Value {
        serde_json::to_value(serde_json::from_value::<T>(object.clone()).unwrap()).unwrap()
    }
    let mut seen = std::collections::BTreeSet::new();
    for object in all_answers().iter().flat_map(objects) {
        let kind = object["kind"].as_str().unwrap().to_owned();
        let kept = match kind.as_str() {
            "ConfigMap" => kept::<ConfigMap>(&object),
            "Deployment" => kept::<Deployment>(&object),
            "NetworkPolicy" => kept::<NetworkPolicy>(&object),
            _ => object.clone(),
        };
        assert_eq!(kept, object);
        seen.insert(kind);
    }
    assert_eq!(
        seen.into_iter().collect::<Vec<_>>(),
        ["ConfigMap", "Deployment", "NetworkPolicy", "Secret"]
    );
}

#[test]
fn no_object_is_argo_cds_own_and_each_is_ours() {
    for object in all_answers().iter().flat_map(objects) {
        let metadata = &object["metadata"];
        assert_eq!(metadata["labels"]["app.kubernetes.io/instance"], Value::Null);
        assert_eq!(metadata["annotations"]["argocd.argoproj.io/tracking-id"], Value::Null);
        assert_eq!(
            metadata["annotations"]["argocd.argoproj.io/compare-options"],
            "IgnoreExtraneous"
        );
        assert_eq!(
            metadata["annotations"]["argocd.argoproj.io/sync-options"],
            "Prune=false"
        );
        assert_eq!(metadata["labels"]["app.kubernetes.io/managed-by"], "telewarden");
        assert_eq!(metadata["labels"]["telegraf.influxdata.com/instance"], "telewarden");
        assert!(metadata["annotations"]["telegraf.influxdata.com/source"].is_string());
        assert!(metadata["name"].as_str().unwrap().len() <= 63);
        for value in metadata["labels"].as_object().unwrap().values() {
            assert!(value.as_str().unwrap().len() <= 63);
        }
    }
}

#[test]
fn equal_input_is_equal_output() {
    let bytes = || {
        all_answers()
            .iter()
            .map(|answer| serde_json::to_string(answer).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(bytes(), bytes());
}

#[test]
fn a_refused_source_keeps_its_file_in_standalone() {
    let settings = json!({"topology": "standalone"});
    let application = |name: &str, endpoint: &str| {
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": name, "namespace": "argocd", "annotations": {
                "telegraf.influxdata.com/rubin-telegraf-operator": endpoint,
            }},
            "spec": {"destination": {"namespace": name, "server": "https://kubernetes.default.svc"}},
        })
    };
    let files = |answer: &RenderAnswer| answer.shared.as_ref().unwrap().configurations[0].files.clone();
    let good = [
        application("a", "x: http://x.a.svc:1/metrics"),
        application("b", "x: http://x.b.svc:1/metrics"),
    ];
    let broken = [application("a", "x: nonsense"), good[1].clone()];
    let annotated = |annotations: Value| {
        let mut source = good[0].clone();
        source["metadata"]["annotations"] = annotations;
        [source, good[1].clone()]
    };
    let nothing_but_a_mistake = annotated(json!({"telegraf.influxdata.com/port": "8080"}));
    let no_such_class = annotated(json!({
        "telegraf.influxdata.com/rubin-telegraf-operator": "x: http://x.a.svc:1/metrics",
        "telegraf.influxdata.com/class": "nowhere",
    }));
    for broken in [&broken, &nothing_but_a_mistake, &no_such_class] {
        let request = json!({"protocol": 1, "settings": settings, "sources": broken}).to_string();
        let answer = render(&serde_json::from_str(&request).unwrap());
        assert_eq!(answer.sources[0].outcome, Outcome::Refused);
    }
    // Without a former file nothing is made up.
    let after = files(&rendered(&broken, &settings));
    assert!(!after.contains_key("application.argocd.a.conf"));
    assert!(!after["00-telegraf.conf"].contains("bucket = \"a\""));
    // What `[agent]` says counts for the files that are read after it.
    assert_eq!(after.keys().next().map(String::as_str), Some("00-telegraf.conf"));
    assert!(after["00-telegraf.conf"].contains("\nalways_include_local_tags = true\n"));
}

#[test]
fn the_pod_is_as_the_settings_have_it() {
    let settings = json!({"pod": {
        "priorityClassName": "high",
        "serviceAccountName": "telegraf",
        "imagePullSecrets": [{"name": "registry"}],
        "affinity": {"podAntiAffinity": {}},
        "topologySpreadConstraints": [{"maxSkew": 1}],
        "securityContext": {"runAsUser": null, "runAsGroup": null, "fsGroup": 5},
        "volumes": [{"name": "certificates", "configMap": {"name": "certificates"}}],
        "volumeMounts": [{"name": "certificates", "mountPath": "/etc/certificates"}],
        "revisionHistoryLimit": 5,
    }});
    let answer = rendered(&[read("argocd.yaml")], &settings);
    let objects = &answer.sources[0].rendered.objects;
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
    assert_eq!(deployment["spec"]["revisionHistoryLimit"], 5);
    let mut pod = deployment["spec"]["template"]["spec"].clone();
    let mounts = pod["containers"][0]["volumeMounts"].take();
    let paths: Vec<_> = mounts
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| &mount["mountPath"])
        .collect();
    assert_eq!(paths, ["/etc/telegraf", "/etc/certificates"]);
    pod["containers"].take();
    assert_eq!(
        pod,
        json!({
            "affinity": {"podAntiAffinity": {}},
            "automountServiceAccountToken": false,
            "containers": null,
            "enableServiceLinks": false,
            "imagePullSecrets": [{"name": "registry"}],
            "priorityClassName": "high",
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}, "fsGroup": 5},
            "serviceAccountName": "telegraf",
            "topologySpreadConstraints": [{"maxSkew": 1}],
            "volumes": [
                {"name": "config", "configMap": {"name": "telegraf-argocd"}},
                {"name": "certificates", "configMap": {"name": "certificates"}},
            ],
        })
    );
}

/// An Application with one endpoint, whose credentials are in the Secret `web`.
fn with_credentials(credentials: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": "shop", "namespace": "argocd", "annotations": {
            "telewarden.io/endpoints": format!("web:\n  url: https://web.shop.svc:8443/metrics\n{credentials}"),
        }},
        "spec": {"destination": {"namespace": "shop", "server": "https://kubernetes.default.svc"}},
    })
}

const CREDENTIALS: &str = "  bearerTokenSecret: {name: web, key: token}
  tls: {name: web, ca: ca.crt, cert: tls.crt, key: tls.key}
  basicAuthSecret: {name: web, username: user, password: pass}
";

#[test]
fn credentials_are_single_entries_of_secrets() {
    let settings = json!({"allow": {"secrets": ["web*"]}});
    let answer = rendered(&[with_credentials(CREDENTIALS)], &settings);
    let rendered = &answer.sources[0].rendered;
    let configuration = &rendered.configurations[0].files["telegraf.conf"];
    for option in [
        "bearer_token = \"/etc/telegraf-credentials/web/token\"",
        "tls_ca = \"/etc/telegraf-credentials/web/ca.crt\"",
        "tls_cert = \"/etc/telegraf-credentials/web/tls.crt\"",
        "tls_key = \"/etc/telegraf-credentials/web/tls.key\"",
        "username = \"${TELEWARDEN_web_user_",
        "password = \"${TELEWARDEN_web_pass_",
    ] {
        assert!(configuration.contains(option), "no {option} in {configuration}");
    }
    let mut objects = rendered.objects.iter();
    let deployment = objects.find(|object| object["kind"] == "Deployment").unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    let entry = |key: &str| json!({"secret": {"name": "web", "items": [{"key": key, "path": format!("web/{key}")}]}});
    let sources = ["token", "ca.crt", "tls.crt", "tls.key"].map(entry);
    assert_eq!(
        pod["volumes"][1],
        json!({"name": "credentials", "projected": {"sources": sources}})
    );
    let mount = &pod["containers"][0]["volumeMounts"][1];
    assert_eq!(
        *mount,
        json!({"name": "credentials", "mountPath": "/etc/telegraf-credentials", "readOnly": true})
    );
    let env = pod["containers"][0]["env"].as_array().unwrap();
    let of_web = env
        .iter()
        .filter(|env| env["valueFrom"]["secretKeyRef"]["name"] == "web");
    assert_eq!(of_web.count(), 2);
}

#[rstest]
#[case::not_allowed("bearerTokenSecret: {name: web, key: token}", json!({}), "TW218")]
#[case::another("bearerTokenSecret: {name: other, key: token}", json!({"allow": {"secrets": ["web"]}}), "TW218")]
#[case::the_databases("bearerTokenSecret: {name: telegraf, key: influx-token}", json!({"allow": {"secrets": ["*"]}}), "TW218")]
#[case::a_sources_own_token("bearerTokenSecret: {name: telegraf-0a1b, key: influx-token}", json!({"allow": {"secrets": ["*"]}}), "TW218")]
#[case::of_the_settings(
    "tls: {name: mine, ca: ca}",
    json!({
        "allow": {"secrets": ["*"]},
        "pod": {"env": [{"name": "INFLUX_TOKEN", "valueFrom": {"secretKeyRef": {"name": "mine", "key": "a"}}}]},
    }),
    "TW218"
)]
#[case::mounted(
    "bearerTokenSecret: {name: mine, key: token}",
    json!({"allow": {"secrets": ["*"]}, "pod": {"volumes": [{"name": "a", "secret": {"secretName": "mine"}}]}}),
    "TW218"
)]
#[case::projected(
    "bearerTokenSecret: {name: mine, key: token}",
    json!({"allow": {"secrets": ["*"]}, "pod": {"volumes": [{"name": "a", "projected": {"sources": [{"secret": {"name": "mine"}}]}}]}}),
    "TW218"
)]
#[case::rendered(
    "bearerTokenSecret: {name: mine, key: token}",
    json!({"allow": {"secrets": ["*"]}, "extraResources": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine"}}]}),
    "TW218"
)]
#[case::rendered_for_each_source(
    "bearerTokenSecret: {name: of-argocd, key: token}",
    json!({"allow": {"secrets": ["*"]}, "extraResources": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "of-{application}"}}]}),
    "TW218"
)]
#[case::shared("tls: {name: web, ca: ca}", json!({"allow": {"secrets": ["*"]}, "topology": "standalone"}), "TW218")]
#[case::upwards("tls: {name: web, ca: ../../x}", json!({"allow": {"secrets": ["*"]}}), "TW219")]
#[case::dots("tls: {name: web, ca: ..}", json!({"allow": {"secrets": ["*"]}}), "TW219")]
#[case::hidden("tls: {name: web, ca: .dockerconfigjson}", json!({"allow": {"secrets": ["*"]}}), "TW219")]
#[case::variable("tls: {name: web, ca: \"${A}\"}", json!({"allow": {"secrets": ["*"]}}), "TW219")]
#[case::name_upwards("tls: {name: ../web, ca: ca}", json!({"allow": {"secrets": ["*"]}}), "TW219")]
#[case::no_name("tls: {ca: ca}", json!({"allow": {"secrets": ["*"]}}), "TW219")]
#[case::no_key("tls: {name: web}", json!({"allow": {"secrets": ["*"]}}), "TW219")]
#[case::half("tls: {name: web, cert: a}", json!({"allow": {"secrets": ["*"]}}), "TW219")]
#[case::half_a_user("basicAuthSecret: {name: web, username: a}", json!({"allow": {"secrets": ["*"]}}), "TW219")]
#[case::unknown("bearerTokenSecret: {name: web, key: a, optional: a}", json!({"allow": {"secrets": ["*"]}}), "TW219")]
#[case::text("bearerTokenSecret: token", json!({"allow": {"secrets": ["*"]}}), "TW219")]
fn other_credentials_are_refused(#[case] credentials: &str, #[case] settings: Value, #[case] code: &str) {
    let request = serde_json::to_string(&json!({
        "protocol": 1, "settings": settings, "sources": [with_credentials(&format!("  {credentials}\n"))],
    }));
    let answer = render(&serde_json::from_str(&request.unwrap()).unwrap());
    assert_eq!(answer.diagnostics, []);
    let codes: Vec<_> = answer.sources[0].diagnostics.iter().map(|found| &*found.code).collect();
    assert_eq!(codes, [code], "{:#?}", answer.sources[0].diagnostics);
    assert!(answer.sources[0].rendered.objects.is_empty());
}
