//! The sink that collects findings.

use super::{Diagnostic, Place, Problem};
use crate::text_order::text_order;

/// The most findings that are kept for one source or for the settings. It limits the size of an answer, and nobody
/// reads more.
pub(crate) const MAX_FINDINGS: usize = 100;

/// The findings about one source, or about the settings, in the order in which they were reported.
///
/// At most [`MAX_FINDINGS`] are kept. A warning is dropped before an error.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    kept: Vec<Diagnostic>,
    errors: usize,
    left_out: usize,
}

impl Findings {
    /// Adds a finding at a place. The message of one that is only counted is not written.
    pub(crate) fn report(&mut self, problem: Problem, place: Place) {
        let is_error = problem.is_error();
        if self.is_full() && !(is_error && self.errors < MAX_FINDINGS) {
            self.skip(1, is_error);
        } else {
            self.push(problem.at(place));
        }
    }

    /// Counts findings without adding them.
    pub(crate) fn skip(&mut self, count: usize, are_errors: bool) {
        self.left_out += count;
        self.errors += if are_errors { count } else { 0 };
    }

    /// Adds a finding.
    pub(crate) fn push(&mut self, finding: Diagnostic) {
        let is_error = finding.is_error();
        self.errors += usize::from(is_error);
        if self.kept.len() < MAX_FINDINGS {
            self.kept.push(finding);
            return;
        }
        self.left_out += 1;
        // If only errors are kept, there is no warning to drop.
        if is_error
            && self.errors <= MAX_FINDINGS
            && let Some(warning) = self.kept.iter_mut().rfind(|kept| !kept.is_error())
        {
            *warning = finding;
        }
    }

    /// Adds several findings.
    pub(crate) fn extend(&mut self, findings: impl IntoIterator<Item = Diagnostic>) {
        findings.into_iter().for_each(|finding| self.push(finding));
    }

    /// Adds all findings of another sink.
    pub(crate) fn append(&mut self, other: Self) {
        let (errors, left_out) = (other.errors, other.left_out);
        let before = self.errors;
        self.extend(other.kept);
        self.errors = before + errors;
        self.left_out += left_out;
    }

    /// Removes the findings that do not match.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Diagnostic) -> bool) {
        let errors = |kept: &[Diagnostic]| kept.iter().filter(|finding| finding.is_error()).count();
        let before = errors(&self.kept);
        self.kept.retain(keep);
        self.errors -= before - errors(&self.kept);
    }

    /// The number of findings, including those that were dropped.
    pub(crate) fn count(&self) -> usize {
        self.kept.len() + self.left_out
    }

    /// True if the sink is full: further findings are counted, but not kept.
    pub(crate) fn is_full(&self) -> bool {
        self.kept.len() == MAX_FINDINGS
    }

    /// The number of errors.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// True if there was an error.
    pub(crate) fn has_error(&self) -> bool {
        self.errors > 0
    }

    /// Sorts the findings that were kept. Those with equal keys stay in their order.
    pub(crate) fn sort_by_cached_key(&mut self, key: impl FnMut(&Diagnostic) -> [u32; 5]) {
        let order = text_order(self.kept.iter().map(key));
        let mut unsorted: Vec<_> = std::mem::take(&mut self.kept).into_iter().map(Some).collect();
        self.kept = order.into_iter().filter_map(|index| unsorted[index].take()).collect();
    }

    /// The findings. If some were dropped, the last finding tells how many.
    pub(crate) fn into_vec(mut self) -> Vec<Diagnostic> {
        if self.left_out > 0 {
            let problem = Problem::TooManyFindings { count: self.left_out };
            self.kept.push(problem.diagnostic());
        }
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error() -> Diagnostic {
        Problem::NoUrl { name: "a".into() }.diagnostic()
    }

    fn warning() -> Diagnostic {
        Problem::NoEffectWithoutTls {}.diagnostic()
    }

    #[test]
    fn a_flood_is_counted_and_not_kept() {
        let mut findings = Findings::default();
        (0..1000).for_each(|_| findings.push(error()));
        assert_eq!((findings.count(), findings.errors()), (1000, 1000));
        let kept = findings.into_vec();
        assert_eq!(kept.len(), MAX_FINDINGS + 1);
        assert!(
            kept[MAX_FINDINGS].message.contains("900"),
            "{}",
            kept[MAX_FINDINGS].message
        );
    }

    #[test]
    fn an_error_is_kept_before_a_warning() {
        let mut findings = Findings::default();
        (0..200).for_each(|_| findings.push(warning()));
        findings.push(error());
        assert!(findings.has_error());
        assert!(findings.into_vec().iter().any(Diagnostic::is_error));
    }
}
