//! The core's main job, through the native library.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod annotations;
mod databases;
mod examples;
#[cfg(feature = "schema")]
mod schema;
mod status;
mod table;
mod tenants;
