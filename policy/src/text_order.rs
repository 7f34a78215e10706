//! The order of things in a text.

/// The indices of some items, in the order of their keys. Items with equal keys stay in their order.
///
/// Everything in the module is sorted with this one function, because each type that is sorted adds a sort of 4 KB.
pub(crate) fn text_order(keys: impl Iterator<Item = [u32; 5]>) -> Vec<usize> {
    let mut keyed: Vec<_> = keys.zip(0_usize..).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, index)| index).collect()
}
