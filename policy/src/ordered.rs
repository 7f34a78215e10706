//! Ordered maps.

use std::collections::BTreeMap;

/// A map of entries, one inserted after the other.
///
/// `BTreeMap::from` and `collect` sort the entries first, which is faster for thousands of them; here there are a handful,
/// and every kind of map would bring a sort of its own along, 2.5 KB of the module each.
pub(crate) fn ordered_map<K: Ord, V>(entries: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    map.extend(entries);
    map
}
