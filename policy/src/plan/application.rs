//! `topology: application`: one Telegraf for each source, in the source's namespace.

use super::{Accepted, Workload, of_endpoints};
use crate::settings::Settings;

/// The Telegraf of a source.
pub(super) fn workload<'a>(accepted: &'a Accepted<'a>, settings: &'a Settings) -> Workload<'a> {
    let endpoints: Vec<_> = accepted.declaration.endpoints.iter().collect();
    of_endpoints(accepted, None, &endpoints, settings)
}
