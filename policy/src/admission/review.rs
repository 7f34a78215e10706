//! Kubernetes' AdmissionReviews, for hosts that answer them instead of Kubewarden's policy-server.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// An AdmissionReview, or an AdmissionRequest alone.
#[derive(Clone, Debug)]
pub struct Review(Value);

impl Review {
    /// Reads a document. Answers `None` if it is neither of the two.
    pub fn read(document: Value) -> Option<Self> {
        let review = Self(document);
        let request = review.request();
        (request["uid"].is_string() && request["operation"].is_string()).then_some(review)
    }

    /// The request of somebody who creates an object.
    pub fn of_creation(object: &Value) -> Self {
        let uid = "00000000-0000-0000-0000-000000000000";
        Self(json!({"uid": uid, "operation": "CREATE", "object": object}))
    }

    /// The request for the policy.
    pub fn request(&self) -> &Value {
        if self.is_review() { &self.0["request"] } else { &self.0 }
    }

    /// The answer for Kubernetes: an AdmissionReview for an AdmissionReview, otherwise an AdmissionResponse.
    pub fn answer(&self, answer: &Value) -> Value {
        let response = response(self.request(), answer);
        match self.is_review() {
            true => json!({"apiVersion": self.0["apiVersion"], "kind": "AdmissionReview", "response": response}),
            false => response,
        }
    }

    fn is_review(&self) -> bool {
        self.0["kind"] == "AdmissionReview"
    }
}

/// Kubewarden's answer to a policy's answer.
fn response(request: &Value, answer: &Value) -> Value {
    let mut response = Map::new();
    response.insert("uid".into(), request["uid"].clone());
    response.insert("allowed".into(), json!(answer["accepted"] == true));
    let object = &request["object"];
    if let Some(mutated) = answer.get("mutated_object").filter(|mutated| !mutated.is_null()) {
        let patch = json_patch::diff(object, mutated);
        if !patch.0.is_empty() {
            response.insert("patchType".into(), json!("JSONPatch"));
            response.insert("patch".into(), json!(STANDARD.encode(json!(patch).to_string())));
        }
    }
    let status: Map<_, _> = ["message", "code"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), answer.get(name)?.clone())))
        .collect();
    if !status.is_empty() {
        response.insert("status".into(), status.into());
    }
    for (ours, theirs) in [("audit_annotations", "auditAnnotations"), ("warnings", "warnings")] {
        if let Some(value) = answer.get(ours) {
            response.insert(theirs.into(), value.clone());
        }
    }
    response.into()
}
