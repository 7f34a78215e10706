//! Objects for tests, and what the module renders for them.

use std::sync::OnceLock;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use telewarden::{Cache, Module, Options, Outcome, PROTOCOL, RenderRequest};

/// An Application.
#[derive(Clone, Debug)]
pub struct Application {
    /// Its name.
    pub name: String,
    /// Its destination namespace.
    pub namespace: String,
    /// The annotation's value; no annotation if empty.
    pub annotation: String,
    /// Its project.
    pub project: String,
    /// Its cluster.
    pub server: String,
}

impl Application {
    /// An Application that is deployed to the namespace with its name, in this cluster.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            namespace: name.to_owned(),
            annotation: String::new(),
            project: "default".to_owned(),
            server: "https://kubernetes.default.svc".to_owned(),
        }
    }

    /// The same with an annotation.
    #[must_use]
    pub fn annotated(mut self, annotation: &str) -> Self {
        annotation.clone_into(&mut self.annotation);
        self
    }

    /// The same with another destination namespace.
    #[must_use]
    pub fn to(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    /// The object.
    pub fn object(&self) -> Value {
        let mut object = json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": self.name, "namespace": "argocd"},
            "spec": {
                "project": self.project,
                "destination": {"server": self.server, "namespace": self.namespace},
                "source": {"repoURL": "https://github.com/lsst-sqre/phalanx", "path": self.name},
            },
        });
        if !self.annotation.is_empty() {
            object["metadata"]["annotations"] =
                json!({"telegraf.influxdata.com/rubin-telegraf-operator": self.annotation});
        }
        object
    }
}

/// An annotation with endpoints of these names in a namespace.
pub fn annotation(namespace: &str, endpoints: &[&str]) -> String {
    let line = |name: &&str| format!("- {name}: \"http://{name}.{namespace}.svc:9121/metrics\"\n");
    endpoints.iter().map(line).collect()
}

/// The Application `redis` with one endpoint.
pub fn redis() -> Application {
    Application::named("redis").annotated(&annotation("redis", &["server"]))
}

/// A document with another one merged into it.
pub fn merged(mut document: Value, over: Value) -> Value {
    merge(&mut document, over);
    document
}

fn merge(document: &mut Value, over: Value) {
    match (document, over) {
        (Value::Object(document), Value::Object(over)) => {
            for (name, value) in over {
                merge(document.entry(name).or_insert(Value::Null), value);
            }
        }
        (document, over) => *document = over,
    }
}

/// The objects of a text.
///
/// # Panics
/// If it is not YAML.
pub fn objects(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).expect("YAML"))
        .filter(|object| !object.is_null())
        .collect()
}

/// The objects that the module renders for sources, without the operator.
///
/// # Panics
/// If the module fails.
pub fn render(settings: &str, sources: &[Value]) -> Vec<Value> {
    static MODULE: OnceLock<Module> = OnceLock::new();
    let module = MODULE.get_or_init(|| {
        let path =
            std::env::var_os("TELEWARDEN_E2E_POLICY").expect("TELEWARDEN_E2E_POLICY: run these with e2e/operator/run");
        let options = Options {
            cache: Cache::of_user(),
            ..Options::default()
        };
        Module::from_file(path, &options).expect("load the module")
    });
    let settings = RawValue::from_string(settings.to_owned()).expect("JSON");
    let sources: Vec<_> = sources
        .iter()
        .map(|source| RawValue::from_string(source.to_string()).expect("JSON"))
        .collect();
    let request = RenderRequest {
        protocol: PROTOCOL,
        settings: Some(&settings),
        sources: sources.iter().map(|source| &**source).collect(),
        ..Default::default()
    };
    let answer = module.render(&request).expect("render");
    let rendered = answer
        .sources
        .into_iter()
        .filter(|source| source.outcome == Outcome::Rendered);
    let objects: Vec<Value> = rendered.flat_map(|source| source.rendered.objects).collect();
    answer
        .shared
        .map(|shared| shared.objects)
        .into_iter()
        .flatten()
        .chain(objects)
        .collect()
}

/// Checks that an object in the cluster contains everything that is rendered, without additions to its `data` and lists.
///
/// # Errors
/// The difference.
pub fn covers(rendered: &Value, live: &Value) -> Result<(), String> {
    if rendered.get("data") != live.get("data") {
        return Err(format!("data is {}, rendered is {}", live["data"], rendered["data"]));
    }
    within(rendered, live, "")
}

fn within(rendered: &Value, live: &Value, at: &str) -> Result<(), String> {
    match (rendered, live) {
        (Value::Object(rendered), Value::Object(live)) => rendered.iter().try_for_each(|(field, value)| {
            within(value, live.get(field).unwrap_or(&Value::Null), &format!("{at}/{field}"))
        }),
        (Value::Array(rendered), Value::Array(live)) if rendered.len() == live.len() => rendered
            .iter()
            .zip(live)
            .try_for_each(|(value, live)| within(value, live, &format!("{at}/…"))),
        // The API server does not store empty values.
        (Value::Array(items), Value::Null) if items.is_empty() => Ok(()),
        (Value::Object(fields), Value::Null) if fields.is_empty() => Ok(()),
        (rendered, live) if rendered == live => Ok(()),
        (rendered, live) => Err(format!("{at} is {live}, rendered is {rendered}")),
    }
}
