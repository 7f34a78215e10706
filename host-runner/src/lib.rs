//! Runs the telewarden policy module on [wasmtime]: loads it, calls it, and keeps it within a deadline and a memory limit.
//!
//! ```no_run
//! # fn main() -> Result<(), telewarden::Error> {
//! use telewarden::{Module, Options, RenderRequest};
//!
//! let module = Module::from_file("policy.wasm", &Options::default())?;
//! let answer = module.render(&RenderRequest {
//!     protocol: telewarden::PROTOCOL,
//!     settings: None,
//!     sources: Vec::new(),
//!     ..Default::default()
//! })?;
//! assert!(answer.sources.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! The library decides nothing about Telegraf or Kubernetes. It uses [waPC], as Kubewarden does, gives the module no
//! host capabilities, and runs each call in a new instance, so that neither a trap nor the memory of one call affects the
//! next.
//!
//! ```text
//!   artifact::Registry ── pull, by digest, signed ──▶ bytes of a module ◀── a file, or embedded::WASM
//!                                                          │
//!          Cache ── compiled code ──▶ Module::new ◀────────┘
//!                                          │
//!                                          ▼
//!   RenderRequest ─────────▶ Module::render ──────────▶ RenderAnswer      objects, configuration, diagnostics
//!   settings ──────────────▶ Module::settings ────────▶ SettingsReport    what a host has to know of them
//!   AdmissionRequest ──────▶ Module::validate ────────▶ Verdict           as Kubewarden asks
//!                                │
//!                                └── one instance for each call, within Options::deadline and Options::memory
//! ```
//!
//! | feature | adds |
//! | --- | --- |
//! | `embedded` | [`embedded`]: the module that was built with the crate |
//! | `registry` | [`artifact`]: modules in OCI registries, their metadata and signatures with keys; [`mod@file`] |
//! | `keyless` (default) | signatures by identity, as Sigstore's authorities certify them |
//! | `arguments` | the arguments of a command that say whose signature a module needs |
//! | `command` | the command `telewarden`, for modules in files; [`mod@file`] |
//! | `cli` (default) | the command with registries: all of these but `keyless` |
//!
//! [waPC]: https://wapc.io
//! [wasmtime]: https://wasmtime.dev
#![forbid(unsafe_code)]
#![warn(clippy::missing_errors_doc)]

#[cfg(feature = "registry")]
pub mod artifact;
#[cfg(feature = "embedded")]
pub mod embedded;
mod error;
#[cfg(any(feature = "command", feature = "registry"))]
pub mod file;
mod module;

pub use error::{Causes, Error};
pub use module::{Cache, CacheProblem, Module, Options, SettingsVerdict, Verdict};
pub use telewarden_policy::diagnostic::{Diagnostic, Place, Position, Range, Severity};
pub use telewarden_policy::protocol::{
    ClusterView, Configuration, Database, EndpointAnswer, HostSettings, ObjectKind, Outcome, Part, RenderAnswer,
    RenderRequest, Rendered, SettingsReport, SourceAnswer, VERSION as PROTOCOL,
};
