//! The owned objects of a source in one attempt: rendered objects are applied, and all others are deleted at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::core::Request;
use serde_json::{Value, json};
use telewarden_policy::well_known::{APPLIED, FIELD_MANAGER};
use tokio::time::Instant;

use crate::cluster_state::ClusterState;
use crate::error::Error;
use crate::live_object::{Comparison, Digest, Live, Refusal};
use crate::managed_fields;
use crate::metrics::Metrics;
use crate::object::Object;
use crate::object_id::{GroupKind, NotAnObject, ObjectId};
use crate::queue::Attempt;
use crate::writer::{Writer, bounded, send};

/// A write, or in a dry run the write that would be done.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) id: ObjectId,
    pub(crate) verb: Verb,
    /// True if the object was rendered for its source, and not just created with its annotation.
    pub(crate) is_known: bool,
    /// In a dry run, the object before and after, without status; null if it does not exist.
    pub(crate) before: Value,
    pub(crate) after: Value,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verb {
    Create,
    Apply,
    Delete,
}

impl Verb {
    pub(crate) fn past(self) -> &'static str {
        match self {
            Self::Create => "created",
            Self::Apply => "changed",
            Self::Delete => "deleted",
        }
    }
}

/// Removes the values of a Secret, which nothing may show. `kubectl apply` keeps a copy of them in an annotation
/// (<https://kubernetes.io/docs/reference/labels-annotations-taints/#kubectl-kubernetes-io-last-applied-configuration>).
fn hide_secret(id: &ObjectId, object: &mut Value) {
    if *id.kind.kind == *"Secret" {
        for field in ["data", "stringData"] {
            let values = object.get_mut(field).and_then(Value::as_object_mut);
            values
                .into_iter()
                .flatten()
                .for_each(|(_, value)| *value = json!("(hidden)"));
        }
        if let Some(copy) =
            object.pointer_mut("/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration")
        {
            *copy = json!("(hidden)");
        }
    }
}

/// `standalone`: the most objects that one attempt deletes though it did not make them. Nobody waits for the others.
const FOREIGN_AT_ONCE: usize = 50;

/// How deleting went.
#[derive(Debug)]
pub(crate) struct Pruned {
    /// All that was written.
    pub(crate) changes: Vec<Change>,
    /// What should be gone, and is not.
    pub(crate) stuck: Vec<Stuck>,
    /// Whether something is left to do.
    pub(crate) left: Attempt,
}

/// An object that should be gone, and is not.
#[derive(Debug)]
pub(crate) struct Stuck {
    pub(crate) id: ObjectId,
    /// Whom it was rendered for.
    pub(crate) source: Arc<str>,
    /// It was rendered for its source, and does not just say so.
    pub(crate) is_known: bool,
    pub(crate) why: Arc<str>,
}

impl Stuck {
    fn of(live: &Live, why: Arc<str>) -> Self {
        Self {
            id: live.id.clone(),
            source: live.source.clone(),
            is_known: live.was_as_rendered(),
            why,
        }
    }

    fn waiting(live: &Live) -> Self {
        Self::of(
            live,
            format!("{} is deleted, and waits for its finalizers", live.id).into(),
        )
    }

    fn refused(live: &Live, refusal: &Refusal) -> Self {
        Self::of(live, refusal.why.clone())
    }
}

/// A rendered ConfigMap with many files.
pub(crate) struct FilesOf<'a> {
    pub(crate) id: &'a ObjectId,
    pub(crate) digest: Digest,
    /// Makes the object.
    pub(crate) object: &'a (dyn Fn() -> Value + Sync),
    /// The digest of what was written last, and the files that have changed since: their texts, and none for those that are gone.
    pub(crate) changed: Option<(Digest, BTreeMap<&'a str, Option<&'a str>>)>,
}

/// The owned objects of a source in one attempt.
pub(crate) struct Owned<'a> {
    writer: &'a Writer,
    /// The state to update after writes, if there is one.
    state: Option<&'a ClusterState>,
    metrics: Option<&'a Metrics>,
    /// The owned objects in the cluster.
    live: BTreeMap<ObjectId, Arc<Live>>,
    /// The objects that were applied in this attempt.
    kept: BTreeSet<ObjectId>,
    changes: Vec<Change>,
}

impl<'a> Owned<'a> {
    pub(crate) fn new(
        writer: &'a Writer,
        state: Option<&'a ClusterState>,
        metrics: Option<&'a Metrics>,
        live: BTreeMap<ObjectId, Arc<Live>>,
    ) -> Self {
        Self {
            writer,
            state,
            metrics,
            live,
            kept: BTreeSet::new(),
            changes: Vec::new(),
        }
    }

    /// Applies a rendered object. Nothing is sent if the object is up to date.
    pub(crate) async fn apply(&mut self, rendered: &Value) -> Result<(), Error> {
        let id = ObjectId::of(rendered)?;
        // Even if the apply fails, the object must not be pruned.
        self.kept.insert(id.clone());
        let digest = Digest::of_rendered(rendered);
        let Some(live) = self.live.get(&id).cloned() else {
            return self.create(&id, rendered, digest).await;
        };
        match live.compare(rendered, digest) {
            Comparison::Same => {
                self.is_as_rendered(&live, digest);
                Ok(())
            }
            Comparison::Differs => self.update(&live, rendered, digest).await,
            Comparison::Unknown => match self.read(&id, rendered).await? {
                None => self.create(&id, rendered, digest).await,
                Some(live) if live.compare(rendered, digest) == Comparison::Same => {
                    self.is_as_rendered(&live, digest);
                    Ok(())
                }
                Some(live) => self.update(&live, rendered, digest).await,
            },
        }
    }

    /// Applies a ConfigMap, and sends only the files that have changed if it is known which these are. Returns whether it was
    /// written.
    pub(crate) async fn apply_files(&mut self, map: FilesOf<'_>) -> Result<bool, Error> {
        let written = self.changes.len();
        self.kept.insert(map.id.clone());
        match self.live.get(map.id).cloned() {
            Some(live) if live.is_as_rendered(map.digest) => {}
            Some(live) => self.apply_changed_files(&live, map).await?,
            None => self.apply(&(map.object)()).await?,
        }
        Ok(self.changes.len() > written)
    }

    async fn apply_changed_files(&mut self, live: &Live, map: FilesOf<'_>) -> Result<(), Error> {
        match map.changed {
            // Only what was found equal to what was written last differs from this in the changed files alone.
            Some((before, files)) if !self.writer.dry_run && live.is_as_rendered(before) => {
                self.patch(live, &files, map.digest).await
            }
            _ => self.apply(&(map.object)()).await,
        }
    }

    /// Changes files of exactly the version that was compared.
    async fn patch(&mut self, live: &Live, files: &BTreeMap<&str, Option<&str>>, digest: Digest) -> Result<(), Error> {
        let id = &live.id;
        let patch = json!({
            "metadata": {
                "uid": &*live.uid,
                "resourceVersion": &*live.resource_version,
                "annotations": {APPLIED: digest.to_string()},
            },
            "data": files,
        });
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let path = self.writer.api::<Object>(id)?.resource_url().to_owned();
        // The rest of the object is known, so it is not asked for.
        let request = Request::new(path).patch_metadata(&id.name, &params, &Patch::Merge(&patch));
        let patched = send::<Object>(&self.writer.client, request);
        let patched = self.writer.write(patched, || format!("change files of {id}")).await?;
        let version = patched.metadata.resource_version.unwrap_or_default();
        if let Some(state) = self.state {
            state.put_owned(live.clone().patched(&version, digest), true);
        }
        self.changed(Change {
            id: id.clone(),
            verb: Verb::Apply,
            is_known: true,
            before: Value::Null,
            after: Value::Null,
        });
        Ok(())
    }

    /// Does not delete an object, though it is not applied.
    pub(crate) fn keep(&mut self, id: &ObjectId) {
        self.kept.insert(id.clone());
    }

    /// Does not delete objects of a kind.
    pub(crate) fn keep_kind(&mut self, kind: &GroupKind) {
        let of_kind = self.live.keys().filter(|id| *id.kind == *kind);
        self.kept.extend(of_kind.cloned());
    }

    /// The content of an owned object in the cluster. `None` if there is none.
    pub(crate) async fn content_of(&self, id: &ObjectId) -> Result<Option<Value>, Error> {
        let Some(live) = self.live.get(id) else { return Ok(None) };
        if let Some(content) = live.content() {
            return Ok(Some(content));
        }
        let object = self.writer.get(id).await?;
        let read = object.and_then(|object| Live::of(&id.kind, object));
        Ok(read.and_then(|read| read.content()))
    }

    /// Reads an object whose content is not kept.
    async fn read(&self, id: &ObjectId, rendered: &Value) -> Result<Option<Live>, Error> {
        let Some(object) = self.writer.get(id).await? else {
            return Ok(None);
        };
        match self.writer.ours(&object, rendered) {
            Ok(()) => Ok(Live::of(&id.kind, object)),
            Err(why) => Err(Error::Foreign { id: id.clone(), why }),
        }
    }

    /// Records that an object is up to date.
    fn is_as_rendered(&self, live: &Live, digest: Digest) {
        if let Some(state) = self.state {
            state.set_as_rendered(live, digest);
        }
    }

    /// An object's content in a dry run.
    async fn content(&self, live: &Live) -> Result<Value, Error> {
        if !self.writer.dry_run {
            return Ok(Value::Null);
        }
        let content = match live.content() {
            Some(content) => Some(content),
            None => self.content_of(&live.id).await?,
        };
        Ok(content.unwrap_or_default())
    }

    /// Deletes what was not applied, and answers all that was done. What cannot be deleted holds up nothing else: anybody
    /// can create an object in somebody's name where it cannot.
    pub(crate) async fn prune(mut self) -> Result<Pruned, Error> {
        let orphans: Vec<_> = self
            .live
            .values()
            .filter(|live| !self.kept.contains(&live.id))
            .cloned()
            .collect();
        let (mut stuck, mut left) = (Vec::new(), Attempt::Done);
        let bounded = self.state.filter(|state| state.is_standalone() && !self.writer.dry_run);
        let mut foreign = 0;
        for live in orphans {
            if live.deleting {
                stuck.push(Stuck::waiting(&live));
                continue;
            }
            let now = Instant::now();
            if let Some(refusal) = live.refusal().filter(|refusal| refusal.ask_again > now) {
                left = left.or(Attempt::At(refusal.ask_again));
                stuck.push(Stuck::refused(&live, refusal));
                continue;
            }
            if let Some(state) = bounded
                && !live.was_as_rendered()
            {
                foreign += 1;
                if foreign > FOREIGN_AT_ONCE {
                    state.touch_named(&live.source);
                    continue;
                }
            }
            match self.delete(&live).await {
                Ok(None) => {}
                Ok(Some(deleting)) => stuck.push(Stuck::waiting(&deleting)),
                Err(error) if error.is_refusal() => {
                    let why = error.chain();
                    tracing::warn!(id = %live.id, error = why, reason = error.reason(), "an object cannot be deleted");
                    if let Some(metrics) = self.metrics {
                        metrics.failed(error.reason());
                    }
                    let mut live = Arc::unwrap_or_clone(live);
                    live.refused(&why, now);
                    if let Some(refusal) = live.refusal() {
                        left = left.or(Attempt::At(refusal.ask_again));
                        stuck.push(Stuck::refused(&live, refusal));
                    }
                    if let Some(state) = self.state {
                        state.set_refused(&live);
                    }
                }
                // Somebody was faster.
                Err(error) if error.reason() == "conflict" => left = Attempt::Soon,
                Err(error) => return Err(error),
            }
        }
        Ok(Pruned {
            changes: self.changes,
            stuck,
            left,
        })
    }

    /// Returns all changes without deleting anything.
    pub(crate) fn keep_others(self) -> Vec<Change> {
        self.changes
    }

    /// Creates an object. An apply is not used, because it would change an object that somebody else created meanwhile.
    async fn create(&mut self, id: &ObjectId, rendered: &Value, digest: Digest) -> Result<(), Error> {
        // What is created was written by nobody else, and is sent with all of its metadata.
        let api: Api<DynamicObject> = self.writer.api(id)?;
        let object = decode(with_annotation(rendered, digest), id)?;
        let params = PostParams {
            dry_run: self.writer.dry_run,
            field_manager: Some(FIELD_MANAGER.to_owned()),
        };
        let doing = || format!("create {id}");
        match self.writer.write(api.create(&params, &object), doing).await {
            Ok(created) => {
                self.wrote(Verb::Create, id, None, created.into(), (rendered, digest, false))
                    .await?;
                Ok(())
            }
            Err(Error::Api {
                source: kube::Error::Api(status),
                ..
            }) if status.is_already_exists() => {
                let live = self.writer.get(id).await?.ok_or_else(|| Error::Foreign {
                    id: id.clone(),
                    why: "it was created and deleted by others".to_owned(),
                })?;
                match self.writer.ours(&live, rendered) {
                    // An owned object that is not in the state yet.
                    Ok(()) => match Live::of(&id.kind, live) {
                        Some(live) => self.update(&live, rendered, digest).await,
                        None => Ok(()),
                    },
                    Err(why) => Err(Error::Foreign { id: id.clone(), why }),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Applies to exactly the version that was compared: not to another object with the same name, and not over a change.
    async fn update(&mut self, live: &Live, rendered: &Value, digest: Digest) -> Result<(), Error> {
        let id = &live.id;
        let api = self.writer.api(id)?;
        let mut resource_version = live.resource_version.to_string();
        if live.created && !self.writer.dry_run {
            resource_version = self.take_over(&api, live).await?;
        }
        let mut object = with_annotation(rendered, digest);
        object["metadata"]["uid"] = json!(&*live.uid);
        object["metadata"]["resourceVersion"] = json!(resource_version);
        let mut params = PatchParams::apply(FIELD_MANAGER).force();
        params.dry_run = self.writer.dry_run;
        let object = Patch::Apply(&object);
        let request = api.patch(&id.name, &params, &object);
        let applied = self.writer.write(request, || format!("apply {id}")).await?;
        let applied = match live.created && self.writer.dry_run {
            true => self.as_if_taken_over(&api, live, applied).await?,
            false => applied,
        };
        // If an apply changes nothing and the object still differs, another apply would not help.
        let nothing = applied.metadata.resource_version.as_deref() == Some(&*resource_version);
        self.wrote(Verb::Apply, id, Some(live), applied, (rendered, digest, nothing))
            .await?;
        Ok(())
    }

    /// Moves the managed fields of the create, and of patches, to `Apply`, so that fields that are no longer rendered are removed. Otherwise
    /// the following apply would share them with the create
    /// (<https://kubernetes.io/docs/reference/using-api/server-side-apply/#upgrading-from-client-side-apply>).
    async fn take_over(&self, api: &Api<Object>, live: &Live) -> Result<String, Error> {
        let id = &live.id;
        let found = self.writer.get(id).await?;
        let metadata = found.map(|object| object.metadata).unwrap_or_default();
        let entries = metadata.managed_fields.unwrap_or_default();
        let of = |operation| {
            entries
                .iter()
                .position(|entry| managed_fields::are_ours(entry, operation))
        };
        let Some(at) = of("Update") else {
            return Ok(live.resource_version.to_string());
        };
        let entry = |at: usize| format!("/metadata/managedFields/{at}");
        let mut patch: Vec<Value> = Vec::new();
        match of("Apply") {
            Some(applied) => {
                let fields_of = |at: usize| entries[at].fields_v1.clone().map(|fields| fields.0);
                let mut fields = fields_of(applied).unwrap_or_default();
                managed_fields::merge(&mut fields, &fields_of(at).unwrap_or_default());
                patch.push(json!({"op": "replace", "path": entry(applied) + "/fieldsV1", "value": fields}));
                patch.push(json!({"op": "remove", "path": entry(at)}));
            }
            None => patch.push(json!({"op": "replace", "path": entry(at) + "/operation", "value": "Apply"})),
        }
        // Any change since then makes this a conflict.
        patch.push(json!({"op": "replace", "path": "/metadata/resourceVersion", "value": metadata.resource_version}));
        let patch = serde_json::from_value(Value::Array(patch)).expect("this is a JSON patch");
        let params = PatchParams::default();
        let doing = || format!("take over {id}");
        let patch = Patch::<Object>::Json(patch);
        let taken = self.writer.write(api.patch(&id.name, &params, &patch), doing).await?;
        Ok(taken.metadata.resource_version.unwrap_or_default())
    }

    /// The answer of an apply after [`Self::take_over`], which is not possible in a dry run. Created fields that are no longer
    /// rendered are removed, and a second dry run lets the API server add defaults again, which count as created too.
    async fn as_if_taken_over(&self, api: &Api<Object>, live: &Live, applied: Object) -> Result<Object, Error> {
        let id = &live.id;
        let entries = applied.metadata.managed_fields.iter().flatten();
        let (created, others): (Vec<_>, Vec<_>) = entries.partition(|entry| managed_fields::are_ours(entry, "Update"));
        let fields_of = |entry: &&'_ ManagedFieldsEntry| entry.fields_v1.clone().map(|fields| fields.0);
        let others: Vec<Value> = others.iter().filter_map(fields_of).collect();
        let mut left = serde_json::to_value(&applied).expect("an object is JSON");
        for fields in created.iter().filter_map(fields_of) {
            managed_fields::remove(&mut left, &fields, &others.iter().collect::<Vec<_>>());
        }
        let fields = applied.data.as_object().into_iter().flat_map(|data| data.keys());
        let written = fields
            .filter(|field| *field != "status")
            .map(|field| format!("/{field}"));
        let written = written.chain(["labels", "annotations"].map(|field| format!("/metadata/{field}")));
        let mut patch: Vec<Value> = written
            .map(|path| match left.pointer(&path) {
                Some(value) => json!({"op": "add", "path": path, "value": value}),
                None => json!({"op": "remove", "path": path}),
            })
            .collect();
        // Any change since then makes this a conflict.
        patch.push(json!({"op": "replace", "path": "/metadata/resourceVersion", "value": &*live.resource_version}));
        let patch = serde_json::from_value(Value::Array(patch)).expect("this is a JSON patch");
        let params = PatchParams {
            dry_run: true,
            ..PatchParams::default()
        };
        let patch = Patch::<Object>::Json(patch);
        bounded(api.patch(&id.name, &params, &patch), || format!("compare {id}")).await
    }

    /// Deletes exactly the object that was seen. Returns it if it stays until its finalizers let it go.
    async fn delete(&mut self, live: &Live) -> Result<Option<Live>, Error> {
        let id = &live.id;
        let before = self.content(live).await?;
        let api: Api<Object> = self.writer.api(id)?;
        let mut params = DeleteParams::background().preconditions(Preconditions {
            uid: Some(live.uid.to_string()),
            resource_version: Some(live.resource_version.to_string()),
        });
        params.dry_run = self.writer.dry_run;
        let request = api.delete(&id.name, &params);
        let doing = || format!("delete {id}");
        let left = match self.writer.write(request, doing).await {
            // An object that is gone is answered too, as it was last.
            Ok(answer) => {
                let left = answer.left().and_then(|object| Live::of(&id.kind, object));
                left.filter(|left| left.deleting)
            }
            Err(error) if error.is_not_found() => None,
            // It was accepted, and the object is nested too deeply for the client.
            Err(error) if error.is_unreadable() => {
                let found = self.writer.get(id).await?;
                let left = found.and_then(|object| Live::of(&id.kind, object));
                left.filter(|left| left.deleting && left.uid == live.uid)
            }
            Err(error) => return Err(error),
        };
        let left = left.map(|mut left| {
            left.is_deleted_version_of(live);
            left
        });
        if !self.writer.dry_run
            && let Some(state) = self.state
        {
            match &left {
                Some(left) => state.set_deleting(left.clone()),
                None => drop(state.remove_owned(id, Some(&live.uid), true)),
            }
        }
        self.changed(Change {
            id: id.clone(),
            verb: Verb::Delete,
            is_known: live.was_as_rendered(),
            before,
            after: Value::Null,
        });
        Ok(left)
    }

    /// Records the API server's answer to a write. `nothing` is true if the write changed nothing.
    async fn wrote(
        &mut self,
        verb: Verb,
        id: &ObjectId,
        before: Option<&Live>,
        after: Object,
        (rendered, digest, nothing): (&Value, Digest, bool),
    ) -> Result<(), Error> {
        let Some(mut live) = Live::of(&id.kind, after) else {
            return Ok(());
        };
        let changed = before.is_none_or(|before| !before.has_content_of(&live));
        let change = match changed {
            true => Some(Change {
                id: id.clone(),
                verb,
                is_known: true,
                before: match before {
                    Some(before) => self.content(before).await?,
                    None => Value::Null,
                },
                after: match self.writer.dry_run {
                    true => live.content().unwrap_or_default(),
                    false => Value::Null,
                },
            }),
            false => None,
        };
        if !self.writer.dry_run
            && let Some(state) = self.state
        {
            // If an apply changed nothing, another one would not either.
            if nothing || live.covers(rendered) {
                live.set_as_rendered(digest);
            }
            state.put_owned(live, true);
        }
        change.into_iter().for_each(|change| self.changed(change));
        Ok(())
    }

    fn changed(&mut self, mut change: Change) {
        hide_secret(&change.id, &mut change.before);
        hide_secret(&change.id, &mut change.after);
        let (verb, id) = (change.verb.past(), &change.id);
        match self.writer.dry_run {
            true => tracing::info!(%id, verb, "would be written"),
            false => tracing::info!(%id, verb, "written"),
        }
        if let Some(metrics) = self.metrics {
            metrics.wrote(verb);
        }
        self.changes.push(change);
    }
}

fn with_annotation(rendered: &Value, digest: Digest) -> Value {
    let mut object = rendered.clone();
    object["metadata"]["annotations"][APPLIED] = json!(digest.to_string());
    object
}

fn decode(object: Value, id: &ObjectId) -> Result<DynamicObject, Error> {
    serde_json::from_value(object).map_err(|_| {
        tracing::error!(%id, "the rendered object has invalid metadata");
        Error::NotAnObject(NotAnObject("it has invalid metadata"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::sync::Mutex;
    use std::time::Duration;

    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::Client;
    use kube::api::ApiResource;
    use kube::client::Body;
    use telewarden_policy::well_known::SOURCE;
    use tokio::sync::mpsc::unbounded_channel;
    use tokio::sync::watch;

    use crate::kinds::Kinds;
    use crate::object_id::GroupKind;

    fn rendered(name: &str) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": "redis", "annotations": {SOURCE: "a source"}},
            "data": {"telegraf.conf": name},
        })
    }

    /// A writer whose lease expires with the first answer, and the requests that it sends.
    fn writer(leads_for: Duration) -> (Writer, Arc<Mutex<Vec<String>>>) {
        let (lease, leads) = watch::channel(Some(Instant::now() + leads_for));
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let asked_for = asked.clone();
        let service = tower::service_fn(move |request: http::Request<Body>| {
            lease.send_replace(Some(Instant::now()));
            asked_for.lock().unwrap().push(request.method().to_string());
            let mut object = rendered("created");
            object["metadata"]["managedFields"] = json!([{"manager": FIELD_MANAGER, "operation": "Update"}]);
            let answer = http::Response::new(Body::from(object.to_string().into_bytes()));
            async { Ok::<_, Infallible>(answer) }
        });
        let resource = ApiResource::erase::<ConfigMap>(&());
        let kind = GroupKind {
            group: String::new(),
            kind: "ConfigMap".to_owned(),
        };
        let writer = Writer {
            client: Client::new(service, "default"),
            kinds: Kinds {
                known: Arc::new([(kind, resource)].into()),
                unknown: Arc::default(),
            },
            instance: "telewarden".to_owned(),
            standalone: false,
            dry_run: false,
            leads: Some(leads),
        };
        (writer, asked)
    }

    /// An object that differs from the rendered one.
    fn live(name: &str) -> BTreeMap<ObjectId, Arc<Live>> {
        let mut object = rendered(name);
        object["data"] = json!({});
        object["metadata"]["managedFields"] = json!([{"manager": FIELD_MANAGER, "operation": "Update"}]);
        let id = ObjectId::of(&object).unwrap();
        let object = serde_json::from_value(object).unwrap();
        let live = Live::of(&id.kind, object).unwrap();
        BTreeMap::from([(id, Arc::new(live))])
    }

    #[test]
    fn the_values_of_a_secret_are_hidden_wherever_they_are() {
        let copy = r#"{"data":{"token":"NXNlY3JldA=="}}"#;
        let mut secret = json!({
            "apiVersion": "v1", "kind": "Secret", "data": {"token": "NXNlY3JldA=="}, "stringData": {"token": "5ecret"},
            "metadata": {"name": "a", "namespace": "b", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": copy}},
        });
        let id = ObjectId::of(&secret).expect("an object");
        hide_secret(&id, &mut secret);
        let shown = secret.to_string();
        assert!(!shown.contains("5ecret") && !shown.contains("NXNlY3JldA"), "{shown}");
    }

    #[tokio::test]
    async fn without_the_lease_nothing_is_written() {
        let (writer, asked) = writer(Duration::ZERO);
        let mut owned = Owned::new(&writer, None, None, live("orphan"));
        let created = owned.apply(&rendered("new")).await;
        assert!(matches!(created, Err(Error::Leadership(_))), "{created:?}");
        let pruned = owned.prune().await;
        assert!(matches!(pruned, Err(Error::Leadership(_))), "{pruned:?}");
        assert_eq!(*asked.lock().unwrap(), [""; 0]);
    }

    #[tokio::test]
    async fn no_write_follows_after_the_lease_has_expired() {
        let (writer, asked) = writer(Duration::from_secs(3600));
        let mut owned = Owned::new(&writer, None, None, live("created"));
        let applied = owned.apply(&rendered("created")).await;
        assert!(matches!(applied, Err(Error::Leadership(_))), "{applied:?}");
        assert_eq!(*asked.lock().unwrap(), ["GET"], "it was read, and not changed");
    }

    /// A writer of which deletions are answered so: with a status, and an object or what the API server says. And the names
    /// that it was asked to delete.
    fn deleting(answer: impl Fn(&str) -> (u16, Value) + Send + Sync + 'static) -> (Writer, Arc<Mutex<Vec<String>>>) {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let asked_for = asked.clone();
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let name = request.uri().path().rsplit('/').next().unwrap().to_owned();
            let (status, body) = answer(&name);
            asked_for.lock().unwrap().push(name);
            let answer = http::Response::builder().status(status);
            let answer = answer.body(Body::from(body.to_string().into_bytes())).unwrap();
            async { Ok::<_, Infallible>(answer) }
        });
        let (mut writer, _) = writer(Duration::from_secs(3600));
        writer.client = Client::new(service, "default");
        (writer, asked)
    }

    fn status(code: u16, message: &str) -> (u16, Value) {
        let status = if code < 400 { "Success" } else { "Failure" };
        let body = json!({"kind": "Status", "apiVersion": "v1", "status": status, "code": code, "message": message,
            "reason": "", "metadata": {}});
        (code, body)
    }

    /// What is known of a cluster with two objects that are to go.
    fn two_orphans() -> ClusterState {
        let state = ClusterState::new(None, unbounded_channel().0);
        for live in ["aaa", "orphan"].into_iter().flat_map(live) {
            let mut live = Arc::unwrap_or_clone(live.1);
            live.set_as_rendered(Digest::of_rendered(&json!({})));
            state.put_owned(live, true);
        }
        state
    }

    async fn prune(writer: &Writer, state: &ClusterState) -> Pruned {
        let owned = Owned::new(writer, Some(state), None, state.view("a source").owned);
        owned.prune().await.unwrap()
    }

    #[tokio::test]
    async fn an_object_that_must_not_be_deleted_holds_up_nothing() {
        for code in [403, 422, 500] {
            let (mut writer, asked) = deleting(move |name| match name {
                "aaa" => status(code, "a webhook says no"),
                _ => status(200, ""),
            });
            writer.leads = None;
            let state = two_orphans();
            let pruned = prune(&writer, &state).await;
            assert_eq!(*asked.lock().unwrap(), ["aaa", "orphan"]);
            assert_eq!(pruned.changes.len(), 1);
            let [stuck] = &pruned.stuck[..] else {
                panic!("{pruned:?}")
            };
            assert!(stuck.is_known && stuck.why.contains("a webhook says no"), "{stuck:?}");
            assert!(
                matches!(pruned.left, Attempt::At(at) if at > Instant::now()),
                "{pruned:?}"
            );
            // Whatever else there is to do meanwhile, it is not asked for again. What it says is kept.
            let again = prune(&writer, &state).await;
            assert_eq!((again.left, &again.stuck[0].why), (pruned.left, &stuck.why));
            assert_eq!(asked.lock().unwrap().len(), 2);
        }
    }

    #[tokio::test]
    async fn an_object_that_waits_for_its_finalizers_is_deleted_once() {
        let (mut writer, asked) = deleting(|name| {
            let mut object = rendered(name);
            object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            (200, object)
        });
        writer.leads = None;
        let state = two_orphans();
        for _ in 0..3 {
            let pruned = prune(&writer, &state).await;
            assert_eq!((pruned.stuck.len(), pruned.left), (2, Attempt::Done));
            assert!(
                pruned
                    .stuck
                    .iter()
                    .all(|stuck| stuck.is_known && stuck.why.contains("finalizers"))
            );
        }
        assert_eq!(*asked.lock().unwrap(), ["aaa", "orphan"]);
    }

    #[tokio::test]
    async fn an_object_that_somebody_has_just_changed_holds_up_nothing() {
        let (mut writer, asked) = deleting(|name| match name {
            "aaa" => status(409, "it has changed"),
            _ => status(200, ""),
        });
        writer.leads = None;
        let pruned = prune(&writer, &two_orphans()).await;
        assert_eq!(
            (pruned.changes.len(), pruned.stuck.len(), pruned.left),
            (1, 0, Attempt::Soon)
        );
        assert_eq!(*asked.lock().unwrap(), ["aaa", "orphan"]);
    }
}
