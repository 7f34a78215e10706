//! An exporter behind TLS that wants a token: the API server's own metrics. Both are entries of a Secret, which are mounted as
//! files.

use std::fs;

use serde_json::{Value, json};
use telewarden_e2e_operator::{ADMIN, Cluster};
use telewarden_e2e_telegraf::{Telegraf, application, eventually, merged, on_loopback, render};

/// What the kubelet does with the projected volume. `e2e/telegraf/run` gives the test an `/etc` of its own.
fn mount(rendered: &telewarden_policy::protocol::Rendered, secret: &Value) {
    let mut objects = rendered.objects.iter();
    let deployment = objects
        .find(|object| object["kind"] == "Deployment")
        .expect("a Deployment");
    let pod = &deployment["spec"]["template"]["spec"];
    let volume = pod["volumes"]
        .as_array()
        .expect("volumes")
        .iter()
        .find(|volume| volume["name"] == "credentials");
    let mounts = pod["containers"][0]["volumeMounts"].as_array().expect("mounts");
    let mount = mounts
        .iter()
        .find(|mount| mount["name"] == "credentials")
        .expect("a mount");
    for source in volume.expect("a volume")["projected"]["sources"]
        .as_array()
        .expect("sources")
    {
        for item in source["secret"]["items"].as_array().expect("items") {
            let text = |value: &Value| value.as_str().expect("text").to_owned();
            let path = format!("{}/{}", text(&mount["mountPath"]), text(&item["path"]));
            let folder = path.rsplit_once('/').expect("a folder").0;
            fs::create_dir_all(folder).expect("a folder");
            fs::write(&path, text(&secret[text(&item["key"])])).expect("a file");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_behind_tls_and_a_token() {
    let cluster = Cluster::without_operator(&[]).await;
    let settings = merged(
        on_loopback(),
        json!({
            "allow": {"secrets": ["web-*"]},
            "classes": {"default": {"outputs": {"file": [{"files": ["stdout"], "data_format": "influx"}]}}},
        }),
    );
    let annotation = format!(
        "api: {{url: '{}/metrics/slis', bearerTokenSecret: {{name: web-metrics, key: token}}, \
         tls: {{name: web-metrics, ca: ca.crt}}}}",
        cluster.address()
    );
    let answer = render(&settings, &[application("shop", &annotation)]);
    let rendered = &answer.sources[0].rendered;
    for (token, expected) in [(ADMIN, "kubernetes_healthcheck="), ("another", "401")] {
        mount(rendered, &json!({"token": token, "ca.crt": cluster.certificate()}));
        let telegraf = Telegraf::start_named(rendered, &rendered.configurations[0].name);
        eventually(expected, || {
            let log = telegraf.log();
            log.contains(expected).then_some(()).ok_or(log)
        });
    }
}
