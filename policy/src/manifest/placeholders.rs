//! The placeholders of ApplicationSets, filled as the ApplicationSet controller fills them.
//!
//! With `goTemplate: true` a text is a Go template (<https://pkg.go.dev/text/template>): paths such as `{{ .cluster.name }}`
//! are filled, and whatever calls a function or branches is left to the controller. Without it, `{{ cluster.name }}` is
//! replaced by the parameter of that name (<https://github.com/valyala/fasttemplate>), and an unknown name stays as it is.

use serde_json::{Map, Value};

use crate::diagnostic::{Position, Range};

/// The parameters of one Application.
pub(super) type Parameters = Map<String, Value>;

/// A text whose placeholders are filled, and where each part of it was in the template.
#[derive(Clone, Debug, Default)]
pub(super) struct FilledText {
    pub(super) text: String,
    template: String,
    parts: Vec<Part>,
    /// The characters of the text and of the template so far, and the bytes of the template.
    done: (usize, usize, usize),
}

/// A run of characters, counted in characters: text as it was, or what a placeholder stands for.
#[derive(Clone, Copy, Debug)]
struct Part {
    template: (usize, usize),
    text: (usize, usize),
    is_filled: bool,
}

/// A placeholder that was not filled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Unfilled {
    /// The placeholder, as it is written.
    pub(super) placeholder: String,
    /// Where it is in the text.
    pub(super) range: Range,
    pub(super) why: Why,
}

/// Why a placeholder was not filled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Why {
    /// There is no such parameter.
    Unknown,
    /// It needs the controller.
    Controller,
    /// Nothing closes it, and so the text is no Go template.
    NotClosed,
    /// The text would be longer than [`MAX_TEXT`].
    TooLong,
}

/// The longest text that is filled, in bytes. Kubernetes allows no more for all annotations of an object
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/>).
pub(super) const MAX_TEXT: usize = 256 * 1024;

/// Fills a text.
///
/// # Errors
/// The first placeholder that cannot be filled.
pub(super) fn fill(template: &str, parameters: &Parameters, go: bool) -> Result<FilledText, Unfilled> {
    let mut filled = FilledText {
        template: template.to_owned(),
        ..FilledText::default()
    };
    let mut at = 0;
    while let Some(start) = template[at..].find("{{").map(|start| at + start) {
        let Some(end) = template[start..].find("}}").map(|end| start + end + 2) else {
            if go {
                let end = template[start..].find('\n').map_or(template.len(), |line| start + line);
                return Err(unfilled(template, start, end, Why::NotClosed));
            }
            break;
        };
        let (mut before, mut after) = (start, end);
        let mut action = &template[start + 2..end - 2];
        if go {
            // White space beside `{{- ` and ` -}}` is removed.
            if action.starts_with("- ") || action.starts_with("-\n") {
                action = &action[1..];
                before = at + template[at..start].trim_end().len();
            }
            if let Some(rest) = action
                .strip_suffix('-')
                .filter(|rest| rest.ends_with(char::is_whitespace))
            {
                action = rest;
                after = end + template[end..].len() - template[end..].trim_start().len();
            }
        }
        let is_comment = go && action.trim().starts_with("/*") && action.trim().ends_with("*/");
        let value = match go {
            _ if is_comment => Ok(String::new()),
            true => go_value(action, parameters),
            false => match parameters.get(action.trim()) {
                Some(Value::String(text)) => Ok(text.clone()),
                _ => Err(Why::Unknown),
            },
        };
        let value = value.map_err(|why| unfilled(template, start, end, why))?;
        if filled.text.len() + value.len() > MAX_TEXT {
            return Err(unfilled(template, start, end, Why::TooLong));
        }
        filled.push(at, before, &template[at..before], false);
        filled.push(before, after, &value, true);
        at = after;
    }
    filled.push(at, template.len(), &template[at..], false);
    Ok(filled)
}

/// What a path stands for.
fn go_value(action: &str, parameters: &Parameters) -> Result<String, Why> {
    let path = action.trim();
    let name = |c: char| c.is_alphanumeric() || c == '_';
    let names: Vec<_> = path.split('.').skip(1).collect();
    let is_path = path.starts_with('.') && names.iter().all(|part| !part.is_empty() && part.chars().all(name));
    if !is_path {
        return Err(Why::Controller);
    }
    let mut value = parameters.get(names[0]);
    for name in &names[1..] {
        value = value.and_then(|value| value.get(name));
    }
    match value {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Bool(value)) => Ok(value.to_string()),
        // The controller reads every number as a float, and prints large ones with an exponent.
        Some(Value::Number(number)) if number.as_i64().is_some_and(|number| number.abs() < 1_000_000) => {
            Ok(number.to_string())
        }
        Some(Value::Null) | None => Err(Why::Unknown),
        Some(_) => Err(Why::Controller),
    }
}

fn unfilled(template: &str, start: usize, end: usize, why: Why) -> Unfilled {
    let count = |end: usize| template[..end].chars().count();
    Unfilled {
        placeholder: template[start..end].to_owned(),
        range: Range {
            start: position(template, count(start)),
            end: position(template, count(end)),
        },
        why,
    }
}

impl FilledText {
    fn push(&mut self, from: usize, to: usize, text: &str, is_filled: bool) {
        // Counted from the last part on, because a text can have many parts.
        let (in_text, in_template, bytes) = self.done;
        let start = in_template + self.template[bytes..from].chars().count();
        let end = start + self.template[from..to].chars().count();
        let part = Part {
            template: (start, end),
            text: (in_text, in_text + text.chars().count()),
            is_filled,
        };
        self.done = (part.text.1, end, to);
        self.parts.push(part);
        self.text += text;
    }

    /// Where in the template a run of the text's characters is.
    pub(super) fn in_template(&self, range: Range) -> Range {
        let start = self.template_index(index(&self.text, range.start), false);
        let end = self.template_index(index(&self.text, range.end), true);
        Range {
            start: position(&self.template, start),
            end: position(&self.template, end.max(start)),
        }
    }

    /// What is said of a run of the text, with its placeholders and not with what they stand for.
    pub(super) fn with_placeholders(&self, said: &str, range: Range) -> String {
        let run = |text: &str, range: Range| -> String {
            let start = index(text, range.start);
            let count = index(text, range.end).saturating_sub(start);
            let run: String = text.chars().skip(start).take(count).collect();
            run.trim_matches(['"', '\'']).to_owned()
        };
        let filled = run(&self.text, range);
        let written = run(&self.template, self.in_template(range));
        match written.contains("{{") && !filled.is_empty() {
            true => said.replace(&filled, &written),
            false => said.to_owned(),
        }
    }

    fn template_index(&self, at: usize, is_end: bool) -> usize {
        let holds = |part: &&Part| match is_end {
            true => part.text.0 < at && at <= part.text.1,
            false => part.text.0 <= at && at < part.text.1,
        };
        match self.parts.iter().find(holds).or(self.parts.last()) {
            Some(part) if part.is_filled => {
                if is_end {
                    part.template.1
                } else {
                    part.template.0
                }
            }
            Some(part) => (part.template.0 + at.saturating_sub(part.text.0)).min(part.template.1),
            None => at,
        }
    }
}

fn position(text: &str, at: usize) -> Position {
    let (mut line, mut column) = (1, 1);
    for c in text.chars().take(at) {
        (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
    }
    Position { line, column }
}

fn index(text: &str, position: Position) -> usize {
    let lines = text.split_inclusive('\n').take(position.line as usize - 1);
    lines.map(|line| line.chars().count()).sum::<usize>() + position.column as usize - 1
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_said_has_the_placeholders() {
        let filled = fill("a: 'web.{{.name}}.svc/m' # {{.name}}", &parameters(), true).expect("it is filled");
        let at = |column| Position { line: 1, column };
        let range = Range {
            start: at(4),
            end: at(20),
        };
        let said = filled.with_placeholders("write `http://web.shop.svc/m`", range);
        assert_eq!(said, "write `http://web.{{.name}}.svc/m`");
    }

    fn parameters() -> Parameters {
        let value =
            json!({"name": "shop", "port": 8080, "on": true, "a": {"b": "c"}, "values.x": "y", "big": 1_000_000});
        value.as_object().expect("a map").clone()
    }

    #[rstest]
    #[case::path("{{.name}}", true, Ok("shop"))]
    #[case::nested("x-{{ .a.b }}-y", true, Ok("x-c-y"))]
    #[case::number("http://a:{{.port}}/", true, Ok("http://a:8080/"))]
    #[case::boolean("{{ .on }}", true, Ok("true"))]
    #[case::trimmed("a \n{{- .name -}}\n b", true, Ok("ashopb"))]
    #[case::comment("a{{/* b */}}c", true, Ok("ac"))]
    #[case::no_placeholder("a", true, Ok("a"))]
    #[case::function("{{ .name | upper }}", true, Err(Why::Controller))]
    #[case::branch("{{ if .on }}a{{ end }}", true, Err(Why::Controller))]
    #[case::exponent("{{ .big }}", true, Err(Why::Controller))]
    #[case::map("{{ .a }}", true, Err(Why::Controller))]
    #[case::not_closed("{{ .a", true, Err(Why::NotClosed))]
    #[case::unknown("{{ .nmae }}", true, Err(Why::Unknown))]
    #[case::older("{{name}}.{{ values.x }}", false, Ok("shop.y"))]
    #[case::older_unknown("{{ .name }}", false, Err(Why::Unknown))]
    #[case::older_not_closed("{{ name", false, Ok("{{ name"))]
    fn placeholders_are_filled(#[case] template: &str, #[case] go: bool, #[case] expected: Result<&str, Why>) {
        let filled = fill(template, &parameters(), go);
        let seen = filled
            .as_ref()
            .map(|filled| filled.text.as_str())
            .map_err(|error| error.why);
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_text_does_not_grow_without_end() {
        let long: Parameters = [("a".to_owned(), json!("a".repeat(1000)))].into_iter().collect();
        let text_of = |count: usize| fill(&"{{ .a }}".repeat(count), &long, true);
        assert_eq!(text_of(200).map(|filled| filled.text.len()), Ok(200_000));
        assert_eq!(text_of(300).err().map(|error| error.why), Some(Why::TooLong));
    }

    #[rstest]
    #[case::before(1, 3, 1, 3)]
    #[case::in_it(4, 6, 3, 14)]
    #[case::after(7, 9, 14, 16)]
    #[case::across(2, 8, 2, 15)]
    fn a_place_is_found_in_the_template(#[case] from: u32, #[case] to: u32, #[case] start: u32, #[case] end: u32) {
        let filled = fill("ab{{ .name }}cd", &parameters(), true).expect("it is filled");
        assert_eq!(filled.text, "abshopcd");
        let at = |column| Position { line: 1, column };
        let seen = filled.in_template(Range {
            start: at(from),
            end: at(to),
        });
        assert_eq!((seen.start.column, seen.end.column), (start, end));
    }
}
