//! What the operator provides in InfluxDB: buckets, and tokens that can each write one bucket.
//!
//! - `token` hides tokens, and reads the administrator's.
//! - `client` sends requests to the HTTP API (<https://docs.influxdata.com/influxdb/v2/api/>).
//! - `organization` is what is known of one organization, so that nothing is asked twice, and whether it can be asked now.
//! - `provider` provides what the module's answers need, and revokes what nothing needs any more.
//!
//! The operator decides nothing here: which bucket, for whom and in which Secret is in the module's answer. No bucket is
//! ever deleted.

mod client;
mod failure;
mod organization;
mod provider;
mod token;

pub(crate) use failure::Failure;
pub(crate) use provider::{Provided, Provider};
pub(crate) use token::AdministratorToken;
