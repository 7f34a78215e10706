//! Sorted maps.

use std::collections::BTreeMap;

/// A sorted map of the entries, which are inserted one by one.
///
/// `BTreeMap::from` and `collect` sort all entries first. That is faster for thousands of entries, but the maps here have
/// few, and each type of map would add a sorting function of 2.5 KB to the module.
pub(crate) fn sorted_map<K: Ord, V>(entries: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    map.extend(entries);
    map
}
