//! Numbers that programs tell of themselves.

/// The sum of the samples whose line begins with a text. `.*` in it stands for any text.
pub fn sample(metrics: &str, line: &str) -> f64 {
    let (begin, within) = line.split_once(".*").unwrap_or((line, ""));
    let samples = metrics
        .lines()
        .filter(|sample| sample.starts_with(begin) && sample.contains(within));
    let values = samples.filter_map(|sample| sample.rsplit_once(' ')?.1.parse::<f64>().ok());
    values.sum()
}

#[cfg(test)]
mod tests {
    use super::sample;

    #[test]
    fn samples_are_added_up_by_what_their_line_has() {
        let metrics =
            "a_total{name=\"x\",code=\"200\"} 3\na_total{name=\"x\",code=\"500\"} 1\na_total{name=\"y\"} 5\nab 7\n";
        assert_eq!(sample(metrics, "a_total{.*\"x\""), 4.0);
        assert_eq!(sample(metrics, "a_total{"), 9.0);
        assert_eq!(sample(metrics, "b"), 0.0);
    }
}
