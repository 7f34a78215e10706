//! Text that is kept for long and looked at now and then.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::get_frame_content_size;

/// Compressed text. The same text is packed to the same bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Packed(Box<[u8]>);

thread_local! {
    // To make one takes longer than to pack an object with it.
    static PACK: RefCell<Compressor<'static>> = RefCell::new(Compressor::new(1).expect("there is memory for it"));
    static UNPACK: RefCell<Decompressor<'static>> = RefCell::new(Decompressor::new().expect("there is memory for it"));
}

impl Packed {
    pub(crate) fn new(text: &[u8]) -> Self {
        let packed = PACK.with_borrow_mut(|pack| pack.compress(text));
        Self(packed.expect("there is memory to pack it in").into_boxed_slice())
    }

    pub(crate) fn unpack(&self) -> Vec<u8> {
        let size = get_frame_content_size(&self.0).ok().flatten();
        let size = size
            .and_then(|size| usize::try_from(size).ok())
            .expect("its size is packed with it");
        let text = UNPACK.with_borrow_mut(|unpack| unpack.decompress(&self.0, size));
        text.expect("what was packed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unpacked_is_what_was_packed() {
        for text in ["", "text", &"long text ".repeat(100_000)] {
            let packed = Packed::new(text.as_bytes());
            assert_eq!(packed.unpack(), text.as_bytes());
            assert_eq!(packed, Packed::new(text.as_bytes()));
        }
    }
}
