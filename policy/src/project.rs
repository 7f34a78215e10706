//! Checks that an Application's AppProject permits the objects that are rendered for it.
//!
//! The operator must not bypass Argo CD's rules, so the checks are those of Argo CD
//! (`pkg/apis/application/v1alpha1/app_project_types.go`, and `GetGlobalProjects` in `util/argo/argo.go`, v3.5), and
//! anything unreadable is refused. Argo CD's cluster Secrets are not read, so a project with
//! `permitOnlyProjectScopedClusters` permits nothing.

mod orphans;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

#[cfg(feature = "host")]
pub use orphans::entries_for_orphans;

use crate::diagnostic::{Diagnostic, Place, Problem};
use crate::glob::Glob;
use crate::protocol::ClusterView;
use crate::settings::Settings;
use crate::source;

/// Argo CD's default address of its own cluster.
const THIS_SERVER: &str = "https://kubernetes.default.svc";
/// Argo CD's name of its own cluster.
const THIS_CLUSTER: &str = "in-cluster";
/// The project of an Application that sets none.
const DEFAULT: &str = "default";

/// That a destination is another cluster, if it is. One without a cluster is no other.
pub(crate) fn other_cluster(destination: &source::Destination<'_>) -> Option<Diagnostic> {
    let (pointer, cluster) = match (destination.name.as_ref(), destination.server.as_ref()) {
        (THIS_CLUSTER, _) | ("", THIS_SERVER | "") => return None,
        ("", server) => ("/spec/destination/server", server),
        (name, _) => ("/spec/destination/name", name),
    };
    let cluster = cluster.to_owned();
    Some(Problem::OtherCluster { cluster }.at(Place::pointer(pointer)))
}

/// That a destination names no cluster, or names one twice. Argo CD deploys nothing there
/// (<https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/#applications>). One without a namespace is
/// reported as such.
pub(crate) fn no_cluster(destination: &source::Destination<'_>) -> Option<Diagnostic> {
    let problem = match (destination.name.is_empty(), destination.server.is_empty()) {
        (true, true) if !destination.namespace.is_empty() => Problem::NoCluster {},
        (false, false) => Problem::ClusterTwice {},
        _ => return None,
    };
    Some(problem.at(Place::pointer("/spec/destination")))
}

/// The AppProjects that a host sends.
#[derive(Debug)]
pub(crate) struct Projects {
    projects: Vec<(String, Result<Project, String>)>,
    global: Result<Vec<GlobalProject>, String>,
}

#[derive(Debug, Default)]
struct Project {
    labels: BTreeMap<String, String>,
    spec: Spec,
}

/// An entry of `globalProjects` in `argocd-cm`: the lists of this project also apply to all projects that match the
/// selector.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct GlobalProject {
    label_selector: LabelSelector,
    project_name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LabelSelector {
    #[serde(deserialize_with = "or_default")]
    match_labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    match_expressions: Vec<Requirement>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Requirement {
    key: String,
    operator: String,
    #[serde(deserialize_with = "or_default")]
    values: Vec<String>,
}

/// The project's rules about destinations and kinds.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    #[serde(deserialize_with = "or_default")]
    destinations: Vec<Destination>,
    #[serde(deserialize_with = "or_default")]
    source_namespaces: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    permit_only_project_scoped_clusters: bool,
    #[serde(deserialize_with = "or_default")]
    namespace_resource_blacklist: Vec<GroupKind>,
    /// An empty list permits nothing. A missing list permits everything.
    namespace_resource_whitelist: Option<Vec<GroupKind>>,
    orphaned_resources: serde_json::Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Destination {
    #[serde(deserialize_with = "or_default")]
    server: String,
    #[serde(deserialize_with = "or_default")]
    namespace: String,
    #[serde(deserialize_with = "or_default")]
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct GroupKind {
    group: String,
    kind: String,
}

/// A deployment to check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deployed<'a> {
    /// The Application's own namespace.
    pub(crate) application_namespace: &'a str,
    /// The Application's project; empty for the default project.
    pub(crate) project: &'a str,
    /// The destination namespace, in this cluster.
    pub(crate) namespace: &'a str,
}

impl Deployed<'_> {
    /// The project's name.
    pub(crate) fn project_name(&self) -> &str {
        if self.project.is_empty() { DEFAULT } else { self.project }
    }
}

impl Projects {
    /// Reads the projects in Argo CD's namespace. An unreadable project is kept as an error.
    pub(crate) fn read(cluster: &ClusterView<'_>, settings: &Settings) -> Self {
        #[derive(Deserialize)]
        struct Named {
            metadata: Metadata,
        }
        #[derive(Deserialize)]
        struct Metadata {
            name: String,
            namespace: Option<String>,
            #[serde(default, deserialize_with = "or_default")]
            labels: BTreeMap<String, String>,
        }
        #[derive(Deserialize)]
        struct Specified {
            #[serde(default)]
            spec: Spec,
        }
        let read = cluster.projects.iter().filter_map(|raw| {
            let Named { metadata } = serde_json::from_str(raw.get()).ok()?;
            let argocd = &settings.sources.argocd_namespace;
            if metadata.namespace.is_some_and(|namespace| namespace != *argocd) {
                return None;
            }
            let project = serde_json::from_str::<Specified>(raw.get()).map_err(|error| error.to_string());
            let labels = metadata.labels;
            Some((
                metadata.name,
                project.map(|Specified { spec }| Project { labels, spec }),
            ))
        });
        let global = cluster.global_projects.map_or("null", RawValue::get);
        Self {
            projects: read.collect(),
            global: serde_json::from_str::<Option<_>>(global)
                .map(Option::unwrap_or_default)
                .map_err(|error| error.to_string()),
        }
    }

    /// The last project of a name.
    fn get(&self, name: &str) -> Option<&Result<Project, String>> {
        let (_, project) = self.projects.iter().rfind(|(known, _)| known == name)?;
        Some(project)
    }

    /// The project and its global projects, whose lists Argo CD appends to the project's own (`mergeVirtualProject`).
    fn with_global<'a>(&'a self, name: &str, project: &'a Project) -> Result<Vec<&'a Spec>, String> {
        let unreadable = |error: &String| format!("has global projects that cannot be read in `argocd-cm`: {error}");
        let mut specs = vec![&project.spec];
        for global in self.global.as_ref().map_err(unreadable)? {
            if global.project_name == name
                || !global
                    .label_selector
                    .matches(&project.labels)
                    .map_err(|error| unreadable(&error))?
            {
                continue;
            }
            match self.get(&global.project_name) {
                // Argo CD stops here too.
                None => break,
                Some(Err(error)) => {
                    let name = &global.project_name;
                    return Err(format!("has a global project, `{name}`, that cannot be read: {error}"));
                }
                Some(Ok(global)) => specs.push(&global.spec),
            }
        }
        Ok(specs)
    }

    /// Checks that the Application's project permits the deployment.
    ///
    /// # Errors
    /// The reason if it does not, as the rest of a sentence that starts with "project `name`".
    pub(crate) fn permit(&self, deployed: Deployed<'_>, settings: &Settings) -> Result<(), String> {
        let argocd = &settings.sources.argocd_namespace;
        let name = deployed.project_name();
        let project = match self.get(name) {
            None => return Err(format!("does not exist in namespace `{argocd}`")),
            Some(Err(error)) => return Err(format!("cannot be read: {error}")),
            Some(Ok(project)) => project,
        };
        let (spec, specs) = (&project.spec, self.with_global(name, project)?);
        let from = deployed.application_namespace;
        if from != argocd
            && !spec
                .source_namespaces
                .iter()
                .any(|entry| matches_glob_or_regex(entry, from))
        {
            return Err(format!(
                "does not allow Applications in namespace `{from}`; check its `spec.sourceNamespaces`"
            ));
        }
        let namespace = deployed.namespace;
        if !permits_destination(&specs, namespace)? {
            return Err(format!(
                "does not permit namespace `{namespace}` of this cluster; check its `spec.destinations`"
            ));
        }
        if spec.permit_only_project_scoped_clusters {
            return Err(
                "has `spec.permitOnlyProjectScopedClusters`, which is not supported: its scoped clusters are unknown"
                    .to_owned(),
            );
        }
        for (group, kind) in deployed_kinds(settings) {
            if !permits_kind(&specs, &group, &kind)? {
                let kind = if group.is_empty() {
                    kind
                } else {
                    format!("{kind}.{group}")
                };
                return Err(format!(
                    "does not permit objects of kind `{kind}`; check its `spec.namespaceResourceBlacklist` and \
                     `spec.namespaceResourceWhitelist`"
                ));
            }
        }
        Ok(())
    }
}

impl LabelSelector {
    /// `LabelSelectorAsSelector`: an empty selector matches everything.
    ///
    /// # Errors
    /// If the selector is invalid.
    fn matches(&self, labels: &BTreeMap<String, String>) -> Result<bool, String> {
        let mut matches = self
            .match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value));
        for Requirement { key, operator, values } in &self.match_expressions {
            let label = labels.get(key);
            let listed = label.is_some_and(|label| values.contains(label));
            matches &= match (operator.as_str(), values.is_empty()) {
                ("In", false) => listed,
                ("NotIn", false) => !listed,
                ("Exists", true) => label.is_some(),
                ("DoesNotExist", true) => label.is_none(),
                _ => return Err(format!("operator `{operator}` with {} values", values.len())),
            };
        }
        Ok(matches)
    }
}

/// `isDestinationMatched`, for this cluster. A denying entry takes precedence; otherwise a matching entry is required.
#[expect(
    clippy::if_same_then_else,
    reason = "the conditions can be compared line by line with Argo CD's"
)]
fn permits_destination(specs: &[&Spec], namespace: &str) -> Result<bool, String> {
    let mut permitted = false;
    for entry in specs.iter().flat_map(|spec| &spec.destinations) {
        let by_name = matches(&entry.name, THIS_CLUSTER)?;
        let by_server = matches(&entry.server, THIS_SERVER)?;
        let by_namespace = matches(&entry.namespace, namespace)?;
        if (by_server || by_name) && by_namespace {
            permitted = true;
        } else if (!by_name && denies(&entry.name)) || (!by_server && denies(&entry.server)) && by_namespace {
            return Ok(false);
        } else if !by_namespace && denies(&entry.namespace) && by_server {
            return Ok(false);
        }
    }
    Ok(permitted)
}

/// `IsGroupKindPermitted`, for namespaced kinds.
fn permits_kind(specs: &[&Spec], group: &str, kind: &str) -> Result<bool, String> {
    let listed = |entry: &GroupKind| -> Result<bool, String> {
        Ok(read_path(&entry.kind)?.matches(kind) && read_path(&entry.group)?.matches(group))
    };
    // A missing list permits everything, an empty one nothing. Appending an empty list to a missing one changes nothing.
    let mut permitted = specs
        .first()
        .is_none_or(|own| own.namespace_resource_whitelist.is_none())
        && specs
            .iter()
            .all(|spec| spec.namespace_resource_whitelist.as_ref().is_none_or(Vec::is_empty));
    for entry in specs
        .iter()
        .filter_map(|spec| spec.namespace_resource_whitelist.as_ref())
        .flatten()
    {
        permitted |= listed(entry)?;
    }
    for entry in specs.iter().flat_map(|spec| &spec.namespace_resource_blacklist) {
        permitted &= !listed(entry)?;
    }
    Ok(permitted)
}

fn denies(pattern: &str) -> bool {
    pattern.starts_with('!')
}

/// Matches an entry's pattern. A denying pattern matches everything that it does not deny. In Argo CD, an invalid denying
/// pattern denies nothing; here it is an error.
fn matches(pattern: &str, text: &str) -> Result<bool, String> {
    let glob = pattern.strip_prefix('!').unwrap_or(pattern);
    let glob = Glob::gobwas(glob).ok_or_else(|| unreadable(pattern))?;
    Ok(glob.matches(text) != denies(pattern))
}

fn read_path(pattern: &str) -> Result<Glob, String> {
    Glob::path(pattern).ok_or_else(|| unreadable(pattern))
}

fn unreadable(pattern: &str) -> String {
    format!("has an invalid pattern: `{pattern}`")
}

/// Matches an entry of `sourceNamespaces`. An invalid entry allows nothing.
fn matches_glob_or_regex(entry: &str, namespace: &str) -> bool {
    let regex = entry.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    regex.is_some_and(|regex| matches_regex(regex, namespace))
        || Glob::gobwas(entry).is_some_and(|glob| glob.matches(namespace))
}

#[cfg(feature = "regex")]
fn matches_regex(regex: &str, namespace: &str) -> bool {
    regex_lite::Regex::new(regex).is_ok_and(|regex| regex.is_match(namespace))
}

#[cfg(not(feature = "regex"))]
fn matches_regex(_: &str, _: &str) -> bool {
    false
}

/// The groups and kinds of the objects in an Application's namespace. In `standalone` there are none, because all objects
/// are in the administrator's namespace.
fn deployed_kinds(settings: &Settings) -> Vec<(String, String)> {
    if settings.topology.is_shared() {
        return Vec::new();
    }
    let own = own_kinds(settings).map(|(group, kind)| (group.to_owned(), kind.to_owned()));
    let extra = settings.extra_resources.iter().filter_map(|object| {
        let (group, kind) = group_and_kind(object)?;
        Some((group.to_owned(), kind.to_owned()))
    });
    own.chain(extra).collect()
}

/// The kinds that are rendered for a source, apart from `extraResources`: group and kind.
fn own_kinds(settings: &Settings) -> impl Iterator<Item = (&'static str, &'static str)> {
    let own = [
        ("", "ConfigMap", true),
        ("apps", "Deployment", true),
        ("networking.k8s.io", "NetworkPolicy", settings.network_policy),
        ("", "Secret", settings.provides_tokens()),
    ];
    let own = own.into_iter().filter(|(_, _, is_rendered)| *is_rendered);
    own.map(|(group, kind, _)| (group, kind))
}

/// The group and the kind of an entry of `extraResources`.
fn group_and_kind(object: &serde_json::Map<String, serde_json::Value>) -> Option<(&str, &str)> {
    let api_version = object.get("apiVersion")?.as_str()?;
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    Some((group, object.get("kind")?.as_str()?))
}

/// Go decodes null as the empty value.
fn or_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn settings(document: Value) -> Settings {
        crate::settings::read(Some(&document)).0.unwrap()
    }

    fn permit_from(spec: Value, from: &str, to: &str, document: Value) -> Result<(), String> {
        let project = json!({"metadata": {"name": "default", "namespace": "argocd"}, "spec": spec}).to_string();
        let project: Box<RawValue> = serde_json::from_str(&project).unwrap();
        let settings = settings(document);
        let deployed = Deployed {
            application_namespace: from,
            project: "",
            namespace: to,
        };
        Projects::read(&cluster(&[&project], None), &settings).permit(deployed, &settings)
    }

    fn cluster<'a>(projects: &[&'a RawValue], global_projects: Option<&'a RawValue>) -> ClusterView<'a> {
        ClusterView {
            projects: projects.to_vec(),
            global_projects,
            ..ClusterView::default()
        }
    }

    /// Checks namespace `team-a` with project `team`, which permits `team-*`, and global projects.
    fn permit_with(team: Value, global: Value, global_projects: Value) -> Result<(), String> {
        let raw = |value: Value| RawValue::from_string(value.to_string()).unwrap();
        let metadata = |name: &str| json!({"name": name, "namespace": "argocd", "labels": {"tier": "one"}});
        let mut team = json!({"metadata": metadata("team"), "spec": team});
        team["spec"]["destinations"] = json!([to("*", "", "team-*")]);
        let projects = [raw(team), raw(json!({"metadata": metadata("global"), "spec": global}))];
        let global_projects = raw(global_projects);
        let settings = settings(json!({}));
        let deployed = Deployed {
            application_namespace: "argocd",
            project: "team",
            namespace: "team-a",
        };
        let cluster = cluster(&[&projects[0], &projects[1]], Some(&global_projects));
        Projects::read(&cluster, &settings).permit(deployed, &settings)
    }

    #[rstest]
    #[case(json!({}), true)]
    #[case(json!({"matchLabels": {"tier": "one"}}), true)]
    #[case(json!({"matchLabels": {"tier": "two"}}), false)]
    #[case(json!({"matchLabels": {"tier": "one", "other": "one"}}), false)]
    #[case(json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["one", "two"]}]}), true)]
    #[case(json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["two"]}]}), false)]
    #[case(json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["one"]}]}), false)]
    #[case(json!({"matchExpressions": [{"key": "other", "operator": "NotIn", "values": ["one"]}]}), true)]
    #[case(json!({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}), true)]
    #[case(json!({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}), false)]
    #[case(json!({"matchLabels": {"tier": "one"}, "matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}), false)]
    fn a_global_project_applies_to_projects_that_its_selector_matches(#[case] selector: Value, #[case] expected: bool) {
        let global = json!({"destinations": [to("*", "", "!team-a")]});
        let global_projects = json!([{"labelSelector": selector, "projectName": "global"}]);
        assert_eq!(permit_with(json!({}), global, global_projects).is_err(), expected);
    }

    #[rstest]
    // Its lists are appended to the project's own.
    #[case(json!({}), json!({"destinations": [to("*", "", "!team-a")]}), false)]
    #[case(json!({}), json!({"destinations": []}), true)]
    #[case(json!({}), json!({"namespaceResourceBlacklist": [{"group": "", "kind": "ConfigMap"}]}), false)]
    #[case(json!({}), json!({"namespaceResourceWhitelist": [{"group": "", "kind": "ConfigMap"}]}), false)]
    #[case(json!({}), json!({"namespaceResourceWhitelist": []}), true)]
    #[case(json!({"namespaceResourceWhitelist": []}), json!({}), false)]
    #[case(json!({"namespaceResourceWhitelist": []}), json!({"namespaceResourceWhitelist": [{"group": "*", "kind": "*"}]}), true)]
    #[case(
        json!({"namespaceResourceWhitelist": [{"group": "", "kind": "ConfigMap"}]}),
        json!({"namespaceResourceWhitelist": [{"group": "apps", "kind": "Deployment"}]}),
        true
    )]
    // Its other fields are ignored.
    #[case(json!({}), json!({"permitOnlyProjectScopedClusters": true}), true)]
    // An unreadable project is refused.
    #[case(json!({}), json!({"destinations": "all"}), false)]
    fn lists_of_a_global_project_apply(#[case] team: Value, #[case] global: Value, #[case] expected: bool) {
        let permitted = permit_with(team, global, json!([{"projectName": "global"}]));
        assert_eq!(permitted.is_ok(), expected, "{permitted:?}");
    }

    #[rstest]
    #[case(json!(null), true)]
    #[case(json!([]), true)]
    // A missing project ends the list. A project is not its own global project.
    #[case(json!([{"projectName": "gone"}, {"projectName": "global"}]), true)]
    #[case(json!([{"projectName": "team"}, {"projectName": "global"}]), false)]
    #[case(json!("not YAML"), false)]
    #[case(json!([{"labelSelector": {"matchExpressions": [{"key": "tier", "operator": "in", "values": ["one"]}]}}]), false)]
    fn global_projects_are_read_as_in_argo_cd(#[case] global_projects: Value, #[case] expected: bool) {
        let global = json!({"destinations": [to("*", "", "!team-a")]});
        let permitted = permit_with(json!({}), global, global_projects);
        assert_eq!(permitted.is_ok(), expected, "{permitted:?}");
    }

    fn permit(spec: Value) -> Result<(), String> {
        permit_from(spec, "argocd", "team-a", json!({}))
    }

    fn to(server: &str, name: &str, namespace: &str) -> Value {
        json!({"server": server, "name": name, "namespace": namespace})
    }

    #[rstest]
    // Argo CD's default project.
    #[case(json!([to("*", "", "*")]), true)]
    #[case(json!([]), false)]
    #[case(json!(null), false)]
    #[case(json!([to(THIS_SERVER, "", "team-a")]), true)]
    #[case(json!([to("https://other", "", "team-a")]), false)]
    // Either the server or the name must match.
    #[case(json!([to("", "in-cluster", "team-a")]), true)]
    #[case(json!([to("https://other", "in-*", "team-a")]), true)]
    #[case(json!([to("https://kubernetes.*", "other", "team-a")]), true)]
    #[case(json!([to("", "", "*")]), false)]
    #[case(json!([to("*", "", "")]), false)]
    #[case(json!([to("*", "", "team-?")]), true)]
    #[case(json!([to("*", "", "{team-b,team-c}")]), false)]
    // A single denying entry permits everything else.
    #[case(json!([to("*", "", "!team-b")]), true)]
    #[case(json!([to("*", "", "!team-a")]), false)]
    // A denying entry takes precedence over all entries before and after it.
    #[case(json!([to("*", "", "*"), to("*", "", "!team-a")]), false)]
    #[case(json!([to("*", "", "!team-*"), to("*", "", "*")]), false)]
    #[case(json!([to("*", "", "*"), to("!https://kubernetes.*", "", "*")]), false)]
    #[case(json!([to("*", "", "*"), to("!https://other", "", "*")]), true)]
    // A denied server applies only to the namespaces of its entry, and a denied name to all namespaces.
    #[case(json!([to("*", "", "*"), to("!https://kubernetes.*", "", "team-b")]), true)]
    #[case(json!([to("*", "", "*"), to("", "!in-cluster", "team-b")]), false)]
    // A denied namespace applies only if the server matches, not if only the name does.
    #[case(json!([to("*", "", "*"), to("https://other", "", "!team-a")]), true)]
    #[case(json!([to("*", "", "*"), to("", "in-cluster", "!team-a")]), true)]
    // In Argo CD, this would deny nothing.
    #[case(json!([to("*", "", "*"), to("*", "", "!team-[")]), false)]
    #[case(json!([to("*", "", "*"), to("*", "", "[")]), false)]
    fn destinations_are_permitted_as_in_argo_cd(#[case] destinations: Value, #[case] expected: bool) {
        let permitted = permit(json!({"destinations": destinations}));
        assert_eq!(permitted.is_ok(), expected, "{permitted:?}");
    }

    #[rstest]
    #[case(json!([]), false)]
    #[case(json!(["apps-*"]), true)]
    #[case(json!(["other", "apps-one"]), true)]
    #[case(json!(["apps"]), false)]
    #[case(json!(["/^apps-(one|two)$/"]), true)]
    #[case(json!(["/^apps-two$/"]), false)]
    // Regular expressions are not anchored, as in Argo CD.
    #[case(json!(["/one/"]), true)]
    #[case(json!(["/"]), false)]
    #[case(json!(["//"]), true)]
    // Look-around is not supported, and allows nothing.
    #[case(json!(["/^(?!apps-two)/"]), false)]
    #[case(json!(["/(/", "apps-one"]), true)]
    fn applications_in_other_namespaces_must_be_allowed(#[case] namespaces: Value, #[case] expected: bool) {
        let spec = json!({"destinations": [to("*", "", "*")], "sourceNamespaces": namespaces});
        let permitted = permit_from(spec.clone(), "apps-one", "team-a", json!({}));
        assert_eq!(permitted.is_ok(), expected, "{permitted:?}");
        assert!(permit(spec).is_ok(), "Argo CD's own namespace is always permitted");
    }

    #[rstest]
    #[case(json!({}), json!({}), true)]
    // A missing list permits everything, an empty one nothing.
    #[case(json!({"namespaceResourceWhitelist": null}), json!({}), true)]
    #[case(json!({"namespaceResourceWhitelist": []}), json!({}), false)]
    #[case(json!({"namespaceResourceWhitelist": [{"group": "*", "kind": "*"}]}), json!({}), true)]
    #[case(json!({"namespaceResourceWhitelist": [{"group": "", "kind": "ConfigMap"}]}), json!({}), false)]
    #[case(json!({"namespaceResourceWhitelist": [{"group": "", "kind": "ConfigMap"}, {"group": "apps", "kind": "D*"}]}), json!({}), true)]
    #[case(json!({"namespaceResourceBlacklist": [{"group": "", "kind": "ConfigMap"}]}), json!({}), false)]
    #[case(json!({"namespaceResourceBlacklist": [{"group": "apps", "kind": "ConfigMap"}]}), json!({}), true)]
    #[case(json!({"namespaceResourceBlacklist": [{"group": "", "kind": "["}]}), json!({}), false)]
    #[case(json!({"namespaceResourceBlacklist": [{"group": "networking.k8s.io", "kind": "NetworkPolicy"}]}), json!({}), true)]
    #[case(json!({"namespaceResourceBlacklist": [{"group": "networking.k8s.io", "kind": "NetworkPolicy"}]}), json!({"networkPolicy": true}), false)]
    // All objects are in the administrator's namespace.
    #[case(json!({"namespaceResourceWhitelist": []}), json!({"topology": "standalone"}), true)]
    fn kinds_are_permitted_as_in_argo_cd(#[case] mut spec: Value, #[case] settings: Value, #[case] expected: bool) {
        spec["destinations"] = json!([to("*", "", "*")]);
        let permitted = permit_from(spec, "argocd", "team-a", settings);
        assert_eq!(permitted.is_ok(), expected, "{permitted:?}");
    }

    #[test]
    fn scoped_clusters_are_refused() {
        let spec = json!({"destinations": [to("*", "", "*")], "permitOnlyProjectScopedClusters": true});
        assert!(permit(spec).unwrap_err().contains("ScopedClusters"));
    }

    #[rstest]
    #[case(json!({"destinations": "all"}))]
    #[case(json!({"destinations": [{"server": 1}]}))]
    #[case(json!([]))]
    fn an_unreadable_project_permits_nothing(#[case] spec: Value) {
        assert!(permit(spec).is_err());
    }

    #[test]
    fn a_missing_project_permits_nothing() {
        let settings = settings(json!({}));
        let deployed = Deployed {
            application_namespace: "argocd",
            project: "team",
            namespace: "team-a",
        };
        let why = Projects::read(&cluster(&[], None), &settings)
            .permit(deployed, &settings)
            .unwrap_err();
        assert_eq!(why, "does not exist in namespace `argocd`");
    }
}
