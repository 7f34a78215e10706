//! Telegraf's glob patterns.
//!
//! Telegraf up to 1.39 uses version 0.2.3 of <https://pkg.go.dev/github.com/gobwas/glob>, and later versions of
//! Telegraf use version 1.0.0. Telegraf exits if a pattern cannot be compiled. In 0.2.3, an empty alternative can panic
//! during a match, and the time of a match grows with a power of the text's length. The power depends on the number of
//! `*` and on what is next to them. A pattern is accepted if both versions compile it to the same meaning and match it
//! in little time. Instead of one pattern with several `*` or braces, an author can write a list of patterns.

use std::str::Chars;

/// The longest pattern, in bytes.
const MAX_BYTES: usize = 256;

/// The most `*` in a pattern that contains only `*` and text. `**` counts twice.
const MAX_STARS: usize = 3;

/// Checks that every version of Telegraf's glob library compiles the pattern and matches it in little time.
///
/// # Errors
/// What to write instead.
pub(crate) fn check_glob(text: &str) -> Result<(), &'static str> {
    if text.len() > MAX_BYTES {
        return Err("a pattern of at most 256 bytes");
    }
    // What stands for a character that could not be read is an error to version 0.2.3.
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err("a pattern without the character U+FFFD");
    }
    let mut pattern = Shape::default();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next().ok_or("a character after `\\`")?;
            }
            '[' => {
                if !is_class(&mut chars) {
                    return Err("a pattern in which every `[` is closed, and a class is `[abc]` or `[a-z]`");
                }
                pattern.holds_class = true;
            }
            '{' => {
                if pattern.holds_braces {
                    return Err("several patterns instead of one with several `{`");
                }
                if pattern.stars > 0 {
                    return Err("several patterns instead of one with `{` after `*`");
                }
                pattern.holds_braces = true;
                read_alternatives(&mut chars, &mut pattern.stars)?;
            }
            '*' if pattern.holds_braces && !chars.as_str().is_empty() => {
                return Err("several patterns instead of one with `{` and with text after `*`");
            }
            '*' => pattern.stars += 1,
            '?' => pattern.holds_class = true,
            _ => {}
        }
    }
    let few = match (pattern.holds_class, pattern.holds_braces) {
        (false, false) if pattern.stars > MAX_STARS => "several patterns with at most three `*` each",
        (true, true) => "several patterns instead of one with `{` and with `?` or `[`",
        (true, false) if pattern.stars > 1 => "several patterns with at most one `*` each, since they hold `?` or `[`",
        (false, true) if pattern.stars > 1 => "several patterns with at most one `*` each, since they hold `{`",
        _ => return Ok(()),
    };
    Err(few)
}

/// The properties of a pattern that determine the cost of a match.
#[derive(Default)]
struct Shape {
    stars: usize,
    /// It contains `?` or `[`.
    holds_class: bool,
    holds_braces: bool,
}

/// Reads `a,b}`: alternatives of text and `*`. Adds the largest number of `*` in one alternative.
fn read_alternatives(chars: &mut Chars<'_>, stars: &mut usize) -> Result<(), &'static str> {
    let (mut most, mut of_this, mut is_empty) = (0, 0, true);
    loop {
        match chars.next().ok_or("a pattern in which every `{` is closed")? {
            ',' | '}' if is_empty => return Err("alternatives that are not empty"),
            ',' => (most, of_this, is_empty) = (most.max(of_this), 0, true),
            '}' => break,
            '{' | '[' | '?' => return Err("braces that hold only text and `*`"),
            '\\' => {
                chars.next().ok_or("a character after `\\`")?;
                is_empty = false;
            }
            c => {
                of_this += usize::from(c == '*');
                is_empty = false;
            }
        }
    }
    *stars += most.max(of_this);
    Ok(())
}

/// Reads `abc]`, `!abc]` or `a-z]`. A character class contains exactly one of these.
fn is_class(chars: &mut Chars<'_>) -> bool {
    let rest = chars.as_str();
    let Some((class, rest)) = rest.split_once(']') else {
        return false;
    };
    *chars = rest.chars();
    let class = class.strip_prefix('!').unwrap_or(class);
    let mut members = class.chars();
    match (members.next(), members.next(), members.next(), members.next()) {
        (None, ..) => false,
        (Some(low), Some('-'), Some(high), None) => low <= high,
        (_, Some('-'), ..) => false,
        _ => !class.contains(['\\', '[']),
    }
}

#[cfg(test)]
mod tests {
    use super::check_glob;
    use rstest::rstest;

    #[rstest]
    #[case("")]
    #[case("plain")]
    #[case("go_*")]
    #[case("*_sum*")]
    #[case("a*b*c*")]
    #[case("*?")]
    #[case("[abc]")]
    #[case("[!abc]x")]
    #[case("[a-z]*")]
    #[case("{go,process}_*")]
    #[case("{go_*,process_*,*_total}")]
    #[case("{a\\,,\\}}")]
    #[case("\\{a")]
    #[case("\\*\\*\\*\\*")]
    #[case("a}b]c,d")]
    fn what_every_telegraf_reads(#[case] text: &str) {
        assert_eq!(check_glob(text), Ok(()));
    }

    #[rstest]
    #[case("{a,b")]
    #[case("{a,b\\")]
    #[case("a\\")]
    #[case("[abc")]
    #[case("[]")]
    #[case("[!]")]
    #[case("[z-a]")]
    #[case("[a-zA-Z]")]
    #[case("ur?{}")]
    #[case("{a,}")]
    #[case("{,a}")]
    #[case("{a,,b}")]
    #[case("{a,{b,c}}")]
    #[case("{[a],b}")]
    #[case("{a,b}{c,d}")]
    #[case("{a*,b}*")]
    #[case("{a,b}_[cd]")]
    #[case("{a,b}_?")]
    #[case("*{a,b}")]
    #[case("{a,aba}b*a")]
    #[case("*a*?b")]
    #[case("[a-b]*[!b]*")]
    #[case("**a**")]
    #[case("*a*a*a*a")]
    #[case("x*\u{fffd}")]
    #[case("[\u{fffd}-\u{10ffff}]")]
    #[case("[a\u{fffd}]")]
    fn what_a_telegraf_may_not_read(#[case] text: &str) {
        assert!(check_glob(text).is_err());
    }

    #[test]
    fn long_patterns_and_many_stars_are_refused() {
        assert!(check_glob(&"a".repeat(256)).is_ok());
        assert!(check_glob(&"a".repeat(257)).is_err());
        assert!(check_glob(&("*a".repeat(38) + "*?b")).is_err());
    }
}
