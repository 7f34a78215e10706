//! The order of things in a text.

use std::collections::BinaryHeap;

/// The indices of some items, in the order of their keys. Items with equal keys stay in their order.
///
/// Everything in the module is sorted with this one function, and with a heap, because a sort of the standard library adds 4 KB for
/// each type.
pub(crate) fn text_order(keys: impl Iterator<Item = [u32; 5]>) -> Vec<usize> {
    let keyed: BinaryHeap<_> = keys.zip(0_usize..).collect();
    keyed.into_sorted_vec().into_iter().map(|(_, index)| index).collect()
}
