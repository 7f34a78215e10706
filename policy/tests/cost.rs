//! What an annotation costs is bounded by its size: memory and allocations are counted, not time.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod one_source;
mod shapes;

use std::alloc::System;
use std::sync::{Mutex, PoisonError};

use cap::Cap;
use one_source::{KEY, request};
use rstest::rstest;
use serde_json::{Value, json};
use shapes::{SHAPES, Shape, many};
use telewarden_policy::render::render;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// One at a time, since the allocator counts for all threads.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const KIB: usize = 1024;

/// What one call cost.
#[derive(Clone, Copy, Debug)]
struct Cost {
    /// All bytes that were allocated, freed ones included.
    allocated: usize,
    /// The most that was allocated at one time.
    peak: usize,
    /// The answer's size.
    answer: usize,
}

fn cost(annotations: Value) -> Cost {
    cost_in("application", annotations)
}

fn cost_in(topology: &str, annotations: Value) -> Cost {
    let settings =
        json!({"topology": topology, "allow": {"env": true}, "inputs": {"allowedPlugins": ["prometheus", "redis"]}});
    let request = request(&settings, annotations);
    let before = (ALLOCATOR.total_allocated(), ALLOCATOR.allocated());
    let peak_before = ALLOCATOR.max_allocated();
    let answer = render(&serde_json::from_str(&request).unwrap());
    let allocated = ALLOCATOR.total_allocated() - before.0;
    let peak = ALLOCATOR.max_allocated().max(peak_before) - before.1;
    let answer = serde_json::to_string(&answer).unwrap().len();
    Cost {
        allocated,
        peak,
        answer,
    }
}

#[test]
fn grows_at_most_as_fast_as_the_annotation() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let base = cost(json!({KEY: "a: http://a.argocd.svc/"}));
    for (name, shape) in SHAPES {
        check_growth(name, *shape, base);
    }
}

fn check_growth(name: &str, shape: Shape, base: Cost) {
    let sizes = [1, 4, 16, 64, 127, 256];
    let costs = sizes.map(|size| cost(shape(size * KIB)));
    for (pair, cost) in sizes.windows(2).zip(costs.windows(2)) {
        let factor = pair[1].div_ceil(pair[0]);
        let bound = |less: usize, base: usize| less.max(base) * factor * 3 / 2 + 64 * KIB;
        assert!(
            cost[1].allocated <= bound(cost[0].allocated, base.allocated),
            "{name}: {sizes:?} {costs:#?}"
        );
    }
    let largest = costs.iter().map(|cost| cost.peak).max();
    assert!(largest < Some(16 * KIB * KIB), "{name}: {costs:#?}");
    assert!(costs.iter().all(|cost| cost.answer < 512 * KIB), "{name}: {costs:#?}");
}

#[rstest]
#[case::tags("telegraf.influxdata.com/global-tag-literal-#", "x")]
#[case::long_tags("telegraf.influxdata.com/global-tag-literal-#", &"x".repeat(1000))]
#[case::variables("telegraf.influxdata.com/env-literal-A#", "x")]
#[case::long_variables("telegraf.influxdata.com/env-literal-A#", &"x".repeat(1000))]
fn what_counts_for_all_endpoints_is_not_multiplied_by_them(
    #[case] name: &str,
    #[case] value: &str,
    #[values("application", "endpoint", "standalone")] topology: &str,
) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for size in [16 * KIB, 64 * KIB, 240 * KIB] {
        let mut annotations = many(name, value, size);
        let endpoints: String = (0..64)
            .map(|number| format!("a{number}: http://a{number}.argocd.svc/\n"))
            .collect();
        annotations[KEY] = endpoints.into();
        let cost = cost_in(topology, annotations);
        assert!(
            cost.peak < 16 * KIB * KIB && cost.answer < 4 * KIB * KIB,
            "{size}: {cost:?}"
        );
    }
}
