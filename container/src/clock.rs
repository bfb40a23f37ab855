//! The wall clock: the only place that reads it. Time limits and pauses use tokio's monotonic one.

use std::time::{SystemTime, UNIX_EPOCH};

use beadrig::id::Millis;

/// Now.
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
