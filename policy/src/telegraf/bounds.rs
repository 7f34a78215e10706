//! Limits for values of options that are not Telegraf's own.

use super::options::{Options, Setting};
use super::{Duration, Literal, Value};
use crate::diagnostic::{Findings, Problem};

/// What Telegraf's prometheus input takes where no `timeout` is set
/// (<https://github.com/influxdata/telegraf/blob/master/plugins/common/http/config.go>).
const DEFAULT_TIMEOUT: &str = "5s";

/// The limits that the settings give.
#[derive(Clone, Debug)]
pub(crate) struct OptionBounds<'a> {
    /// The shortest interval and timeout. `None` for the settings' own options, which may be shorter.
    pub(crate) min: Option<(&'a Duration, &'a Duration)>,
    pub(crate) max_interval: &'a Duration,
    pub(crate) max_timeout: &'a Duration,
    /// In bytes.
    pub(crate) max_content_length: i64,
}

impl OptionBounds<'_> {
    /// Reports values that are outside of the limits.
    pub(crate) fn check(&self, options: &Options, findings: &mut Findings) {
        if let Some((interval, setting)) = duration(options, "interval") {
            let problem = match self.min {
                Some((min, _)) if interval < *min => Some(Problem::IntervalTooShort {
                    interval: interval.to_string(),
                    min: min.to_string(),
                }),
                _ if interval > *self.max_interval => Some(Problem::IntervalTooLong {
                    interval: interval.to_string(),
                    max: self.max_interval.to_string(),
                }),
                _ => None,
            };
            if let Some(problem) = problem {
                findings.report(problem, setting.place.clone());
            }
        }
        if let Some((timeout, setting)) = duration(options, "timeout") {
            let too_short = self.min.is_some_and(|(_, min)| timeout < *min);
            if too_short || timeout > *self.max_timeout {
                let problem = Problem::TimeoutOutOfBounds {
                    timeout: timeout.to_string(),
                    min: self.min.map(|(_, min)| min.to_string()),
                    max: self.max_timeout.to_string(),
                };
                findings.report(problem, setting.place.clone());
            }
        }
        if let Some(Setting {
            value: Value::Integer(bytes),
            place,
        }) = options.get("content_length_limit")
            && *bytes > self.max_content_length
        {
            let problem = Problem::ContentLengthAboveCeiling {
                bytes: *bytes,
                max: self.max_content_length,
            };
            findings.report(problem, place.clone());
        }
    }
}

/// Keeps the timeout of a complete set of options from being longer than the interval that counts: a scrape that hangs
/// would still run when the next one is due. An endpoint's own timeout is reported; one that it inherits is shortened.
///
/// `inherited_interval` counts where the options have none; `None` if it is not known.
pub(crate) fn fit_timeout(
    options: &mut Options,
    is_own: bool,
    inherited_interval: Option<&Duration>,
    findings: &mut Findings,
) {
    let own_interval = duration(options, "interval").map(|(interval, setting)| (interval, setting.place.clone()));
    let interval_place = own_interval.as_ref().map(|(_, place)| place.clone());
    let interval = own_interval.map(|(interval, _)| interval);
    let Some(interval) = interval.as_ref().or(inherited_interval) else {
        return;
    };
    let set = duration(options, "timeout").map(|(timeout, setting)| (timeout, setting.place.clone()));
    let place = set.as_ref().map(|(_, place)| place.clone());
    let timeout = set
        .map(|(timeout, _)| timeout)
        .or_else(|| Duration::parse(DEFAULT_TIMEOUT));
    if timeout.as_ref().is_none_or(|timeout| timeout <= interval) {
        return;
    }
    match (timeout, place) {
        (Some(timeout), Some(place)) if is_own => {
            let problem = Problem::TimeoutAboveInterval {
                timeout: timeout.to_string(),
                interval: interval.to_string(),
            };
            findings.report(problem, place);
        }
        (_, place) => {
            if let (Ok(text), Some(place)) = (Literal::new(interval.as_str()), place.or(interval_place)) {
                let value = Value::Literal(text);
                options.insert("timeout", Setting { value, place });
            }
        }
    }
}

/// An option that is a duration.
fn duration<'o>(options: &'o Options, name: &str) -> Option<(Duration, &'o Setting)> {
    let setting = options.get(name)?;
    match &setting.value {
        Value::Literal(text) => Some((Duration::parse(text.as_str())?, setting)),
        _ => None,
    }
}
