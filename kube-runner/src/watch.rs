//! Watches that update the [`ClusterState`].
//!
//! An Application's status can have megabytes and changes all the time. So objects are decoded into types without it, and
//! only annotated objects are kept, with only the fields that the module reads.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ApiResource;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use telewarden::Causes;
use telewarden_policy::well_known::{FIELD_MANAGER, INSTANCE, MANAGED_BY};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::cluster_state::{ArgoCdSettings, ClusterState, Source};
use crate::kinds::Kinds;
use crate::live_object::{Live, WatchedObject};
use crate::object::{self, Metadata};
use crate::object_id::{GroupKind, ObjectId};
use crate::retry::Backoff;
use crate::settings::Settings;
use crate::yaml;

/// The page size of lists, where the API server does not stream them. A page is held in memory, and an object can have 1.5 MiB.
const PAGE: u32 = 10;
/// A streamed list is given up when nothing of it has come for so long, and pages are asked for: a proxy may drop the parameter by
/// which the list ends.
const STALLED: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 30 });
/// The name of the ConfigMap with Argo CD's settings.
const ARGOCD: &str = "argocd-cm";

/// An Application without its status.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Application {
    #[serde(deserialize_with = "object::metadata")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: ApplicationSpec,
}

/// The fields are not decoded further, because the module checks them.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct ApplicationSpec {
    #[serde(deserialize_with = "object::value")]
    project: Value,
    #[serde(deserialize_with = "object::value")]
    destination: Value,
}

/// An AppProject without its status, which contains tokens.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct AppProject {
    #[serde(deserialize_with = "object::metadata")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: AppProjectSpec,
}

/// The fields that restrict destinations, and what is counted as orphaned there. Absent fields stay absent, because an empty list has another meaning.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct AppProjectSpec {
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "object::optional_value")]
    destinations: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "object::optional_value")]
    source_namespaces: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "object::optional_value")]
    permit_only_project_scoped_clusters: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "object::optional_value")]
    namespace_resource_blacklist: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "object::optional_value")]
    namespace_resource_whitelist: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "object::optional_value")]
    orphaned_resources: Option<Value>,
}

macro_rules! argocd_resource {
    ($type:ident, $kind:literal, $plural:literal) => {
        impl Resource for $type {
            type DynamicType = ();
            type Scope = NamespaceResourceScope;

            fn kind((): &()) -> Cow<'_, str> {
                $kind.into()
            }
            fn group((): &()) -> Cow<'_, str> {
                "argoproj.io".into()
            }
            fn version((): &()) -> Cow<'_, str> {
                "v1alpha1".into()
            }
            fn plural((): &()) -> Cow<'_, str> {
                $plural.into()
            }
            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }
            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

argocd_resource!(Application, "Application", "applications");
argocd_resource!(AppProject, "AppProject", "appprojects");

/// A watched type, and how it updates the state.
trait Watched: Resource + Clone + Debug + DeserializeOwned + Send + 'static {
    type Id: Ord + Send;

    fn id(&self, watch: &Watch) -> Self::Id;
    /// Those that the state has.
    fn known(watch: &Watch) -> BTreeSet<Self::Id>;
    /// Stores the object, or removes what was stored of it.
    fn put(self, watch: &Watch);
    /// Removes the object with an id.
    fn remove(id: &Self::Id, watch: &Watch);
    /// Handles a deletion.
    fn gone(self, watch: &Watch) {
        Self::remove(&self.id(watch), watch);
    }
}

/// The context of a watch.
#[derive(Clone, Debug)]
struct Watch {
    state: ClusterState,
    settings: Arc<Settings>,
    /// The kind of owned objects.
    kind: Arc<GroupKind>,
    /// The namespace that is watched; empty for all.
    namespace: String,
}

impl Watched for Application {
    type Id = Arc<str>;

    fn id(&self, _: &Watch) -> Arc<str> {
        let ObjectMeta { namespace, name, .. } = &self.metadata;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        format!("{}{}", application_prefix(&text(namespace)), text(name)).into()
    }

    fn known(watch: &Watch) -> BTreeSet<Arc<str>> {
        watch.state.sources_of(&application_prefix(&watch.namespace))
    }

    fn put(self, watch: &Watch) {
        let key = self.id(watch);
        let project = self.spec.project.as_str().filter(|project| !project.is_empty());
        let project = project.unwrap_or("default").into();
        let ApplicationSpec {
            project: named,
            destination,
        } = self.spec;
        let own = self.metadata.namespace.as_deref();
        let own = own.filter(|namespace| *namespace != watch.settings.host.argocd_namespace);
        let tenant = own.or(destination["namespace"].as_str()).unwrap_or_default().into();
        let kind = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application"});
        let spec = json!({"project": named, "destination": destination});
        put_source(watch, key, kind, self.metadata, tenant, Some((spec, project)));
    }

    fn remove(id: &Arc<str>, watch: &Watch) {
        watch.state.remove_source(id);
    }
}

/// How the identities of Applications in a namespace begin.
fn application_prefix(namespace: &str) -> String {
    format!("argoproj.io/Application/{namespace}/")
}

/// How the identity of a Namespace begins.
const NAMESPACE: &str = "Namespace/";

impl Watched for Metadata<Namespace> {
    type Id = Arc<str>;

    fn id(&self, _: &Watch) -> Arc<str> {
        self.metadata.name.as_deref().unwrap_or_default().into()
    }

    fn known(watch: &Watch) -> BTreeSet<Arc<str>> {
        let mut known = watch.state.namespaces();
        // One that is being deleted can still be a source.
        let sources = watch.state.sources_of(NAMESPACE);
        known.extend(
            sources
                .iter()
                .filter_map(|key| Some(key.strip_prefix(NAMESPACE)?.into())),
        );
        known
    }

    fn put(self, watch: &Watch) {
        let name = self.id(watch);
        // Nothing can be created in a namespace that is being deleted.
        match self.metadata.deletion_timestamp {
            None => watch.state.put_namespace(&name),
            Some(_) => watch.state.remove_namespace(&name),
        }
        if watch.settings.host.namespaces {
            let key = format!("{NAMESPACE}{name}").into();
            let kind = json!({"apiVersion": "v1", "kind": "Namespace"});
            put_source(watch, key, kind, self.metadata, name, None);
        }
    }

    fn remove(id: &Arc<str>, watch: &Watch) {
        watch.state.remove_namespace(id);
        watch.state.remove_source(&format!("{NAMESPACE}{id}"));
    }
}

/// Stores an annotated source, and removes one without annotations. An Application has a specification and a project.
fn put_source(
    watch: &Watch,
    key: Arc<str>,
    mut object: Value,
    mut metadata: ObjectMeta,
    tenant: Arc<str>,
    application: Option<(Value, Arc<str>)>,
) {
    let mut annotations = metadata.annotations.take().unwrap_or_default();
    let host = &watch.settings.host;
    let is_ours =
        |name: &str| *name == host.annotation || host.annotation_prefixes.iter().any(|prefix| name.starts_with(prefix));
    annotations.retain(|name, _| is_ours(name));
    if annotations.is_empty() {
        watch.state.remove_source(&key);
        return;
    }
    let ObjectMeta {
        name, namespace, uid, ..
    } = metadata;
    object["metadata"] = json!({"name": name, "namespace": namespace, "uid": uid, "annotations": annotations});
    let project = application.map(|(spec, project)| {
        object["spec"] = spec;
        project
    });
    let source = Source::new(key, raw(&object), tenant, project);
    watch.state.put_source(source);
}

impl Watched for AppProject {
    type Id = Arc<str>;

    fn id(&self, _: &Watch) -> Arc<str> {
        self.metadata.name.as_deref().unwrap_or_default().into()
    }

    fn known(watch: &Watch) -> BTreeSet<Arc<str>> {
        watch.state.projects()
    }

    fn put(self, watch: &Watch) {
        let ObjectMeta {
            name,
            namespace,
            labels,
            ..
        } = &self.metadata;
        let metadata = json!({"name": name, "namespace": namespace, "labels": labels});
        watch
            .state
            .put_project(&self.id(watch), raw(&json!({"metadata": metadata, "spec": self.spec})));
    }

    fn remove(id: &Arc<str>, watch: &Watch) {
        watch.state.remove_project(id);
    }
}

/// Argo CD's settings. `cluster.inClusterEnabled` is true unless it is `false`
/// (<https://github.com/argoproj/argo-cd/blob/v3.0.0/util/settings/settings.go>).
impl Watched for ConfigMap {
    type Id = ();

    fn id(&self, _: &Watch) {}

    /// There is one.
    fn known(_: &Watch) -> BTreeSet<()> {
        BTreeSet::from([()])
    }

    fn put(self, watch: &Watch) {
        watch.state.put_argocd_settings(argocd_settings(self));
    }

    fn remove((): &(), watch: &Watch) {
        watch.state.put_argocd_settings(ArgoCdSettings::default());
    }
}

fn argocd_settings(map: ConfigMap) -> ArgoCdSettings {
    let mut data = map.data.unwrap_or_default();
    let global_projects = data.remove("globalProjects").filter(|text| !text.is_empty());
    let in_cluster = data.remove("cluster.inClusterEnabled");
    ArgoCdSettings {
        // The module checks it.
        global_projects: global_projects.map(|text| raw(&yaml::embedded(text))),
        in_cluster_enabled: Some(in_cluster.as_deref() != Some("false")),
    }
}

impl Watched for WatchedObject {
    type Id = ObjectId;

    fn id(&self, watch: &Watch) -> ObjectId {
        ObjectId {
            kind: watch.kind.clone(),
            namespace: self.metadata.namespace.clone().unwrap_or_default().into(),
            name: self.metadata.name.clone().unwrap_or_default().into(),
        }
    }

    fn known(watch: &Watch) -> BTreeSet<ObjectId> {
        watch.state.owned_of(&watch.kind)
    }

    fn put(self, watch: &Watch) {
        let id = self.id(watch);
        match Live::of_watched(&watch.kind, self) {
            Some(live) => watch.state.put_owned(live, false),
            // The annotation with the source was removed.
            None => watch.state.remove_owned(&id, None, false),
        };
    }

    fn remove(id: &ObjectId, watch: &Watch) {
        watch.state.remove_owned(id, None, false);
    }

    fn gone(self, watch: &Watch) {
        let was_tracked = watch.state.remove_owned(&self.id(watch), None, false);
        if let Some(live) = Live::of_watched(&watch.kind, self).filter(|_| !was_tracked) {
            watch.state.untracked_is_gone(&live);
        }
    }
}

fn raw(value: &Value) -> Box<RawValue> {
    to_raw_value(value).expect("a JSON value is JSON")
}

/// The status code of an API server that refuses a list or a watch.
fn refusal(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => Some(status.code),
        _ => None,
    }
}

/// True if the ServiceAccount has no right to list or to watch.
fn is_forbidden(error: &watcher::Error) -> bool {
    refusal(error) == Some(403)
}

/// True if the API server says that a watch cannot begin with a list: it is older than Kubernetes 1.34, its feature `WatchList` is
/// turned off, or a proxy does not know the parameter.
fn does_not_stream(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::WatchStartFailed(_)) && matches!(refusal(error), Some(400 | 405 | 415 | 422 | 501))
}

/// True if an event of a watch could not be decoded. The client tries to decode it as an error of the API server, all of whose fields are
/// optional.
fn is_unreadable(error: &kube::Error) -> bool {
    match error {
        kube::Error::SerdeError(_) => true,
        kube::Error::Api(status) => status.code == 0,
        _ => false,
    }
}

/// What is watched.
struct What {
    /// Its name in the log.
    name: String,
    /// The namespace; empty for all.
    namespace: String,
    /// The kind of owned objects; empty for all others.
    kind: GroupKind,
    /// False if nothing has to wait for the first list, where that is forbidden.
    is_needed: bool,
}

impl What {
    fn needed(name: String) -> Self {
        Self {
            name,
            namespace: String::new(),
            kind: GroupKind {
                group: String::new(),
                kind: String::new(),
            },
            is_needed: true,
        }
    }
}

/// All watches for one set of settings.
pub(crate) struct Watches {
    client: Client,
    settings: Arc<Settings>,
    state: ClusterState,
    tasks: JoinSet<()>,
    /// Each watch has a clone until its first list is complete.
    listed: mpsc::Sender<()>,
    all_listed: mpsc::Receiver<()>,
}

impl Watches {
    /// Watches sources, projects, namespaces and Argo CD's settings.
    pub(crate) fn of_sources(client: &Client, settings: &Arc<Settings>, state: &ClusterState) -> Self {
        let (listed, all_listed) = mpsc::channel(1);
        let mut watches = Self {
            client: client.clone(),
            settings: settings.clone(),
            state: state.clone(),
            tasks: JoinSet::new(),
            listed,
            all_listed,
        };
        let everything = watcher::Config::default().page_size(PAGE);
        if settings.host.applications {
            for namespace in &settings.host.application_namespaces {
                let api = Api::<Application>::namespaced(client.clone(), namespace);
                let what = What {
                    namespace: namespace.clone(),
                    ..What::needed(format!("Applications in {namespace}"))
                };
                watches.follow(what, api, everything.clone());
            }
            let api = Api::<AppProject>::namespaced(client.clone(), &settings.host.argocd_namespace);
            watches.follow(What::needed("AppProjects".to_owned()), api, everything.clone());
            let api = Api::<ConfigMap>::namespaced(client.clone(), &settings.host.argocd_namespace);
            let named = watcher::Config::default().fields(&format!("metadata.name={ARGOCD}"));
            watches.follow(What::needed(format!("ConfigMap {ARGOCD}")), api, named);
        }
        let api = Api::<Metadata<Namespace>>::all(client.clone());
        watches.follow(What::needed("Namespaces".to_owned()), api, everything);
        watches
    }

    /// Watches owned objects of some kinds too. Those that are not `needed` were rendered with other settings: what is left of
    /// them is deleted, but if they may not be listed, nothing waits for them.
    pub(crate) fn owned<'a>(
        &mut self,
        kinds: impl IntoIterator<Item = (&'a GroupKind, &'a ApiResource)>,
        needed: &BTreeSet<GroupKind>,
    ) {
        let ours = watcher::Config::default().page_size(PAGE).labels(&format!(
            "{MANAGED_BY}={FIELD_MANAGER},{INSTANCE}={}",
            self.settings.host.instance
        ));
        for (kind, resource) in kinds {
            let api = Api::<WatchedObject>::all_with(self.client.clone(), resource);
            let what = What {
                name: format!("our objects of kind {kind}"),
                namespace: String::new(),
                kind: kind.clone(),
                is_needed: needed.contains(kind) || Kinds::always().contains_key(kind),
            };
            self.follow(what, api, ours.clone());
        }
    }

    /// Waits until the first lists of all watches are complete. The watches end when this is dropped.
    pub(crate) async fn all_listed(&mut self) {
        let (listed, all_listed) = mpsc::channel(1);
        drop(std::mem::replace(&mut self.listed, listed));
        let mut before = std::mem::replace(&mut self.all_listed, all_listed);
        let _ = before.recv().await;
    }

    fn follow<K>(&mut self, what: What, api: Api<K>, config: watcher::Config)
    where
        K: Watched,
        K::DynamicType: Clone + Send,
    {
        let watch = Watch {
            state: self.state.clone(),
            settings: self.settings.clone(),
            kind: Arc::new(what.kind),
            namespace: what.namespace,
        };
        let followed = follow(what.name, api, config, watch, what.is_needed, self.listed.clone());
        self.tasks.spawn(followed);
    }
}

/// Follows one kind: lists, watches, and lists again when the watch has expired.
///
/// The API server streams the list as the first events of the watch, from its memory and an object at a time
/// (<https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists>). One that does not is asked for pages.
async fn follow<K>(
    what: String,
    api: Api<K>,
    config: watcher::Config,
    watch: Watch,
    is_needed: bool,
    listed: mpsc::Sender<()>,
) where
    K: Watched,
    K::DynamicType: Clone,
{
    let mut listed = Some(listed);
    // What was known before a list, and is not listed.
    let mut missing = BTreeSet::new();
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
    // A list was begun, and neither completed nor followed by a delay.
    let mut is_listing = false;
    let mut is_streamed = true;
    let mut events = watcher(api.clone(), config.clone().streaming_lists()).boxed();
    loop {
        let wait = match is_streamed && (is_listing || listed.is_some()) {
            true => STALLED,
            false => Duration::MAX,
        };
        let Ok(event) = tokio::time::timeout(wait, events.next()).await else {
            tracing::warn!(what, "the streamed list does not go on, asking for pages");
            is_streamed = false;
            is_listing = false;
            events = watcher(api.clone(), config.clone()).boxed();
            continue;
        };
        let Some(event) = event else { break };
        match event {
            Ok(Event::Init) => {
                if std::mem::replace(&mut is_listing, true) {
                    let delay = backoff.next();
                    tracing::warn!(what, retry_in = ?delay, "the list ended before it was complete");
                    tokio::time::sleep(delay).await;
                }
                missing = K::known(&watch);
            }
            Ok(Event::InitApply(object)) => {
                missing.remove(&object.id(&watch));
                object.put(&watch);
            }
            Ok(Event::InitDone) => {
                is_listing = false;
                backoff.reset();
                std::mem::take(&mut missing).iter().for_each(|id| K::remove(id, &watch));
                tracing::debug!(what, "listed");
                listed = None;
            }
            Ok(Event::Apply(object)) => {
                backoff.reset();
                object.put(&watch);
            }
            Ok(Event::Delete(object)) => {
                backoff.reset();
                object.gone(&watch);
            }
            Err(error) if is_streamed && does_not_stream(&error) => {
                is_streamed = false;
                is_listing = false;
                tracing::debug!(what, "the API server streams no lists, asking for pages");
                events = watcher(api.clone(), config.clone()).boxed();
            }
            // The stream goes on with the next object, so a delay would keep the objects of others waiting.
            Err(watcher::Error::WatchFailed(error)) if is_unreadable(&error) => {
                tracing::warn!(what, error = %Causes(&error), "an object cannot be read and is passed over");
            }
            Err(error) => {
                is_listing = false;
                let delay = backoff.next();
                match &error {
                    watcher::Error::WatchError(status) if status.code == 410 => {
                        tracing::debug!(what, "the watch has expired, listing again");
                    }
                    _ => tracing::warn!(what, error = %Causes(&error), retry_in = ?delay, "the watch failed"),
                }
                if !is_needed && is_forbidden(&error) && listed.take().is_some() {
                    watch.state.set_forbidden(&watch.kind);
                    tracing::warn!(
                        what,
                        "they were rendered with other settings, and stay until they may be listed and deleted"
                    );
                }
                tokio::time::sleep(delay).await;
            }
        }
    }
    drop(listed);
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::stream;
    use http_body_util::StreamBody;
    use hyper::body::{Bytes, Frame};
    use kube::client::Body;
    use rstest::rstest;

    use super::*;

    const ADDED: &str = r#"{"type":"ADDED","object":{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"}}}"#;
    const ERROR: &str = r#"{"type":"ERROR","object":{"kind":"Status","status":"Failure","code":500,"message":"","reason":"","metadata":{}}}"#;

    /// A watch of Namespaces on an API server that answers the request for a streamed list with `streamed`, and then nothing for ever.
    /// It answers others with a page.
    async fn watch_of(streamed: String) -> (ClusterState, Watches) {
        const PAGE: &str = r#"{"apiVersion":"v1","kind":"NamespaceList","metadata":{"resourceVersion":"1"},
            "items":[{"metadata":{"name":"of-a-page"}}]}"#;
        let service = tower::service_fn(move |request: ::http::Request<Body>| {
            let is_streamed = request.uri().query().unwrap_or_default().contains("watch=true");
            let (text, rest) = match is_streamed {
                true => (streamed.clone(), stream::pending().left_stream()),
                false => (PAGE.to_owned(), stream::empty().right_stream()),
            };
            let frame = Ok::<_, Infallible>(Frame::data(Bytes::from(text)));
            let body = StreamBody::new(stream::iter([frame]).chain(rest));
            async { Ok::<_, Infallible>(::http::Response::new(body)) }
        });
        let settings = Settings::check(&Value::Null, &crate::module::for_tests())
            .await
            .unwrap();
        let (changed, _) = mpsc::unbounded_channel();
        let state = ClusterState::new(None, changed);
        let client = Client::new(service, "default");
        let watches = Watches::of_sources(&client, &Arc::new(settings), &state);
        (state, watches)
    }

    /// Waits until the state has a Namespace, but not for ever.
    async fn has_namespace(state: &ClusterState, name: &str) -> bool {
        let wait = async {
            while !state.namespaces().contains(name) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.is_ok()
    }

    #[tokio::test]
    async fn a_streamed_list_that_does_not_end_is_replaced_by_pages() {
        let (state, _watches) = watch_of(format!("{ADDED}\n")).await;
        assert!(has_namespace(&state, "of-a-page").await);
    }

    #[tokio::test]
    async fn an_object_that_cannot_be_read_delays_no_other() {
        const END: &str = r#"{"type":"BOOKMARK","object":{"apiVersion":"v1","kind":"Namespace","metadata":
            {"resourceVersion":"5","annotations":{"k8s.io/initial-events-end":"true"}}}}"#;
        let unreadable = r#"{"type":"MODIFIED","object":{"apiVersion":"v1","kind":"Namespace","metadata":{"name":5}}}"#;
        // With a delay for each, it would take minutes.
        let unreadable = format!("{unreadable}\n").repeat(20);
        let late = ADDED.replace(r#""a""#, r#""late","resourceVersion":"6""#);
        let end = END.replace(['\n', ' '], "");
        let (state, _watches) = watch_of(format!("{ADDED}\n{end}\n{unreadable}{late}\n")).await;
        assert!(has_namespace(&state, "late").await);
    }

    /// An API server, or a proxy in front of it, can answer like this for hours.
    #[rstest]
    #[case::nothing(200, "")]
    #[case::an_object_and_no_end(200, ADDED)]
    #[case::an_error(200, ERROR)]
    #[case::no_json(200, "no JSON")]
    #[case::no_streams_and_no_pages(422, "")]
    #[tokio::test]
    async fn a_list_that_does_not_end_is_asked_for_less_and_less_often(
        #[case] status: u16,
        #[case] body: &'static str,
    ) {
        let asked: Arc<AtomicUsize> = Arc::default();
        let counter = asked.clone();
        let service = tower::service_fn(move |_: ::http::Request<Body>| {
            counter.fetch_add(1, Ordering::Relaxed);
            let answer = ::http::Response::builder().status(status);
            let answer = answer.body(Body::from(format!("{body}\n").into_bytes())).unwrap();
            async { Ok::<_, Infallible>(answer) }
        });
        let settings = Settings::check(&Value::Null, &crate::module::for_tests())
            .await
            .unwrap();
        let (changed, _) = mpsc::unbounded_channel();
        let state = ClusterState::new(None, changed);
        let client = Client::new(service, "default");
        let mut watches = Watches::of_sources(&client, &Arc::new(settings), &state);
        watches.tasks.abort_all();
        asked.store(0, Ordering::Relaxed);
        let api = Api::<Metadata<Namespace>>::all(client);
        watches.follow(What::needed("Namespaces".to_owned()), api, watcher::Config::default());
        tokio::time::sleep(Duration::from_secs(2)).await;
        // Delays of 200, 400 and 800 ms at least, and a request for pages.
        assert!((1..=6).contains(&asked.load(Ordering::Relaxed)), "{asked:?}");
    }
}
