//! The order of things in a text.

use std::collections::BinaryHeap;

/// The indices of some items, in the order of their keys. Items with equal keys stay in their order.
///
/// Everything in the module is sorted with this one function, and with a heap, because a sort of the standard library adds 4 KB for
/// each type.
pub(crate) fn text_order(keys: impl Iterator<Item = [u32; 5]>) -> Vec<usize> {
    order(keys.zip(0_usize..).collect())
}

#[inline(never)]
fn order(keyed: Vec<([u32; 5], usize)>) -> Vec<usize> {
    let sorted = BinaryHeap::from(keyed).into_sorted_vec();
    sorted.into_iter().map(|(_, index)| index).collect()
}
