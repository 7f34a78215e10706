//! Compressed text, for content that is kept for long and rarely read.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::get_frame_content_size;

/// Compressed text. Equal texts have equal bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Compressed(Box<[u8]>);

thread_local! {
    // Creating one takes longer than compressing an object.
    static COMPRESSOR: RefCell<Compressor<'static>> = RefCell::new(Compressor::new(1).expect("there is memory for it"));
    static DECOMPRESSOR: RefCell<Decompressor<'static>> = RefCell::new(Decompressor::new().expect("there is memory for it"));
}

impl Compressed {
    pub(crate) fn new(text: &[u8]) -> Self {
        let compressed = COMPRESSOR.with_borrow_mut(|compressor| compressor.compress(text));
        Self(compressed.expect("there is memory for it").into_boxed_slice())
    }

    /// The compressed size in bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn decompress(&self) -> Vec<u8> {
        let size = get_frame_content_size(&self.0).ok().flatten();
        let size = size
            .and_then(|size| usize::try_from(size).ok())
            .expect("the frame contains its size");
        let text = DECOMPRESSOR.with_borrow_mut(|decompressor| decompressor.decompress(&self.0, size));
        text.expect("the bytes are valid")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decompressed_text_equals_the_original() {
        for text in ["", "text", &"long text ".repeat(100_000)] {
            let compressed = Compressed::new(text.as_bytes());
            assert_eq!(compressed.decompress(), text.as_bytes());
            assert_eq!(compressed, Compressed::new(text.as_bytes()));
        }
    }
}
