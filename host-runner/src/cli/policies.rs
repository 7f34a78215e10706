//! `telewarden policies`
//!
//! The manifests decide which requests reach the policy. Argo CD writes the whole Application whenever its status
//! changes, many times a minute. These requests must not reach the policy.

use clap::ValueEnum;
use serde_json::{Map, Value, json};
use telewarden::Diagnostic;
use telewarden_policy::annotation_name::{PREFIXES, without_prefix};
use telewarden_policy::entries_for_orphans;

use super::Status;
use super::output;
use super::project_file::SettingsArgs;
use super::report::{Finding, Report, human};

/// Print the manifests for Kubewarden
///
/// There is one ClusterAdmissionPolicy each for Applications, ApplicationSets and Namespaces. Their matchConditions
/// select requests that change one of telewarden's annotations, the destination or the project. A comment has the entries
/// that AppProjects need which warn of orphaned resources.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: SettingsArgs,
    /// The module's address, for Kubewarden
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_MODULE)]
    module: String,
    /// The PolicyServer that runs the policies
    #[arg(long, value_name = "NAME", default_value = "default")]
    policy_server: String,
    /// Refuse invalid objects, or only report them
    #[arg(long, value_enum, default_value_t = Mode::Protect)]
    mode: Mode,
    /// Print only the policies for this kind; can be given several times
    #[arg(long, value_enum)]
    only: Vec<Kind>,
}

const DEFAULT_MODULE: &str = concat!(
    "registry://ghcr.io/telewarden/policies/telewarden:v",
    env!("CARGO_PKG_VERSION")
);

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Mode {
    /// Invalid objects are refused
    Protect,
    /// Invalid objects are accepted, and reported in the policy server's log and metrics
    Monitor,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Kind {
    /// argoproj.io/v1alpha1 Application
    Applications,
    /// argoproj.io/v1alpha1 ApplicationSet
    Applicationsets,
    /// v1 Namespace
    Namespaces,
}

pub(crate) fn run(args: &Args) -> Status {
    let settings = match args.settings.load() {
        Ok(project) => project.settings,
        Err(failures) => {
            failures
                .iter()
                .for_each(|failure| output::say_styled(human::failure(failure)));
            return Status::CouldNotRun;
        }
    };
    let document = settings.as_ref().map(|settings| settings.value.clone());
    let document = document.unwrap_or_else(|| json!({}));
    // A PolicyServer does not start if the settings of one of its policies are invalid.
    let (checked, findings) = telewarden_policy::settings::read(Some(&document));
    let findings = telewarden_policy::settings::thorough(Some(&document), findings);
    let is_refused = findings.iter().any(Diagnostic::is_error);
    let mut report = Report::default();
    report.findings.extend(findings.iter().map(|finding| match &settings {
        Some(settings) => settings.finding(finding),
        None => Finding::new(finding),
    }));
    if !report.findings.is_empty() {
        output::say_styled(human::findings(&report).trim_end());
    }
    if is_refused {
        return Status::CouldNotRun;
    }
    let settings = document;
    let kinds = [Kind::Applications, Kind::Applicationsets, Kind::Namespaces];
    let kinds = kinds
        .into_iter()
        .filter(|kind| args.only.is_empty() || args.only.contains(kind));
    let documents = kinds.map(|kind| {
        let comment = match (kind, &checked) {
            (Kind::Applications, Some(checked)) => of_orphans(&entries_for_orphans(checked)),
            _ => String::new(),
        };
        let policy = policy(kind, &settings, args);
        Ok(format!("---\n{comment}{}", serde_yaml::to_string(&policy)?))
    });
    match documents.collect::<Result<String, serde_yaml::Error>>() {
        Ok(text) => output::print_document(&text),
        Err(error) => {
            output::say_error(&error);
            Status::CouldNotRun
        }
    }
}

/// A comment with what an AppProject needs. It is not ours to apply.
fn of_orphans(entries: &[String]) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let entries: String = entries.iter().map(|entry| format!("#   - {entry}\n")).collect();
    format!(
        "# AppProjects with `orphanedResources: {{warn: true}}` warn of what is rendered, unless `spec.orphanedResources.ignore` has:\n\
         {entries}"
    )
}

fn policy(kind: Kind, settings: &Value, args: &Args) -> Value {
    let (group, version, resource) = match kind {
        Kind::Applications => ("argoproj.io", "v1alpha1", "applications"),
        Kind::Applicationsets => ("argoproj.io", "v1alpha1", "applicationsets"),
        Kind::Namespaces => ("", "v1", "namespaces"),
    };
    // The policy never changes an ApplicationSet.
    let mutation = settings["mutation"].as_str().unwrap_or("none");
    let mutating = mutation != "none" && kind != Kind::Applicationsets;
    let rule = |resources: &[&str], operations: &[&str]| json!({"apiGroups": [group], "apiVersions": [version], "resources": resources, "operations": operations});
    let mut rules = vec![rule(&[resource], &["CREATE", "UPDATE"])];
    if kind == Kind::Namespaces {
        // Requests to these subresources can change annotations. They need a rule without CREATE: Kubewarden's audit
        // scanner uses all rules with CREATE, and skips a policy with a resource that it cannot list.
        rules.push(rule(&["namespaces/status", "namespaces/finalize"], &["UPDATE"]));
    }
    let mut policy = json!({
        "apiVersion": "policies.kubewarden.io/v1",
        "kind": "ClusterAdmissionPolicy",
        "metadata": {"name": format!("telewarden-{resource}")},
        "spec": {
            "module": args.module,
            "policyServer": args.policy_server,
            "mode": match args.mode {
                Mode::Protect => "protect",
                Mode::Monitor => "monitor",
            },
            "mutating": mutating,
            "backgroundAudit": true,
            "rules": rules,
            "matchConditions": conditions(kind, settings["annotation"].as_str()),
            // The operator checks everything again before it applies it, so with `Ignore` a failed PolicyServer delays no
            // deployment and lets nothing invalid run. With mutation, annotations of the policy could be forged, hence `Fail`.
            "failurePolicy": if mutating { "Fail" } else { "Ignore" },
            "timeoutSeconds": 5,
            "settings": settings,
        },
    });
    // No annotation of an ApplicationSet's template is looked up.
    if settings["services"] == "warn" && kind != Kind::Applicationsets {
        policy["spec"]["contextAwareResources"] = json!([{"apiVersion": "v1", "kind": "Service"}]);
    }
    policy
}

/// The match conditions, in CEL. A request must meet all of them. Each is named after the requests that meet it.
fn conditions(kind: Kind, key: Option<&str>) -> Vec<Map<String, Value>> {
    let annotated = match kind {
        Kind::Applicationsets => "spec.template.metadata",
        Kind::Applications | Kind::Namespaces => "metadata",
    };
    let of_object = format!("object.{annotated}.annotations");
    let of_old = format!("oldObject.{annotated}.annotations");
    let in_old = has("oldObject", &format!("{annotated}.annotations"));
    let ours = ours(key);
    let same = format!("{in_old} && k in {of_old} && {of_old}[k] == {of_object}[k]");
    let mut changes = vec![
        "request.operation == 'CREATE'".to_owned(),
        format!("{of_object}.exists(k, {ours} && !({same}))"),
        format!("({in_old} && {of_old}.exists(k, {ours} && !(k in {of_object})))"),
    ];
    let spec = match kind {
        Kind::Applications => Some("spec"),
        Kind::Applicationsets => Some("spec.template.spec"),
        Kind::Namespaces => None,
    };
    let fields = spec
        .into_iter()
        .flat_map(|spec| ["destination", "project"].map(|field| format!("{spec}.{field}")));
    changes.extend(fields.map(|path| {
        let (new, old) = (has("object", &path), has("oldObject", &path));
        format!("({new} ? object.{path} : null) != ({old} ? oldObject.{path} : null)")
    }));
    let conditions = [
        (
            "annotated",
            format!(
                "{} && {of_object}.exists(k, {ours})",
                has("object", &format!("{annotated}.annotations"))
            ),
        ),
        ("changed", changes.join(" || ")),
        (
            "stays",
            "request.operation == 'CREATE' || !has(object.metadata.deletionTimestamp)".to_owned(),
        ),
    ];
    let condition = |(name, expression): (&str, String)| {
        let mut condition = Map::new();
        condition.insert("name".to_owned(), json!(name));
        condition.insert("expression".to_owned(), json!(expression));
        condition
    };
    conditions.map(condition).into()
}

/// A CEL expression: `k` is the name of one of telewarden's annotations.
fn ours(key: Option<&str>) -> String {
    let prefixes = PREFIXES.iter().map(|prefix| format!("k.startsWith('{prefix}')"));
    // The settings are valid, so the name contains no quote.
    let key = key
        .filter(|key| without_prefix(key).is_none())
        .map(|key| format!("k == '{key}'"));
    format!("({})", prefixes.chain(key).collect::<Vec<_>>().join(" || "))
}

/// A CEL expression: a field and all its parents exist.
fn has(root: &str, path: &str) -> String {
    let mut at = root.to_owned();
    let steps = path.split('.').map(|step| {
        at = format!("{at}.{step}");
        format!("has({at})")
    });
    steps.collect::<Vec<_>>().join(" && ")
}
