//! Texts that many things have, such as namespaces, kept once.

use std::collections::HashSet;
use std::sync::Arc;

/// Texts that are in use.
#[derive(Debug, Default)]
pub(crate) struct Names {
    known: HashSet<Arc<str>>,
    /// The number of texts at which those that nobody uses any more are dropped.
    enough: usize,
}

/// Fewer texts than this are not worth looking through.
const FEW: usize = 1000;

impl Names {
    /// The text, which is kept once for all who ask for it.
    pub(crate) fn shared(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.known.get(text) {
            return known.clone();
        }
        if self.known.len() >= self.enough.max(FEW) {
            self.known.retain(|known| Arc::strong_count(known) > 1);
            self.enough = 2 * self.known.len();
        }
        let new: Arc<str> = text.into();
        self.known.insert(new.clone());
        new
    }

    /// Replaces a text with the one that is kept for all.
    pub(crate) fn share(&mut self, text: &mut Arc<str>) {
        *text = self.shared(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_kept_once() {
        let mut names = Names::default();
        let one = names.shared("telegraf");
        let mut other: Arc<str> = "telegraf".into();
        names.share(&mut other);
        assert!(Arc::ptr_eq(&one, &other));
    }

    #[test]
    fn texts_that_nobody_uses_are_dropped() {
        let mut names = Names::default();
        let used: Vec<_> = (0..10).map(|number| names.shared(&format!("used-{number}"))).collect();
        for number in 0..100 * FEW {
            names.shared(&number.to_string());
        }
        assert!(names.known.len() <= FEW + 1, "{}", names.known.len());
        assert!(used.iter().all(|text| Arc::ptr_eq(&names.shared(text), text)));
    }
}
