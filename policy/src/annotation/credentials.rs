//! Credentials of an endpoint: entries of Secrets that the settings allow.
//!
//! Whoever writes an annotation chooses where its credentials are sent. So a Secret has to be allowed by the settings, the ones
//! that the settings use themselves never are, and only the named entries reach the pod.

use serde_json::Value as Json;

use super::Context;
use crate::diagnostic::{Findings, Problem};
use crate::located::{Data, Key, Node};
use crate::settings::{Settings, is_dns_label};

/// An endpoint's keys for credentials, with their fields and the option of Telegraf that each field sets.
#[allow(clippy::type_complexity, reason = "it is one table")]
pub(crate) const CREDENTIALS: &[(&str, &[(&str, &str)])] = &[
    ("bearerTokenSecret", &[("key", "bearer_token")]),
    ("basicAuthSecret", &[("username", "username"), ("password", "password")]),
    ("tls", &[("ca", "tls_ca"), ("cert", "tls_cert"), ("key", "tls_key")]),
];

/// An option of Telegraf whose value is an entry of a Secret.
#[derive(Clone, Debug)]
pub(crate) struct Credential {
    pub(crate) secret: String,
    pub(crate) key: String,
    pub(crate) option: &'static str,
}

impl Credential {
    /// True if Telegraf reads it from a file. Otherwise it is in a variable.
    pub(crate) fn is_file(&self) -> bool {
        !matches!(self.option, "username" | "password")
    }

    /// The path of the file, below [`CREDENTIALS_DIRECTORY`](crate::settings::CREDENTIALS_DIRECTORY).
    pub(crate) fn path(&self) -> String {
        format!("{}/{}", self.secret, self.key)
    }

    /// The name of the variable.
    pub(crate) fn variable(&self) -> String {
        let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let digest = crate::digest::sha256(&self.path());
        let readable: String = self.path().chars().map(letter).collect();
        format!("TELEWARDEN_{readable}_{}", &digest[digest.len() - 12..])
    }
}

/// True for a key that [`read`] reads.
pub(super) fn is_key(name: &str) -> bool {
    CREDENTIALS.iter().any(|(known, _)| *known == name)
}

/// Reads the credentials among an endpoint's entries.
pub(super) fn read(entries: &[(Key, Node)], context: &Context<'_>, findings: &mut Findings) -> Vec<Credential> {
    let mut credentials = Vec::new();
    for (key, node) in entries {
        let Some((name, fields)) = CREDENTIALS.iter().find(|(name, _)| *name == key.text) else {
            continue;
        };
        match entries_of_secret(node, fields) {
            Some(found) => {
                let secret = &found[0].secret;
                if let Some(why) = refusal(secret, context.settings) {
                    let secret = secret.clone();
                    findings.report(Problem::SecretNotAllowed { secret, why }, node.place());
                }
                credentials.extend(found);
            }
            None => {
                let (instead, place) = match (short_field(node, fields), *name) {
                    (Some((field, key)), _) => (field, key.place()),
                    (None, "tls") => ("tls: {name: my-secret, ca: ca.crt}", node.place()),
                    (None, "basicAuthSecret") => (
                        "basicAuthSecret: {name: my-secret, username: user, password: pass}",
                        node.place(),
                    ),
                    _ => ("bearerTokenSecret: {name: my-secret, key: token}", node.place()),
                };
                findings.report(Problem::InvalidCredentials { name, instead }, place);
            }
        }
    }
    credentials
}

/// The field that the beginning of its name stands for, and where: `user` for `username`.
fn short_field<'n>(node: &'n Node, fields: &[(&'static str, &str)]) -> Option<(&'static str, &'n Key)> {
    let Data::Map(entries) = &node.data else { return None };
    for (key, _) in entries {
        for (field, _) in fields {
            let is_short = key.text.len() > 2 && field.len() > key.text.len() && field.starts_with(&*key.text);
            if is_short {
                return Some((field, key));
            }
        }
    }
    None
}

/// The entries that a map names. `None` if anything in it is wrong.
fn entries_of_secret(node: &Node, fields: &[(&str, &'static str)]) -> Option<Vec<Credential>> {
    let Data::Map(entries) = &node.data else { return None };
    let mut secret = None;
    let mut found = Vec::new();
    for (field, value) in entries {
        let Data::Text(text) = &value.data else { return None };
        if field.text == "name" {
            secret = Some(text).filter(|text| is_dns_label(text));
        } else {
            let (_, option) = fields.iter().find(|(name, _)| *name == field.text)?;
            found.push((*option, Some(text).filter(|text| is_entry(text))?));
        }
    }
    let secret = secret?;
    // A certificate needs its key, and a user a password. An authority can stand alone.
    let pairs = found.iter().filter(|(option, _)| *option != "tls_ca").count();
    let of_pair = fields.iter().filter(|(_, option)| *option != "tls_ca").count();
    let is_whole = pairs == of_pair || (pairs == 0 && found.len() == 1);
    let credential = |(option, key): (&'static str, &String)| Credential {
        secret: secret.clone(),
        key: key.clone(),
        option,
    };
    is_whole.then(|| found.into_iter().map(credential).collect())
}

/// An entry of a Secret, which is also a file's name. Those with a leading dot are hidden or lead upwards.
fn is_entry(text: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.len() <= 253 && text.chars().all(known) && !text.starts_with('.')
}

/// Why a Secret may not be used, if so.
fn refusal(secret: &str, settings: &Settings) -> Option<&'static str> {
    let of_settings = settings
        .pod
        .env
        .iter()
        .any(|variable| variable.secret() == Some(secret));
    let is_mounted = settings.pod.volumes.iter().any(|volume| {
        let projected = volume.get("projected").and_then(|projected| projected.get("sources"));
        let projected = projected.and_then(Json::as_array).into_iter().flatten();
        let projected = projected.filter_map(|source| source.get("secret")?.get("name"));
        let own = volume.get("secret").and_then(|volume| volume.get("secretName"));
        own.into_iter().chain(projected).any(|name| name == secret)
    });
    let is_rendered = settings.extra_resources.iter().any(|resource| {
        let name = resource.get("metadata").and_then(|metadata| metadata.get("name"));
        let name = name.and_then(Json::as_str).unwrap_or_default();
        // What stands in the place of a placeholder is not known here.
        let (begin, is_whole) = match name.split_once('{') {
            Some((begin, _)) => (begin, false),
            None => (name, true),
        };
        resource.get("kind").is_some_and(|kind| kind == "Secret")
            && secret
                .strip_prefix(begin)
                .is_some_and(|rest| rest.is_empty() || !is_whole)
    });
    let rest = secret.strip_prefix(&*settings.influxdb.token_secret.name);
    let is_token = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    if settings.topology.is_shared() {
        Some("all sources share a Telegraf, which is not in their namespaces")
    } else if of_settings || is_mounted || is_rendered || is_token {
        Some("it holds what the settings use themselves")
    } else if !settings.allow.secrets.iter().any(|pattern| pattern.matches(secret)) {
        Some("`allow.secrets` of the settings does not name it")
    } else {
        None
    }
}
