//! Finds environment variables that a class uses and the pods do not have, and the default one if no class uses it.
//!
//! Telegraf leaves the name of a variable that is not set in the text and goes on, so an output gets the token
//! `${INFLUX_TOKEN}` (<https://docs.influxdata.com/telegraf/v1/configuration/#environment-variables>). A pod does not start
//! without the Secret that its variable comes from.

use serde_json::Value as Json;

use super::databases::{self, DatabaseOutput};
use super::document::{Class, Settings};
use super::path::Path;
use super::pod_variable::PodVariable;
use super::template::{TemplateTable, TemplateValue};
use crate::diagnostic::{Findings, Place, Problem};
use crate::telegraf::near;

/// Variables that containers have: <https://kubernetes.io/docs/concepts/containers/container-environment/>.
const OF_CONTAINERS: [&str; 3] = ["HOSTNAME", "HOME", "PATH"];

/// Warns of each variable of a class that no pod has.
pub(super) fn check(settings: &Settings, root: &Path<'_>, findings: &mut Findings) {
    let classes = root.name("classes");
    for (name, class) in settings.classes.iter() {
        class_uses(class, &classes.name(name), settings, findings);
    }
}

/// Warns of the default variable if it was not chosen and no class uses it.
pub(super) fn check_default(document: &Json, settings: &Settings, root: &Path<'_>, findings: &mut Findings) {
    if document["pod"]["env"].is_null() {
        let classes = root.name("classes");
        let class = classes.name(&settings.default_class);
        default_is_used(settings, class.name("outputs").place(), findings);
    }
}

fn class_uses(class: &Class, path: &Path<'_>, settings: &Settings, findings: &mut Findings) {
    let of_pods = settings.pod.env.iter().map(PodVariable::name);
    // The operator sets them from the Secret with a source's own token.
    let databases = databases::outputs(class).iter();
    let provided: Vec<String> = databases
        .filter_map(|output| DatabaseOutput::of(output, settings))
        .map(|output| output.variable)
        .collect();
    let known: Vec<&str> = of_pods.chain(provided.iter().map(String::as_str)).collect();
    let mut check = Check { known, findings };
    check.table(&class.global_tags, &path.name("globalTags"));
    check.table(&class.agent, &path.name("agent"));
    for (kind, plugins) in class.plugins() {
        let path = path.name(kind);
        for (plugin, instances) in plugins {
            let path = path.name(plugin.as_str());
            for (index, instance) in instances.iter().enumerate() {
                check.table(instance, &path.index(index));
            }
        }
    }
}

fn default_is_used(settings: &Settings, place: Place, findings: &mut Findings) {
    for variable in &settings.pod.env {
        let name = variable.name();
        if let Some(secret) = variable.secret().filter(|_| !settings.uses_variable(name)) {
            let problem = Problem::UnusedToken {
                variable: name.to_owned(),
                secret: secret.to_owned(),
            };
            findings.report(problem, place.clone());
        }
    }
}

struct Check<'c> {
    known: Vec<&'c str>,
    findings: &'c mut Findings,
}

impl Check<'_> {
    fn table(&mut self, table: &TemplateTable, path: &Path<'_>) {
        for (name, value) in table {
            self.value(value, &path.name(name.as_str()));
        }
    }

    fn value(&mut self, value: &TemplateValue, path: &Path<'_>) {
        match value {
            TemplateValue::Text(text) => {
                for name in needed_variables(&text.literal_text()) {
                    let is_of_services = name.starts_with("KUBERNETES_");
                    if !self.known.contains(&name) && !OF_CONTAINERS.contains(&name) && !is_of_services {
                        let problem = Problem::UnsetVariable {
                            name: name.to_owned(),
                            nearest: near(name, self.known.iter().copied()).map(str::to_owned),
                        };
                        self.findings.report(problem, path.place());
                    }
                }
            }
            TemplateValue::List(values) => {
                for (index, value) in values.iter().enumerate() {
                    self.value(value, &path.index(index));
                }
            }
            TemplateValue::Table(table) => self.table(table, path),
            TemplateValue::Tables(tables) => {
                for (index, table) in tables.iter().enumerate() {
                    self.table(table, &path.index(index));
                }
            }
            TemplateValue::Integer(_) | TemplateValue::Float(_) | TemplateValue::Boolean(_) => {}
        }
    }
}

/// The variables in a text that have no default value: `$NAME` and `${NAME}`, and not `${NAME:-value}`.
fn needed_variables(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('$') {
        // `$$` is a literal `$`.
        if let Some(after) = after.strip_prefix('$') {
            rest = after;
            continue;
        }
        let (is_in_braces, after) = match after.strip_prefix('{') {
            Some(after) => (true, after),
            None => (false, after),
        };
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, tail) = after.split_at(end.unwrap_or(after.len()));
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if is_name && (!is_in_braces || tail.starts_with('}')) {
            found.push(name);
        }
        rest = tail;
    }
    found
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::diagnostic::Rule;
    use crate::settings::thorough;

    #[rstest]
    #[case("http://a", &[])]
    #[case("${A}", &["A"])]
    #[case("$A/${B_1}-$C", &["A", "B_1", "C"])]
    #[case("$$A ${A:-b} ${A:?b} $1 $ ${}", &[])]
    #[case("$$$A", &["A"])]
    fn variables_without_a_default_are_needed(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(needed_variables(text), expected);
    }

    #[rstest]
    #[case(json!({"token": "${INFLUX_TOKEN}", "urls": ["http://${HOSTNAME}:8086"]}), &[])]
    #[case(json!({"token": "${INFLUX_TOKE}", "urls": ["http://${HOST}"]}),
        &["/token did you mean `INFLUX_TOKEN`?", "/urls/0 add it to `pod.env`"])]
    #[case(json!({"http_headers": {"a": "$X"}}), &["/http_headers/a add it to `pod.env`"])]
    fn pods_have_the_variables_of_their_class(#[case] output: Json, #[case] expected: &[&str]) {
        let document = json!({"classes": {"default": {"outputs": {"influxdb_v2": [output]}}}});
        let found = thorough(Some(&document), Vec::new());
        let found: Vec<String> = found
            .iter()
            .filter(|finding| finding.is(Rule::UnsetVariable))
            .map(|finding| {
                let place = finding
                    .place
                    .as_ref()
                    .map(|place| place.pointer.as_str())
                    .unwrap_or_default();
                let place = place.trim_start_matches("/classes/default/outputs/influxdb_v2/0");
                format!("{place} {}", finding.help.as_deref().unwrap_or_default())
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[rstest]
    #[case(json!({"file": [{"files": ["stdout"]}]}), Json::Null, true)]
    #[case(json!({"file": [{"files": ["stdout"]}]}), json!({"env": []}), false)]
    #[case(json!({"influxdb_v2": [{"token": "${INFLUX_TOKEN}"}]}), Json::Null, false)]
    fn the_default_variable_is_used(#[case] outputs: Json, #[case] pod: Json, #[case] expected: bool) {
        let document = json!({"pod": pod, "classes": {"default": {"outputs": outputs}}});
        let found = thorough(Some(&document), Vec::new());
        let found: Vec<_> = found.iter().filter(|finding| finding.is(Rule::UnusedToken)).collect();
        assert_eq!(found.len(), usize::from(expected), "{found:#?}");
    }

    #[test]
    fn a_provided_token_is_set() {
        let output = json!([{"urls": ["http://influxdb.influxdb.svc:8086"], "organization": "o", "bucket": "{bucket}", "token": "$OWN"}]);
        let document = |provide: &str| json!({"influxdb": {"provide": provide}, "classes": {"default": {"outputs": {"influxdb_v2": output}}}});
        let unset = |provide: &str| {
            let found = thorough(Some(&document(provide)), Vec::new());
            found.iter().filter(|finding| finding.is(Rule::UnsetVariable)).count()
        };
        assert_eq!((unset("bucketsAndTokens"), unset("buckets")), (0, 1));
    }
}
