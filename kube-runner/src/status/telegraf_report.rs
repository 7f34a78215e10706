//! What a Telegraf tells about itself: its own metrics, in Prometheus' text format
//! (<https://github.com/influxdata/telegraf/tree/master/plugins/inputs/internal>).
//!
//! It is read as it arrives, and only what belongs to a known plugin is kept. So the memory that a report needs is bounded by
//! what was rendered, whatever is sent.

use std::collections::BTreeMap;

use telewarden_policy::well_known::STATUS_TAG;

/// The longest line that is read. Longer ones are left out.
const MAX_LINE: usize = 16 * 1024;
/// What an alias or a URL takes in memory besides its text, in bytes, at most.
const ENTRY: usize = 256;

/// A Telegraf's report.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TelegrafReport {
    /// The digest of the configuration that runs.
    pub(super) digest: String,
    /// Inputs by alias.
    pub(super) inputs: BTreeMap<String, Input>,
    /// Outputs by alias.
    pub(super) outputs: BTreeMap<String, Output>,
}

/// An input's counters, since Telegraf started.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Input {
    /// Errors that it has logged.
    pub(super) errors: u64,
    /// Metrics that it has gathered.
    pub(super) gathered: u64,
    /// Its URLs. Telegraf before 1.39 tells none.
    pub(super) urls: BTreeMap<String, Url>,
}

/// The scrapes of one URL, since Telegraf started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Url {
    /// Whether the last scrape succeeded.
    pub(super) connected: bool,
    pub(super) successes: u64,
    pub(super) failures: u64,
}

/// An output's counters, in metrics since Telegraf started, and its buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Output {
    pub(super) written: u64,
    /// The database refused them.
    pub(super) rejected: u64,
    /// They were lost: the buffer was full, or the database refused them for good.
    pub(super) dropped: u64,
    pub(super) buffered: u64,
    pub(super) buffer_limit: u64,
}

/// Reads a report piece by piece.
pub(super) struct Reader<F> {
    is_known: F,
    /// The bytes that what is kept can still take.
    room: usize,
    report: TelegrafReport,
    line: Vec<u8>,
    /// The rest of a line that is too long is being passed over.
    skips: bool,
}

impl<F: Fn(&str) -> bool> Reader<F> {
    /// A reader that keeps inputs and outputs whose alias is known, as long as they take no more than so many bytes.
    pub(super) fn new(is_known: F, room: usize) -> Self {
        Self {
            is_known,
            room,
            report: TelegrafReport::default(),
            line: Vec::new(),
            skips: false,
        }
    }

    /// Reads a piece.
    pub(super) fn read(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match part.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (part, false),
            };
            if self.line.len() + text.len() > MAX_LINE {
                self.skips = true;
                self.line.clear();
            }
            if !self.skips {
                self.line.extend_from_slice(text);
            }
            if ends {
                self.end_line();
            }
        }
    }

    /// The report, if there is one: another page may be at this address.
    pub(super) fn finish(mut self) -> Option<TelegrafReport> {
        self.end_line();
        Some(self.report).filter(|report| !report.digest.is_empty())
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !std::mem::take(&mut self.skips)
            && let Ok(line) = std::str::from_utf8(&line)
            && let Some(sample) = Sample::parse(line.trim_end())
        {
            self.take(&sample);
        }
    }

    fn take(&mut self, sample: &Sample<'_>) {
        let report = &mut self.report;
        if let (true, Some(digest)) = (report.digest.is_empty(), sample.labels.get(STATUS_TAG)) {
            report.digest.clone_from(digest);
        }
        let Some(alias) = sample.labels.get("alias").filter(|alias| (self.is_known)(alias)) else {
            return;
        };
        // The answer may come from somebody else's pod, with any number of made-up names.
        let mut has_room = |text: &str| {
            let room = self.room.checked_sub(text.len() + ENTRY);
            self.room = room.unwrap_or(self.room);
            room.is_some()
        };
        let is_output = sample.name.starts_with("internal_write_");
        let is_there = match is_output {
            true => report.outputs.contains_key(alias),
            false => report.inputs.contains_key(alias),
        };
        if !is_there && !has_room(alias) {
            return;
        }
        if let Some(field) = sample.name.strip_prefix("internal_gather_") {
            let input = report.inputs.entry(alias.clone()).or_default();
            match field {
                "errors" => input.errors = sample.value,
                "metrics_gathered" => input.gathered = sample.value,
                _ => {}
            }
        } else if let Some(field) = sample.name.strip_prefix("internal_prometheus_") {
            let input = report.inputs.entry(alias.clone()).or_default();
            let Some(url) = sample.labels.get("url") else { return };
            if !input.urls.contains_key(url) && !has_room(url) {
                return;
            }
            let url = input.urls.entry(url.clone()).or_default();
            match (field, sample.labels.get("status").map(String::as_str)) {
                ("connection_status", _) => url.connected = sample.value == 1,
                ("gathers_total", Some("success")) => url.successes = sample.value,
                ("gathers_total", Some("failure")) => url.failures = sample.value,
                _ => {}
            }
        } else if let Some(field) = sample.name.strip_prefix("internal_write_") {
            let output = report.outputs.entry(alias.clone()).or_default();
            match field {
                "metrics_written" => output.written = sample.value,
                "metrics_rejected" => output.rejected = sample.value,
                "metrics_dropped" => output.dropped = sample.value,
                "buffer_size" => output.buffered = sample.value,
                "buffer_limit" => output.buffer_limit = sample.value,
                _ => {}
            }
        }
    }
}

/// One line: `name{label="value",…} number`.
struct Sample<'a> {
    name: &'a str,
    labels: BTreeMap<&'a str, String>,
    value: u64,
}

impl<'a> Sample<'a> {
    /// `None` for comments, and for whatever is not a whole number of a metric with labels.
    fn parse(line: &'a str) -> Option<Self> {
        let (name, mut rest) = line.split_once('{')?;
        let mut labels = BTreeMap::new();
        loop {
            rest = rest.trim_start_matches([',', ' ']);
            if let Some(end) = rest.strip_prefix('}') {
                rest = end;
                break;
            }
            let (label, text) = rest.split_once("=\"")?;
            let (value, after) = quoted(text)?;
            labels.insert(label, value);
            rest = after;
        }
        let number: f64 = rest.split_whitespace().next()?.parse().ok()?;
        // A counter that a double holds exactly.
        let is_whole = (0.0..9_007_199_254_740_992.0).contains(&number);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
        is_whole.then(|| Self {
            name: name.trim(),
            labels,
            value: number as u64,
        })
    }
}

/// The text up to the closing quote, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"# HELP internal_gather_errors Telegraf collected metric
# TYPE internal_gather_errors untyped
internal_gather_errors{alias="server",input="prometheus",telewarden_status="0123456789abcdef",version="1.40.1"} 2
internal_gather_metrics_gathered{alias="server",input="prometheus",telewarden_status="0123456789abcdef"} 7
internal_prometheus_connection_status{alias="server",telewarden_status="0123456789abcdef",url="http://a.svc/metrics?x=\"1\""} 0
internal_prometheus_gathers_total{alias="server",status="failure",telewarden_status="0123456789abcdef",url="http://a.svc/metrics?x=\"1\""} 2
internal_prometheus_gathers_total{alias="server",status="success",telewarden_status="0123456789abcdef",url="http://a.svc/metrics?x=\"1\""} 1
internal_write_buffer_limit{alias="influxdb_v2-1",output="influxdb_v2",telewarden_status="0123456789abcdef"} 100000
internal_write_buffer_size{alias="influxdb_v2-1",output="influxdb_v2",telewarden_status="0123456789abcdef"} 3
internal_write_metrics_dropped{alias="influxdb_v2-1",output="influxdb_v2",telewarden_status="0123456789abcdef"} 1
internal_write_metrics_rejected{alias="influxdb_v2-1",output="influxdb_v2",telewarden_status="0123456789abcdef"} 1
internal_write_metrics_written{alias="influxdb_v2-1",output="influxdb_v2",telewarden_status="0123456789abcdef"} 1.5e+06
internal_write_metrics_written{alias="of somebody else",output="influxdb_v2",telewarden_status="0123456789abcdef"} 4
"#;

    fn read(pieces: &[&[u8]]) -> Option<TelegrafReport> {
        let mut reader = Reader::new(|alias| ["server", "influxdb_v2-1"].contains(&alias), 4096);
        pieces.iter().for_each(|piece| reader.read(piece));
        reader.finish()
    }

    #[test]
    fn a_report_is_read() {
        let report = read(&[PAGE.as_bytes()]).unwrap();
        assert_eq!(report.digest, "0123456789abcdef");
        let input = &report.inputs["server"];
        assert_eq!((input.errors, input.gathered), (2, 7));
        let url = Url {
            connected: false,
            successes: 1,
            failures: 2,
        };
        assert_eq!(input.urls["http://a.svc/metrics?x=\"1\""], url);
        let output = Output {
            written: 1_500_000,
            rejected: 1,
            dropped: 1,
            buffered: 3,
            buffer_limit: 100_000,
        };
        assert_eq!(report.outputs, BTreeMap::from([("influxdb_v2-1".to_owned(), output)]));
    }

    #[test]
    fn pieces_can_end_anywhere() {
        let whole = read(&[PAGE.as_bytes()]);
        for at in 0..PAGE.len() {
            let (first, second) = PAGE.as_bytes().split_at(at);
            assert_eq!(read(&[first, second]), whole, "{at}");
        }
    }

    #[test]
    fn another_page_is_no_report() {
        let long = format!(
            "internal_write_x{{telewarden_status=\"{}\"}} 1\n",
            "x".repeat(2 * MAX_LINE)
        );
        for page in ["", "<html>", "up 1\n", "a{b=\"c\n", "{}{}{} x", "\u{0}\n}{\n", &long] {
            assert_eq!(read(&[page.as_bytes()]), None, "{page:.40}");
        }
        assert_eq!(read(&[b"\xff\xfe\n"]), None);
    }

    #[test]
    fn the_line_after_one_that_is_too_long_is_read() {
        let long = "x".repeat(3 * MAX_LINE);
        assert_eq!(
            read(&[long.as_bytes(), b"\n", PAGE.as_bytes()]),
            read(&[PAGE.as_bytes()])
        );
    }

    #[test]
    fn made_up_names_are_bounded() {
        let room = 64 * 1024;
        let mut reader = Reader::new(|_| true, room);
        let mut lines = String::new();
        for number in 0..1000 {
            for line in [
                format!(
                    "internal_prometheus_gathers_total{{alias=\"a\",url=\"{number}\",telewarden_status=\"x\"}} 1\n"
                ),
                format!("internal_gather_errors{{alias=\"{number}\",telewarden_status=\"x\"}} 1\n"),
                format!("internal_write_metrics_written{{alias=\"{number}\",telewarden_status=\"x\"}} 1\n"),
            ] {
                lines.push_str(&line);
            }
        }
        reader.read(lines.as_bytes());
        let TelegrafReport { inputs, outputs, .. } = reader.finish().unwrap();
        let kept = inputs.len() + inputs["a"].urls.len() + outputs.len();
        assert!((100..=room / ENTRY).contains(&kept), "{kept}");
    }
}
