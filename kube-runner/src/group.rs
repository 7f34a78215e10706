//! Renders the sources of `standalone`, even if the module fails on some of them.
//!
//! Some are sent in one call. If it fails (a trap, the deadline, no memory), each half is sent alone, and so on: what is too much
//! together is not too much in pieces. A source that fails alone is replaced with its accepted declaration. So no source, and no
//! tenant with many of them, can stop the others.

use std::future::Future;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::cluster_state::Source;
use crate::error::Error;

/// What is sent of a source to the module.
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
pub(crate) struct Input {
    pub(crate) source: Arc<Source>,
    /// The last accepted declaration.
    pub(crate) accepted: Option<Arc<RawValue>>,
    pub(crate) choice: Choice,
}

impl Input {
    /// True if the text is sent.
    pub(crate) fn has_text(&self) -> bool {
        self.choice == Choice::Current
    }

    /// The text, if it is sent.
    pub(crate) fn text(&self) -> Option<Box<RawValue>> {
        self.has_text().then(|| self.source.text())
    }

    /// The accepted declaration, if it is sent.
    pub(crate) fn declaration(&self) -> Option<&RawValue> {
        self.accepted.as_deref().filter(|_| self.choice != Choice::Omitted)
    }

    /// Chooses the next smaller one.
    fn demote(&mut self) {
        self.choice = match self.choice {
            Choice::Current if self.accepted.is_some() => Choice::Accepted,
            _ => Choice::Omitted,
        };
    }
}

/// What came of a group.
#[derive(Debug)]
pub(crate) struct GroupAnswer<T> {
    /// The answers, each with the inputs that it is about.
    pub(crate) answers: Vec<(T, Vec<Input>)>,
    /// The sources whose text was not used, with the reason.
    pub(crate) failed: Vec<(Input, Error)>,
}

/// Renders a group in as few calls as needed.
///
/// # Errors
/// If a call fails for another reason than the module.
pub(crate) async fn render_group<T, F, C>(inputs: Vec<Input>, call: C) -> Result<GroupAnswer<T>, Error>
where
    C: Fn(Vec<Input>) -> F,
    F: Future<Output = Result<T, Error>>,
{
    let (mut answers, mut failed) = (Vec::new(), Vec::new());
    // The first ones are at the end.
    let mut left = vec![inputs];
    while let Some(mut inputs) = left.pop() {
        match call(inputs.clone()).await {
            Ok(answer) => answers.push((answer, inputs)),
            Err(failure) if !failure.is_of_module() => return Err(failure),
            Err(failure) => match &mut inputs[..] {
                [] => return Err(failure),
                [alone] => {
                    alone.demote();
                    if alone.choice != Choice::Omitted {
                        left.push(vec![alone.clone()]);
                    }
                    failed.push((alone.clone(), failure));
                }
                together => {
                    tracing::debug!(
                        sources = together.len(),
                        error = failure.chain(),
                        "each half is rendered alone"
                    );
                    let second = inputs.split_off(inputs.len() / 2);
                    left.extend([second, inputs]);
                }
            },
        }
    }
    Ok(GroupAnswer { answers, failed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    fn input(key: &str, text: &str, accepted: Option<&str>) -> Input {
        let raw = |text: &str| RawValue::from_string(format!("{text:?}")).unwrap();
        Input {
            source: Arc::new(Source::new(key.into(), raw(text), "".into(), None)),
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

    /// What is rendered of each source, the sources that failed, and the number of calls.
    struct Seen {
        rendered: Vec<String>,
        failed: Vec<String>,
        calls: usize,
    }

    /// Renders with a module that fails on `trap`, and on more than `memory` bytes.
    async fn render(inputs: Vec<Input>, memory: usize) -> Seen {
        let calls = Mutex::new(0);
        let call = |inputs: Vec<Input>| {
            *calls.lock().unwrap() += 1;
            async move {
                let sent = inputs
                    .iter()
                    .flat_map(|input| [input.text(), input.declaration().map(ToOwned::to_owned)]);
                let texts: Vec<String> = sent.flatten().map(|text| text.get().to_owned()).collect();
                let size: usize = texts.iter().map(|text| text.len()).sum();
                if size > memory || texts.iter().any(|text| text.contains("trap")) {
                    return Err(too_much());
                }
                Ok(inputs
                    .iter()
                    .map(|input| format!("{} {:?}", input.source.key, input.choice))
                    .collect::<Vec<_>>())
            }
        };
        let group = render_group(inputs, call).await.unwrap();
        let calls = *calls.lock().unwrap();
        Seen {
            rendered: group.answers.into_iter().flat_map(|(answer, _)| answer).collect(),
            failed: group
                .failed
                .into_iter()
                .map(|(input, _)| input.source.key.to_string())
                .collect(),
            calls,
        }
    }

    fn numbered(count: usize) -> Vec<Input> {
        (0..count)
            .map(|number| input(&format!("{number:03}"), "text", None))
            .collect()
    }

    #[tokio::test]
    async fn a_group_without_failures_is_one_call() {
        let seen = render(numbered(100), 10_000).await;
        assert_eq!((seen.rendered.len(), seen.failed.len(), seen.calls), (100, 0, 1));
    }

    #[tokio::test]
    async fn failing_sources_are_found_by_bisection_and_replaced() {
        let mut inputs = numbered(128);
        inputs[77] = input("077", "trap", Some("before"));
        inputs[5] = input("005", "trap", None);
        let seen = render(inputs, 10_000).await;
        assert_eq!(seen.rendered.len(), 127);
        assert!(seen.rendered.is_sorted(), "{:?}", seen.rendered);
        assert!(seen.rendered.contains(&"077 Accepted".to_owned()));
        assert!(!seen.rendered.iter().any(|input| input.starts_with("005")));
        assert_eq!(seen.failed, ["005", "077"]);
        // One for all, two for each of seven halvings and source, and one for the declaration.
        assert!(seen.calls <= 1 + 2 * 2 * 7 + 1, "{}", seen.calls);
    }

    #[tokio::test]
    async fn an_accepted_declaration_that_fails_too_is_omitted() {
        let mut inputs = numbered(4);
        inputs[1] = input("001", "trap", Some("trap"));
        let seen = render(inputs, 10_000).await;
        assert_eq!(seen.rendered, ["000 Current", "002 Current", "003 Current"]);
        assert_eq!(seen.failed, ["001", "001"]);
    }

    #[tokio::test]
    async fn what_is_too_much_together_is_rendered_in_pieces() {
        let mut inputs = numbered(100);
        inputs.extend((0..7).map(|number| input(&format!("large-{number}"), &"x".repeat(500), Some("before"))));
        let seen = render(inputs, 520).await;
        assert_eq!((seen.rendered.len(), seen.failed.len()), (107, 0));
        assert!(
            seen.rendered.iter().all(|input| input.ends_with("Current")),
            "{:?}",
            seen.rendered
        );
        assert!(BTreeSet::from_iter(seen.rendered).len() == 107);
        assert!(seen.calls < 40, "{}", seen.calls);
    }

    #[tokio::test]
    async fn a_module_that_fails_on_everything_answers_nothing() {
        let seen = render(vec![input("a", "trap", None), input("b", "trap", Some("trap"))], 10_000).await;
        assert_eq!((seen.rendered, seen.failed.len()), (vec![], 3));
    }
}
