//! Kubernetes quantities.

use std::fmt;

use crate::decimal::Decimal;

/// A Kubernetes quantity that is not negative. The original text is kept.
///
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>
#[derive(Clone, Debug)]
pub(crate) struct Quantity {
    text: String,
    /// In thousandths, rounded up.
    milli: u128,
}

impl Quantity {
    /// Reads `100m`, `0.5`, `64Mi`, `1e3` and the like.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(digits);
        let (numerator, denominator): (u128, u128) = match suffix {
            "n" => (1, 1_000_000),
            "u" => (1, 1_000),
            "m" => (1, 1),
            "" => (1_000, 1),
            "k" => (1_000_000, 1),
            "M" => (1_000_000_000, 1),
            "G" => (1_000_000_000_000, 1),
            "T" => (1_000_000_000_000_000, 1),
            "Ki" => (1_000 << 10, 1),
            "Mi" => (1_000 << 20, 1),
            "Gi" => (1_000 << 30, 1),
            "Ti" => (1_000 << 40, 1),
            _ => {
                let exponent: u32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
                (10u128.checked_pow(exponent.checked_add(3)?)?, 1)
            }
        };
        let milli = Decimal::parse(number)?.times_rounded_up(numerator, denominator)?;
        Some(Self {
            text: text.to_owned(),
            milli,
        })
    }

    /// The same for memory, of which there are only whole bytes: `128m` is a mistyped `128Mi`.
    pub(crate) fn parse_memory(text: &str) -> Option<Self> {
        Self::parse(text).filter(|quantity| quantity.milli.is_multiple_of(1000))
    }

    /// True for zero, however it is written.
    pub(crate) fn is_zero(&self) -> bool {
        self.milli == 0
    }

    /// The text as it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.milli == other.milli
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.milli.cmp(&other.milli))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("100m", 100)]
    #[case("0.5", 500)]
    #[case("1", 1000)]
    #[case("1e3", 1_000_000)]
    #[case("64Mi", 64 * 1024 * 1024 * 1000)]
    #[case("1.5Gi", 1_610_612_736_000)]
    #[case("1n", 1)]
    fn reads_kubernetes_quantities(#[case] text: &str, #[case] milli: u128) {
        assert_eq!(Quantity::parse(text).unwrap().milli, milli);
    }

    #[rstest]
    #[case("128m", false)]
    #[case("0.5", false)]
    #[case("1.5Ki", true)]
    #[case("1000m", true)]
    #[case("64Mi", true)]
    fn memory_is_whole_bytes(#[case] text: &str, #[case] is_memory: bool) {
        assert_eq!(Quantity::parse_memory(text).is_some(), is_memory);
    }

    #[rstest]
    #[case("")]
    #[case("lots")]
    #[case("-1")]
    #[case("1 Gi")]
    #[case("1gb")]
    #[case("1e99999999999")]
    #[case("99999999999999999999")]
    #[case(".")]
    fn refuses_anything_else(#[case] text: &str) {
        assert!(Quantity::parse(text).is_none());
    }
}
