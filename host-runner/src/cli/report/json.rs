//! For programs: the report itself, as `schemas/validate-report.schema.json` describes it.

use super::Report;

/// One object.
pub(crate) fn report(report: &Report) -> String {
    // A structure of text and numbers is always JSON.
    let text = serde_json::to_string_pretty(report);
    text.map_or_else(|error| error.to_string(), |text| text + "\n")
}

/// Its schema.
pub(crate) fn schema() -> schemars::Schema {
    schemars::generate::SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Report>()
}
