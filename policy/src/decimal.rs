//! Decimal numbers in units, without floating point: durations and quantities.

/// A decimal number such as `15`, `1.5`, `.5` or `1.`, as digits and a power of ten.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Decimal {
    /// The number times [`Self::scale`].
    digits: u128,
    /// A power of ten.
    scale: u128,
}

/// The most digits before the point, and after it.
const MAX_DIGITS: usize = 18;

impl Decimal {
    /// Reads a number without a sign.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = match text.bytes().position(|byte| byte == b'.') {
            Some(point) => (&text[..point], &text[point + 1..]),
            None => (text, ""),
        };
        if whole.len() + fraction.len() == 0 || whole.len() > MAX_DIGITS || fraction.len() > MAX_DIGITS {
            return None;
        }
        // 18 digits fit into 64 bits, and arithmetic with 128 bits is slower.
        let number = |digits: &str| {
            digits.bytes().try_fold(0_u64, |number, digit| {
                digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))
            })
        };
        let (whole, after_point) = (number(whole)?, number(fraction)?);
        let scale = (0..fraction.len()).fold(1_u64, |scale, _| scale * 10).into();
        let digits = u128::from(whole) * scale + u128::from(after_point);
        Some(Self { digits, scale })
    }

    /// The number times `numerator / denominator`, rounded up. `None` if it is too large.
    pub(crate) fn times_rounded_up(self, numerator: u128, denominator: u128) -> Option<u128> {
        let product = self.digits.checked_mul(numerator)?;
        Some(match self.scale.checked_mul(denominator)? {
            1 => product,
            divisor => product.div_ceil(divisor),
        })
    }

    /// The number times a unit, rounded down. `None` if it is too large.
    pub(crate) fn times_rounded_down(self, unit: u128) -> Option<u128> {
        let product = self.digits.checked_mul(unit)?;
        // Most numbers have no fraction, and a division of 128 bits is long.
        match self.scale {
            1 => Some(product),
            scale => Some(product / scale),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("15", Some(15_000))]
    #[case("1.5", Some(1_500))]
    #[case(".5", Some(500))]
    #[case("1.", Some(1_000))]
    #[case("0.0001", Some(0))]
    #[case("999999999999999999.5", Some(999_999_999_999_999_999_500))]
    #[case("", None)]
    #[case(".", None)]
    #[case("1.2.3", None)]
    #[case("-1", None)]
    #[case("1e3", None)]
    #[case("1234567890123456789", None)]
    fn reads_decimals(#[case] text: &str, #[case] thousandths: Option<u128>) {
        assert_eq!(
            Decimal::parse(text).and_then(|number| number.times_rounded_down(1000)),
            thousandths
        );
    }

    #[test]
    fn rounds_up_where_asked_and_never_overflows() {
        let number = Decimal::parse("0.0001").unwrap();
        assert_eq!(number.times_rounded_up(1000, 1), Some(1));
        assert_eq!(
            Decimal::parse("999999999999999999")
                .unwrap()
                .times_rounded_up(u128::MAX, 1),
            None
        );
        assert_eq!(number.times_rounded_up(1, u128::MAX), None);
    }
}
