//! Annotations that nobody reads: on an object of another kind, in another part of an object, or with a mistyped name.
//!
//! Each is a warning, because the file is valid and somebody else may read the annotation.

use serde_json::{Map, Value};

use crate::annotation_name::{Content, PREFIXES, is_ours, names_of_endpoints, without_prefix};
use crate::diagnostic::{Diagnostic, Place, Problem, escape_pointer};

/// The annotations of a document that are not read. `annotation` is the name of the one with the endpoints.
pub(super) fn find(document: &Value, annotation: &str) -> Vec<Diagnostic> {
    let mut finder = Finder {
        annotation,
        pointer: String::new(),
        findings: Vec::new(),
    };
    finder.walk(document, &Object::none(), 0);
    finder.findings
}

/// The object that a value is part of.
struct Object<'a> {
    kind: &'a str,
    reads: Reads,
}

/// What of an object is read.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Reads {
    /// The annotations of the object itself.
    Own,
    /// The annotations of its template: an ApplicationSet.
    Template,
    /// Nothing: its version is not the one that is read.
    OtherVersion(&'static str),
    /// Nothing: its kind is spelled in another way.
    OtherKind(&'static str),
    /// Nothing: Kustomize writes what is in it into other objects.
    Kustomize,
    /// Nothing: it is another kind of object.
    Nothing,
    /// Nothing: it is no object.
    NoObject,
}

impl<'a> Object<'a> {
    fn none() -> Self {
        Self {
            kind: "",
            reads: Reads::NoObject,
        }
    }

    /// The object that a map is, if it says what it is.
    fn of(map: &'a Map<String, Value>) -> Option<Self> {
        let text = |name: &str| map.get(name).and_then(Value::as_str);
        let kind = text("kind")?;
        let reads = match (text("apiVersion")?, kind) {
            ("argoproj.io/v1alpha1", "Application") | ("v1", "Namespace") => Reads::Own,
            ("argoproj.io/v1alpha1", "ApplicationSet") => Reads::Template,
            (_, "Application" | "ApplicationSet") => Reads::OtherVersion("argoproj.io/v1alpha1"),
            (_, "Namespace") => Reads::OtherVersion("v1"),
            (_, "Kustomization") => Reads::Kustomize,
            (_, kind) => match KINDS.iter().find(|known| known.eq_ignore_ascii_case(kind)) {
                Some(known) => Reads::OtherKind(known),
                None => Reads::Nothing,
            },
        };
        Some(Self { kind, reads })
    }

    /// True if the annotations at a pointer within the object are read, or if Argo CD puts them on a Namespace.
    fn reads(&self, within: &str) -> bool {
        let read = match self.reads {
            Reads::Own => within == "/metadata/annotations",
            Reads::Template => {
                within == "/spec/template/metadata/annotations"
                    || within.starts_with("/spec/generators/") && within.ends_with("/template/metadata/annotations")
            }
            _ => false,
        };
        read || within.ends_with("/syncPolicy/managedNamespaceMetadata/annotations")
    }
}

/// The kinds that are read.
const KINDS: &[&str] = &["Application", "ApplicationSet", "Namespace"];

/// Labels and annotations that telewarden writes, without their prefix.
const WRITTEN: &[&str] = &[
    "application",
    "applied",
    "instance",
    "namespace",
    "rendered",
    "rendered-digest",
    "source",
];

struct Finder<'a> {
    annotation: &'a str,
    /// Leads from the document to the value that is looked at.
    pointer: String,
    findings: Vec<Diagnostic>,
}

impl Finder<'_> {
    /// `start` is the length of the pointer to the object that the value is part of.
    fn walk(&mut self, value: &Value, object: &Object<'_>, start: usize) {
        match value {
            Value::Object(map) => {
                let own = Object::of(map);
                let (object, start) = match &own {
                    Some(own) => (own, self.pointer.len()),
                    None => (object, start),
                };
                self.check_keys(map, object, start);
                for (key, value) in map.iter().filter(|(key, _)| *key != "managedFields") {
                    self.walk_into(&escape_pointer(key), value, object, start);
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    self.walk_into(&index.to_string(), value, object, start);
                }
            }
            Value::String(text) => self.check_text(text, object, start),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn walk_into(&mut self, token: &str, value: &Value, object: &Object<'_>, start: usize) {
        let length = self.pointer.len();
        self.pointer.push('/');
        self.pointer.push_str(token);
        self.walk(value, object, start);
        self.pointer.truncate(length);
    }

    /// Reports the first key of a map that should be an annotation somewhere else.
    fn check_keys(&mut self, map: &Map<String, Value>, object: &Object<'_>, start: usize) {
        let within = &self.pointer[start..];
        let is_read = object.reads(within);
        let is_source = matches!(
            object.reads,
            Reads::Own | Reads::Template | Reads::OtherVersion(_) | Reads::OtherKind(_)
        );
        let found = map.keys().find_map(|key| match self.similar(key) {
            // It is read, and its name is checked there.
            _ if is_read && is_ours(key, self.annotation) => None,
            // Pods may have annotations of the archived telegraf-operator.
            Similar::Ours if !is_source => None,
            Similar::Not => None,
            similar => Some((key, similar)),
        });
        let Some((name, similar)) = found else { return };
        let (what, instead) = match similar {
            Similar::Mistyped(meant) if is_read => ("has no effect".to_owned(), format!("did you mean `{meant}`?")),
            _ => misplaced(object, within),
        };
        let mut place = Place::pointer(format!("{}/{}", self.pointer, escape_pointer(name)));
        place.key = true;
        let name = name.clone();
        self.findings.push(Problem::Misplaced { name, what, instead }.at(place));
    }

    /// Reports a text that names the annotation: the path of a patch, or YAML within YAML.
    fn check_text(&mut self, text: &str, object: &Object<'_>, start: usize) {
        let within = &self.pointer[start..];
        let may_be_path = within.ends_with("/path") && text.contains('/');
        let may_be_yaml = matches!(object.reads, Reads::Own | Reads::Kustomize | Reads::NoObject)
            && !within.starts_with("/metadata/annotations/")
            && text.contains('\n');
        if !may_be_path && !may_be_yaml {
            return;
        }
        let names: Vec<_> = names_of_endpoints(self.annotation).collect();
        let is_pointer = |text: &str| names.iter().find(|name| text.contains(&*escape_pointer(name))).copied();
        let path = is_pointer(text).filter(|_| may_be_path);
        let is_key = |line: &str, name: &str| {
            let rest = line.strip_prefix(name).unwrap_or_default();
            rest.trim_start_matches(['"', '\'']).starts_with(':')
        };
        let in_yaml = || {
            let mut lines = text.lines().filter(|_| may_be_yaml);
            lines.find_map(|line| {
                let line = line.trim_start_matches([' ', '-', '"', '\'', '+']);
                let of_path = is_pointer(line).filter(|_| line.starts_with("path"));
                of_path.or_else(|| names.iter().find(|name| is_key(line, name)).copied())
            })
        };
        let Some(name) = path.or_else(in_yaml) else { return };
        let object = match path.is_some() {
            true => &Object {
                kind: "Kustomization",
                reads: Reads::Kustomize,
            },
            false => object,
        };
        let (what, instead) = misplaced(object, within);
        let name = name.to_owned();
        self.findings
            .push(Problem::Misplaced { name, what, instead }.at(Place::pointer(&*self.pointer)));
    }

    fn similar(&self, key: &str) -> Similar {
        match Content::of(key, self.annotation) {
            Some(content) if content.has_endpoints() => return Similar::Same,
            Some(Content::Other(name)) if WRITTEN.contains(&name) => return Similar::Not,
            Some(Content::Other(name)) => {
                let mut endpoints = names_of_endpoints(self.annotation)
                    .filter(|known| without_prefix(known).is_some_and(|known| is_near(name, known)));
                return endpoints
                    .next()
                    .map_or(Similar::Ours, |known| Similar::Mistyped(known.to_owned()));
            }
            _ => {}
        }
        let (prefix, name) = key.rsplit_once('/').unwrap_or(("", key));
        let is_meant = |known: &&str| {
            let (own_prefix, own_name) = known.rsplit_once('/').unwrap_or(("", known));
            // `endpoints` alone is a name of many fields.
            let is_unique = own_name != "endpoints";
            match prefix.is_empty() {
                true => name == own_name && is_unique,
                false => is_near(prefix, own_prefix) && is_near(name, own_name),
            }
        };
        if let Some(meant) = names_of_endpoints(self.annotation).find(is_meant) {
            return Similar::Mistyped(meant.to_owned());
        }
        let domain = PREFIXES
            .iter()
            .find(|known| is_near(prefix, known.trim_end_matches('/')));
        domain.map_or(Similar::Not, |domain| Similar::Mistyped(format!("{domain}{name}")))
    }
}

/// How a key is like the name of an annotation.
enum Similar {
    /// It is the annotation with the endpoints, or with inputs.
    Same,
    /// It is another of telewarden's annotations, or one with an unknown name.
    Ours,
    /// It is probably this name, mistyped.
    Mistyped(String),
    Not,
}

/// True for texts that differ in a few characters.
fn is_near(text: &str, known: &str) -> bool {
    let most = known.len().div_ceil(5);
    // Each character more is a difference.
    text.chars().count().abs_diff(known.len()) <= most
        && strsim::damerau_levenshtein(&text.to_ascii_lowercase(), known) <= most
}

/// The fields of a `kustomization.yaml`, which may be written without `kind`.
const KUSTOMIZATION: &[&str] = &[
    "/commonAnnotations",
    "/patches",
    "/patchesJson6902",
    "/patchesStrategicMerge",
];

fn article(noun: &str) -> &'static str {
    match noun.starts_with(['A', 'E', 'I', 'O', 'a', 'e', 'i', 'o']) {
        true => "an",
        false => "a",
    }
}

/// What is wrong with an annotation at a place that is not read, and where it belongs.
fn misplaced(object: &Object<'_>, within: &str) -> (String, String) {
    let kind = object.kind;
    let kustomize = "run `telewarden validate --kustomize DIR`".to_owned();
    if within.ends_with("/labels") && !matches!(object.reads, Reads::NoObject | Reads::Kustomize) {
        return (
            "is a label here, and only an annotation is read".to_owned(),
            match object.reads {
                Reads::Own => "move it to `metadata.annotations`".to_owned(),
                Reads::Template => "move it to `spec.template.metadata.annotations`".to_owned(),
                _ => "annotate the Application that deploys this, or its Namespace".to_owned(),
            },
        );
    }
    match object.reads {
        Reads::Template => (
            "is not read here".to_owned(),
            "move it to `spec.template.metadata.annotations`, which each Application gets".to_owned(),
        ),
        Reads::Own => (
            "is not read here".to_owned(),
            format!("move it to `metadata.annotations` of the {kind}"),
        ),
        Reads::OtherVersion(known) => (
            format!("is not read: this is no {kind} of `{known}`"),
            format!("write `apiVersion: {known}`"),
        ),
        Reads::OtherKind(known) => (
            format!("is not read: there is no kind `{kind}`"),
            format!("write `kind: {known}`"),
        ),
        Reads::Kustomize => ("is checked only in what Kustomize makes of this".to_owned(), kustomize),
        Reads::Nothing => (
            format!("is not read on {} {kind}", article(kind)),
            "annotate the Application that deploys it, or its Namespace".to_owned(),
        ),
        Reads::NoObject if KUSTOMIZATION.iter().any(|field| within.starts_with(field)) => {
            ("is checked only in what Kustomize makes of this".to_owned(), kustomize)
        }
        Reads::NoObject => (
            "is not read in a file without `kind`".to_owned(),
            "if these are Helm's values, run `telewarden validate --helm CHART --values FILE`".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::well_known;

    const KEY: &str = "telegraf.influxdata.com/rubin-telegraf-operator";

    #[rstest]
    #[case::application(json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"annotations": {KEY: "a"}}}), None)]
    #[case::set(json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "spec": {"template": {"metadata": {"annotations": {KEY: "a"}}}}}), None)]
    #[case::namespace_of_application(
        json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "spec": {"syncPolicy": {"managedNamespaceMetadata": {"annotations": {KEY: "a"}}}}}),
        None
    )]
    #[case::rendered(
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"labels": {well_known::INSTANCE: "a"}, "annotations": {well_known::SOURCE: "b"}}}),
        None
    )]
    #[case::telegraf_operator(
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"annotations": {"telegraf.influxdata.com/port": "80"}}}),
        None
    )]
    #[case::policy(
        json!({"apiVersion": "policies.kubewarden.io/v1", "kind": "ClusterAdmissionPolicy", "spec": {"settings": {"annotation": KEY}}}),
        None
    )]
    #[case::set_itself(
        json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "metadata": {"annotations": {KEY: "a"}}}),
        Some(("/metadata/annotations/", "spec.template.metadata.annotations"))
    )]
    #[case::label(
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"labels": {KEY: "a"}}}),
        Some(("/metadata/labels/", "move it to `metadata.annotations`"))
    )]
    #[case::pod_template(
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": {"metadata": {"annotations": {KEY: "a"}}}}}),
        Some(("/spec/template/metadata/annotations/", "annotate the Application"))
    )]
    #[case::in_a_list(
        json!({"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Service", "metadata": {"annotations": {KEY: "a"}}}]}),
        Some(("/items/0/metadata/annotations/", "annotate the Application"))
    )]
    #[case::version(
        json!({"apiVersion": "argoproj.io/v1beta1", "kind": "Application", "metadata": {"annotations": {KEY: "a"}}}),
        Some(("/metadata/annotations/", "write `apiVersion: argoproj.io/v1alpha1`"))
    )]
    #[case::common_annotations(json!({"commonAnnotations": {KEY: "a"}}), Some(("/commonAnnotations/", "--kustomize DIR")))]
    #[case::json_patch(
        json!([{"op": "add", "path": "/metadata/annotations/telegraf.influxdata.com~1rubin-telegraf-operator", "value": "a"}]),
        Some(("/0/path", "--kustomize DIR"))
    )]
    #[case::inline_patch(
        json!({"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "patches": [{"patch": format!("metadata:\n  annotations:\n    {KEY}: a\n")}]}),
        Some(("/patches/0/patch", "--kustomize DIR"))
    )]
    #[case::kustomization_without_kind(
        json!({"resources": ["a.yaml"], "patches": [{"patch": format!("metadata:\n  annotations:\n    {KEY}: a\n")}]}),
        Some(("/patches/0/patch", "--kustomize DIR"))
    )]
    #[case::values(json!({"argocd": {"annotations": {KEY: "a"}}}), Some(("/argocd/annotations/", "--helm CHART")))]
    #[case::other_domain(
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"annotations": {"telegraf.influxdata.io/rubin-telegraf-operator": "a"}}}),
        Some(("/metadata/annotations/", "did you mean `telegraf.influxdata.com/rubin-telegraf-operator`?"))
    )]
    #[case::newer_name(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"annotations": {"telewarden.io/endpoints": "a"}}}), Some(("/metadata/annotations/telewarden", "annotate the Application")))]
    #[case::newer_name_mistyped(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"annotations": {"telewarden.com/endpoints": "a"}}}), Some(("/metadata/annotations/", "did you mean `telewarden.io/endpoints`?")))]
    #[case::newer_name_in_a_patch(
        json!([{"op": "add", "path": "/metadata/annotations/telewarden.io~1endpoints", "value": "a"}]),
        Some(("/0/path", "--kustomize DIR"))
    )]
    #[case::endpoints_of_others(json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "spec": {"endpoints": [{"port": "web"}]}}), None)]
    fn is_found_where_it_is_not_read(#[case] document: Value, #[case] expected: Option<(&str, &str)>) {
        let found = find(&document, KEY);
        match expected {
            None => assert_eq!(found, []),
            Some((pointer, help)) => {
                assert_eq!(found.len(), 1, "{found:?}");
                let at = found[0].place.as_ref().expect("a place");
                assert!(at.pointer.starts_with(pointer), "{}", at.pointer);
                assert!(
                    found[0].help.as_deref().is_some_and(|said| said.contains(help)),
                    "{found:?}"
                );
            }
        }
    }

    #[rstest]
    #[case("telegraf.influxdata.com/rubin-telegraf-operater", true)]
    #[case("telegraf.influxdata.com/Rubin-Telegraf-Operator", true)]
    #[case("telegraf.influxdb.com/rubin-telegraf-operator", true)]
    #[case("rubin-telegraf-operator", true)]
    #[case("telegraf.influxdata.io/interval", true)]
    #[case("prometheus.io/scrape", false)]
    #[case("example.com/rubin-telegraf-operator-version", false)]
    #[case("annotations", false)]
    fn names_are_similar(#[case] name: &str, #[case] expected: bool) {
        let finder = Finder {
            annotation: KEY,
            pointer: String::new(),
            findings: Vec::new(),
        };
        assert_eq!(matches!(finder.similar(name), Similar::Mistyped(_)), expected);
    }
}
