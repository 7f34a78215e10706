//! What a source needs of a database: its bucket, and a token that can only write this bucket.
//!
//! The answer of `render` says what is needed, and the operator provides it. An authorization belongs to a holder: a source,
//! or in `standalone`, for outputs that are the same for all sources, all of them.

use super::name::short;
use crate::protocol::{Database, DatabaseToken};
use crate::settings::{Class, DatabaseOutput, Names, Settings, TemplateTable, database_outputs};

/// What one output needs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Need {
    pub(crate) database: Database,
    /// The variable of the settings that the token replaces; empty if there is none.
    pub(crate) variable: String,
}

impl Need {
    /// The variable that the token has in the pod.
    pub(crate) fn variable_in_pod<'a>(&'a self, settings: &Settings) -> &'a str {
        match &self.database.token {
            Some(token) if settings.topology.is_shared() => &token.key,
            _ => &self.variable,
        }
    }
}

/// `standalone`: the Secret with all tokens.
pub(crate) fn shared_secret(settings: &Settings) -> String {
    format!("{}-tokens", settings.influxdb.token_secret.name)
}

/// What an output needs for a holder. `None` if the settings do not have it provided.
pub(super) fn of_output(
    holder: &str,
    output: &TemplateTable,
    (class, names): (&Class, &Names<'_>),
    settings: &Settings,
) -> Option<Need> {
    let DatabaseOutput {
        url,
        organization,
        bucket,
        variable,
    } = DatabaseOutput::of(output, settings)?;
    let bucket = bucket.fill(names);
    let token = (!variable.is_empty()).then(|| {
        let setting = &settings.influxdb.token_secret;
        // Another bucket is another authorization in another Secret. So the old one stays until nothing uses it.
        let hash = short(&format!("{holder}\n{url}\n{organization}\n{bucket}\n{variable}"));
        let (secret, key) = match settings.topology.is_shared() {
            true => (
                shared_secret(settings),
                format!("INFLUX_TOKEN_{}", hash.to_ascii_uppercase()),
            ),
            false => (format!("{}-{hash}", setting.name), setting.key.to_string()),
        };
        DatabaseToken { secret, key }
    });
    let retention = class.retention.as_ref().unwrap_or(&settings.influxdb.retention);
    Some(Need {
        database: Database {
            holder: holder.to_owned(),
            url,
            organization,
            bucket,
            retention_seconds: retention.seconds(),
            token,
        },
        variable,
    })
}

/// What the outputs of a class need for a holder, each once.
pub(super) fn of_class(
    holder: &str,
    class: &Class,
    names: &Names<'_>,
    settings: &Settings,
    is_meant: fn(&TemplateTable) -> bool,
) -> Vec<Need> {
    let mut needs = Vec::new();
    for output in database_outputs(class) {
        if is_meant(output) {
            add(&mut needs, of_output(holder, output, (class, names), settings));
        }
    }
    needs
}

/// Adds a need that is not there yet.
pub(super) fn add(needs: &mut Vec<Need>, need: Option<Need>) {
    if let Some(need) = need
        && !needs.contains(&need)
    {
        needs.push(need);
    }
}
