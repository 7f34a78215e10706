//! The core of telewarden.
#![deny(unsafe_code)]

pub mod admission;
pub mod annotation;
pub mod annotation_name;
mod application_set;
#[cfg(feature = "host")]
pub mod data_flow;
mod decimal;
mod decode;
pub mod diagnostic;
mod digest;
#[cfg(feature = "host")]
pub mod fixes;
mod glob;
#[cfg(feature = "host")]
pub mod kubectl;
mod located;
#[cfg(feature = "host")]
pub mod manifest;
#[cfg(feature = "host")]
pub mod needs;
mod plan;
pub mod printable;
mod project;
pub mod protocol;
pub mod render;
#[cfg(feature = "host")]
pub mod report;
mod resources;
#[cfg(feature = "schema")]
pub mod schema;
mod services;
pub mod settings;
pub mod shards;
mod sorted_map;
mod source;
#[cfg(feature = "host")]
pub mod suggestion;
pub mod telegraf;
mod text_order;
pub mod well_known;

#[cfg(feature = "host")]
pub use project::entries_for_orphans;

#[cfg(all(feature = "guest", target_arch = "wasm32"))]
mod guest;
