//! `rotate`: asks the operator to replace tokens in InfluxDB.
//!
//! It marks the Secrets, and the operator that runs does the rest: it alone writes to the database.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use telewarden_policy::printable::printable;
use telewarden_policy::well_known::{FIELD_MANAGER, INSTANCE, MANAGED_BY, ROTATE, SOURCE, TOKENS};

use crate::cli::Rotate;
use crate::connect::connect;
use crate::error::Error;
use crate::writer::bounded;

/// Marks the Secrets with tokens. Exit 1 if there is none.
pub(crate) async fn rotate(arguments: Rotate) -> Result<ExitCode, Error> {
    let (client, _) = connect().await?;
    let all = Api::<Secret>::all(client.clone());
    let ours = format!("{MANAGED_BY}={FIELD_MANAGER},{INSTANCE}={}", arguments.instance);
    let params = ListParams::default().labels(&ours);
    // Without their data.
    let list = bounded(all.list_metadata(&params), || "list the Secrets with tokens".to_owned()).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // It sorts as the time does.
    let mark = json!({"metadata": {"annotations": {ROTATE: format!("{:020}", now.as_millis())}}});
    let mut found = false;
    for secret in list.items {
        let Some(source) = secret.annotations().get(SOURCE) else {
            continue;
        };
        let is_meant = arguments.source.as_ref().is_none_or(|meant| meant == source);
        if !is_meant || !secret.annotations().contains_key(TOKENS) {
            continue;
        }
        found = true;
        let (namespace, name) = (secret.namespace().unwrap_or_default(), secret.name_any());
        let api = Api::<Secret>::namespaced(client.clone(), &namespace);
        let params = PatchParams::default();
        let patch = Patch::Merge(&mark);
        let request = api.patch_metadata(&name, &params, &patch);
        bounded(request, || format!("mark Secret {namespace}/{name}")).await?;
        println!(
            "Secret {namespace}/{name}: the operator replaces the token of {}",
            printable(source)
        );
    }
    if !found {
        eprintln!("no Secret with a token was found");
    }
    Ok(if found { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
