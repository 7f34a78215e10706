//! The table that all measurements print: a row for each figure, with what it may be and what it was in the last release.
//!
//! Everything else that a measurement says goes to standard error.
#![forbid(unsafe_code)]

/// The figures of the last release: name, tab, value.
const RELEASED: &str = include_str!("../released.tsv");

/// Prints a row. Returns whether the figure is within its limit.
pub fn row(name: &str, value: f64, limit: f64) -> bool {
    let released = RELEASED
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'));
    println!("{name:<44} {value:>12.2} {limit:>12} {:>12}", released.unwrap_or("-"));
    let is_within = value <= limit;
    if !is_within {
        eprintln!("{name} is above its limit");
    }
    is_within
}
