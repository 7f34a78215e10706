//! The Report of each source: what is known of its endpoints, as an object beside the ones that are rendered for it.
//!
//! It is applied, repaired and deleted like those. Its content is the status's, so only an operator that asks the Telegrafs
//! writes it.

use kube::core::GroupVersionKind;
use telewarden_policy::report::{GROUP, KIND, Subject, VERSION, name, results};

use crate::cluster_state::{ClusterState, Source};
use crate::error::Error;
use crate::object_id::{GroupKind, ObjectId};
use crate::owned::Owned;
use crate::status::{Board, ReportContent};
use crate::writer::Writer;

/// What becomes of Reports.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reports {
    /// They are written.
    Written,
    /// They stay as they are: an operator that ends when its work is done does not know what to write.
    Kept,
    /// They are deleted.
    Deleted,
}

/// The kind.
pub(crate) fn kind() -> GroupVersionKind {
    GroupVersionKind::gvk(GROUP, VERSION, KIND)
}

/// Applies the Report of a source, if something is known.
///
/// # Errors
/// If a request fails.
pub(crate) async fn apply_report(
    all: &mut Owned<'_>,
    writer: &Writer,
    board: &Board,
    state: &ClusterState,
    source: &Source,
) -> Result<(), Error> {
    let kind = GroupKind::of(&kind());
    if !writer.kinds.known.contains_key(&kind) {
        return Ok(());
    }
    if let Some(namespace) = board.report_to_recall(&source.key) {
        let id = ObjectId {
            kind: kind.into(),
            name: name(&source.key, &writer.instance).into(),
            namespace: namespace.into(),
        };
        // Whatever becomes of this attempt, what an earlier operator has said is not deleted before something else is known.
        all.keep(&id);
        let there = all.content_of(&id).await?;
        board.recall(&source.key, there.map(|report| results(&report)).unwrap_or_default());
    }
    let Some(ReportContent {
        namespace,
        mut reference,
        results,
    }) = board.report(&source.key)
    else {
        return Ok(());
    };
    // In `standalone` a source is scraped before its own namespace exists.
    if !state.knows_namespace(&namespace) {
        return Ok(());
    }
    reference.resource_version = None;
    let reference = serde_json::to_value(reference).expect("a reference is JSON");
    let subject = Subject {
        source: &source.key,
        reference: &reference,
        instance: &writer.instance,
        namespace: &namespace,
    };
    let report = subject.report(&results);
    let applied = all.apply(&report).await;
    if applied.is_err() {
        all.keep(&ObjectId::of(&report)?);
    }
    applied
}

/// True for an object that has the place of its source's Report.
pub(crate) fn is_report(id: &ObjectId, source: &str, instance: &str) -> bool {
    *id.kind == GroupKind::of(&kind()) && *id.name == *name(source, instance)
}
