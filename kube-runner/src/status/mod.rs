//! Whether what was applied works: which endpoints answer, whether the Telegrafs run, and whether the databases take what is
//! written.
//!
//! ```text
//!  reconcile ──▶ expected ──┐                         ┌──▶ health     what is served, for people and programs
//!                           ▼                         │
//!  watch of pods ──▶ pods ─▶ board ◀── rounds ────────┴──▶ Events at transitions
//!                                        │
//!            Telegraf's report, Services, logs (telegraf_report, services, log)
//! ```
//!
//! - `expected` is what was rendered: a source's endpoints, and the Telegrafs that scrape them.
//! - `pods` reads the state of Telegraf's pods, `telegraf_report` what a Telegraf tells about itself.
//! - `services` looks a failing endpoint's Service up, and `log` finds the reason in Telegraf's log.
//! - `endpoint`, `telegraf` and `output` follow one of them over time.
//! - `followed` is one source with all of these. `published` is what was told last in the Report of a source.
//! - `board` holds all of it, and `rounds` asks each Telegraf in turn.
//! - `health` is the answer of `/status`, and `words` says what is wrong and what to do.
//!
//! Nothing here decides what is applied. Whoever can create pods in a namespace can make its own state look different, and no
//! other one (docs/security.md).

mod board;
mod endpoint;
mod expected;
mod followed;
mod health;
mod log;
mod output;
mod pods;
mod published;
mod rounds;
mod services;
mod telegraf;
mod telegraf_report;
mod words;

pub(crate) use board::{Board, ReportContent};
pub(crate) use expected::{expected_in, expected_of, telegrafs_of};
#[cfg(test)]
pub(crate) use health::{EndpointHealth, Problem};
pub(crate) use health::{Health, SourceHealth, State, States};
pub(crate) use rounds::{Means, Rounds, follow_pods};
pub(crate) use words::Explanation;
