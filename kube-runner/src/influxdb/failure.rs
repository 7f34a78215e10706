//! Why nothing can be provided.

use std::sync::Arc;

use tokio::time::Instant;

/// Why nothing can be provided now.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// For people.
    pub(crate) why: Arc<str>,
    /// When to try again.
    pub(crate) until: Instant,
    /// True if another attempt is about to find out.
    pub(crate) is_busy: bool,
}
