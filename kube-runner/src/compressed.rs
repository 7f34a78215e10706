//! Compressed text, for content that is kept for long and rarely read.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::get_frame_content_size;

/// Compressed text.
#[derive(Clone, Debug)]
pub(crate) struct Compressed {
    bytes: Box<[u8]>,
    pattern: Option<Pattern>,
}

/// A text that others resemble. Compressed with it, these take a tenth of what they take without.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Arc<Box<[u8]>>);

impl Pattern {
    pub(crate) fn new(text: &[u8]) -> Self {
        Self(Arc::new(text.into()))
    }

    fn is(this: Option<&Self>, other: Option<&Self>) -> bool {
        match (this, other) {
            (Some(this), Some(other)) => Arc::ptr_eq(&this.0, &other.0),
            (None, None) => true,
            _ => false,
        }
    }

    fn bytes(this: Option<&Self>) -> &[u8] {
        this.map_or(&[], |pattern| &pattern.0)
    }
}

/// Text that is compressed if it is kept.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    /// It was just read.
    Plain(Box<str>),
    Compressed(Compressed),
}

/// The maximum size of a pattern in bytes.
const MAX_PATTERN: usize = 16 * 1024;

impl Text {
    /// Its size as it is kept, in bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Plain(text) => text.len(),
            Self::Compressed(compressed) => compressed.len(),
        }
    }

    /// The text.
    pub(crate) fn get(&self) -> Cow<'_, str> {
        match self {
            Self::Plain(text) => Cow::Borrowed(text),
            Self::Compressed(compressed) => {
                let text = String::from_utf8(compressed.decompress());
                Cow::Owned(text.expect("text was compressed"))
            }
        }
    }

    /// Compresses it.
    pub(crate) fn compress(&mut self, pattern: Option<&Pattern>) {
        if let Self::Plain(text) = self {
            *self = Self::Compressed(Compressed::new(text.as_bytes(), pattern));
        }
    }

    /// Compresses it with the first text that was compressed with this as a pattern.
    pub(crate) fn compress_like_first(&mut self, pattern: &mut Option<Pattern>) {
        if let Self::Plain(text) = self
            && text.len() <= MAX_PATTERN
        {
            pattern.get_or_insert_with(|| Pattern::new(text.as_bytes()));
        }
        self.compress(pattern.as_ref());
    }
}

/// A fast level. A pattern makes more of a difference than a slow one.
const LEVEL: i32 = 1;

thread_local! {
    // Creating one takes longer than compressing an object, and so does another pattern.
    static COMPRESSOR: RefCell<(Compressor<'static>, Option<Pattern>)> =
        RefCell::new((Compressor::new(LEVEL).expect("there is memory for it"), None));
    static DECOMPRESSOR: RefCell<(Decompressor<'static>, Option<Pattern>)> =
        RefCell::new((Decompressor::new().expect("there is memory for it"), None));
}

impl Compressed {
    pub(crate) fn new(text: &[u8], pattern: Option<&Pattern>) -> Self {
        let compressed = COMPRESSOR.with_borrow_mut(|(compressor, current)| {
            if !Pattern::is(current.as_ref(), pattern) {
                compressor.set_dictionary(LEVEL, Pattern::bytes(pattern))?;
                *current = pattern.cloned();
            }
            compressor.compress(text)
        });
        Self {
            bytes: compressed.expect("there is memory for it").into_boxed_slice(),
            pattern: pattern.cloned(),
        }
    }

    /// The compressed size in bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn decompress(&self) -> Vec<u8> {
        let size = get_frame_content_size(&self.bytes).ok().flatten();
        let size = size
            .and_then(|size| usize::try_from(size).ok())
            .expect("the frame contains its size");
        let text = DECOMPRESSOR.with_borrow_mut(|(decompressor, current)| {
            if !Pattern::is(current.as_ref(), self.pattern.as_ref()) {
                decompressor.set_dictionary(Pattern::bytes(self.pattern.as_ref()))?;
                current.clone_from(&self.pattern);
            }
            decompressor.decompress(&self.bytes, size)
        });
        text.expect("the bytes are valid")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decompressed_text_equals_the_original() {
        let patterns = [None, Some(Pattern::new(b"long text")), Some(Pattern::new(b""))];
        let texts = ["", "text", &"long text ".repeat(100_000)];
        let all = || {
            patterns
                .iter()
                .flat_map(|pattern| texts.map(|text| (text, pattern.as_ref())))
        };
        let compressed: Vec<_> = all()
            .map(|(text, pattern)| Compressed::new(text.as_bytes(), pattern))
            .collect();
        for ((text, _), compressed) in all().zip(&compressed) {
            assert_eq!(compressed.decompress(), text.as_bytes());
        }
    }

    #[test]
    fn a_text_that_resembles_its_pattern_takes_little() {
        let text = |name: &str| {
            let lines = (0..40).map(|number: u32| format!("option-{number} = {}\n", number.pow(4)));
            format!("name = {name}\n{}", lines.collect::<String>())
        };
        let (pattern, other) = (Pattern::new(text("one").as_bytes()), text("other"));
        let without = Compressed::new(other.as_bytes(), None).len();
        let with = Compressed::new(other.as_bytes(), Some(&pattern));
        assert!(10 * with.len() < without, "{} of {without}", with.len());
        assert_eq!(with.decompress(), other.as_bytes());
    }
}
