//! A host that renders with the built module, and keeps what was accepted.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use telewarden::{Cache, Module, Options, Outcome, PROTOCOL, RenderAnswer, RenderRequest};
use telewarden_e2e_telegraf::repository;

/// `policy.wasm`, with less memory than a host gives it.
fn module() -> &'static Module {
    static MODULE: OnceLock<Module> = OnceLock::new();
    MODULE.get_or_init(|| {
        let options = Options {
            memory: 64 * 1024 * 1024,
            cache: Cache::of_user(),
            ..Options::default()
        };
        Module::from_file(repository("policy.wasm"), &options).expect("policy.wasm, which `make policy.wasm` builds")
    })
}

/// The last accepted declaration of each source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Host(BTreeMap<String, Value>);

impl Host {
    /// Renders the sources, with objects that are none, and remembers.
    pub(crate) fn render(
        &mut self,
        settings: &Value,
        sources: &BTreeMap<String, Value>,
        objects: &[Value],
    ) -> Result<RenderAnswer, String> {
        self.0.retain(|identity, _| sources.contains_key(identity));
        let all: Vec<_> = sources.values().chain(objects).collect();
        let accepted: Vec<_> = self.0.values().collect();
        let answer = call(settings, &all, &accepted)?;
        for source in &answer.sources {
            match (source.outcome, &source.accepted) {
                (Outcome::Rendered, Some(accepted)) => {
                    self.0.insert(source.source.clone(), accepted.clone());
                }
                (Outcome::Refused, _) => {}
                _ => {
                    self.0.remove(&source.source);
                }
            }
        }
        Ok(answer)
    }

    /// Renders one of the sources alone. The others are what is remembered of them.
    pub(crate) fn render_one(&self, settings: &Value, source: &Value) -> Result<RenderAnswer, String> {
        call(settings, &[source], &self.0.values().collect::<Vec<_>>())
    }
}

fn call(settings: &Value, sources: &[&Value], accepted: &[&Value]) -> Result<RenderAnswer, String> {
    let raw = |value: &&Value| to_raw_value(value).expect("JSON");
    let settings = raw(&settings);
    let sources: Vec<Box<RawValue>> = sources.iter().map(raw).collect();
    let accepted: Vec<Box<RawValue>> = accepted.iter().map(raw).collect();
    let answer = module().render(&RenderRequest {
        protocol: PROTOCOL,
        settings: Some(&settings),
        sources: sources.iter().map(AsRef::as_ref).collect(),
        cluster: None,
        accepted: accepted.iter().map(AsRef::as_ref).collect(),
        ..Default::default()
    });
    let answer = answer.map_err(|error| format!("the module: {error}"))?;
    let errors: Vec<_> = answer.diagnostics.iter().filter(|finding| finding.is_error()).collect();
    match errors.as_slice() {
        [] => Ok(answer),
        errors => Err(format!("the settings or the request: {errors:?}")),
    }
}
