//! What the operator provides in InfluxDB: buckets, and tokens that can each write one bucket.
//!
//! - `token` hides tokens, and reads the administrator's.
//! - `client` sends requests to the HTTP API (<https://docs.influxdata.com/influxdb/v2/api/>).
//! - `cluster_uid` identifies the cluster, because operators of several clusters can use one organization.
//! - `organization` is what is known of one organization, so that nothing is asked twice, and whether it can be asked now.
//! - `provider` provides what the module's answers need, and revokes what nothing needs any more.
//! - `rotation` marks the Secrets whose tokens are to be replaced.
//! - `lookup` asks for one bucket, for `doctor`.
//!
//! The operator decides nothing here: which bucket, for whom and in which Secret is in the module's answer. No bucket is
//! ever deleted.

mod client;
mod cluster_uid;
mod failure;
mod lookup;
mod organization;
mod provider;
mod rotation;
mod token;

pub(crate) use cluster_uid::cluster_uid;
pub(crate) use failure::Failure;
pub(crate) use lookup::{Lookup, look_up};
pub(crate) use provider::{Provided, Provider};
pub(crate) use rotation::{Marked, mark, rotate_old};
pub(crate) use token::AdministratorToken;
