//! Telegraf's durations.

use std::fmt;

use crate::decimal::Decimal;

/// A positive duration that all of Telegraf's parsers read in the same way.
///
/// Telegraf has two parsers. An input's `interval` is parsed by Go's `time.ParseDuration`, which does not know days.
/// Most other durations are parsed by Telegraf's own parser, which converts `1.5d` to hours first and does not know
/// `1.d` (<https://github.com/influxdata/telegraf/blob/master/config/types.go>). The text for Telegraf suits both: days
/// are written as hours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Duration {
    text: String,
    nanoseconds: u64,
}

/// Go's largest duration is 2^63 - 1 nanoseconds, about 292 years.
const MAX_NANOSECONDS: u128 = i64::MAX as u128;

/// The longest text of a duration, in bytes.
const MAX_BYTES: usize = 64;

impl Duration {
    /// Parses `30s`, `1m30s`, `1.5h`, `500ms`, `2d` and the like. Answers `None` for anything else, and for zero.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let mut rest = text;
        let mut nanoseconds: u128 = 0;
        let mut has_days = false;
        while !rest.is_empty() {
            let is_of_number = |byte: u8| byte.is_ascii_digit() || byte == b'.';
            let digits = rest.bytes().position(|byte| !is_of_number(byte))?;
            let (number, tail) = rest.split_at(digits);
            let letters = tail.bytes().position(is_of_number).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            has_days |= unit == "d";
            let unit: u128 = match unit {
                "ns" => 1,
                "us" | "µs" | "μs" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60 * 1_000_000_000,
                "h" => 3600 * 1_000_000_000,
                "d" => 86400 * 1_000_000_000,
                _ => return None,
            };
            nanoseconds = nanoseconds.checked_add(Decimal::parse(number)?.times_rounded_down(unit)?)?;
            rest = tail;
        }
        if nanoseconds == 0 || nanoseconds > MAX_NANOSECONDS {
            return None;
        }
        let nanoseconds = u64::try_from(nanoseconds).ok()?;
        Some(Self {
            text: match has_days {
                true => without_days(nanoseconds),
                false => text.to_owned(),
            },
            nanoseconds,
        })
    }

    /// A number of seconds, which is how Telegraf reads an integer.
    pub fn from_seconds(seconds: i64) -> Option<Self> {
        Self::parse(&format!("{seconds}s"))
    }

    /// True if it is shorter than so many seconds.
    pub(super) fn is_below(&self, seconds: u64) -> bool {
        self.nanoseconds < seconds * 1_000_000_000
    }

    /// The whole seconds.
    pub fn seconds(&self) -> u64 {
        self.nanoseconds / 1_000_000_000
    }

    /// The text for Telegraf: the original text, with days converted to hours.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Formats a duration as hours, minutes, seconds and nanoseconds, without those that are zero.
fn without_days(nanoseconds: u64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (nanoseconds % 1_000_000_000, "ns"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, unit)| format!("{number}{unit}"))
    .collect()
}

impl PartialOrd for Duration {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.nanoseconds.cmp(&other.nanoseconds))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("30s", 30_000_000_000)]
    #[case("1m30s", 90_000_000_000)]
    #[case("1.5h", 5_400_000_000_000)]
    #[case("500ms", 500_000_000)]
    #[case(".5s", 500_000_000)]
    #[case("1.s", 1_000_000_000)]
    #[case("2μs", 2_000)]
    #[case("2d", 172_800_000_000_000)]
    fn reads_go_durations_and_days(#[case] text: &str, #[case] nanoseconds: u64) {
        assert_eq!(Duration::parse(text).unwrap().nanoseconds, nanoseconds);
    }

    #[rstest]
    #[case("30s", "30s")]
    #[case("90s", "90s")]
    #[case("2d", "48h")]
    #[case("5.d", "120h")]
    #[case("1.5d", "36h")]
    #[case("0.001d", "1m26s400000000ns")]
    #[case("1d1h1m1s1ms", "25h1m1s1000000ns")]
    fn days_are_written_as_hours(#[case] text: &str, #[case] written: &str) {
        assert_eq!(Duration::parse(text).unwrap().as_str(), written);
    }

    #[rstest]
    #[case("")]
    #[case("30")]
    #[case("s")]
    #[case("0s")]
    #[case("-30s")]
    #[case("30 s")]
    #[case("1.2.3s")]
    #[case("30S")]
    #[case("99999999999999999999h")]
    #[case("300000d")]
    #[case("2562048h")]
    fn refuses_anything_else(#[case] text: &str) {
        assert_eq!(Duration::parse(text), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_as_long(text in "([0-9]{0,4}\\.?[0-9]{0,3}(ns|us|ms|s|m|h|d)){1,4}") {
            if let Some(duration) = Duration::parse(&text) {
                prop_assert!(!duration.as_str().contains('d'));
                let again = Duration::parse(duration.as_str()).unwrap();
                prop_assert_eq!(again.nanoseconds, duration.nanoseconds);
            }
        }
    }
}
