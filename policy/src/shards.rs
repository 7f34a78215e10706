//! The shards of `standalone`: how many Telegrafs the sources share, and which one scrapes which source.
//!
//! Where a source goes depends on its identity and on the number of shards, and on nothing else
//! (<https://en.wikipedia.org/wiki/Rendezvous_hashing>): with one more shard, sources move to the new one and nowhere else.
//!
//! A [`Ledger`] keeps account of the room in the ConfigMaps. With `shards: auto` it has as many shards as that takes: one more
//! when a ConfigMap would be more than three quarters full, and one less when none would then be more than a quarter full.

use sha2::{Digest, Sha256};

use crate::diagnostic::{Diagnostic, Problem};
use crate::sorted_map::SmallMap;

/// The maximum size of all files in a ConfigMap, in bytes, with some room for its metadata:
/// <https://kubernetes.io/docs/concepts/configuration/configmap/#motivation>.
pub(crate) const MAX_CONFIG_MAP: usize = 1_048_576 - 4096;

/// The maximum size of one source's file, in bytes.
pub(crate) const MAX_PART: usize = MAX_CONFIG_MAP / 8;

/// The maximum size of all files of one tenant, in all shards together, in bytes.
const MAX_TENANT: usize = MAX_CONFIG_MAP / 4;

/// With `auto`, a shard is added rather than have a ConfigMap with more bytes.
const GROW: usize = MAX_CONFIG_MAP / 4 * 3;

/// With `auto`, a shard is given up if no ConfigMap has more bytes without it.
#[cfg(feature = "host")]
const SHRINK: usize = MAX_CONFIG_MAP / 4;

/// The most shards.
pub const MAX_SHARDS: usize = 128;

/// The name of the objects of the first shard.
pub(crate) const SHARED_NAME: &str = "telegraf";

/// The name of a shard's objects.
pub fn name(shard: usize) -> String {
    match shard {
        0 => SHARED_NAME.to_owned(),
        shard => format!("{SHARED_NAME}-{shard}"),
    }
}

/// The shard whose objects have a name.
#[cfg(feature = "host")]
pub fn with_name(found: &str) -> Option<usize> {
    let shard = match found.strip_prefix(SHARED_NAME)? {
        "" => 0,
        rest => rest.strip_prefix('-')?.parse().ok()?,
    };
    (shard < MAX_SHARDS && name(shard) == found).then_some(shard)
}

/// The shard that scrapes a source, by the source's identity.
pub fn place(source: &str, shards: usize) -> usize {
    place_of(number(source), shards)
}

/// A number that stands for a text. It is half of a digest, so that nobody can find two texts with the same one.
fn number(text: &str) -> u128 {
    let digest = Sha256::digest(text.as_bytes());
    digest
        .iter()
        .take(16)
        .fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// Each shard draws a number for the source. The highest one wins, and of equal ones the first.
fn place_of(number: u128, shards: usize) -> usize {
    let (mut winner, mut highest) = (0, 0);
    let mut seed = number as u64;
    for shard in 0..shards {
        // The next number of SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>).
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ drawn >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        drawn ^= drawn >> 31;
        if drawn > highest {
            (winner, highest) = (shard, drawn);
        }
    }
    winner
}

/// There is no room for a source's file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooLarge {
    /// The size that there would be, in bytes.
    pub size: usize,
    /// The limit.
    pub limit: usize,
}

impl TooLarge {
    /// The finding about the source.
    pub fn diagnostic(self) -> Diagnostic {
        let Self { size, limit } = self;
        Problem::ConfigurationTooLarge { size, limit }.diagnostic()
    }
}

/// # Errors
/// If a size is over its limit.
pub(crate) fn check(size: usize, limit: usize) -> Result<(), TooLarge> {
    match size > limit {
        true => Err(TooLarge { size, limit }),
        false => Ok(()),
    }
}

/// The account of one source, or of one tenant.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    size: usize,
    /// Whose a source is.
    tenant: u128,
}

/// What the account says when a file is there.
struct Room {
    /// The size of all files of its tenant.
    of_tenant: usize,
    /// The size of all files.
    total: usize,
    /// The number of shards.
    shards: usize,
    /// The size of its ConfigMap.
    filled: usize,
}

/// The account of the room in the shards.
#[derive(Debug)]
pub struct Ledger {
    /// With `auto` the number of shards follows from the sources.
    auto: bool,
    /// The size of what each ConfigMap has apart from the sources' files.
    base: usize,
    /// Sources by number.
    parts: SmallMap<u128, Entry>,
    /// Tenants by number.
    tenants: SmallMap<u128, Entry>,
    /// The size of all parts.
    total: usize,
    /// The size of each ConfigMap.
    sizes: Vec<usize>,
}

impl Ledger {
    /// Without sources. `shards` is the setting, `None` for `auto`, `current` how many shards there are now, and `base` the size
    /// of what each ConfigMap has apart from the sources' files.
    pub fn new(shards: Option<usize>, current: usize, base: usize) -> Self {
        Self {
            auto: shards.is_none(),
            base,
            parts: SmallMap::default(),
            tenants: SmallMap::default(),
            total: 0,
            sizes: vec![base; shards.unwrap_or(current).clamp(1, MAX_SHARDS)],
        }
    }

    /// The number of shards.
    pub fn shards(&self) -> usize {
        self.sizes.len()
    }

    /// Adds a source's file, or replaces it. `tenant` is whose it is.
    ///
    /// # Errors
    /// If there is no room for it. What was there before stays.
    pub fn put(&mut self, source: &str, tenant: &str, size: usize) -> Result<(), TooLarge> {
        let (source, tenant) = (number(source), number(tenant));
        let Room {
            of_tenant,
            total,
            shards,
            filled,
        } = self.room(source, tenant, size)?;
        self.take(source);
        self.tenants.insert(
            tenant,
            Entry {
                size: of_tenant,
                tenant,
            },
        );
        self.parts.insert(source, Entry { size, tenant });
        self.total = total;
        match shards == self.sizes.len() {
            true => self.sizes[place_of(source, shards)] = filled,
            false => self.sizes = self.sizes_with(shards),
        }
        Ok(())
    }

    /// True if a source's file could be added or replaced.
    #[cfg(feature = "host")]
    pub fn has_room(&self, source: &str, tenant: &str, size: usize) -> bool {
        self.room(number(source), number(tenant), size).is_ok()
    }

    fn room(&self, source: u128, tenant: u128, size: usize) -> Result<Room, TooLarge> {
        check(size, MAX_PART)?;
        let before = get(&self.parts, source);
        let mut of_tenant = get(&self.tenants, tenant).size + size;
        if before.tenant == tenant {
            of_tenant -= before.size;
        }
        check(of_tenant, MAX_TENANT)?;
        let total = self.total - before.size + size;
        let mut shards = self.sizes.len();
        let mut filled = self.sizes[place_of(source, shards)] - before.size + size;
        while filled > GROW && self.may_grow(shards, total) {
            shards += 1;
            let place = place_of(source, shards);
            filled = self.base + size;
            for (other, entry) in self.parts.iter() {
                if *other != source && place_of(*other, shards) == place {
                    filled += entry.size;
                }
            }
        }
        check(filled, MAX_CONFIG_MAP)?;
        Ok(Room {
            of_tenant,
            total,
            shards,
            filled,
        })
    }

    /// Removes a source's file.
    pub fn remove(&mut self, source: &str) {
        self.take(number(source));
    }

    fn take(&mut self, source: u128) {
        let Entry { size, tenant } = get(&self.parts, source);
        let place = place_of(source, self.sizes.len());
        self.sizes[place] -= size;
        self.total -= size;
        let of_tenant = get(&self.tenants, tenant).size - size;
        match of_tenant {
            0 => drop(self.tenants.remove(&tenant)),
            size => self.tenants.insert(tenant, Entry { size, tenant }),
        }
        self.parts.remove(&source);
    }

    /// Gives up shards that are not needed any more.
    #[cfg(feature = "host")]
    pub fn shrink(&mut self) {
        while self.auto && self.sizes.len() > 1 {
            let fewer = self.sizes.len() - 1;
            // Most of the time this is known without looking at each source.
            if self.total + fewer * self.base > fewer * SHRINK {
                return;
            }
            let sizes = self.sizes_with(fewer);
            if sizes.iter().any(|size| *size > SHRINK) {
                return;
            }
            self.sizes = sizes;
        }
    }

    /// Names can be chosen so that sources meet in one shard, however many there are. So there are at most about twice as many
    /// as the sources need.
    fn may_grow(&self, shards: usize, total: usize) -> bool {
        let room = GROW.saturating_sub(self.base).max(MAX_PART);
        self.auto && shards < MAX_SHARDS && shards <= 2 * total / room
    }

    fn sizes_with(&self, shards: usize) -> Vec<usize> {
        let mut sizes = vec![self.base; shards];
        for (source, Entry { size, .. }) in self.parts.iter() {
            sizes[place_of(*source, shards)] += size;
        }
        sizes
    }
}

fn get(entries: &SmallMap<u128, Entry>, number: u128) -> Entry {
    entries.get(&number).copied().unwrap_or_default()
}

#[cfg(all(test, feature = "host"))]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn source(number: usize) -> String {
        format!("argoproj.io/Application/argocd/app-{number}")
    }

    /// Each source is a tenant of its own.
    fn ledger(shards: Option<usize>, current: usize, sources: usize, size: usize) -> Ledger {
        let mut ledger = Ledger::new(shards, current, 1000);
        for number in 0..sources {
            ledger.put(&source(number), &source(number), size).expect("room");
        }
        ledger
    }

    proptest! {
        #[test]
        fn with_one_more_shard_sources_move_to_it_and_nowhere_else(source in "[a-z/.-]{1,40}", shards in 1..MAX_SHARDS) {
            let (before, after) = (place(&source, shards), place(&source, shards + 1));
            prop_assert!(before < shards);
            prop_assert!(after == before || after == shards, "{before} {after}");
        }

        #[test]
        fn the_account_is_that_of_what_is_there(
            steps in prop::collection::vec((0..30_usize, 0..4_usize, 0..MAX_PART + 1000, any::<bool>()), 1..120),
            fixed in prop::option::of(1..5_usize),
        ) {
            let mut ledger = Ledger::new(fixed, 1, 1000);
            let mut there = std::collections::BTreeMap::new();
            for (number, tenant, size, is_there) in steps {
                let source = source(number);
                if !is_there {
                    ledger.remove(&source);
                    there.remove(&source);
                } else if ledger.put(&source, &tenant.to_string(), size).is_ok() {
                    there.insert(source, (tenant, size));
                }
                ledger.shrink();
                let shards = ledger.shards();
                prop_assert_eq!(fixed.unwrap_or(shards), shards);
                let mut sizes = vec![1000; shards];
                let mut tenants = [0; 4];
                for (source, (tenant, size)) in &there {
                    sizes[place(source, shards)] += size;
                    tenants[*tenant] += size;
                }
                prop_assert_eq!(&ledger.sizes, &sizes);
                prop_assert!(sizes.iter().all(|size| *size <= MAX_CONFIG_MAP));
                prop_assert!(tenants.iter().all(|size| *size <= MAX_TENANT));
                prop_assert_eq!(ledger.total, there.values().map(|(_, size)| size).sum::<usize>());
            }
        }
    }

    #[test]
    fn shards_get_about_the_same() {
        let mut counts = [0_i32; 7];
        (0..7000).for_each(|number| counts[place(&source(number), 7)] += 1);
        assert!(counts.iter().all(|count| (count - 1000).abs() < 150), "{counts:?}");
    }

    #[test]
    fn a_place_is_the_same_in_every_version() {
        let places: Vec<_> = (0..12).map(|number| place(&source(number), 5)).collect();
        assert_eq!(places, PLACES);
    }

    /// Where the first sources go among 5 shards. Another order would move all of them in every cluster.
    const PLACES: [usize; 12] = [3, 4, 1, 0, 0, 2, 0, 4, 1, 2, 0, 1];

    #[rstest]
    #[case::few(Some(1), 1, 700, 1)]
    #[case::up_to_three_quarters(None, 1, 782, 1)]
    #[case::more_than_three_quarters(None, 1, 790, 2)]
    #[case::more_is_spread(None, 1, 2500, 4)]
    #[case::what_is_there_stays(None, 3, 800, 3)]
    #[case::a_number_does_not_grow(Some(2), 1, 1500, 2)]
    fn auto_grows(
        #[case] setting: Option<usize>,
        #[case] current: usize,
        #[case] sources: usize,
        #[case] shards: usize,
    ) {
        let ledger = ledger(setting, current, sources, 1000);
        assert_eq!(ledger.shards(), shards, "{:?}", ledger.sizes);
    }

    #[rstest]
    #[case::only_well_below_half(2, 400, 2)]
    #[case::one_is_enough(2, 250, 1)]
    #[case::several_at_once(6, 100, 1)]
    #[case::each_is_looked_at(4, 900, 4)]
    fn auto_shrinks(#[case] current: usize, #[case] sources: usize, #[case] shards: usize) {
        let mut ledger = ledger(None, current, sources, 1000);
        ledger.shrink();
        assert_eq!(ledger.shards(), shards, "{:?}", ledger.sizes);
    }

    #[test]
    fn a_source_that_comes_and_goes_does_not_make_it_flap() {
        let mut ledger = ledger(None, 1, 782, 1000);
        for _ in 0..3 {
            ledger.put("last", "last", 5000).unwrap();
            assert_eq!(ledger.shards(), 2);
            ledger.remove("last");
            ledger.shrink();
            assert_eq!(ledger.shards(), 2);
        }
    }

    #[test]
    fn sources_that_meet_on_purpose_do_not_get_more_and_more_shards() {
        // They are all in the first shard, however many there are.
        let meet = (0..)
            .map(source)
            .filter(|source| (1..=16).all(|shards| place(source, shards) == 0));
        let mut ledger = Ledger::new(None, 1, 1000);
        let refused = meet
            .take(24)
            .filter(|source| ledger.put(source, source, MAX_PART / 2).is_err());
        assert!(refused.count() > 0);
        assert!(ledger.shards() <= 4, "{}", ledger.shards());
        // There is room for those that go elsewhere.
        let elsewhere = (0..).map(source).find(|source| place(source, ledger.shards()) != 0);
        ledger.put(&elsewhere.unwrap(), "other", MAX_PART).unwrap();
    }

    #[test]
    fn a_source_without_room_keeps_what_it_had() {
        let mut ledger = ledger(Some(1), 1, 1000, 1000);
        assert_eq!(
            ledger.put(&source(0), &source(0), 100_000),
            Err(TooLarge {
                size: 1_100_000,
                limit: MAX_CONFIG_MAP
            })
        );
        assert_eq!(ledger.sizes, [1_001_000]);
        let too_large = ledger.put("new", "new", MAX_PART + 1).unwrap_err();
        assert_eq!(too_large.limit, MAX_PART);
    }

    #[test]
    fn a_tenant_has_limited_room_in_all_shards_together() {
        let mut ledger = Ledger::new(Some(9), 1, 1000);
        let put: Vec<_> = (0..10)
            .map(|number| ledger.put(&source(number), "tenant", 60_000).is_ok())
            .collect();
        assert_eq!(put.iter().filter(|put| **put).count(), 4);
        // A source that moves to another tenant takes its size along.
        ledger.put(&source(0), "other", 60_000).unwrap();
        ledger.put(&source(7), "tenant", 60_000).unwrap();
    }

    #[rstest]
    #[case("telegraf", Some(0))]
    #[case("telegraf-1", Some(1))]
    #[case("telegraf-127", Some(127))]
    #[case("telegraf-0", None)]
    #[case("telegraf-01", None)]
    #[case("telegraf-128", None)]
    #[case("telegraf-redis", None)]
    #[case("other", None)]
    fn a_name_stands_for_a_shard(#[case] found: &str, #[case] shard: Option<usize>) {
        assert_eq!(with_name(found), shard);
        if let Some(shard) = shard {
            assert_eq!(name(shard), found);
        }
    }
}
