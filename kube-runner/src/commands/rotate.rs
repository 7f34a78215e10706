//! `rotate`: asks the operator to replace tokens in InfluxDB.
//!
//! It marks the Secrets, and the operator that runs does the rest: it alone writes to the database.

use std::process::ExitCode;

use telewarden_policy::printable::printable;

use crate::cli::Rotate;
use crate::connect::connect;
use crate::error::Error;
use crate::influxdb::{Marked, mark};

/// Marks the Secrets with tokens. Exit 1 if there is none.
pub(crate) async fn rotate(arguments: Rotate) -> Result<ExitCode, Error> {
    let (client, _) = connect().await?;
    let is_meant = |source: &str| arguments.source.as_ref().is_none_or(|meant| meant == source);
    let marked = mark(&client, &arguments.instance, |_, source| is_meant(source)).await?;
    for Marked {
        namespace,
        name,
        source,
    } in &marked
    {
        println!(
            "Secret {namespace}/{name}: the operator replaces the token of {}",
            printable(source)
        );
    }
    if marked.is_empty() {
        eprintln!("no Secret with a token was found");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
