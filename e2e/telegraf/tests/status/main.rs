//! Whether what was applied works, from the real Telegraf to the status, Events, Reports and metrics. There are no nodes: a test
//! writes what a kubelet would say of a pod, and the real Telegraf answers at the pod's address.
//!
//! docs/troubleshooting.md has a row for each fault here, and a test says which row it is.

mod database;
mod endpoints;
mod monitoring;
mod parts;
mod pods;
mod reports;
mod telegrafs;
