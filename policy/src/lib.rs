//! The core of telewarden.
#![deny(unsafe_code)]

pub mod diagnostic;
pub mod protocol;

#[cfg(all(feature = "guest", target_arch = "wasm32"))]
mod guest;
