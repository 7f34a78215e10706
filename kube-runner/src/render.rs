//! Renders a group of sources, even if the module fails on some of them.
//!
//! In `standalone`, all sources are rendered in one call. If it fails (a trap, the deadline, no memory), the group is
//! bisected: sources that fail alone are replaced with their accepted declarations. If no source fails alone, but all
//! together do, as few as possible are replaced, the largest of the largest tenant first. So no source, and no tenant with
//! many of them, can stop the others.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::cluster_state::Source;
use crate::error::Error;

/// The part of a source that is sent to the module.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Choice {
    /// Its text, and its accepted declaration for the case that the text is refused.
    Current,
    /// Only its accepted declaration.
    Accepted,
    /// Nothing.
    Omitted,
}

/// A source in a group.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) source: Arc<Source>,
    /// The last accepted declaration.
    pub(crate) accepted: Option<Arc<RawValue>>,
    pub(crate) choice: Choice,
}

impl Part {
    /// The text, if it is sent.
    pub(crate) fn text(&self) -> Option<&RawValue> {
        (self.choice == Choice::Current).then_some(&*self.source.text)
    }

    /// The accepted declaration, if it is sent.
    pub(crate) fn declaration(&self) -> Option<&RawValue> {
        self.accepted.as_deref().filter(|_| self.choice != Choice::Omitted)
    }

    /// Chooses the next smaller part.
    fn demote(&mut self) {
        self.choice = match self.choice {
            Choice::Current if self.accepted.is_some() => Choice::Accepted,
            _ => Choice::Omitted,
        };
    }

    /// The size in bytes.
    fn size(&self) -> usize {
        let length = |text: Option<&RawValue>| text.map_or(0, |text| text.get().len());
        length(self.text()) + length(self.declaration())
    }

    /// Chooses a part that is certainly smaller.
    fn shrink(&mut self) {
        let before = self.size();
        self.demote();
        if self.size() >= before {
            self.choice = Choice::Omitted;
        }
    }
}

/// The answer for a group.
#[derive(Debug)]
pub(crate) struct GroupAnswer<T> {
    pub(crate) answer: T,
    /// The parts that were sent.
    pub(crate) parts: Vec<Part>,
    /// The sources whose text was not used, with the reason.
    pub(crate) failed: Vec<(Arc<Source>, Error)>,
}

/// Renders a group, or as much of it as possible.
///
/// # Errors
/// If the call fails for another reason than the module, or if the module fails on each source, which means that the
/// sources are not the cause.
pub(crate) async fn render_group<T, F, C>(mut parts: Vec<Part>, call: C) -> Result<GroupAnswer<T>, Error>
where
    C: Fn(Vec<Part>) -> F,
    F: Future<Output = Result<T, Error>>,
{
    let mut failed = Vec::new();
    loop {
        let failure = match call(parts.clone()).await {
            Err(failure) if failure.is_of_module() => failure,
            Err(failure) => return Err(failure),
            Ok(answer) => return Ok(GroupAnswer { answer, parts, failed }),
        };
        let active: Vec<usize> = (0..parts.len())
            .filter(|at| parts[*at].choice != Choice::Omitted)
            .collect();
        if active.len() < 2 && failed.is_empty() {
            return Err(failure);
        }
        let culprits = failing_alone(&parts, &active, &call).await?;
        if culprits.is_empty() {
            let (answer, omitted) = omit_largest(&mut parts, active, failure, &call).await?;
            failed.extend(omitted);
            return Ok(GroupAnswer { answer, parts, failed });
        }
        if culprits.len() == active.len() && active.len() == parts.len() {
            return Err(failure);
        }
        for (at, error) in culprits {
            parts[at].demote();
            failed.push((parts[at].source.clone(), error));
        }
    }
}

/// The sources of a failing group that fail alone. Halves that succeed are not searched.
async fn failing_alone<T, F, C>(parts: &[Part], group: &[usize], call: &C) -> Result<Vec<(usize, Error)>, Error>
where
    C: Fn(Vec<Part>) -> F,
    F: Future<Output = Result<T, Error>>,
{
    let mut culprits = Vec::new();
    let mut fail = vec![group];
    while let Some(group) = fail.pop() {
        let halves = match group.len() {
            0 => continue,
            1 => [group, &[]],
            length => group.split_at(length / 2).into(),
        };
        for half in halves {
            let members = half.iter().map(|at| parts[*at].clone()).collect();
            if half.is_empty() {
                continue;
            }
            match (call(members).await, half) {
                (Ok(_), _) => {}
                (Err(failure), _) if !failure.is_of_module() => return Err(failure),
                (Err(failure), [only]) => culprits.push((*only, failure)),
                (Err(_), _) => fail.push(half),
            }
        }
    }
    Ok(culprits)
}

/// An omitted source, with the reason.
type Omitted = (Arc<Source>, Error);

/// The order in which sources are left out: repeatedly the largest source of the tenant that uses the most space. A tenant with
/// many small sources therefore loses its own sources first. Sources of equal size are ordered by name. A source whose accepted
/// declaration remains occurs twice.
fn order(parts: &[Part], active: &[usize]) -> Vec<usize> {
    /// Size, name and index.
    type BySize<'a> = BTreeSet<(usize, Reverse<&'a str>, usize)>;
    let mut of_tenants: BTreeMap<&str, BySize<'_>> = BTreeMap::new();
    for at in active {
        let source = &*parts[*at].source;
        let entry = (parts[*at].size(), Reverse(source.key.as_str()), *at);
        of_tenants.entry(&source.tenant).or_default().insert(entry);
    }
    let sums = of_tenants.iter().map(|(tenant, sources)| {
        let sum: usize = sources.iter().map(|(size, _, _)| size).sum();
        (sum, Reverse(*tenant))
    });
    let mut sums: BTreeSet<_> = sums.collect();
    let mut rest = parts.to_vec();
    let mut order = Vec::new();
    while let Some((sum, Reverse(tenant))) = sums.pop_last() {
        let Some(sources) = of_tenants.get_mut(tenant) else {
            continue;
        };
        let Some((size, name, at)) = sources.pop_last() else {
            continue;
        };
        order.push(at);
        rest[at].shrink();
        let remains = rest[at].size();
        if remains > 0 {
            sources.insert((remains, name, at));
        }
        if !sources.is_empty() {
            sums.insert((sum - size + remains, Reverse(tenant)));
        }
    }
    order
}

/// Omits as few sources as possible, in [`order`].
async fn omit_largest<T, F, C>(
    parts: &mut Vec<Part>,
    active: Vec<usize>,
    failure: Error,
    call: &C,
) -> Result<(T, Vec<Omitted>), Error>
where
    C: Fn(Vec<Part>) -> F,
    F: Future<Output = Result<T, Error>>,
{
    let order = order(parts, &active);
    let without = |count: usize| {
        let mut fewer = parts.clone();
        order.iter().take(count).for_each(|at| fewer[*at].shrink());
        fewer
    };
    // Omitting `few` is not enough, and omitting `enough` succeeds.
    let (mut few, mut enough, mut found) = (0, order.len(), None);
    while enough - few > 1 {
        let middle = few + (enough - few) / 2;
        match call(without(middle)).await {
            Ok(answer) => (enough, found) = (middle, Some(answer)),
            Err(failure) if failure.is_of_module() => few = middle,
            Err(failure) => return Err(failure),
        }
    }
    let Some(answer) = found else { return Err(failure) };
    let fewer = without(enough);
    let why = failure.chain();
    let mut seen = BTreeSet::new();
    let omitted = order[..enough].iter().filter(|at| seen.insert(**at)).map(|at| {
        let error = Error::TooMuchTogether { why: why.clone() };
        (parts[*at].source.clone(), error)
    });
    let omitted = omitted.collect();
    *parts = fewer;
    Ok((answer, omitted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    use k8s_openapi::api::core::v1::ObjectReference;

    fn part(key: &str, text: &str, accepted: Option<&str>) -> Part {
        let raw = |text: &str| RawValue::from_string(format!("{text:?}")).unwrap();
        Part {
            source: Arc::new(Source {
                key: key.to_owned(),
                text: raw(text),
                reference: ObjectReference::default(),
                tenant: key.split_once('/').map_or("", |(tenant, _)| tenant).to_owned(),
                project: None,
            }),
            accepted: accepted.map(|text| Arc::from(raw(text))),
            choice: Choice::Current,
        }
    }

    fn too_much() -> Error {
        Error::Module {
            doing: "render".to_owned(),
            source: telewarden::Error::OutOfMemory {
                operation: "render".to_owned(),
                limit: 0,
            },
        }
    }

    /// Renders with a module that fails on `trap`, and on more than `memory` bytes. Answers the parts, the failed sources, and
    /// the number of calls.
    async fn render(parts: Vec<Part>, memory: usize) -> (Result<BTreeSet<String>, Error>, Vec<String>, usize) {
        let calls = Mutex::new(0);
        let call = |parts: Vec<Part>| {
            *calls.lock().unwrap() += 1;
            async move {
                let size: usize = parts.iter().map(Part::size).sum();
                let traps = |text: Option<&RawValue>| text.is_some_and(|text| text.get().contains("trap"));
                if size > memory || parts.iter().any(|part| traps(part.text()) || traps(part.declaration())) {
                    return Err(too_much());
                }
                let taken = parts.into_iter().filter(|part| part.choice != Choice::Omitted);
                Ok(taken
                    .map(|part| format!("{} {:?}", part.source.key, part.choice))
                    .collect())
            }
        };
        let rendered = render_group(parts, call).await;
        let calls = *calls.lock().unwrap();
        match rendered {
            Ok(group) => {
                let failed = group.failed.iter().map(|(source, _)| source.key.clone()).collect();
                (Ok(group.answer), failed, calls)
            }
            Err(error) => (Err(error), Vec::new(), calls),
        }
    }

    fn numbered(count: usize) -> Vec<Part> {
        (0..count)
            .map(|number| part(&format!("{number:03}"), "text", None))
            .collect()
    }

    #[tokio::test]
    async fn a_group_without_failures_is_one_call() {
        let (taken, failed, calls) = render(numbered(100), 10_000).await;
        assert_eq!((taken.unwrap().len(), failed.len(), calls), (100, 0, 1));
    }

    #[tokio::test]
    async fn failing_sources_are_found_by_bisection_and_replaced() {
        let mut parts = numbered(128);
        parts[77] = part("077", "trap", Some("before"));
        parts[5] = part("005", "trap", None);
        let (taken, failed, calls) = render(parts, 10_000).await;
        let taken = taken.unwrap();
        assert_eq!(taken.len(), 127);
        assert!(taken.contains("077 Accepted") && !taken.iter().any(|part| part.starts_with("005")));
        assert_eq!(
            BTreeSet::from_iter(failed),
            BTreeSet::from(["005".to_owned(), "077".to_owned()])
        );
        // One for all, two for each of seven halvings and culprit, and one for the rest.
        assert!(calls <= 1 + 2 * 2 * 7 + 1, "{calls}");
    }

    #[tokio::test]
    async fn an_accepted_declaration_that_fails_too_is_omitted() {
        let mut parts = numbered(4);
        parts[1] = part("001", "trap", Some("trap"));
        let (taken, _, _) = render(parts, 10_000).await;
        assert!(!taken.unwrap().iter().any(|part| part.starts_with("001")));
    }

    #[tokio::test]
    async fn as_few_of_the_largest_as_possible_are_omitted() {
        let large = "x".repeat(60);
        let mut parts = numbered(10);
        parts[3] = part("003", &large, None);
        parts[7] = part("007", &large, Some("before"));
        parts[8] = part("008", &format!("{large}y"), None);
        // Room for the small ones and one of the large ones.
        let (taken, failed, calls) = render(parts.clone(), 6 * 8 + 70 + 30).await;
        let taken = taken.unwrap();
        assert_eq!(failed, ["007", "008"], "by size, the accepted declaration included");
        assert!(
            taken.contains("003 Current") && taken.contains("007 Accepted") && taken.len() == 9,
            "{taken:?}"
        );
        assert!(calls <= 12, "{calls}");
        parts.reverse();
        let (again, _, _) = render(parts, 6 * 8 + 70 + 30).await;
        assert_eq!(again.unwrap(), taken, "the order does not matter");
    }

    #[tokio::test]
    async fn two_large_sources_do_not_stop_a_hundred_small_ones() {
        let mut parts = numbered(100);
        parts.push(part("large-a", &"x".repeat(500), None));
        parts.push(part("large-b", &"x".repeat(500), None));
        let (taken, failed, _) = render(parts, 6 * 100 + 502).await;
        assert_eq!((taken.unwrap().len(), failed), (101, vec!["large-a".to_owned()]));
    }

    #[tokio::test]
    async fn a_tenant_with_many_small_sources_pushes_out_its_own() {
        let mut parts: Vec<_> = (0..100)
            .map(|number| part(&format!("many/{number:03}"), "text", None))
            .collect();
        parts.push(part("few/a", &"x".repeat(100), None));
        parts.push(part("few/b", &"x".repeat(100), Some("before")));
        // 600 bytes of the one, 212 of the other.
        let (taken, failed, calls) = render(parts.clone(), 500).await;
        let taken = taken.unwrap();
        assert!(
            taken.contains("few/a Current") && taken.contains("few/b Current"),
            "{taken:?}"
        );
        assert_eq!((taken.len(), failed.len()), (2 + 48, 52));
        assert!(failed.iter().all(|source| source.starts_with("many/")), "{failed:?}");
        assert!(calls < 250, "{calls}");
        // With less room both give up, each its largest first, and each as much.
        let (taken, failed, _) = render(parts, 150).await;
        let taken = taken.unwrap();
        assert!(
            taken.contains("few/b Accepted") && !taken.contains("few/a Current"),
            "{taken:?}"
        );
        assert_eq!(failed.iter().filter(|source| source.starts_with("few/")).count(), 2);
    }

    #[tokio::test]
    async fn accepted_declarations_that_are_too_much_together_are_left_out_too() {
        let parts = (0..8)
            .map(|number| part(&number.to_string(), &"x".repeat(50), Some(&"x".repeat(40))))
            .collect();
        let (taken, failed, _) = render(parts, 100).await;
        assert_eq!(taken.unwrap(), ["6 Accepted", "7 Accepted"].map(str::to_owned).into());
        assert_eq!(failed.len(), 8);
    }

    #[tokio::test]
    async fn a_module_that_fails_on_everything_is_an_error() {
        let parts = vec![part("a", "trap", None), part("b", "trap", Some("trap"))];
        let (rendered, _, _) = render(parts, 10_000).await;
        assert!(rendered.unwrap_err().is_of_module());
        let (rendered, _, calls) = render(vec![part("a", "trap", None)], 10_000).await;
        assert!(rendered.is_err());
        assert_eq!(calls, 1);
    }
}
