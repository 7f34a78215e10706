//! Comments that silence warnings: `# telewarden: ignore TW405 because the hub has an operator of its own`.
//!
//! A comment after content applies to its line. A comment on its own line applies to the next line with content. Comments in
//! an annotation that is a YAML block work in the same way.

use telewarden::{Position, Severity};
use telewarden_policy::diagnostic::{Problem, rules};
use telewarden_policy::manifest::Region;

use super::input::Text;
use super::report::{Finding, Report};

const MARK: &str = "telewarden: ignore";

/// One code in a comment.
struct Ignore<'a> {
    text: &'a Text,
    code: String,
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
        finding.code.eq_ignore_ascii_case(&self.code)
            && finding.file.as_ref() == Some(&self.text.name)
            && lines.is_some_and(|(first, last)| (first..=last).contains(&self.line))
    }

    fn useless(&self) -> Finding {
        let why = match rules::find(&self.code) {
            _ if self.met_error => "errors cannot be ignored",
            None if self.code.is_empty() => "it names no rule, such as `TW405`",
            None => "there is no such rule",
            Some(rule) if rule.severity == Severity::Error => "errors cannot be ignored",
            Some(_) => "there is no such warning on that line",
        };
        let code = self.code.clone();
        let Region { start, end } = self.region;
        Finding {
            file: Some(self.text.name.clone()),
            excerpt: self.text.manifest.excerpt(self.region),
            line: Some(start.line),
            column: Some(start.column),
            end_line: Some(end.line),
            end_column: Some(end.column),
            ..Finding::new(&Problem::UselessIgnore { code, why }.diagnostic())
        }
    }
}

fn ignores(text: &Text) -> Vec<Ignore<'_>> {
    // Most texts have none.
    if !text.manifest.text().contains(MARK) {
        return Vec::new();
    }
    let lines: Vec<&str> = text.manifest.text().lines().collect();
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let Some((before, codes)) = comment(line) else { continue };
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
                line: count(number + skipped),
                silenced: 0,
                met_error: false,
            });
        }
    }
    found
}

/// The text before a line's comment, and the codes in the comment with their columns, from 0. For a comment without a code,
/// one empty code.
fn comment(line: &str) -> Option<(&str, Vec<(usize, String)>)> {
    let (before, comment) = line.match_indices('#').find_map(|(at, _)| {
        let starts = at == 0 || line[..at].ends_with([' ', '\t']);
        let comment = line[at + 1..].trim_start().strip_prefix(MARK)?;
        starts.then_some((&line[..at], comment))
    })?;
    let mut column = line.chars().count() - comment.chars().count();
    let mut codes = Vec::new();
    for word in comment.split_inclusive([' ', ',', '\t']) {
        let code = word.trim_end_matches([' ', ',', '\t']);
        let is_code = code.len() == 5
            && code.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("TW"))
            && code.bytes().skip(2).all(|byte| byte.is_ascii_digit());
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
    Some((before, codes))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a: b", None)]
    #[case("a: b # telewarden: ignore TW405 because x", Some(("a: b ", vec![(26, "TW405")])))]
    #[case("  #telewarden: ignore TW405, tw114 TW113: no", Some(("  ", vec![(22, "TW405"), (29, "tw114")])))]
    #[case("# telewarden: ignore everything", Some(("", vec![(0, "")])))]
    #[case("a: b# telewarden: ignore TW405", None)]
    #[case("ä: \"#\" # telewarden: ignore TW405", Some(("ä: \"#\" ", vec![(28, "TW405")])))]
    fn codes_are_read(#[case] line: &str, #[case] expected: Option<(&str, Vec<(usize, &str)>)>) {
        let found = comment(line);
        let found = found
            .as_ref()
            .map(|(before, codes)| (*before, codes.iter().map(|(at, code)| (*at, code.as_str())).collect()));
        assert_eq!(found, expected);
    }
}
