//! Telegraf's glob patterns.

use std::str::Chars;

/// Deeper groups than this say nothing that a list of patterns does not say better.
const MAX_DEPTH: usize = 4;

/// True if Telegraf's glob library can read the pattern (<https://pkg.go.dev/github.com/gobwas/glob>). One that it cannot
/// read would end the whole of Telegraf. Its versions differ about brackets that are not closed and about odd classes, so
/// only what all of them take is one.
pub(crate) fn is_glob(text: &str) -> bool {
    let mut chars = text.chars();
    let mut depth = 0;
    while let Some(c) = chars.next() {
        let good = match c {
            '\\' => chars.next().is_some(),
            '[' => is_class(&mut chars),
            '{' => {
                depth += 1;
                depth <= MAX_DEPTH
            }
            '}' if depth > 0 => {
                depth -= 1;
                true
            }
            _ => true,
        };
        if !good {
            return false;
        }
    }
    depth == 0
}

/// Reads `abc]`, `!abc]` or `a-z]`, of which a class holds one and no more.
fn is_class(chars: &mut Chars<'_>) -> bool {
    let rest = chars.as_str();
    let Some((class, rest)) = rest.split_once(']') else {
        return false;
    };
    *chars = rest.chars();
    let class = class.strip_prefix('!').unwrap_or(class);
    match class.chars().collect::<Vec<_>>().as_slice() {
        [] => false,
        [low, '-', high] => low <= high,
        [_, '-', ..] => false,
        others => !others.contains(&'\\') && !others.contains(&'['),
    }
}

#[cfg(test)]
mod tests {
    use super::is_glob;
    use rstest::rstest;

    #[rstest]
    #[case("")]
    #[case("plain")]
    #[case("go_*")]
    #[case("**?")]
    #[case("[abc]")]
    #[case("[!abc]x")]
    #[case("[a-z]*")]
    #[case("{a,b}_{c,{d,e}}")]
    #[case("\\{a")]
    #[case("a}b]c")]
    fn what_telegraf_reads(#[case] text: &str) {
        assert!(is_glob(text));
    }

    #[rstest]
    #[case("{a,b")]
    #[case("a\\")]
    #[case("[abc")]
    #[case("[]")]
    #[case("[!]")]
    #[case("[z-a]")]
    #[case("[a-zA-Z]")]
    #[case("{{{{{a}}}}}")]
    fn what_telegraf_may_not_read(#[case] text: &str) {
        assert!(!is_glob(text));
    }
}
