//! `telewarden schema`

use clap::ValueEnum;
use telewarden_policy::schema;

use super::Status;
use super::output;
use super::report::json;

/// Print a JSON Schema
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(value_enum)]
    what: What,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// The administrator's settings
    Settings,
    /// The annotation's value
    Annotation,
    /// A host's request to the module's `render`
    RenderRequest,
    /// The module's answer
    RenderAnswer,
    /// The report of `telewarden validate --format json`
    ValidateReport,
}

pub(crate) fn run(args: &Args) -> Status {
    let schema = match args.what {
        What::Settings => schema::settings(),
        What::Annotation => schema::annotation(),
        What::RenderRequest => schema::render_request(),
        What::RenderAnswer => schema::render_answer(),
        What::ValidateReport => json::schema(),
    };
    output::print_json(schema.as_value())
}
