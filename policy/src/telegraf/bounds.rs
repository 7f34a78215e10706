//! Limits of telewarden for the values of Telegraf's options.

use super::options::{Options, Setting};
use super::{Duration, Literal, Value};
use crate::diagnostic::{Findings, Problem};

/// The default `timeout` of Telegraf's prometheus input
/// (<https://github.com/influxdata/telegraf/blob/master/plugins/common/http/config.go>).
const DEFAULT_TIMEOUT: u64 = 5;

/// The limits of the settings.
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
    /// Reports values outside the limits.
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
                findings.report(problem, setting.spot.place());
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
                findings.report(problem, setting.spot.place());
            }
        }
        if let Some(Setting {
            value: Value::Integer(bytes),
            spot,
        }) = options.get("content_length_limit")
            && *bytes > self.max_content_length
        {
            let problem = Problem::ContentLengthAboveCeiling {
                bytes: *bytes,
                max: self.max_content_length,
            };
            findings.report(problem, spot.place());
        }
    }
}

/// Checks that the timeout is not longer than the effective interval: a scrape that hangs would still run when the next
/// one is due. An endpoint's own timeout is reported. An inherited timeout is shortened.
///
/// `inherited_interval` is used if the options have no interval. It is `None` if it is unknown.
pub(crate) fn fit_timeout(
    options: &mut Options,
    is_own: bool,
    inherited_interval: Option<&Duration>,
    findings: &mut Findings,
) {
    let own_interval = duration(options, "interval");
    let Some(interval) = own_interval
        .as_ref()
        .map(|(interval, _)| interval)
        .or(inherited_interval)
    else {
        return;
    };
    let own_timeout = duration(options, "timeout");
    let is_above = match &own_timeout {
        Some((timeout, _)) => timeout > interval,
        None => interval.is_below(DEFAULT_TIMEOUT),
    };
    if !is_above {
        return;
    }
    match &own_timeout {
        Some((timeout, setting)) if is_own => {
            let problem = Problem::TimeoutAboveInterval {
                timeout: timeout.to_string(),
                interval: interval.to_string(),
            };
            findings.report(problem, setting.spot.place());
        }
        _ => {
            let spot = own_timeout.as_ref().or(own_interval.as_ref());
            let spot = spot.map(|(_, setting)| setting.spot.clone());
            if let (Ok(text), Some(spot)) = (Literal::new(interval.as_str()), spot) {
                let value = Value::Literal(text);
                options.insert("timeout", Setting { value, spot });
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
