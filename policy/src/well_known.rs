//! Names that the module and its hosts share: labels, annotations, and the field manager.

/// The prefix of the names of telewarden's annotations and labels.
pub const PREFIX: &str = "telegraf.influxdata.com/";

/// The field manager for server-side apply
/// (<https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers>), and the value of [`MANAGED_BY`].
pub const FIELD_MANAGER: &str = "telewarden";

/// Label: the tool that manages an object
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/>).
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Label: the instance of the settings, and so the operator, that an object belongs to.
pub const INSTANCE: &str = "telegraf.influxdata.com/instance";

/// Annotation: the source that an object was rendered for, as `argoproj.io/Application/<namespace>/<name>`,
/// `Namespace/<name>`, or [`ALL_SOURCES`].
pub const SOURCE: &str = "telegraf.influxdata.com/source";

/// The value of [`SOURCE`] of objects that were rendered for all sources together.
pub const ALL_SOURCES: &str = "all";

/// Annotation: the digest of the last applied object.
pub const APPLIED: &str = "telegraf.influxdata.com/applied";

/// Annotation of pods that use tokens from Secrets. It is rendered empty; a host sets it to a text that changes with the
/// tokens, so that pods are replaced when their token is.
pub const TOKENS: &str = "telegraf.influxdata.com/tokens";

/// Annotation of a Secret with tokens: any text. The operator replaces the tokens when it changes.
pub const ROTATE: &str = "telegraf.influxdata.com/rotate";

/// Annotation of a Secret with tokens: the value of [`ROTATE`] for which the tokens were replaced last.
pub const ROTATED: &str = "telegraf.influxdata.com/rotated";

/// The tag of what a Telegraf tells about itself at [`STATUS_PORT`]. Its value is a digest of the configuration. Other outputs
/// leave out what has it.
pub const STATUS_TAG: &str = "telewarden_status";

/// The port at which a Telegraf tells its own state, as `/metrics`.
pub const STATUS_PORT: u16 = 8889;

/// In `standalone`, the tag that identifies the source of a metric. Its value is the source's identity. Outputs remove
/// it.
pub const ROUTING_TAG: &str = "telewarden_source";
