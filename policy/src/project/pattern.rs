//! The two kinds of pattern that AppProjects are written in, read as the libraries that Argo CD uses read them.
//!
//! Matching goes through the text once with all positions that are still possible, so that no pattern takes
//! exponential time.

use std::iter::Peekable;
use std::str::Chars;

/// A pattern that was understood.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Pattern(Vec<Part>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Character(char),
    /// `?`
    One,
    /// `*` and, since namespaces and servers are not split at separators, `**`.
    Any,
    /// `[a-z]`, `[abc]`, `[!abc]`: one character within, or outside of, these ranges.
    Ranges {
        ranges: Vec<(char, char)>,
        not: bool,
    },
    /// `{a,b}`
    Either(Vec<Pattern>),
}

/// Braces within braces; nobody writes as many, and a parser that recurses needs an end.
const MAX_DEPTH: usize = 16;

impl Pattern {
    /// A pattern for destinations and namespaces, as <https://github.com/gobwas/glob> reads it, with its leniencies: an
    /// open brace is closed by the end. `None` when that library would refuse it.
    pub(super) fn glob(text: &str) -> Option<Self> {
        let mut rest = text.chars().peekable();
        let mut pattern = Self::default();
        read_glob(&mut pattern, &mut rest, 0)?;
        Some(pattern)
    }

    /// A pattern for groups and kinds, as Go's `filepath.Match` reads it. `None` when that would refuse it.
    pub(super) fn path(text: &str) -> Option<Self> {
        let mut rest = text.chars().peekable();
        let mut pattern = Self::default();
        while let Some(character) = rest.next() {
            pattern.0.push(match character {
                '*' => Part::Any,
                '?' => Part::One,
                '\\' => Part::Character(rest.next()?),
                '[' => read_path_class(&mut rest)?,
                character => Part::Character(character),
            });
        }
        Some(pattern)
    }

    /// True if the whole text matches.
    pub(super) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let mut start = vec![false; text.len() + 1];
        start[0] = true;
        self.ends(&text, start)[text.len()]
    }

    /// Where the pattern may end in a text, given where it may start.
    fn ends(&self, text: &[char], starts: Vec<bool>) -> Vec<bool> {
        self.0.iter().fold(starts, |starts, part| part.ends(text, &starts))
    }
}

impl Part {
    fn ends(&self, text: &[char], starts: &[bool]) -> Vec<bool> {
        let mut ends = vec![false; starts.len()];
        match self {
            Self::Any => {
                if let Some(first) = starts.iter().position(|start| *start) {
                    ends[first..].fill(true);
                }
            }
            Self::Either(patterns) => {
                for pattern in patterns {
                    let of_pattern = pattern.ends(text, starts.to_vec());
                    ends.iter_mut().zip(of_pattern).for_each(|(end, also)| *end |= also);
                }
            }
            one => {
                for (at, character) in text.iter().enumerate() {
                    ends[at + 1] = starts[at] && one.is(*character);
                }
            }
        }
        ends
    }

    /// Whether a part that stands for one character stands for this one.
    fn is(&self, character: char) -> bool {
        match self {
            Self::Character(only) => *only == character,
            Self::Ranges { ranges, not } => ranges.iter().any(|(low, high)| (low..=high).contains(&&character)) != *not,
            Self::One => true,
            Self::Any | Self::Either(_) => false,
        }
    }
}

/// Reads up to the end, or, within braces, up to the comma or brace that ends an alternative.
fn read_glob(pattern: &mut Pattern, rest: &mut Peekable<Chars<'_>>, depth: usize) -> Option<()> {
    while let Some(character) = rest.next_if(|next| depth == 0 || !matches!(next, ',' | '}')) {
        pattern.0.push(match character {
            '*' => Part::Any,
            '?' => Part::One,
            '[' => read_glob_class(rest)?,
            '{' if depth == MAX_DEPTH => return None,
            '{' => {
                let mut either = Vec::new();
                loop {
                    let mut alternative = Pattern::default();
                    read_glob(&mut alternative, rest, depth + 1)?;
                    either.push(alternative);
                    if rest.next() != Some(',') {
                        break;
                    }
                }
                Part::Either(either)
            }
            '\\' => match rest.next() {
                Some(escaped) => Part::Character(escaped),
                None => return Some(()),
            },
            character => Part::Character(character),
        });
    }
    Some(())
}

/// One range or one list of characters: `[a-z0-9]` is neither.
fn read_glob_class(rest: &mut Peekable<Chars<'_>>) -> Option<Part> {
    let not = rest.next_if_eq(&'!').is_some();
    let mut ahead = rest.clone();
    let (low, between) = (ahead.next()?, ahead.next());
    let ranges = if between == Some('-') {
        let high = ahead.next()?;
        *rest = ahead;
        if high < low {
            return None;
        }
        vec![(low, high)]
    } else {
        let mut ranges = Vec::new();
        while let Some(character) = rest.next_if(|next| *next != ']') {
            let character = if character == '\\' { rest.next()? } else { character };
            ranges.push((character, character));
        }
        ranges
    };
    (rest.next() == Some(']') && !ranges.is_empty()).then_some(Part::Ranges { ranges, not })
}

/// Ranges and characters, at least one.
fn read_path_class(rest: &mut Peekable<Chars<'_>>) -> Option<Part> {
    let not = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    let end = |rest: &mut Peekable<Chars<'_>>| match rest.next()? {
        '-' | ']' => None,
        '\\' => rest.next(),
        character => Some(character),
    };
    loop {
        if !ranges.is_empty() && rest.next_if_eq(&']').is_some() {
            return Some(Part::Ranges { ranges, not });
        }
        let low = end(rest)?;
        let high = if rest.next_if_eq(&'-').is_some() {
            end(rest)?
        } else {
            low
        };
        ranges.push((low, high));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("", "", true)]
    #[case("", "a", false)]
    #[case("team-*", "team-a", true)]
    #[case("team-*", "team", false)]
    #[case("**", "https://kubernetes.default.svc", true)]
    #[case("https://*.svc", "https://kubernetes.default.svc", true)]
    #[case("team-?", "team-a", true)]
    #[case("team-?", "team-", false)]
    #[case("team-[a-c]", "team-b", true)]
    #[case("team-[!a-c]", "team-b", false)]
    #[case("team-[!a-c]", "team-d", true)]
    #[case("team-[abc]", "team-c", true)]
    #[case("team-[^a]", "team-^", true)] // only `!` negates
    #[case("{dev,test}-*", "test-1", true)]
    #[case("{dev,test}-*", "prod-1", false)]
    #[case("{a,{b,c}d}", "cd", true)]
    #[case("{a,}b", "b", true)]
    #[case("{a,b", "b", true)] // closed by the end
    #[case("a}", "a}", true)]
    #[case("a,b", "a,b", true)]
    #[case("\\*", "*", true)]
    #[case("\\*", "a", false)]
    #[case("a\\", "a", true)]
    fn globs_match_as_in_argo_cd(#[case] pattern: &str, #[case] text: &str, #[case] expected: bool) {
        assert_eq!(Pattern::glob(pattern).unwrap().matches(text), expected);
    }

    #[rstest]
    #[case("[")]
    #[case("[]")]
    #[case("[a")]
    #[case("[c-a]")]
    #[case("[a-z0-9]")]
    #[case("{[")]
    fn globs_that_argo_cd_cannot_read_are_none(#[case] pattern: &str) {
        assert_eq!(Pattern::glob(pattern), None);
    }

    #[rstest]
    #[case("*", "Deployment", true)]
    #[case("", "", true)]
    #[case("", "apps", false)]
    #[case("Config*", "ConfigMap", true)]
    #[case("[A-D]*", "Deployment", true)]
    #[case("[^A-D]*", "Deployment", false)]
    #[case("[a-cA-D]*", "Deployment", true)]
    #[case("{a,b}", "a", false)] // no braces here
    #[case("*.k8s.io", "networking.k8s.io", true)]
    fn paths_match_as_in_go(#[case] pattern: &str, #[case] text: &str, #[case] expected: bool) {
        assert_eq!(Pattern::path(pattern).unwrap().matches(text), expected);
    }

    #[rstest]
    #[case("[")]
    #[case("[]a]")]
    #[case("[-a]")]
    #[case("[a-]")]
    #[case("a\\")]
    fn paths_that_go_cannot_read_are_none(#[case] pattern: &str) {
        assert_eq!(Pattern::path(pattern), None);
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = Pattern::glob(&"*a".repeat(2_000)).unwrap();
        assert!(!pattern.matches(&"a".repeat(1_999)));
        assert!(pattern.matches(&"a".repeat(2_000)));
    }
}
