//! The `kubectl` command that copies the annotations of an object in a file to the object in a cluster.

use std::fmt::Write;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::annotation_name::is_ours;
use crate::settings::{Settings, is_dns_label};
use crate::source::{Kind, Object, is_dns_subdomain};

/// The command for an Application or a Namespace, quoted for every POSIX shell. `None` for an object without our
/// annotations or with an invalid name.
pub fn annotate(object: &Value, settings: &Settings) -> Option<String> {
    let text = object.to_string();
    let object: Object<'_> = serde_json::from_str(&text).ok()?;
    let resource = match object.kind()? {
        Kind::Application => "applications.argoproj.io",
        Kind::Namespace => "namespaces",
        // Applications of an ApplicationSet get their annotations from its template.
        Kind::ApplicationSet | Kind::List => return None,
    };
    let name = object.metadata.name.as_ref();
    is_dns_subdomain(name).then_some(())?;
    let mut command = "kubectl annotate --overwrite".to_owned();
    if let Some(namespace) = object.metadata.namespace.as_deref() {
        is_dns_label(namespace).then_some(())?;
        // Writing to a string cannot fail.
        _ = write!(command, " --namespace {namespace}");
    }
    _ = write!(command, " {resource} {name}");
    let bare = command.len();
    let annotations = object
        .metadata
        .annotations
        .iter()
        .flat_map(|annotations| &annotations.0);
    for (name, value) in annotations {
        if is_ours(name, &settings.annotation) {
            let value: String = serde_json::from_str(RawValue::get(value)).ok()?;
            command += " \\\n  ";
            command += &quoted(&format!("{name}={value}"));
        }
    }
    (command.len() > bare).then_some(command)
}

/// A text as one word of a shell command.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn command(object: &Value) -> Option<String> {
        let (settings, _) = crate::settings::read(Some(&json!({"annotation": "example.org/scrape"})));
        annotate(object, &settings.expect("settings"))
    }

    #[test]
    fn a_shell_hands_kubectl_what_is_written() {
        let annotations = json!({
            "example.org/scrape": "- redis: \"http://redis\"\n  # it's $HOME, `id` and \\\n",
            "example.org/other": "x",
            "telegraf.influxdata.com/interval": "30s",
        });
        let metadata = json!({"name": "argo-cd", "namespace": "argocd", "annotations": annotations});
        let object = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": metadata});
        let script = format!(
            "kubectl() {{ printf '%s\\0' \"$@\"; }}\n{}",
            command(&object).expect("a command")
        );
        let output = Command::new("sh").args(["-c", &script]).output().expect("a shell");
        let words = String::from_utf8(output.stdout).expect("text");
        let words: Vec<_> = words.split_terminator('\0').collect();
        let expected = [
            "annotate",
            "--overwrite",
            "--namespace",
            "argocd",
            "applications.argoproj.io",
            "argo-cd",
            "example.org/scrape=- redis: \"http://redis\"\n  # it's $HOME, `id` and \\\n",
            "telegraf.influxdata.com/interval=30s",
        ];
        assert_eq!(words, expected);
    }

    #[rstest]
    #[case::nothing_of_ours(json!({"name": "a", "annotations": {"example.org/other": "x"}}))]
    #[case::no_name(json!({"annotations": {"example.org/scrape": "x"}}))]
    #[case::a_name_that_is_an_option(json!({"name": "--all", "annotations": {"example.org/scrape": "x"}}))]
    #[case::no_text(json!({"name": "a", "annotations": {"example.org/scrape": 1}}))]
    fn there_is_none(#[case] metadata: Value) {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
        assert_eq!(command(&object), None);
    }
}
