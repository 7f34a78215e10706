//! Comments that silence warnings: `# telewarden: ignore TW405 because the hub has an operator of its own`.
//!
//! A comment after content applies to its line. A comment on its own line applies to the next line with content. Comments in
//! an annotation that is a YAML block work in the same way.

use telewarden::{Position, Severity};
use telewarden_policy::diagnostic::{Problem, rules};
use telewarden_policy::manifest::Region;

use super::input::Text;
use super::report::{Finding, Report};

/// One code in a comment.
struct Ignore<'a> {
    text: &'a Text,
    code: String,
    /// False for a comment that only looks like one of ours, such as `# telewarden-ignore`.
    is_ours: bool,
    /// The place of the code, and the line that it applies to, from 1.
    region: Region,
    line: u32,
    /// The number of warnings that it silenced.
    silenced: usize,
    met_error: bool,
}

/// Removes the warnings that comments silence, and adds a warning for each comment without effect.
pub(crate) fn apply(report: &mut Report, texts: &[Text]) {
    let mut ignores: Vec<_> = texts.iter().flat_map(ignores).collect();
    report.findings.retain(|finding| {
        let Some(ignore) = ignores.iter_mut().find(|ignore| ignore.concerns(finding)) else {
            return true;
        };
        let is_silenced = finding.severity == Severity::Warning;
        ignore.silenced += usize::from(is_silenced);
        ignore.met_error |= !is_silenced;
        !is_silenced
    });
    report.summary.ignored = ignores.iter().map(|ignore| ignore.silenced).sum();
    let useless = ignores.iter().filter(|ignore| ignore.silenced == 0);
    report.findings.extend(useless.map(Ignore::useless));
}

impl Ignore<'_> {
    fn concerns(&self, finding: &Finding) -> bool {
        let lines = finding.line.zip(finding.end_line.or(finding.line));
        self.is_ours
            && finding.code.eq_ignore_ascii_case(&self.code)
            && finding.file.as_ref() == Some(&self.text.name)
            && lines.is_some_and(|(first, last)| (first..=last).contains(&self.line))
    }

    fn useless(&self) -> Finding {
        let code = &self.code;
        let has_no_effect = |why: &str| Problem::UselessIgnore {
            error: format!("`ignore {code}` has no effect: {why}"),
            instead: "remove it".to_owned(),
        };
        let problem = match rules::find(code) {
            _ if !self.is_ours => Problem::UselessIgnore {
                error: "this comment has no effect".to_owned(),
                instead: format!(
                    "write `# telewarden: ignore {} because …`",
                    if code.is_empty() { "TW405" } else { code }
                ),
            },
            _ if self.met_error => has_no_effect("errors cannot be ignored"),
            None if code.is_empty() => has_no_effect("it names no rule, such as `TW405`"),
            None => Problem::UselessIgnore {
                error: format!("there is no rule `{code}`"),
                instead: match meant(code) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => "`telewarden rule` lists the rules".to_owned(),
                },
            },
            Some(rule) if rule.severity == Severity::Error => has_no_effect("errors cannot be ignored"),
            Some(_) => has_no_effect("there is no such warning on that line"),
        };
        let Region { start, end } = self.region;
        Finding {
            file: Some(self.text.name.clone()),
            excerpt: self.text.manifest.excerpt(self.region),
            line: Some(start.line),
            column: Some(start.column),
            end_line: Some(end.line),
            end_column: Some(end.column),
            ..Finding::new(&problem.diagnostic())
        }
    }
}

/// The rule that is meant by a code with letters that look like digits.
fn meant(code: &str) -> Option<&'static str> {
    let digits = code.get(2..)?.chars().map(|c| match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        'S' => '5',
        'B' => '8',
        other => other,
    });
    let code: String = "TW".chars().chain(digits).collect();
    rules::find(&code).map(|rule| rule.code)
}

fn ignores(text: &Text) -> Vec<Ignore<'_>> {
    // Most texts have none.
    if !["gnore", "GNORE"]
        .iter()
        .any(|part| text.manifest.text().contains(part))
    {
        return Vec::new();
    }
    let lines: Vec<&str> = text.manifest.text().lines().collect();
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let Some(Comment { before, is_ours, codes }) = comment(line) else {
            continue;
        };
        let is_alone = before.trim().is_empty();
        let has_content = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
        let skipped = match is_alone {
            true => lines[number + 1..]
                .iter()
                .position(has_content)
                .map_or(0, |skipped| skipped + 1),
            false => 0,
        };
        let count = |number: usize| u32::try_from(number + 1).unwrap_or(u32::MAX);
        for (column, code) in codes {
            let at = |column| Position {
                line: count(number),
                column: count(column),
            };
            found.push(Ignore {
                text,
                region: Region {
                    start: at(column),
                    end: at(column + code.chars().count()),
                },
                code,
                is_ours,
                line: count(number + skipped),
                silenced: 0,
                met_error: false,
            });
        }
    }
    found
}

/// A comment that ignores rules, or that looks as if it did.
struct Comment<'a> {
    /// The text before it in its line.
    before: &'a str,
    /// True if it is written as it must be.
    is_ours: bool,
    /// The codes with their columns, from 0. For a comment without a code, one empty code.
    codes: Vec<(usize, String)>,
}

/// The comment of a line.
fn comment(line: &str) -> Option<Comment<'_>> {
    let (before, is_ours, comment) = line.match_indices('#').find_map(|(at, _)| {
        let starts = at == 0 || line[..at].ends_with([' ', '\t']);
        let (is_ours, comment) = marked(line[at + 1..].trim_start()).filter(|_| starts)?;
        Some((&line[..at], is_ours, comment))
    })?;
    let mut column = line.chars().count() - comment.chars().count();
    let mut codes = Vec::new();
    for word in comment.split_inclusive([' ', ',', '\t']) {
        let code = word.trim_end_matches([' ', ',', '\t']);
        let code = code.trim_end_matches(':');
        let is_code = code.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("TW"))
            && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && code.bytes().any(|byte| byte.is_ascii_digit());
        if is_code {
            codes.push((column, code.to_owned()));
        } else if !code.is_empty() {
            break;
        }
        column += word.chars().count();
    }
    if codes.is_empty() {
        codes.push((before.chars().count(), String::new()));
    }
    Some(Comment { before, is_ours, codes })
}

/// What is behind `telewarden: ignore` in a comment, and whether that is written so.
fn marked(comment: &str) -> Option<(bool, &str)> {
    if let Some(rest) = comment.strip_prefix("telewarden: ignore") {
        return Some((true, rest));
    }
    let after = |text: &'_ str, word: &str| {
        let is_word = text.get(..word.len())?.eq_ignore_ascii_case(word);
        is_word.then_some(word.len())
    };
    let rest = &comment[after(comment, "telewarden")?..];
    let rest = rest.trim_start_matches([':', ' ', '\t', '-', '_', '.']);
    let rest = &rest[after(rest, "ignore")?..];
    let ends = !rest.starts_with(|c: char| c.is_alphanumeric());
    ends.then(|| (false, rest.trim_start_matches(':')))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    type Codes<'a> = Vec<(usize, &'a str)>;

    #[rstest]
    #[case("a: b", None)]
    #[case("a: b # telewarden: ignore TW405 because x", Some(("a: b ", true, vec![(26, "TW405")])))]
    #[case("  #telewarden: ignore TW405, tw114 TW113: no", Some(("  ", true, vec![(22, "TW405"), (29, "tw114"), (35, "TW113")])))]
    #[case("# telewarden: ignore everything", Some(("", true, vec![(0, "")])))]
    #[case("a: b# telewarden: ignore TW405", None)]
    #[case("ä: \"#\" # telewarden: ignore TW405", Some(("ä: \"#\" ", true, vec![(28, "TW405")])))]
    #[case("# telewarden: ignore TW4O5", Some(("", true, vec![(21, "TW4O5")])))]
    #[case("# telewarden: ignore twice", Some(("", true, vec![(0, "")])))]
    #[case("#telewarden:ignore TW405", Some(("", false, vec![(19, "TW405")])))]
    #[case("# telewarden ignore", Some(("", false, vec![(0, "")])))]
    #[case("# Telewarden: Ignore TW405", Some(("", false, vec![(21, "TW405")])))]
    #[case("# telewarden-ignore: TW405", Some(("", false, vec![(21, "TW405")])))]
    #[case("# telewarden ignores such annotations", None)]
    fn codes_are_read(#[case] line: &str, #[case] expected: Option<(&str, bool, Codes<'_>)>) {
        let found = comment(line);
        let found = found.as_ref().map(|Comment { before, is_ours, codes }| {
            let codes = codes.iter().map(|(at, code)| (*at, code.as_str()));
            (*before, *is_ours, codes.collect())
        });
        assert_eq!(found, expected);
    }

    #[rstest]
    #[case("TW4O5", Some("TW405"))]
    #[case("tw1ll", Some("TW111"))]
    #[case("TW999", None)]
    #[case("T", None)]
    fn letters_may_mean_digits(#[case] code: &str, #[case] expected: Option<&str>) {
        assert_eq!(meant(code), expected);
    }
}
