//! Compares granted rights with used ones.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::Cluster;

/// A right that was granted or used.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Right {
    /// The namespace. Empty for all namespaces, and for cluster-scoped objects.
    pub namespace: String,
    /// The group of the kind.
    pub group: String,
    /// The kind's plural.
    pub resource: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`.
    pub verb: String,
}

impl Right {
    fn permits(&self, used: &Self) -> bool {
        let somewhere = self.namespace.is_empty() || self.namespace == used.namespace;
        somewhere && (&self.group, &self.resource, &self.verb) == (&used.group, &used.resource, &used.verb)
    }
}

/// The rights that the ClusterRoles and Roles among some objects grant.
pub fn given(objects: &[Value]) -> BTreeSet<Right> {
    let texts = |list: &Value| -> Vec<String> {
        let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    };
    let mut given = BTreeSet::new();
    for role in objects {
        for rule in role["rules"].as_array().into_iter().flatten() {
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    given.extend(texts(&rule["verbs"]).into_iter().map(|verb| Right {
                        namespace: role["metadata"]["namespace"].as_str().unwrap_or_default().to_owned(),
                        group: group.clone(),
                        resource: resource.clone(),
                        verb,
                    }));
                }
            }
        }
    }
    given
}

impl Cluster {
    /// Checks that the operator has used every granted right, and that no request was forbidden.
    ///
    /// # Panics
    /// If a right is missing or unused.
    pub fn rights_were_enough_and_all_used(&self, given: &BTreeSet<Right>) {
        let ours = self
            .audit()
            .into_iter()
            .filter(|event| event.user.username.contains("operator") && !event.object_ref.resource.is_empty());
        let ours: Vec<_> = ours.collect();
        let refused: Vec<_> = ours
            .iter()
            .filter(|event| event.response_status.as_ref().is_some_and(|status| status.code == 403))
            .collect();
        assert!(refused.is_empty(), "rights are missing: {refused:#?}");
        let used: BTreeSet<_> = ours
            .into_iter()
            .flat_map(|event| {
                let right = |verb| Right {
                    namespace: event.object_ref.namespace.clone(),
                    group: event.object_ref.api_group.clone(),
                    resource: event.object_ref.resource.clone(),
                    verb,
                };
                event.needed_verbs().into_iter().map(right).collect::<Vec<_>>()
            })
            .collect();
        let idle: Vec<_> = given
            .iter()
            .filter(|given| !used.iter().any(|used| given.permits(used)))
            .collect();
        assert!(idle.is_empty(), "rights were not used: {idle:#?}");
        let elsewhere: Vec<_> = used
            .iter()
            .filter(|used| !given.iter().any(|given| given.permits(used)))
            .collect();
        assert!(elsewhere.is_empty(), "rights came from elsewhere: {elsewhere:#?}");
    }
}
