//! Patterns for texts, in three syntaxes: the settings' own, in which only `*` is special, and the two of Argo CD's
//! AppProjects.
//!
//! A match takes time in proportion to the pattern's length times the text's: it goes through the pattern once, with the
//! set of all positions in the text where the part so far can end.

use std::iter::Peekable;
use std::str::Chars;

/// A parsed pattern.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Glob(Vec<Part>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Character(char),
    /// `?`
    One,
    /// `*`. There are no separators that it stops at, so `**` means the same.
    Any,
    /// `[a-z]`, `[abc]`, `[!abc]`: one character inside or outside of these ranges.
    Ranges {
        ranges: Vec<(char, char)>,
        not: bool,
    },
    /// `{a,b}`
    Either(Vec<Glob>),
}

/// The deepest nesting of braces. The parser recurses, so it needs a limit.
const MAX_DEPTH: usize = 16;

impl Glob {
    /// A pattern of the settings: `*` stands for any characters, all others for themselves.
    pub(crate) fn stars(text: &str) -> Self {
        let part = |character| match character {
            '*' => Part::Any,
            character => Part::Character(character),
        };
        Self(text.chars().map(part).collect())
    }

    /// A pattern for destinations and namespaces of an AppProject. Argo CD parses them with
    /// <https://github.com/gobwas/glob>, which accepts a brace that is not closed. Answers `None` if that library
    /// refuses the pattern.
    pub(crate) fn gobwas(text: &str) -> Option<Self> {
        let mut rest = text.chars().peekable();
        let mut pattern = Self::default();
        read_gobwas(&mut pattern, &mut rest, 0)?;
        Some(pattern)
    }

    /// A pattern for groups and kinds of an AppProject, with the syntax of Go's `filepath.Match`. Answers `None` if that
    /// function refuses it.
    pub(crate) fn path(text: &str) -> Option<Self> {
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
    pub(crate) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let mut start = vec![false; text.len() + 1];
        start[0] = true;
        self.ends(&text, start)[text.len()]
    }

    /// The positions in the text where the pattern can end, if it starts at one of `starts`.
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

    /// True if this part stands for the one character.
    fn is(&self, character: char) -> bool {
        match self {
            Self::Character(only) => *only == character,
            Self::Ranges { ranges, not } => ranges.iter().any(|(low, high)| (low..=high).contains(&&character)) != *not,
            Self::One => true,
            Self::Any | Self::Either(_) => false,
        }
    }
}

/// Reads to the end or, inside braces, to the comma or brace that ends the alternative.
fn read_gobwas(pattern: &mut Glob, rest: &mut Peekable<Chars<'_>>, depth: usize) -> Option<()> {
    while let Some(character) = rest.next_if(|next| depth == 0 || !matches!(next, ',' | '}')) {
        pattern.0.push(match character {
            '*' => Part::Any,
            '?' => Part::One,
            '[' => read_gobwas_class(rest)?,
            '{' if depth == MAX_DEPTH => return None,
            '{' => {
                let mut either = Vec::new();
                loop {
                    let mut alternative = Glob::default();
                    read_gobwas(&mut alternative, rest, depth + 1)?;
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

/// Reads one range or one list of characters. A class that mixes both, such as `[a-z0-9]`, is invalid.
fn read_gobwas_class(rest: &mut Peekable<Chars<'_>>) -> Option<Part> {
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

/// Reads ranges and characters, at least one.
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
    #[case("team-*", "team-a", true)]
    #[case("team-*", "ateam-a", false)]
    #[case("*-prod", "x-prod", true)]
    #[case("a*b*c", "abc", true)]
    #[case("a*b*c", "acb", false)]
    #[case("a*a", "a", false)]
    #[case("*", "", true)]
    #[case("exact", "exact", true)]
    #[case("exact", "exactly", false)]
    #[case("[a]?{b}\\", "[a]?{b}\\", true)]
    #[case("[a]", "a", false)]
    fn only_stars_are_special_in_the_settings(#[case] pattern: &str, #[case] text: &str, #[case] expected: bool) {
        assert_eq!(Glob::stars(pattern).matches(text), expected);
    }

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
    fn gobwas_patterns_match_as_in_argo_cd(#[case] pattern: &str, #[case] text: &str, #[case] expected: bool) {
        assert_eq!(Glob::gobwas(pattern).unwrap().matches(text), expected);
    }

    #[rstest]
    #[case("[")]
    #[case("[]")]
    #[case("[a")]
    #[case("[c-a]")]
    #[case("[a-z0-9]")]
    #[case("{[")]
    fn gobwas_patterns_that_argo_cd_refuses_are_refused(#[case] pattern: &str) {
        assert_eq!(Glob::gobwas(pattern), None);
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
    fn path_patterns_match_as_in_go(#[case] pattern: &str, #[case] text: &str, #[case] expected: bool) {
        assert_eq!(Glob::path(pattern).unwrap().matches(text), expected);
    }

    #[rstest]
    #[case("[")]
    #[case("[]a]")]
    #[case("[-a]")]
    #[case("[a-]")]
    #[case("a\\")]
    fn path_patterns_that_go_refuses_are_refused(#[case] pattern: &str) {
        assert_eq!(Glob::path(pattern), None);
    }

    #[test]
    fn many_stars_are_matched_without_backtracking() {
        let pattern = Glob::gobwas(&"*a".repeat(2_000)).unwrap();
        assert!(!pattern.matches(&"a".repeat(1_999)));
        assert!(pattern.matches(&"a".repeat(2_000)));
    }
}
