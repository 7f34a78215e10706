//! Telegraf's sizes in bytes.

/// Reads `1048576`, `20MB` (powers of ten) or `20MiB` (powers of two) into bytes.
///
/// The rules are those of Telegraf: <https://github.com/influxdata/telegraf/blob/master/config/types.go>.
pub(crate) fn parse_size(text: &str) -> Option<i64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: i64 = match unit {
        "" | "B" => 1,
        "KB" | "kB" => 1000,
        "MB" => 1000 * 1000,
        "GB" => 1000 * 1000 * 1000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(unit)
}
