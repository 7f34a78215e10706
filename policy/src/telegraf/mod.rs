//! Telegraf's configuration: its values, the TOML writer, and the options of `inputs.prometheus` that an annotation may
//! set.
//!
//! The rules are those of Telegraf: <https://docs.influxdata.com/telegraf/v1/configuration/>.

mod bounds;
mod duration;
mod glob;
mod options;
#[cfg(feature = "plugins")]
mod plugins;
mod size;
#[cfg(feature = "files")]
mod tables;
mod value;
mod writer;

pub(crate) use bounds::{OptionBounds, fit_timeout};
pub use duration::Duration;
#[cfg(any(feature = "schema", feature = "host"))]
pub(crate) use options::OPTIONS;
#[cfg(feature = "schema")]
pub(crate) use options::{CONTENT_TYPES, Shape};
pub(crate) use options::{
    MAX_PATTERNS_OF_SOURCE, MAX_TAG_VALUE, MAX_TAGS, Options, Origin, Setting, TAG_VALUE, check_name_filters,
    count_patterns, is_of_every_input, is_option, meant_option, metric_version, name_filter, nearest, read_options,
    refuse_unsafe_text,
};
#[cfg(feature = "host")]
pub(crate) use options::{foreign, near};
#[cfg(feature = "plugins")]
pub(crate) use plugins::{Names, has, nearest_name};
pub(crate) use size::parse_size;
#[cfg(feature = "files")]
pub(crate) use tables::{Entry, Tables, Type, Version};
pub use value::{Key, Literal, NotLiteral, Table, Value};
pub(crate) use value::{key, literal};
pub use writer::to_toml;
