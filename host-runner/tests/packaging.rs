//! What catalogs and clusters read is in step with the code.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rstest::rstest;
use serde_json::{Map, Value, json};
use telewarden::artifact::{Metadata, PolicyType};
use telewarden_policy::schema;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn yaml(name: &str) -> Value {
    serde_yaml::from_str(&read(name)).unwrap()
}

fn telewarden(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_telewarden"))
        .current_dir(path("."))
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[rstest]
#[case::kubernetes("metadata.yml", PolicyType::Kubernetes, false)]
#[case::raw("metadata-render.yml", PolicyType::Raw, true)]
fn the_metadata_is_of_this_version(#[case] name: &str, #[case] policy_type: PolicyType, #[case] mutating: bool) {
    let metadata: Metadata = serde_yaml::from_str(&read(name)).unwrap();
    let annotations = metadata.annotations.unwrap();
    assert_eq!(annotations["io.kubewarden.policy.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(annotations["io.kubewarden.policy.source"], env!("CARGO_PKG_REPOSITORY"));
    assert_eq!((metadata.policy_type, metadata.mutating), (policy_type, mutating));
    assert!(metadata.context_aware_resources.is_empty());
    assert_eq!(metadata.host_capabilities, Some(Default::default()));
    let title = &annotations["io.kubewarden.policy.title"];
    assert!(annotations["io.kubewarden.policy.ociUrl"].ends_with(&format!("/{title}")));
}

/// What `kwctl scaffold artifacthub` makes of the metadata.
fn artifact_hub_package() -> Value {
    let metadata: Metadata = serde_yaml::from_str(&read("metadata.yml")).unwrap();
    let annotations = metadata.annotations.unwrap();
    let annotation = |name: &str| annotations[name].as_str();
    let version = annotation("io.kubewarden.policy.version");
    let source = annotation("io.kubewarden.policy.source");
    let image = format!("{}:v{version}", annotation("io.kubewarden.policy.ociUrl"));
    let keywords: Vec<_> = annotation("io.artifacthub.keywords")
        .split(',')
        .map(str::trim)
        .collect();
    let (name, email) = annotation("io.kubewarden.policy.author").split_once(" <").unwrap();
    json!({
        "version": version,
        "name": annotation("io.kubewarden.policy.title"),
        "displayName": annotation("io.artifacthub.displayName"),
        "description": annotation("io.kubewarden.policy.description"),
        "license": annotation("io.kubewarden.policy.license"),
        "homeURL": annotation("io.kubewarden.policy.url"),
        "containersImages": [{"name": "policy", "image": image}],
        "keywords": keywords,
        "links": [
            {"name": "policy", "url": format!("{source}/releases/download/v{version}/policy.wasm")},
            {"name": "source", "url": source},
        ],
        "install": format!(
            "The policy can be obtained using [kwctl](https://docs.kubewarden.io/howtos/install-kwctl):\n\
             ```console\nkwctl pull {image}\n```\n\
             Then, generate the policy manifest and tune it to your liking. For example:\n\
             ```console\nkwctl scaffold manifest -t ClusterAdmissionPolicy registry://{image}\n```\n"
        ),
        "maintainers": [{"name": name, "email": email.trim_end_matches('>')}],
        "provider": {"name": "kubewarden"},
        "recommendations": [{"url": "https://artifacthub.io/packages/helm/kubewarden/kubewarden-controller"}],
        "annotations": {
            "kubewarden/mutation": metadata.mutating.to_string(),
            "kubewarden/questions-ui": read("questions-ui.yml"),
            "kubewarden/resources": annotation("io.artifacthub.resources"),
            "kubewarden/rules": serde_yaml::to_string(&metadata.rules).unwrap(),
        },
    })
}

#[test]
fn the_artifact_hub_package_is_the_metadata_s() {
    let mut committed = yaml("artifacthub-pkg.yml");
    let created = committed.as_object_mut().unwrap().remove("createdAt");
    assert!(created.is_some());
    assert_eq!(
        committed,
        artifact_hub_package(),
        "write it anew: kwctl scaffold artifacthub -q questions-ui.yml > artifacthub-pkg.yml"
    );
}

/// The schema of a field, `a.b.c`.
fn field<'a>(schema: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(schema, |at, name| {
        let at = match at["$ref"].as_str() {
            Some(reference) => schema.pointer(reference.trim_start_matches('#')).unwrap(),
            None => at,
        };
        let found = &at["properties"][name];
        assert!(found.is_object(), "the settings have no `{path}`");
        found
    })
}

#[test]
fn every_question_is_one_of_the_settings() {
    let schema = schema::settings().to_value();
    let defaults = telewarden_policy::settings::defaults();
    let questions = yaml("questions-ui.yml");
    let mut answers = Map::new();
    for question in questions["questions"].as_array().unwrap() {
        let variable = question["variable"].as_str().unwrap();
        field(&schema, variable);
        let default = variable.split('.').fold(&defaults, |at, name| &at[name]);
        assert_eq!(question["default"], *default, "{variable}");
        let of_type = match default {
            Value::Bool(_) => "boolean",
            Value::Number(_) => "int",
            Value::Array(_) => "array[",
            _ if question["options"].is_array() => "enum",
            _ => "string",
        };
        assert_eq!(question["type"], of_type, "{variable}");
        for option in question["options"].as_array().into_iter().flatten() {
            let settings = json!({variable: option});
            let (read, findings) = telewarden_policy::settings::read(Some(&settings));
            assert!(read.is_some(), "{variable}: {option}: {findings:?}");
        }
        // As Rancher's form sends them: nested.
        let mut at = &mut answers;
        let (parents, last) = variable
            .rsplit_once('.')
            .map_or((None, variable), |(parents, last)| (Some(parents), last));
        for parent in parents.into_iter().flat_map(|parents| parents.split('.')) {
            at = at.entry(parent).or_insert_with(|| json!({})).as_object_mut().unwrap();
        }
        at.insert(last.to_owned(), question["default"].clone());
    }
    let (settings, findings) = telewarden_policy::settings::read(Some(&answers.into()));
    assert!(settings.is_some() && findings.is_empty(), "{findings:?}");
}

#[rstest]
#[case::applications("deploy/cluster-admission-policy.yaml", &["--only", "applications", "--only", "applicationsets"])]
#[case::namespaces("deploy/cluster-admission-policy-namespaces.yaml", &["--only", "namespaces"])]
#[case::monitor("deploy/cluster-admission-policy-monitor.yaml", &["--mode", "monitor"])]
fn the_manifests_are_what_the_command_prints(#[case] file: &str, #[case] arguments: &[&str]) {
    let (code, printed, _) = telewarden(&[&["policies"], arguments].concat());
    assert_eq!(code, Some(0));
    let text = read(file);
    let (comment, manifest) = text.split_at(text.find("---\n").unwrap());
    assert!(comment.lines().all(|line| line.starts_with('#')));
    let command = format!("telewarden policies {}", arguments.join(" "));
    assert!(comment.contains(&command), "{file} does not say `{command}`");
    assert_eq!(manifest, printed, "write {file} anew: {command}");
}

#[test]
fn policies_are_for_the_settings_that_are_given() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.yaml");
    let policies = |text: &str| {
        fs::write(&settings, text).unwrap();
        telewarden(&["policies", "--settings", settings.to_str().unwrap()])
    };
    let (code, printed, _) = policies("annotation: example.com/endpoints\nmutation: digest\n");
    assert_eq!(code, Some(0));
    let keys = printed
        .replace("''", "'")
        .matches("k == 'example.com/endpoints'")
        .count();
    assert_eq!(keys, 9, "{printed}");
    assert_eq!(printed.matches("mutating: true").count(), 2);
    assert_eq!(printed.matches("failurePolicy: Fail").count(), 2);
    assert_eq!(printed.matches("mutation: digest").count(), 3);

    let services = "contextAwareResources:\n  - apiVersion: v1\n    kind: Service\n";
    let (_, printed, _) = policies("services: warn\n");
    assert_eq!(printed.matches(services).count(), 2, "{printed}");
    let (_, printed, _) = policies("services: nothing\n");
    assert!(!printed.contains("contextAware"), "{printed}");

    let (code, printed, said) = policies("topology: star\n");
    assert_eq!((code, printed.as_str()), (Some(2), ""));
    assert!(said.contains("TW501"), "{said}");
}

/// They are Argo CD's, and so a comment: they are not applied with the policies.
#[test]
fn policies_say_what_a_project_that_warns_of_orphans_has_to_ignore() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.yaml");
    let comment = |text: &str, more: &[&str]| -> Vec<String> {
        fs::write(&settings, text).unwrap();
        let (code, printed, _) = telewarden(&[&["policies", "--settings", settings.to_str().unwrap()], more].concat());
        assert_eq!(code, Some(0));
        let comment = printed.lines().filter(|line| line.starts_with('#'));
        comment.map(str::to_owned).collect()
    };
    let with_secrets = comment("networkPolicy: true\ninfluxdb: {provide: bucketsAndTokens}\n", &[]);
    assert!(
        with_secrets[0].contains("`spec.orphanedResources.ignore`"),
        "{with_secrets:?}"
    );
    let entries: Vec<_> = with_secrets[1..].iter().map(|line| &line[1..]).collect();
    let entries: serde_json::Value = serde_yaml::from_str(&entries.join("\n")).unwrap();
    let kinds: Vec<_> = entries.as_array().unwrap().iter().map(|entry| &entry["kind"]).collect();
    assert_eq!(kinds, ["ConfigMap", "Deployment", "NetworkPolicy", "Secret"]);
    // Nothing is in the namespaces of Applications, and no AppProject is asked about others.
    assert!(comment("topology: standalone\n", &[]).is_empty());
    assert!(comment("{}\n", &["--only", "namespaces"]).is_empty());
}

#[test]
fn a_module_is_annotated_and_inspected() {
    let folder = tempfile::tempdir().unwrap();
    let annotated = folder.path().join("annotated.wasm");
    let annotated = annotated.to_str().unwrap();
    for (metadata, title) in [
        ("metadata.yml", "telewarden"),
        ("metadata-render.yml", "telewarden-render"),
    ] {
        let (code, _, said) = telewarden(&[
            "annotate",
            "-m",
            metadata,
            "-u",
            "CONTRIBUTING.md",
            "policy.wasm",
            "-o",
            annotated,
        ]);
        assert_eq!(code, Some(0), "{said}");
        let (code, printed, said) = telewarden(&["inspect", annotated]);
        assert_eq!(code, Some(0), "{said}");
        let metadata: Metadata = serde_yaml::from_str(&printed).unwrap();
        assert_eq!(metadata.protocol_version.as_deref(), Some("v1"));
        let annotations = metadata.annotations.unwrap();
        assert_eq!(annotations["io.kubewarden.policy.title"], title);
        assert_eq!(annotations["io.kubewarden.policy.usage"], read("CONTRIBUTING.md"));
        // It runs as before.
        let (code, rendered, _) = telewarden(&["render", "examples/argocd.yaml", "--policy", annotated]);
        assert_eq!(code, Some(0));
        assert_eq!(rendered, telewarden(&["render", "examples/argocd.yaml"]).1);
    }
    let (code, _, said) = telewarden(&["annotate", "-m", "metadata.yml", annotated, "-o", annotated]);
    assert_eq!(code, Some(2));
    assert!(said.contains("already annotated"), "{said}");
    let (code, _, said) = telewarden(&["inspect", "policy.wasm"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("has no metadata"), "{said}");
}

#[test]
fn a_module_without_digest_is_not_run() {
    let (code, _, said) = telewarden(&["render", "examples", "--policy", "registry://localhost:1/telewarden:v1"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("a tag can be moved"), "{said}");
}
