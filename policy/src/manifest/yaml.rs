//! Converts YAML and JSON text to the JSON that kubectl would send to the Kubernetes API.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};
use serde_json::{Map, Number, Value};

/// The maximum size of a text. Kubernetes stores at most 1.5 MiB for an object, but a List can have many.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;

/// How many nodes and characters aliases may add to a document, beyond three times the size of its text.
const ALIAS_BUDGET: usize = 1024 * 1024;

/// The maximum depth, as in `serde_json`.
const MAX_DEPTH: usize = 127;

/// An error of syntax and its position.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyntaxError {
    /// The message without the position.
    pub message: String,
    /// Line and column, from 1.
    pub position: Option<(u32, u32)>,
}

/// The documents of a text.
pub(super) fn documents(text: &str) -> Result<Vec<Value>, SyntaxError> {
    // Not all JSON is YAML: `"\ud83d\ude00"` is one character in JSON and an error in YAML.
    if text.trim_start().starts_with(['{', '['])
        && let Ok(value) = serde_json::from_str(text)
    {
        return Ok(vec![value]);
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        documents: Vec::new(),
        open: Vec::new(),
        anchors: BTreeMap::new(),
        budget: 3 * text.len() + ALIAS_BUDGET,
    };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            let error = at(error.marker(), scan_error(&error));
            tab(text, &error).unwrap_or(error)
        })?;
        reader.take(event).map_err(|message| at(&span.start, message))?;
    }
    // A text with only comments is a document too.
    if reader.documents.is_empty() {
        reader.documents.push(Value::Null);
    }
    Ok(reader.documents)
}

/// The documents of a text that must be JSON: one, or several one after the other.
#[cfg(feature = "files")]
pub(super) fn json_documents(text: &str) -> Result<Vec<Value>, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let documents = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let documents = documents.collect::<Result<Vec<_>, _>>().map_err(|error| {
        let said = error.to_string();
        let message = said
            .rsplit_once(" at line ")
            .map_or(said.as_str(), |(message, _)| message);
        let line = text.split('\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
        // The library counts bytes.
        let before = line.bytes().take(error.column().saturating_sub(1));
        let column = before.filter(|byte| byte & 0xC0 != 0x80).count() + 1;
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        SyntaxError {
            message: message.to_owned(),
            position: Some((number(error.line()), number(column))),
        }
    })?;
    Ok(if documents.is_empty() {
        vec![Value::Null]
    } else {
        documents
    })
}

/// An error about a tab, at the tab: the parser names the text before it.
fn tab(text: &str, error: &SyntaxError) -> Option<SyntaxError> {
    let (first, _) = error.position.filter(|_| error.message.contains("tab"))?;
    let mut lines = text.lines().zip(1..).skip_while(|(_, line)| *line < first);
    let (column, line) = lines.find_map(|(text, line)| {
        let indentation = text.chars().take_while(|c| c.is_whitespace());
        let column = indentation.zip(1..).find(|(c, _)| *c == '\t')?.1;
        Some((column, line))
    })?;
    Some(SyntaxError {
        message: "a tab in the indentation".to_owned(),
        position: Some((line, column)),
    })
}

fn scan_error(error: &ScanError) -> String {
    error.info().to_owned()
}

fn at(marker: &Marker, message: String) -> SyntaxError {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    SyntaxError {
        message,
        position: Some((number(marker.line().max(1)), number(marker.col()).saturating_add(1))),
    }
}

/// The state of the reader. It does not recurse, because the text controls the depth.
struct Reader {
    documents: Vec<Value>,
    /// The open collections, outermost first, each with its anchor.
    open: Vec<(Open, usize)>,
    anchors: BTreeMap<usize, Value>,
    /// The remaining budget for aliases. An alias can refer to a node with aliases, and many aliases to one large node, so
    /// that a few KiB of text expand to gigabytes.
    budget: usize,
}

enum Open {
    Sequence(Vec<Value>),
    /// The entries, and the key whose value is next.
    Mapping(Map<String, Value>, Option<String>),
}

impl Reader {
    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_key = matches!(self.open.last(), Some((Open::Mapping(_, None), _)));
                let value =
                    match older_scalar(&text).filter(|_| style == ScalarStyle::Plain && tag.is_none() && !is_key) {
                        Some(value) => value,
                        None => scalar(&text, style, tag.as_deref())?,
                    };
                self.add(value, anchor)
            }
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).ok_or("unknown anchor")?;
                let depth = spend(value, &mut self.budget)?;
                let value = value.clone();
                self.check_depth(depth)?;
                self.add(value, 0)
            }
            Event::SequenceStart(anchor, _) => self.begin(Open::Sequence(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => self.begin(Open::Mapping(Map::new(), None), anchor),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some((Open::Sequence(items), anchor)) => self.add(items.into(), anchor),
                Some((Open::Mapping(mut map, _), anchor)) => {
                    merge(&mut map);
                    self.add(map.into(), anchor)
                }
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn begin(&mut self, open: Open, anchor: usize) -> Result<(), String> {
        self.check_depth(1)?;
        self.open.push((open, anchor));
        Ok(())
    }

    fn check_depth(&self, more: usize) -> Result<(), String> {
        match self.open.len() + more > MAX_DEPTH {
            true => Err(format!("nested deeper than {MAX_DEPTH} levels")),
            false => Ok(()),
        }
    }

    /// Adds a complete node.
    fn add(&mut self, value: Value, anchor: usize) -> Result<(), String> {
        if anchor != 0 {
            spend(&value, &mut self.budget)?;
            self.anchors.insert(anchor, value.clone());
        }
        match self.open.last_mut() {
            None => self.documents.push(value),
            Some((Open::Sequence(items), _)) => items.push(value),
            Some((Open::Mapping(map, key), _)) => match key.take() {
                Some(key) => _ = map.insert(key, value),
                None => {
                    let name = match value {
                        Value::String(name) => name,
                        Value::Array(_) | Value::Object(_) => return Err("a key that is not text".to_owned()),
                        // `1: x` and `true: x`, as in kubectl.
                        other => other.to_string(),
                    };
                    if map.contains_key(&name) {
                        return Err(format!("duplicate key `{name}`"));
                    }
                    *key = Some(name);
                }
            },
        }
        Ok(())
    }
}

/// Takes the cost of a copied node from the budget. Answers its depth.
fn spend(value: &Value, budget: &mut usize) -> Result<usize, String> {
    let mut pay = |cost: usize| {
        *budget = budget.checked_sub(cost).ok_or("its aliases stand for too much text")?;
        Ok::<_, String>(())
    };
    let mut deepest = 0;
    let mut rest = vec![(value, 0)];
    while let Some((value, depth)) = rest.pop() {
        deepest = deepest.max(depth);
        pay(1)?;
        match value {
            Value::String(text) => pay(text.len())?,
            Value::Array(items) => rest.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(map) => {
                for (key, value) in map {
                    pay(key.len())?;
                    rest.push((value, depth + 1));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    Ok(deepest)
}

/// A scalar's value by the core schema, <https://yaml.org/spec/1.2.2/#103-core-schema>. Local tags such as `!Ref` are
/// ignored.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    let plain = style == ScalarStyle::Plain;
    let Some(tag) = tag.filter(|tag| tag.is_yaml_core_schema()) else {
        return if plain { resolve(text) } else { Ok(text.into()) };
    };
    let resolved = match tag.suffix.as_str() {
        "bool" | "int" | "float" | "null" => resolve(text)?,
        _ => return Ok(text.into()),
    };
    let matches = match tag.suffix.as_str() {
        "bool" => resolved.is_boolean(),
        "null" => resolved.is_null(),
        "int" => resolved.is_i64() || resolved.is_u64(),
        _ => resolved.is_number(),
    };
    match matches {
        true => Ok(resolved),
        false => Err(format!("`{text}` is not what its tag `!!{}` says", tag.suffix)),
    }
}

/// A plain scalar that YAML 1.1 reads as a boolean or a number, and YAML 1.2 as text. kubectl and Argo CD read YAML 1.1
/// (<https://pkg.go.dev/sigs.k8s.io/yaml>): an annotation that is `no` is refused there. As a key it is text for both.
fn older_scalar(text: &str) -> Option<Value> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Some(true.into()),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Some(false.into()),
        _ => {}
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let is_number = digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let is_octal = digits.len() > 1 && digits.starts_with('0');
    if !is_number || !(is_octal || digits.contains('_')) {
        return None;
    }
    let digits = digits.replace('_', "");
    let octal = i64::from_str_radix(&digits, 8).ok().filter(|_| is_octal);
    let number = octal.or_else(|| digits.parse().ok())?;
    Some((sign * number).into())
}

fn resolve(text: &str) -> Result<Value, String> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => true.into(),
        "false" | "False" | "FALSE" => false.into(),
        _ => match number(text) {
            None => text.into(),
            Some(number) => {
                let number = number.map_err(|value| format!("the number {value} cannot be written in JSON"))?;
                Value::Number(number)
            }
        },
    })
}

/// Parses a number. An error if JSON cannot represent it.
fn number(text: &str) -> Option<Result<Number, f64>> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let float = |value: f64| Number::from_f64(value).ok_or(value);
    let integer = |digits: &str, radix| {
        let value = i128::from(u64::from_str_radix(digits, radix).ok()?);
        let value = if negative { -value } else { value };
        let exact = u64::try_from(value).map(Number::from);
        Some(exact.or_else(|_| i64::try_from(value).map(Number::from)))
    };
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = digits.strip_prefix(prefix).filter(|digits| !digits.starts_with('+')) {
            return integer(digits, radix)?.ok().map(Ok);
        }
    }
    match digits {
        ".inf" | ".Inf" | ".INF" => return Some(float(if negative { f64::NEG_INFINITY } else { f64::INFINITY })),
        ".nan" | ".NaN" | ".NAN" => return Some(float(f64::NAN)),
        _ => {}
    }
    if digits.bytes().all(|digit| digit.is_ascii_digit()) {
        // YAML 1.2 reads `089` as text.
        if digits.len() > 1 && digits.starts_with('0') {
            return None;
        }
        if let Some(Ok(exact)) = integer(digits, 10) {
            return Some(Ok(exact));
        }
    }
    let value: f64 = digits.parse().ok()?;
    value.is_finite().then(|| float(if negative { -value } else { value }))
}

/// Applies merge keys (`<<: *defaults`). A mapping's own keys take precedence, then those of the first merged mapping.
fn merge(map: &mut Map<String, Value>) {
    let merged = match map.get("<<") {
        Some(Value::Object(_)) => map.shift_remove("<<").into_iter().collect(),
        Some(Value::Array(items)) if items.iter().all(Value::is_object) => match map.shift_remove("<<") {
            Some(Value::Array(items)) => items,
            _ => return,
        },
        _ => return,
    };
    for (key, value) in merged
        .into_iter()
        .filter_map(|value| match value {
            Value::Object(map) => Some(map),
            _ => None,
        })
        .flatten()
    {
        map.entry(key).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::string("a: '30'", json!({"a": "30"}))]
    #[case::number("a: 30", json!({"a": 30}))]
    #[case::leading_zero("a: 007", json!({"a": 7}))]
    #[case::octal("a: 010", json!({"a": 8}))]
    #[case::no_octal("a: 089", json!({"a": 89}))]
    #[case::underscores("a: 1_000", json!({"a": 1000}))]
    #[case::older_booleans("a: [no, yes, Off, y, nope]", json!({"a": [false, true, false, true, "nope"]}))]
    #[case::older_booleans_in_quotes("a: [\"no\", 'yes', !!str off]", json!({"a": ["no", "yes", "off"]}))]
    #[case::older_booleans_as_keys("on: {y: 1}", json!({"on": {"y": 1}}))]
    #[case::huge_number("a: 123456789012345678901234567890", json!({"a": 123456789012345678901234567890_f64}))]
    #[case::numeric_key("{1: a, true: b, null: c}", json!({"1": "a", "true": "b", "null": "c"}))]
    #[case::empty_value("a:", json!({"a": null}))]
    #[case::core_tag("a: !!str 30", json!({"a": "30"}))]
    #[case::local_tag("a: !Sub [x, !Ref y]", json!({"a": ["x", "y"]}))]
    #[case::alias("a: &a {b: 1}\nc: *a", json!({"a": {"b": 1}, "c": {"b": 1}}))]
    #[case::merge("a: &a {b: 1, c: 2}\nd: {<<: *a, c: 3}", json!({"a": {"b": 1, "c": 2}, "d": {"c": 3, "b": 1}}))]
    #[case::merges(
        "a: &a {x: 1}\nb: &b {x: 2, y: 2}\nd: {<<: [*a, *b]}",
        json!({"a": {"x": 1}, "b": {"x": 2, "y": 2}, "d": {"x": 1, "y": 2}})
    )]
    #[case::json_surrogates(r#"{"a": "\ud83d\ude00"}"#, json!({"a": "😀"}))]
    #[case::byte_order_mark("\u{feff}a: 1", json!({"a": 1}))]
    #[case::block("a: |-\n  x\n  y", json!({"a": "x\ny"}))]
    fn reads_what_the_api_would_be_sent(#[case] text: &str, #[case] value: Value) {
        assert_eq!(documents(text), Ok(vec![value]));
    }

    #[rstest]
    #[case::one("a: 1", 1)]
    #[case::two("a: 1\n---\nb: 2\n", 2)]
    #[case::markers("---\na: 1\n...\n---\nb: 2\n...\n", 2)]
    #[case::empty("", 1)]
    fn counts_documents(#[case] text: &str, #[case] count: usize) {
        assert_eq!(documents(text).map(|documents| documents.len()), Ok(count));
    }

    #[rstest]
    #[case::unclosed("a: [1", "line 2")]
    #[case::tab("a:\n\tb: 1", "line 2")]
    #[case::tab_behind_a_text("a: b\n\tc: d", "a tab in the indentation, line 2")]
    #[case::duplicate("a: 1\nb: 2\na: 3", "duplicate key `a`")]
    #[case::mapping_key("? {a: 1}\n: b", "a key that is not text")]
    #[case::not_a_number("a: .nan", "cannot be written in JSON")]
    #[case::unknown_alias("a: *b", "unknown anchor")]
    #[case::template("a: {{ .Values.a }}", "")]
    fn refuses_what_is_not_yaml(#[case] text: &str, #[case] contained: &str) {
        let error = documents(text).expect_err("it is not YAML");
        let said = format!("{}, line {}", error.message, error.position.map_or(0, |(line, _)| line));
        assert!(said.contains(contained), "{said}");
    }

    /// All example manifests, and texts of special characters.
    mod as_another_library_reads {
        use proptest::prelude::*;

        use super::*;

        fn theirs(text: &str) -> Option<Value> {
            serde_json::to_value(serde_yaml::from_str::<serde_yaml::Value>(text).ok()?).ok()
        }

        #[test]
        fn the_examples() {
            let folders = ["../examples", "../examples/rubin", "../deploy", "tests/cases"];
            let mut read = 0;
            for folder in folders {
                for file in std::fs::read_dir(folder).expect("the folder is there") {
                    let file = file.expect("a file").path();
                    if file.extension().is_some_and(|extension| extension == "yaml") {
                        let text = std::fs::read_to_string(&file).expect("text");
                        if let Some(theirs) = theirs(&text) {
                            assert_eq!(documents(&text), Ok(vec![theirs]), "{}", file.display());
                            read += 1;
                        }
                    }
                }
            }
            assert!(read > 5, "the examples are there");
        }

        proptest! {
            #[test]
            fn scalars(text in "[-+]?(0[xob])?[0-9.]{0,4}(e[-+]?[0-9])?|[a-zA-Z~.<0-9:+-]{1,6}") {
                // The other library reads YAML 1.2 alone.
                prop_assume!(older_scalar(&text).is_none());
                let text = format!("a: {text}");
                if let Some(theirs) = theirs(&text) {
                    prop_assert_eq!(documents(&text), Ok(vec![theirs]));
                }
            }
        }
    }

    #[rstest]
    #[case::trailing_comma("{\n  \"a\": [1, 2],\n}\n", Err((3, 1)))]
    #[case::behind_a_wide_character("{\"ä\": \"ö\", }", Err((1, 12)))]
    #[case::comment("// a\n{}", Err((1, 1)))]
    #[case::one("{\"a\": 1}\n", Ok(1))]
    #[case::several("{}\n{}\n", Ok(2))]
    #[case::none("", Ok(1))]
    #[cfg(feature = "files")]
    fn json_is_not_yaml(#[case] text: &str, #[case] expected: Result<usize, (u32, u32)>) {
        let seen = json_documents(text).map(|documents| documents.len());
        assert_eq!(seen.map_err(|error| error.position.expect("a place")), expected);
    }

    #[test]
    fn refuses_aliases_of_aliases() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let below = format!("*a{}, ", level - 1).repeat(10);
            text += &format!("a{level}: &a{level} [{below}]\n");
        }
        assert!(documents(&text).is_err());
    }

    #[test]
    fn refuses_many_aliases_of_one_large_node() {
        let text = format!("a: &a [{}]\nb: [{}]\n", "x, ".repeat(10_000), "*a, ".repeat(10_000));
        let error = documents(&text).expect_err("that is 100 million nodes");
        assert!(
            error.message.ends_with("its aliases stand for too much text"),
            "{error:?}"
        );
    }

    #[test]
    fn refuses_many_aliases_of_one_long_text() {
        let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a, ".repeat(10_000));
        assert!(documents(&text).is_err());
    }

    #[test]
    fn reads_dense_text_without_aliases() {
        let text = format!("[{}]", "[],".repeat(100_000));
        assert!(documents(&text).is_ok());
    }

    #[rstest]
    #[case::sequences("[", "]")]
    #[case::mappings("{a: ", "}")]
    fn refuses_deep_nesting(#[case] open: &str, #[case] close: &str) {
        let text = format!("{}{}", open.repeat(5_000), close.repeat(5_000));
        assert!(documents(&text).is_err());
    }
}
