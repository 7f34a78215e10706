//! For programs: the report itself, as `schemas/validate-report.schema.json` describes it.

use super::Report;

/// Its schema.
pub(crate) fn schema() -> schemars::Schema {
    schemars::generate::SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Report>()
}
