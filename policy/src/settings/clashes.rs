//! Finds settings under which the name of an Application reaches what belongs to others: services of another namespace, or an
//! object of another source.

use serde_json::Value as Json;

use super::document::Settings;
use super::path::Path;
use super::template::{Names, Scope, Template};
use crate::diagnostic::{Findings, Problem};

/// Warns of both.
pub(super) fn check(settings: &Settings, root: &Path<'_>, findings: &mut Findings) {
    hosts(settings, root, findings);
    extra_resources(settings, root, findings);
}

/// Warns of host patterns in which a source's own name stands for the namespace.
fn hosts(settings: &Settings, root: &Path<'_>, findings: &mut Findings) {
    let (endpoints, hosts) = (root.name("endpoints"), &settings.endpoints.hosts);
    let path = endpoints.name("hosts");
    for (index, pattern) in hosts.iter().enumerate() {
        if pattern.takes_namespace_from_name(&settings.endpoints.cluster_domain) {
            let pattern = pattern.fill(&Names::PLACEHOLDERS);
            findings.report(Problem::NamespaceFromName { pattern }, path.index(index).place());
        }
    }
}

/// Warns of extra resources that have one name for all Applications of a namespace.
fn extra_resources(settings: &Settings, root: &Path<'_>, findings: &mut Findings) {
    // In `standalone` an extra resource is rendered once, and a Namespace has its namespace for itself.
    if settings.topology.is_shared() || !settings.sources.applications {
        return;
    }
    let path = root.name("extraResources");
    for (index, resource) in settings.extra_resources.iter().enumerate() {
        let name = resource.get("metadata").and_then(|metadata| metadata.get("name"));
        let name = name.and_then(Json::as_str).unwrap_or_default();
        if Template::parse(name, Scope::Source).is_ok_and(|template| !template.has_source_name()) {
            let (resource, name) = (path.index(index), name.to_owned());
            let metadata = resource.name("metadata");
            findings.report(Problem::SharedExtraResource { name }, metadata.name("name").place());
        }
    }
}
