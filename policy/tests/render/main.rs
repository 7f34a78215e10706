//! The core's main job, through the native library.

mod annotations;
mod examples;
mod table;
