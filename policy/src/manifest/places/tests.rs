//! A small writer writes each scalar style and records the place of each character. The located places must be the same.

use proptest::prelude::*;
use rstest::rstest;
use serde_json::Value;

use super::super::yaml;
use super::*;

const POINTER: &str = "/metadata/annotations/example.org~1text";

/// The region marked with `«` and `»` in a file, and the file without the marks.
fn marked(file: &str) -> (String, Region) {
    let position = |before: &str| {
        let line = before.split('\n').next_back().unwrap_or_default();
        Position {
            line: before.matches('\n').count() as u32 + 1,
            column: line.chars().count() as u32 + 1,
        }
    };
    let (before, rest) = file.split_once('«').expect("a mark");
    let (inside, after) = rest.split_once('»').expect("a mark");
    let region = Region {
        start: position(before),
        end: position(&format!("{before}{inside}")),
    };
    (format!("{before}{inside}{after}"), region)
}

fn range(start: (u32, u32), end: (u32, u32)) -> Range {
    let position = |(line, column)| Position { line, column };
    Range {
        start: position(start),
        end: position(end),
    }
}

fn annotation(range: Option<Range>) -> Place {
    Place {
        range,
        ..Place::pointer(POINTER)
    }
}

/// Locates as the command does, with the text that the module read.
fn locate(file: &str, document: usize, place: &Place) -> Option<Region> {
    let documents = yaml::documents(file).expect("the file is YAML");
    let tree = Tree::parse(file).expect("the file is YAML");
    assert_eq!(tree.documents(), documents.len());
    let text = documents[document].pointer(&place.pointer).and_then(Value::as_str);
    tree.locate(document, place, text)
}

const NAME: &str = "metadata:\n  annotations:\n    example.org/text: ";

#[rstest]
#[case::literal("|\n      - a: 1\n      - «b»: 2\n")]
#[case::literal_stripped("|-\n      - a: 1\n      - «b»: 2\n")]
#[case::literal_kept("|+\n      - a: 1\n      - «b»: 2\n\n\n")]
#[case::literal_with_comment("|  # text\n      - a: 1\n      - «b»: 2\n")]
#[case::literal_with_indicator("|2\n      - a: 1\n      - «b»: 2\n")]
#[case::literal_with_both("|4-\n        - a: 1\n        - «b»: 2\n")]
#[case::literal_without_end("|\n      - a: 1\n      - «b»: 2")]
#[case::literal_followed("|\n      - a: 1\n      - «b»: 2\n    # comment\n    other: x\n")]
#[case::literal_with_returns("|\r\n      - a: 1\r\n      - «b»: 2\r\n")]
#[case::literal_far_in("|\n                    - a: 1\n                    - «b»: 2\n")]
#[case::folded_with_blank_lines(">\n      - a: 1\n\n      - «b»: 2\n")]
#[case::folded_further_in(">2\n      - a: 1\n\n      - «b»: 2\n\n        c\n      d\n")]
#[case::single_quoted("'- a: 1\n\n      - «b»: 2'\n")]
#[case::double_quoted("\"- a: 1\\n- «b»: 2\"\n")]
#[case::double_quoted_over_lines("\"- a: 1\\n\\\n      - «b»: 2\"\n")]
#[case::double_quoted_codes("\"\\x2d \\u0061\\U0000003a 1\\n- «b»: 2\"\n")]
fn the_second_endpoint_is_found_however_it_is_written(#[case] value: &str) {
    let (file, region) = marked(&format!("{NAME}{value}"));
    let place = annotation(Some(range((2, 3), (2, 4))));
    assert_eq!(locate(&file, 0, &place), Some(region), "{file}");
}

#[rstest]
#[case::plain("xyz «abc» d", range((1, 5), (1, 8)))]
#[case::plain_at_the_end("xyz «abc»\n", range((1, 5), (1, 8)))]
#[case::plain_over_lines("xyz\n      «abc» d\n", range((1, 5), (1, 8)))]
#[case::plain_end_of_text("xyz abc«»   # comment\n", range((1, 8), (1, 8)))]
#[case::folded(">\n      xyz\n      «abc»\n      d\n", range((1, 5), (1, 8)))]
#[case::single_quotes_doubled("'x''z «a''c» d'\n", range((1, 5), (1, 8)))]
#[case::escapes("\"x\\tz «\\\"b\\u00e9» d\"\n", range((1, 5), (1, 8)))]
#[case::wide_characters("漢😀é «abc» d\n", range((1, 5), (1, 8)))]
#[case::over_two_lines("|\n      xyz «abc\n      de»f\n", range((1, 5), (2, 3)))]
#[case::blank_line("|\n      a\n«»\n      b\n", range((2, 1), (2, 1)))]
#[case::blank_line_first("|\n«»\n      b\n", range((1, 1), (1, 1)))]
#[case::behind_the_line("|\n      abc«»\n      def\n", range((1, 9), (1, 9)))]
#[case::empty_is_its_first_line("«\"\"»\n", range((1, 1), (1, 1)))]
#[case::a_line_that_is_not_there("«abc»\n", range((7, 1), (7, 2)))]
#[case::only_line_breaks("«|+»\n\n\n", range((2, 1), (2, 1)))]
fn parts_of_a_text(#[case] value: &str, #[case] range: Range) {
    let (file, region) = marked(&format!("{NAME}{value}"));
    assert_eq!(locate(&file, 0, &annotation(Some(range))), Some(region), "{file}");
}

#[rstest]
#[case::plain("a: {b: «value»}   # comment\n", "/a/b")]
#[case::quoted("a:\n  b: «\"value\"»\n", "/a/b")]
#[case::number("a:\n  b: «30»\n", "/a/b")]
#[case::block_scalar_is_its_key("a:\n  «b»: |\n    text\n", "/a/b")]
#[case::mapping_is_its_key("a:\n  «b»:\n    c: 1\n", "/a/b")]
#[case::flow_mapping("a:\n  b: «{c: 1}»\n", "/a/b")]
#[case::item("a:\n  - x\n  - «y»\n", "/a/1")]
#[case::mapping_item_is_its_first_line("a:\n  - x: 1\n  - «y: 2»\n    z: 3\n", "/a/1")]
#[case::missing_is_where_it_is_missing("«a»:\n  x: 1\n", "/a/b")]
#[case::missing_further_up("«a»:\n  x: 1\n", "/a/b/c/d")]
#[case::missing_at_the_top("«x: 1»\ny: 2\n", "/a/b")]
#[case::root("«x: 1»\ny: 2\n", "")]
#[case::empty("«a»:\n", "/a/b")]
#[case::escaped("a:\n  x/y~z: «1»\n", "/a/x~1y~0z")]
#[case::alias("x: &x {b: «1»}\na: *x\n", "/a/b")]
#[case::merged("x: &x {b: «1»}\na: {<<: *x, c: 2}\n", "/a/b")]
#[case::merged_list("x: &x {b: «1»}\na: {<<: [*x], c: 2}\n", "/a/b")]
#[case::own_before_merged("x: &x {b: 1}\na: {<<: *x, b: «2»}\n", "/a/b")]
#[case::json("{\n\t\"a\": {\n\t\t\"b\": «\"value\"»\n\t}\n}\n", "/a/b")]
#[case::byte_order_mark("\u{feff}a: {b: «value»}\n", "/a/b")]
fn values_by_pointer(#[case] file: &str, #[case] pointer: &str) {
    let (file, mut region) = marked(file);
    if file.starts_with('\u{feff}') {
        region.start.column -= 1;
        region.end.column -= 1;
    }
    assert_eq!(locate(&file, 0, &Place::pointer(pointer)), Some(region), "{file}");
}

#[rstest]
#[case::plain("a:\n  «b»: value\n")]
#[case::quoted("a:\n  «\"b\"»: value\n")]
#[case::explicit("a:\n  ? «b»\n  : value\n")]
fn keys(#[case] file: &str) {
    let (file, region) = marked(file);
    let place = Place {
        key: true,
        ..Place::pointer("/a/b")
    };
    assert_eq!(locate(&file, 0, &place), Some(region));
}

#[test]
fn documents_are_counted_as_the_reader_counts_them() {
    let (file, region) = marked("# first\n---\na: 1\n---\n# none\n---\na: «2»\n...\n---\na: 3\n");
    assert_eq!(locate(&file, 2, &Place::pointer("/a")), Some(region));
}

#[test]
fn a_text_that_the_module_did_not_see_is_only_its_line() {
    let (file, region) = marked("a: «value»\n");
    let place = Place {
        range: Some(range((1, 2), (1, 3))),
        ..Place::pointer("/a")
    };
    let tree = Tree::parse(&file).expect("it is YAML");
    assert_eq!(tree.locate(0, &place, Some("another")), Some(region));
}

#[test]
fn a_lone_carriage_return_is_only_its_line() {
    let file = "a: \"x\\ny\" # old\r# Mac\n";
    let place = Place {
        range: Some(range((2, 1), (2, 2))),
        ..Place::pointer("/a")
    };
    let region = Tree::parse(file).and_then(|tree| tree.locate(0, &place, None));
    assert_eq!(region.map(|region| region.start), Some(Position { line: 1, column: 4 }));
}

/// Writes one scalar and records the place of each character of its text.
struct Writer {
    file: String,
    at: Position,
    noted: Vec<Position>,
}

impl Writer {
    fn new(before: &str) -> Self {
        let mut writer = Self {
            file: String::new(),
            at: Position { line: 1, column: 1 },
            noted: Vec::new(),
        };
        writer.put(before);
        writer
    }

    /// Writes characters of the file that represent no text.
    fn put(&mut self, raw: &str) {
        for c in raw.chars() {
            self.file.push(c);
            if c == '\n' {
                self.at = Position {
                    line: self.at.line + 1,
                    column: 1,
                };
            } else {
                self.at.column += 1;
            }
        }
    }

    /// Writes the characters of the file that represent one character of the text.
    fn note(&mut self, raw: &str) {
        self.noted.push(self.at);
        self.put(raw);
    }
}

/// The writer's choices: one bit for each character.
struct Choices(u64);

impl Choices {
    fn next(&mut self) -> bool {
        let bit = self.0 & 1 == 1;
        self.0 = self.0.rotate_right(1);
        bit
    }
}

fn write_literal(writer: &mut Writer, text: &str, indentation: usize, choices: &mut Choices) {
    let content = text.trim_end_matches('\n');
    let chomping = match text.len() - content.len() {
        0 => "-",
        1 => "",
        _ => "+",
    };
    let needs_indicator = content.trim_start_matches('\n').starts_with(' ');
    if needs_indicator || choices.next() {
        writer.put(&format!("|{indentation}{chomping}\n"));
    } else {
        writer.put(&format!("|{chomping}\n"));
    }
    let indentation = " ".repeat(4 + indentation);
    for line in text.split_inclusive('\n') {
        if line == "\n" {
            if choices.next() {
                writer.put(&indentation);
            }
        } else {
            writer.put(&indentation);
        }
        line.chars().for_each(|c| writer.note(&c.to_string()));
    }
    if chomping == "-" {
        writer.put("\n");
    }
}

/// Text of words, without spaces at the ends of lines or in a row.
fn write_folded(writer: &mut Writer, text: &str, indentation: usize, choices: &mut Choices) {
    let indentation = " ".repeat(4 + indentation);
    writer.put(">-\n");
    writer.put(&indentation);
    write_words(writer, text, &indentation, choices, |writer, c| {
        writer.note(&c.to_string())
    });
    writer.put("\n");
}

fn write_words(
    writer: &mut Writer,
    text: &str,
    indentation: &str,
    choices: &mut Choices,
    mut write: impl FnMut(&mut Writer, char),
) {
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' if choices.next() => {
                writer.note("\n");
                writer.put(indentation);
            }
            '\n' => {
                writer.put("\n");
                writer.note("\n");
                while chars.next_if_eq(&'\n').is_some() {
                    writer.note("\n");
                }
                writer.put(indentation);
            }
            c => write(writer, c),
        }
    }
}

fn write_single_quoted(writer: &mut Writer, text: &str, indentation: usize, choices: &mut Choices) {
    writer.put("'");
    write_words(
        writer,
        text,
        &" ".repeat(4 + indentation),
        choices,
        |writer, c| match c {
            '\'' => writer.note("''"),
            c => writer.note(&c.to_string()),
        },
    );
    writer.put("'\n");
}

fn write_double_quoted(writer: &mut Writer, text: &str, indentation: usize, choices: &mut Choices) {
    let indentation = " ".repeat(4 + indentation);
    writer.put("\"");
    let mut break_before_next = false;
    for c in text.chars() {
        // A backslash can break the line anywhere, but the next character must not look like indentation.
        if break_before_next && !c.is_whitespace() && choices.next() {
            writer.put("\\\n");
            writer.put(&indentation);
        }
        break_before_next = true;
        match c {
            '"' => writer.note("\\\""),
            '\\' => writer.note("\\\\"),
            '\n' => writer.note("\\n"),
            '\t' => writer.note("\\t"),
            ' ' if choices.next() => writer.note("\\ "),
            c if choices.next() => match u32::from(c) {
                code @ 0..0x100 => writer.note(&format!("\\x{code:02x}")),
                code @ 0x100..0x1_0000 => writer.note(&format!("\\u{code:04x}")),
                code => writer.note(&format!("\\U{code:08x}")),
            },
            c => writer.note(&c.to_string()),
        }
    }
    writer.put("\"\n");
}

fn write_plain(writer: &mut Writer, text: &str, indentation: usize, choices: &mut Choices) {
    write_words(writer, text, &" ".repeat(4 + indentation), choices, |writer, c| {
        writer.note(&c.to_string());
    });
    writer.put("\n");
}

/// Any text that a block or quoted scalar can represent, with YAML's special characters.
fn any_text() -> impl Strategy<Value = String> {
    let special = "[a-c \n:#'\"\\\\{}|>&*!%@,é漢😀-]{1,40}";
    prop_oneof![
        special,
        ("\n{0,2} {0,2}", special, "\n{0,3}").prop_map(|(a, b, c)| a + &b + &c)
    ]
    .prop_filter("it is not blank", |text| !text.trim().is_empty())
}

/// Lines of words, with single spaces between them.
fn words(word: &'static str) -> impl Strategy<Value = String> {
    let line = proptest::collection::vec(word, 1..5).prop_map(|words| words.join(" "));
    let breaks = "\n{1,3}";
    (line.clone(), proptest::collection::vec((breaks, line), 0..4)).prop_map(|(first, rest)| {
        rest.into_iter()
            .fold(first, |text, (breaks, line)| text + &breaks + &line)
    })
}

fn styled() -> impl Strategy<Value = (&'static str, String)> {
    prop_oneof![
        any_text().prop_map(|text| ("literal", text)),
        any_text().prop_map(|text| ("double", text)),
        words("[a-c:#'\"\\\\{}é漢😀-]{1,4}").prop_map(|text| ("folded", text)),
        words("[a-c:#'\"\\\\{}é漢😀-]{1,4}").prop_map(|text| ("single", text)),
        words("[a-cé漢😀\\\\'\"/]{1,4}x").prop_map(|text| ("plain", format!("p{text}"))),
    ]
}

fn write((style, text): (&str, &str), indentation: usize, mut choices: Choices) -> Writer {
    let write = match style {
        "literal" => write_literal,
        "folded" => write_folded,
        "single" => write_single_quoted,
        "double" => write_double_quoted,
        _ => write_plain,
    };
    let mut writer = Writer::new(NAME);
    write(&mut writer, text, indentation, &mut choices);
    writer.put("    example.org/after: x\n");
    writer
}

/// The position of a character in a text.
fn position_in(text: &str, index: usize) -> Position {
    let before: String = text.chars().take(index).collect();
    let line = before.split('\n').next_back().unwrap_or_default();
    Position {
        line: before.matches('\n').count() as u32 + 1,
        column: line.chars().count() as u32 + 1,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_character_is_where_it_was_written(
        (style, text) in styled(),
        indentation in 1_usize..7,
        choices in any::<u64>(),
        returns in any::<bool>(),
    ) {
        let Writer { file, noted, .. } = write((style, &text), indentation, Choices(choices));
        let file = if returns { file.replace('\n', "\r\n") } else { file };
        let documents = yaml::documents(&file).expect("the writer writes YAML");
        let seen = documents[0].pointer(POINTER).and_then(Value::as_str);
        prop_assert_eq!(seen, Some(text.as_str()), "the writer writes this text: {}", file);

        let tree = Tree::parse(&file).expect("the writer writes YAML");
        prop_assert_eq!(noted.len(), text.chars().count());
        for (index, written) in noted.into_iter().enumerate() {
            let start = position_in(&text, index);
            let end = Position { column: start.column + 1, ..start };
            let region = tree.locate(0, &annotation(Some(Range { start, end })), seen).expect("it is there");
            prop_assert_eq!(region.start, written, "character {} of {:?} in {}", index, text, file);
        }
    }

    #[test]
    fn whatever_is_asked_of_whatever_file_there_is_an_answer_within_it(
        file in "[a-c:|>'\"\\\\&*\\[\\]{}#,\\-! \r\n\té]{0,60}",
        pointer in "(/[a-c0-2]?){0,3}",
        start in (0_u32..5, 0_u32..9),
        end in (0_u32..5, 0_u32..9),
        with_range in any::<bool>(),
        key in any::<bool>(),
    ) {
        let Some(tree) = Tree::parse(&file) else { return Ok(()) };
        let place = Place { key, range: with_range.then(|| range(start, end)), ..Place::pointer(pointer) };
        for document in 0..=tree.documents() {
            let region = tree.locate(document, &place, None);
            prop_assert_eq!(region.is_some(), document < tree.documents());
            if let Some(Region { start, end }) = region {
                prop_assert!(start <= end);
                prop_assert!(end.line as usize <= file.matches('\n').count() + 1);
                let line = file.split('\n').nth(start.line as usize - 1).unwrap_or_default();
                prop_assert!(start.column as usize <= line.chars().count() + 1);
                let excerpt = tree.excerpt(Region { start, end });
                prop_assert!(excerpt.is_some_and(|excerpt| excerpt.text.get(excerpt.start..excerpt.end).is_some()));
            }
        }
    }
}
