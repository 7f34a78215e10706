//! Telegraf's durations.

use std::fmt;

/// A duration that Telegraf can read, longer than nothing. The text is kept as it was written.
///
/// Telegraf takes Go's durations, and days: <https://docs.influxdata.com/telegraf/v1/configuration/#intervals>.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Duration {
    text: String,
    nanoseconds: u128,
}

impl Duration {
    /// Reads `30s`, `1m30s`, `1.5h`, `500ms` and the like; `None` for anything else, and for zero.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let mut nanoseconds: u128 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
            let (number, tail) = rest.split_at(digits);
            let letters = tail
                .find(|c: char| c.is_ascii_digit() || c == '.')
                .unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            let unit: u128 = match unit {
                "ns" => 1,
                "us" | "µs" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60 * 1_000_000_000,
                "h" => 3600 * 1_000_000_000,
                "d" => 86400 * 1_000_000_000,
                _ => return None,
            };
            nanoseconds = nanoseconds.checked_add(scaled(number, unit)?)?;
            rest = tail;
        }
        // Go's durations end at 2^63 nanoseconds, some 292 years.
        (nanoseconds > 0 && nanoseconds <= i64::MAX as u128).then(|| Self {
            text: text.to_owned(),
            nanoseconds,
        })
    }

    /// Whole seconds, as Telegraf reads a bare integer.
    pub fn from_seconds(seconds: i64) -> Option<Self> {
        Self::parse(&format!("{seconds}s"))
    }

    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// A decimal number times a unit, without floating point.
fn scaled(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || whole.len() > 18 || fraction.len() > 18 {
        return None;
    }
    let digits = |text: &str| {
        if text.is_empty() {
            Some(0)
        } else {
            text.parse::<u128>().ok()
        }
    };
    let fraction_value = digits(fraction)? * unit / 10u128.pow(fraction.len() as u32);
    digits(whole)?.checked_mul(unit)?.checked_add(fraction_value)
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
    use rstest::rstest;

    #[rstest]
    #[case("30s", 30_000_000_000)]
    #[case("1m30s", 90_000_000_000)]
    #[case("1.5h", 5_400_000_000_000)]
    #[case("500ms", 500_000_000)]
    #[case("2d", 172_800_000_000_000)]
    fn reads_go_durations_and_days(#[case] text: &str, #[case] nanoseconds: u128) {
        assert_eq!(Duration::parse(text).unwrap().nanoseconds, nanoseconds);
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
    fn refuses_anything_else(#[case] text: &str) {
        assert_eq!(Duration::parse(text), None);
    }
}
