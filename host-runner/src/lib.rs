//! Runs the module.
#![forbid(unsafe_code)]
