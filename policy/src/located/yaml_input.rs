//! The text of an annotation, as the YAML reader reads it.

use saphyr_parser::StrInput;
use saphyr_parser::input::{Input, SkipTabs};

/// The characters that the reader looks at together, as many as saphyr's `BufferedInput` has.
///
/// The reader makes room for so many in each text without quotes. `StrInput` has 128, which is more than a text of an annotation
/// has, and so all of them would be allocated twice.
const TOGETHER: usize = 16;

/// A `StrInput` with another number of characters that are looked at together.
pub(super) struct YamlInput<'a>(StrInput<'a>);

impl<'a> YamlInput<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self(StrInput::new(text))
    }
}

/// Methods that are those of `StrInput`.
macro_rules! forward {
    (
        read { $(fn $read:ident($($of_read:ident: $read_type:ty),*) -> $found:ty;)* }
        advance { $(fn $advance:ident($($of_advance:ident: $advance_type:ty),*) -> $taken:ty;)* }
    ) => {
        $(
            #[inline]
            fn $read(&self, $($of_read: $read_type),*) -> $found {
                self.0.$read($($of_read),*)
            }
        )*
        $(
            #[inline]
            fn $advance(&mut self, $($of_advance: $advance_type),*) -> $taken {
                self.0.$advance($($of_advance),*)
            }
        )*
    };
}

impl Input for YamlInput<'_> {
    fn bufmaxlen(&self) -> usize {
        TOGETHER
    }

    forward! {
        read {
            fn buflen() -> usize;
            fn buf_is_empty() -> bool;
            fn peek() -> char;
            fn peek_nth(n: usize) -> char;
            fn peek_opt() -> Option<char>;
            fn next_char_is(c: char) -> bool;
            fn nth_char_is(n: usize, c: char) -> bool;
            fn next_2_are(c1: char, c2: char) -> bool;
            fn next_3_are(c1: char, c2: char, c3: char) -> bool;
            fn next_is_document_indicator() -> bool;
            fn next_is_document_start() -> bool;
            fn next_is_document_end() -> bool;
            fn next_can_be_plain_scalar(in_flow: bool) -> bool;
            fn next_is_blank_or_break() -> bool;
            fn next_is_blank_or_breakz() -> bool;
            fn next_is_blank() -> bool;
            fn next_is_break() -> bool;
            fn next_is_breakz() -> bool;
            fn next_is_z() -> bool;
            fn next_is_flow() -> bool;
            fn next_is_digit() -> bool;
            fn next_is_alpha() -> bool;
        }
        advance {
            fn lookahead(count: usize) -> ();
            fn raw_read_ch() -> char;
            fn raw_read_non_breakz_ch() -> Option<char>;
            fn skip() -> ();
            fn skip_n(count: usize) -> ();
            fn look_ch() -> char;
            fn skip_ws_to_eol(skip_tabs: SkipTabs) -> (usize, Result<SkipTabs, &'static str>);
            fn skip_while_non_breakz() -> usize;
            fn skip_while_blank() -> usize;
            fn fetch_while_is_alpha(out: &mut String) -> usize;
            fn fetch_while_is_yaml_non_space(out: &mut String) -> usize;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use saphyr_parser::Parser;

    use super::*;

    /// The events of a text, up to the first error, and their places.
    fn events<T: Input>(parser: Parser<'_, T>) -> Vec<String> {
        let mut events = Vec::new();
        for event in parser {
            events.push(format!("{event:?}"));
            if event.is_err() {
                break;
            }
        }
        events
    }

    fn same(text: &str) {
        assert_eq!(
            events(Parser::new(YamlInput::new(text))),
            events(Parser::new_from_str(text)),
            "{text}"
        );
    }

    #[test]
    fn block_scalars_may_be_indented_deeply() {
        for indent in [1, 13, 14, 15, 16, 17, 127, 128, 129] {
            let line = " ".repeat(indent);
            same(&format!("a: |\n{line}b\n\n{line}  c\n{line}d"));
            same(&format!("a:\n{line}- >-\n{line}  b\n{line}   c\n"));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_str_input_reads_it(
            lines in proptest::collection::vec((0_usize..40, "[a-zé0:|>#'\"\\[\\]{},&* -]{0,30}"), 0..12),
        ) {
            let lines: Vec<_> = lines.into_iter().map(|(indent, text)| " ".repeat(indent) + &text).collect();
            same(&lines.join("\n"));
        }
    }
}
