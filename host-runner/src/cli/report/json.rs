//! The report as JSON, with the schema `schemas/validate-report.schema.json`.

use super::Report;

/// The schema.
pub(crate) fn schema() -> schemars::Schema {
    schemars::generate::SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Report>()
}
