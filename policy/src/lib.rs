//! The core of telewarden.
#![deny(unsafe_code)]

#[cfg(all(feature = "guest", target_arch = "wasm32"))]
mod guest;
