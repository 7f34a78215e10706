//! The state of Telegraf's pods, from what the kubelet and the scheduler say of them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod, PodStatus, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};
use serde::Deserialize;

use super::expected::TelegrafId;
use super::health::State;
use super::words::{Explanation, short};
use crate::object;

/// The label by which a Deployment selects its pods.
pub(super) const NAME_LABEL: &str = "telegraf.influxdata.com/name";
/// The most pods of one Telegraf that are kept: one rolls out beside another.
const MAX_PODS: usize = 4;

/// The fields of a pod that are read. The others are not decoded, because anybody can create a large pod with Telegraf's label.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ReadPod {
    #[serde(deserialize_with = "object::metadata")]
    metadata: ObjectMeta,
    spec: ReadSpec,
    status: Option<PodStatus>,
}

impl Resource for ReadPod {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        Pod::kind(&())
    }
    fn group((): &()) -> Cow<'_, str> {
        Pod::group(&())
    }
    fn version((): &()) -> Cow<'_, str> {
        Pod::version(&())
    }
    fn plural((): &()) -> Cow<'_, str> {
        Pod::plural(&())
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct ReadSpec {
    containers: Vec<ReadContainer>,
}

#[derive(Clone, Debug, Deserialize)]
struct ReadContainer {
    name: String,
    resources: Option<ResourceRequirements>,
}

/// What is kept of a pod.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PodState {
    /// Its address, if it runs.
    pub(super) address: Option<IpAddr>,
    pub(super) state: State,
    pub(super) explanation: Option<Box<Explanation>>,
    /// A ReplicaSet of the Telegraf's Deployment has made it. A pod that only says so does not stay: the garbage collector or the
    /// ReplicaSet deletes it.
    is_made: bool,
}

/// The pods of all Telegrafs, by name.
#[derive(Debug, Default)]
pub(super) struct Pods(BTreeMap<TelegrafId, Vec<(Box<str>, PodState)>>);

impl Pods {
    /// The Telegraf, if it has a pod.
    pub(super) fn known(&self, id: &TelegrafId) -> Option<&TelegrafId> {
        self.0.get_key_value(id).map(|(known, _)| known)
    }

    /// Takes in a pod of a Telegraf.
    pub(super) fn put(&mut self, id: TelegrafId, pod: &ReadPod) {
        if pod.metadata.deletion_timestamp.is_some() {
            return self.remove(pod);
        }
        let state = read(pod, &id);
        let pods = self.0.entry(id).or_default();
        let name = pod.name_any();
        if let Some((_, known)) = pods.iter_mut().find(|(known, _)| **known == *name) {
            *known = state;
            return;
        }
        if pods.len() == MAX_PODS {
            let other = pods.iter().position(|(_, other)| state.is_made && !other.is_made);
            let Some(other) = other else { return };
            pods.remove(other);
        }
        // Most have one.
        pods.reserve_exact(1);
        pods.push((name.into(), state));
    }

    /// Forgets a pod.
    pub(super) fn remove(&mut self, pod: &ReadPod) {
        let Some(id) = telegraf_of(pod) else { return };
        if let Some(pods) = self.0.get_mut(&id) {
            let name = pod.name_any();
            pods.retain(|(known, _)| **known != *name);
            if pods.is_empty() {
                self.0.remove(&id);
            }
        }
    }

    /// Forgets all: they are listed again.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The pod that works best: beside it, an old one ends or a new one starts. With its name.
    pub(super) fn best_of(&self, id: &TelegrafId) -> Option<(&str, &PodState)> {
        let pods = self.0.get(id)?.iter().map(|(name, pod)| (&**name, pod));
        pods.max_by_key(|(name, pod)| (pod.is_made, pod.state, pod.address.is_some(), *name))
    }

    /// The pod that works worst, if it says what is wrong: a rollout that is stuck.
    pub(super) fn stuck_of(&self, id: &TelegrafId) -> Option<&PodState> {
        let (_, best) = self.best_of(id)?;
        let mut pods = self.0.get(id)?.iter().map(|(_, pod)| pod);
        pods.find(|pod| pod.state == State::Failing && pod.is_made == best.is_made)
    }
}

/// The Telegraf that a pod says it is.
pub(super) fn telegraf_of(pod: &ReadPod) -> Option<TelegrafId> {
    Some(TelegrafId {
        namespace: pod.namespace()?.into(),
        name: pod.labels().get(NAME_LABEL)?.as_str().into(),
    })
}

fn read(pod: &ReadPod, id: &TelegrafId) -> PodState {
    let status = pod.status.clone().unwrap_or_default();
    let containers = status.container_statuses.iter().flatten();
    let container = containers.clone().find(|container| container.name == "telegraf");
    let address = status.pod_ip.as_ref().and_then(|address| address.parse().ok());
    let (state, explanation) = judge(pod, &status, container);
    PodState {
        address: address.filter(|_| container.is_some_and(runs)),
        state,
        explanation: explanation.map(Box::new),
        is_made: is_made(pod, id),
    }
}

/// A Deployment `x` has ReplicaSets `x-<hash>`.
fn is_made(pod: &ReadPod, id: &TelegrafId) -> bool {
    pod.owner_references().iter().any(|owner| {
        let hash = owner
            .name
            .strip_prefix(&*id.name)
            .and_then(|rest| rest.strip_prefix('-'));
        let is_hash = hash.is_some_and(|hash| !hash.contains('-'));
        owner.controller == Some(true) && owner.kind == "ReplicaSet" && is_hash
    })
}

fn runs(container: &ContainerStatus) -> bool {
    container.state.as_ref().is_some_and(|state| state.running.is_some())
}

fn judge(pod: &ReadPod, status: &PodStatus, container: Option<&ContainerStatus>) -> (State, Option<Explanation>) {
    let failing = |explanation| (State::Failing, Some(explanation));
    let pending = |why: Cow<'static, str>| {
        let what = "Wait; if it stays so, `kubectl describe pod` says more.";
        (State::Pending, Some(Explanation::new(why, what)))
    };
    if let Some(message) = unschedulable(status) {
        let what = "Ask for less with the annotations `requests-cpu` and `requests-memory`, or add nodes.";
        return failing(Explanation::new(format!("no node takes the pod: {message}"), what));
    }
    if status.phase.as_deref() == Some("Failed") {
        let why = short(
            status
                .message
                .as_deref()
                .or(status.reason.as_deref())
                .unwrap_or("it failed"),
        );
        return failing(Explanation::new(
            format!("the pod was ended: {why}"),
            "Its Deployment starts another one.",
        ));
    }
    let Some(container) = container else {
        return pending("the pod is starting".into());
    };
    let state = container.state.clone().unwrap_or_default();
    if let Some(explanation) = ended(pod, container, &state) {
        return failing(explanation);
    }
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().unwrap_or("waiting");
        let message = waiting.message.as_deref().unwrap_or_default();
        return match reason {
            "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => {
                failing(Explanation::new(
                    format!(
                        "the image `{}` cannot be had: {}",
                        short(&container.image),
                        short(message)
                    ),
                    "Look at the name, the tag, and whether the nodes may pull it.",
                ))
            }
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
                failing(missing(message, &pod.namespace().unwrap_or_default()))
            }
            _ => pending(format!("the container waits ({})", short(reason)).into()),
        };
    }
    match (state.running, container.ready) {
        (Some(_), true) => (State::Up, None),
        (Some(_), false) => pending("Telegraf has started and is not ready".into()),
        _ => pending("the container is starting".into()),
    }
}

fn unschedulable(status: &PodStatus) -> Option<String> {
    let mut conditions = status.conditions.iter().flatten();
    let condition = conditions.find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
    Some(short(condition.message.as_deref().unwrap_or("nobody says why")))
}

/// Why the container ends again and again.
fn ended(pod: &ReadPod, container: &ContainerStatus, state: &ContainerState) -> Option<Explanation> {
    let waits = state.waiting.as_ref().and_then(|waiting| waiting.reason.as_deref());
    let is_over = state.terminated.is_some() || waits == Some("CrashLoopBackOff");
    let last = container.last_state.as_ref().and_then(|last| last.terminated.as_ref());
    let ended = state.terminated.as_ref().or(last).filter(|_| is_over)?;
    if ended.reason.as_deref() == Some("OOMKilled") {
        let limit = memory_limit(pod).map_or_else(String::new, |limit| format!(", `{limit}`"));
        return Some(Explanation::new(
            format!("Telegraf was killed: it needs more memory than its limit{limit}"),
            "Raise it with the annotation `telewarden.io/limits-memory`, or `pod.resources.limits.memory` in the settings.",
        ));
    }
    Some(Explanation::new(
        format!("Telegraf ends with exit code {}", ended.exit_code),
        "`kubectl logs --previous` of the pod shows its last words.",
    ))
}

fn memory_limit(pod: &ReadPod) -> Option<String> {
    let mut containers = pod.spec.containers.iter();
    let telegraf = containers.find(|container| container.name == "telegraf")?;
    let limits = telegraf.resources.as_ref()?.limits.as_ref()?;
    Some(short(&limits.get("memory")?.0))
}

/// What the kubelet says of a container that it cannot create. Its sentences are those of
/// <https://github.com/kubernetes/kubernetes/blob/v1.33.0/pkg/kubelet/kubelet_pods.go>.
fn missing(message: &str, namespace: &str) -> Explanation {
    let create = "Create it; the pod starts then by itself.";
    if let Some(name) = message
        .strip_prefix("secret \"")
        .and_then(|rest| rest.strip_suffix("\" not found"))
    {
        let why = format!("Secret `{}` does not exist in namespace `{namespace}`", short(name));
        return Explanation::new(why, create);
    }
    let key = message
        .strip_prefix("couldn't find key ")
        .and_then(|rest| rest.split_once(" in Secret "));
    if let Some((key, secret)) = key {
        let why = format!("Secret `{}` has no key `{}`", short(secret), short(key));
        return Explanation::new(why, "Add the key; the pod starts then by itself.");
    }
    let why = format!("the container cannot be created: {}", short(message));
    Explanation::new(why, "`kubectl describe pod` says more.")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn id() -> TelegrafId {
        TelegrafId {
            namespace: "redis".into(),
            name: "telegraf-redis".into(),
        }
    }

    fn put(pods: &mut Pods, pod: &ReadPod) {
        pods.put(telegraf_of(pod).unwrap(), pod);
    }

    fn pod(name: &str, status: Value) -> ReadPod {
        serde_json::from_value(json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "redis", "labels": {NAME_LABEL: "telegraf-redis"}},
            "spec": {"containers": [{"name": "telegraf", "resources": {"limits": {"memory": "10Mi"}}}]},
            "status": status,
        }))
        .unwrap()
    }

    fn container(status: Value) -> Value {
        let mut container =
            json!({"name": "telegraf", "image": "telegraf:1.40", "imageID": "", "ready": false, "restartCount": 7});
        container
            .as_object_mut()
            .unwrap()
            .extend(status.as_object().unwrap().clone());
        json!({"podIP": "10.1.2.3", "containerStatuses": [container]})
    }

    fn waits(reason: &str, message: &str) -> Value {
        container(json!({"state": {"waiting": {"reason": reason, "message": message}}}))
    }

    #[rstest]
    #[case::runs(container(json!({"ready": true, "state": {"running": {}}})), State::Up, "")]
    #[case::not_ready(container(json!({"state": {"running": {}}})), State::Pending, "not ready")]
    #[case::no_status(json!(null), State::Pending, "starting")]
    #[case::creating(waits("ContainerCreating", ""), State::Pending, "ContainerCreating")]
    #[case::image(
        waits("ImagePullBackOff", "Back-off"),
        State::Failing,
        "image `telegraf:1.40` cannot be had"
    )]
    #[case::secret(
        waits("CreateContainerConfigError", "secret \"telegraf\" not found"),
        State::Failing,
        "Secret `telegraf` does not exist in namespace `redis`"
    )]
    #[case::key(
        waits(
            "CreateContainerConfigError",
            "couldn't find key influx-token in Secret redis/telegraf"
        ),
        State::Failing,
        "Secret `redis/telegraf` has no key `influx-token`"
    )]
    #[case::memory(
        container(json!({
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
        })),
        State::Failing,
        "more memory than its limit, `10Mi`"
    )]
    #[case::crash(
        container(json!({
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
        })),
        State::Failing,
        "exit code 1"
    )]
    #[case::unschedulable(
        json!({"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}]}),
        State::Failing,
        "no node takes the pod: 0/3 nodes"
    )]
    #[case::evicted(json!({"phase": "Failed", "reason": "Evicted"}), State::Failing, "Evicted")]
    fn a_pod_is_explained(#[case] status: Value, #[case] state: State, #[case] why: &str) {
        let pod = read(&pod("a", status), &id());
        assert_eq!(pod.state, state);
        let told = pod.explanation.map(|explanation| explanation.why).unwrap_or_default();
        assert!(told.contains(why) && (why.is_empty() == told.is_empty()), "{told}");
        assert_eq!(pod.address.is_some(), state == State::Up || why == "not ready");
    }

    #[test]
    fn the_best_pod_counts_and_one_that_is_stuck_is_known() {
        let id = id();
        let mut pods = Pods::default();
        put(
            &mut pods,
            &pod("new", waits("CreateContainerConfigError", "secret \"a\" not found")),
        );
        assert_eq!(pods.best_of(&id).unwrap().0, "new");
        put(
            &mut pods,
            &pod("old", container(json!({"ready": true, "state": {"running": {}}}))),
        );
        assert_eq!(pods.best_of(&id).unwrap().0, "old");
        assert!(pods.stuck_of(&id).is_some());
        pods.remove(&pod("new", json!(null)));
        assert!(pods.stuck_of(&id).is_none());
        pods.remove(&pod("old", json!(null)));
        assert!(pods.best_of(&id).is_none() && pods.0.is_empty());
    }

    #[test]
    fn made_up_pods_are_bounded() {
        let mut pods = Pods::default();
        (0..100).for_each(|number| put(&mut pods, &pod(&number.to_string(), json!(null))));
        assert_eq!(pods.0.values().map(Vec::len).sum::<usize>(), MAX_PODS);
    }
    #[test]
    fn made_up_pods_do_not_hide_the_one_of_the_deployment() {
        let runs = || container(json!({"ready": true, "state": {"running": {}}}));
        let owned_by = |name: &str, kind: &str, owner: &str| {
            let mut pod = pod(name, runs());
            let reference =
                json!({"apiVersion": "apps/v1", "kind": kind, "name": owner, "uid": "u", "controller": true});
            pod.metadata.owner_references = Some(vec![serde_json::from_value(reference).unwrap()]);
            pod
        };
        for (others, expected) in [
            (vec![pod("a", runs())], "real"),
            (
                (0..9).map(|number| pod(&format!("a{number}"), runs())).collect(),
                "real",
            ),
            (vec![owned_by("z", "ReplicaSet", "telegraf-redis-2-5d4f")], "real"),
            (vec![owned_by("z", "Job", "telegraf-redis-5d4f")], "real"),
        ] {
            let mut pods = Pods::default();
            others.iter().for_each(|other| put(&mut pods, other));
            let mut real = owned_by("real", "ReplicaSet", "telegraf-redis-5d4f");
            real.status = serde_json::from_value(waits("CrashLoopBackOff", "")).unwrap();
            put(&mut pods, &real);
            assert_eq!(pods.best_of(&id()).unwrap().0, expected);
            assert!(pods.0[&id()].len() <= MAX_PODS);
        }
    }
}
