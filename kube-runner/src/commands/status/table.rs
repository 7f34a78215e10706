//! The table that `status` prints.

use telewarden_policy::printable::printable;

use crate::status::{Explanation, Health, SourceHealth, State};

/// One line. The last column has no end.
struct Row {
    state: State,
    cells: [String; 5],
}

/// The table: a line for each endpoint, and for each Event, Telegraf and output that says that something does not work; if it is
/// wide, for all of them.
pub(super) fn table(health: &Health, wide: bool) -> String {
    if health.sources.is_empty() {
        return "The operator follows no such source.\n".to_owned();
    }
    let mut lines = vec![["SOURCE", "WHAT", "STATE", "SINCE", "WHY"].map(str::to_owned)];
    for source in &health.sources {
        let mut rows = rows(source, wide);
        rows.sort_by_key(|row| row.state);
        lines.extend(rows.into_iter().map(|row| row.cells));
    }
    aligned(&lines)
}

fn rows(source: &SourceHealth, wide: bool) -> Vec<Row> {
    let row = |what: String, state: State, since: &str, explanation: &Option<Explanation>, detail: String| {
        let why = match explanation {
            Some(Explanation { why, what_to_do }) if what_to_do.is_empty() => why.to_string(),
            Some(Explanation { why, what_to_do }) => format!("{why}. {what_to_do}"),
            None if wide => detail,
            None => String::new(),
        };
        let cells = [
            source.source.clone(),
            what,
            state.name().to_owned(),
            since.to_owned(),
            why,
        ];
        Row {
            state,
            cells: cells.map(|cell| printable(&cell).into_owned()),
        }
    };
    let is_shown = |state: State| wide || state != State::Up;
    let endpoints = source.endpoints.iter().map(|endpoint| {
        let times = |times: Option<u64>, what| times.map(|times| format!(", {what} {times} times")).unwrap_or_default();
        let (answered, failed) = (
            times(endpoint.successes, "answered"),
            times(endpoint.failures, "failed"),
        );
        let detail = format!("{}{answered}{failed}", endpoint.url);
        row(
            format!("endpoint {}", endpoint.name),
            endpoint.state,
            &endpoint.since,
            &endpoint.explanation,
            detail,
        )
    });
    let telegrafs = source.telegrafs.iter().filter(|telegraf| is_shown(telegraf.state));
    let telegrafs = telegrafs.map(|telegraf| {
        let what = format!("telegraf {}/{}", telegraf.namespace, telegraf.name);
        row(
            what,
            telegraf.state,
            &telegraf.since,
            &telegraf.explanation,
            String::new(),
        )
    });
    let outputs = source
        .outputs
        .iter()
        .filter(|output| is_shown(output.state))
        .map(|output| {
            let detail = format!(
                "{} written, {} of {} waiting",
                output.written, output.buffered, output.buffer_limit
            );
            row(
                format!("output {}", output.name),
                output.state,
                &output.since,
                &output.explanation,
                detail,
            )
        });
    let problems = source.problems.iter().filter(|problem| is_shown(problem.state));
    let problems = problems.map(|problem| {
        let why = problem.note.lines().collect::<Vec<_>>().join("; ");
        let told = Explanation::new(why, "");
        row(
            format!("event {}", problem.reason),
            problem.state,
            &problem.since,
            &Some(told),
            String::new(),
        )
    });
    problems.chain(endpoints).chain(telegrafs).chain(outputs).collect()
}

fn aligned(lines: &[[String; 5]]) -> String {
    let width = |column: usize| {
        lines
            .iter()
            .map(|cells| cells[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<_> = (0..4).map(width).collect();
    let mut text = String::new();
    for cells in lines {
        let padded = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}  "));
        let line: String = padded.chain([cells[4].clone()]).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{EndpointHealth, Problem};

    #[test]
    fn the_worst_comes_first_and_what_works_is_short() {
        let endpoint = |name: &str, state, explanation| EndpointHealth {
            name: name.to_owned(),
            url: "http://a.b.svc/".to_owned(),
            state,
            since: "2026-11-30T00:00:00Z".to_owned(),
            successes: Some(3),
            failures: Some(0),
            explanation,
        };
        let refused = Explanation::new("the connection is refused", "Look at the port.");
        let health = Health {
            sources: vec![SourceHealth {
                source: "Namespace/redis".to_owned(),
                state: State::Failing,
                endpoints: vec![
                    endpoint("a", State::Up, None),
                    endpoint("metrics\u{1b}", State::Failing, Some(refused)),
                ],
                problems: vec![Problem {
                    reason: "Refused".to_owned(),
                    state: State::Failing,
                    since: "2026-11-30T00:00:00Z".to_owned(),
                    note: "TW301: one\nTW302: two".to_owned(),
                }],
                telegrafs: Vec::new(),
                outputs: Vec::new(),
            }],
        };
        let expected = "\
SOURCE           WHAT                    STATE    SINCE                 WHY
Namespace/redis  event Refused           failing  2026-11-30T00:00:00Z  TW301: one; TW302: two
Namespace/redis  endpoint metrics\\u{1b}  failing  2026-11-30T00:00:00Z  the connection is refused. Look at the port.
Namespace/redis  endpoint a              up       2026-11-30T00:00:00Z
";
        assert_eq!(table(&health, false), expected);
        assert!(table(&health, true).contains("http://a.b.svc/, answered 3 times, failed 0 times"));
    }
}
