//! What an annotation costs is bounded by its size: memory and allocations are counted, not time.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod one_source;

use std::alloc::System;
use std::sync::{Mutex, PoisonError};

use cap::Cap;
use one_source::{KEY, request};
use rstest::rstest;
use serde_json::{Map, Value, json};
use telewarden_policy::render::render;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// One at a time, since the allocator counts for all threads.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const INPUTS: &str = "telegraf.influxdata.com/inputs";
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

/// Repeats a text up to a size; `#` in it is a number that counts up.
fn repeated(unit: &str, size: usize) -> String {
    let mut text = String::with_capacity(size + unit.len());
    let mut number = 0;
    while text.len() + unit.len() + 6 < size {
        text.push_str(&unit.replace('#', &number.to_string()));
        number += 1;
    }
    text
}

fn one(annotation: &str, before: &str, unit: &str, after: &str, size: usize) -> Value {
    json!({annotation: format!("{before}{}{after}", repeated(unit, size))})
}

/// As many annotations as fit.
fn many(name: &str, value: &str, size: usize) -> Value {
    let mut annotations = Map::from_iter([(KEY.to_owned(), "a: http://a.argocd.svc/".into())]);
    for number in 0..size / (name.len() + value.len() + 6) {
        let number = number.to_string();
        annotations.insert(name.replace('#', &number), value.replace('#', &number).into());
    }
    Value::Object(annotations)
}

#[rstest]
#[case::flow_map(|size| one(KEY, "{", "a,", "a}", size))]
#[case::flow_map_of_names(|size| one(KEY, "{", "a#: x,", "a: x}", size))]
#[case::flow_list(|size| one(KEY, "[", "a,", "a]", size))]
#[case::flow_list_of_maps(|size| one(KEY, "[", "{a: b},", "a]", size))]
#[case::not_closed(|size| one(KEY, "", "[a,", "", size))]
#[case::quotes(|size| one(KEY, "", "\"", "", size))]
#[case::lines(|size| one(KEY, "", "- a\n", "", size))]
#[case::nested_lists(|size| one(KEY, "", "- - - - a\n", "", size))]
#[case::names(|size| one(KEY, "", "a#: http://a#.argocd.svc/\n", "", size))]
#[case::one_name(|size| one(KEY, "", "a: http://a.argocd.svc/\n", "", size))]
#[case::one_name_in_a_list(|size| one(KEY, "", "- a: http://a.argocd.svc/\n", "", size))]
#[case::wrong_urls(|size| one(KEY, "", "a#: http://$/\n", "", size))]
#[case::one_url(|size| one(KEY, "a: http://", "a.", "a", size))]
#[case::one_path(|size| one(KEY, "a: http://a.argocd.svc/", "a", "", size))]
#[case::urls(|size| one(KEY, "a: {urls: [", "http://a#.argocd.svc/,", "]}", size))]
#[case::unknown_options(|size| one(KEY, "a:\n", "  o#: 1\n", "", size))]
#[case::one_option(|size| one(KEY, "a:\n", "  interval: 1s\n", "", size))]
#[case::tags(|size| one(KEY, "a: {url: 'http://a.argocd.svc/', tags: {", "t#: v,", "}}", size))]
#[case::wrong_tags(|size| one(KEY, "a: {url: 'http://a.argocd.svc/', tags: {", "'t #': $,", "}}", size))]
#[case::patterns(|size| one(KEY, "a: {url: 'http://a.argocd.svc/', tagexclude: [", "a#*,", "]}", size))]
#[case::patterns_of_tags(|size| one(KEY, "a: {url: 'http://a.argocd.svc/', tagdrop: {", "t#: ['{}'],", "}}", size))]
#[case::a_pattern(|size| one(KEY, "a: {url: 'http://a.argocd.svc/', tagexclude: ['", "{a", "']}", size))]
#[case::anchors(|size| one(KEY, "", "- &a# a\n", "", size))]
#[case::aliases(|size| one(KEY, "- &a a\n", "- *a\n", "", size))]
#[case::yaml_tags(|size| one(KEY, "", "- !t# a\n", "", size))]
#[case::comments(|size| one(KEY, "", "# a\n", "", size))]
#[case::one_comment(|size| one(KEY, "#", "a", "", size))]
#[case::blank_lines(|size| one(KEY, "a: |\n", "\n", "b", size))]
#[case::folded(|size| one(KEY, "a: >\n", "  b\n\n", "b", size))]
#[case::spaces(|size| one(KEY, "a:", " ", "b", size))]
#[case::tabs(|size| one(KEY, "a:", "\t", "b", size))]
#[case::complex_keys(|size| one(KEY, "", "? a#\n", "", size))]
#[case::documents(|size| one(KEY, "", "---\n", "", size))]
#[case::directives(|size| one(KEY, "", "%TAG !a# tag:b\n", "--- a", size))]
#[case::escapes(|size| one(KEY, "\"", "\\u0041", "\"", size))]
#[case::characters(|size| one(KEY, "a: \"", "é", "\"", size))]
#[case::toml_line(|size| one(INPUTS, "a = [", "1,", "]", size))]
#[case::toml_characters(|size| one(INPUTS, "a = [", "\"é\",", "]", size))]
#[case::toml_inputs(|size| one(INPUTS, "", "[[inputs.prometheus]]\n", "", size))]
#[case::toml_others(|size| one(INPUTS, "", "[[inputs.redis]]\n", "", size))]
#[case::toml_tables(|size| one(INPUTS, "", "[a#]\n", "", size))]
#[case::toml_one_table(|size| one(INPUTS, "", "[a]\n", "", size))]
#[case::toml_errors(|size| one(INPUTS, "", "=\n", "", size))]
#[case::toml_errors_in_a_line(|size| one(INPUTS, "a = [", "=,", "", size))]
#[case::toml_dots(|size| one(INPUTS, "a", ".a", " = 1", size))]
#[case::toml_braces(|size| one(INPUTS, "a = ", "{a=", "", size))]
#[case::toml_brackets(|size| one(INPUTS, "a = ", "[", "", size))]
#[case::toml_names(|size| one(INPUTS, "[[inputs.redis]]\n", "a#=1\n", "", size))]
#[case::toml_one_name(|size| one(INPUTS, "[[inputs.redis]]\n", "a=1\n", "", size))]
#[case::toml_dotted_names(|size| one(INPUTS, "[[inputs.redis]]\n", "a.b#=1\n", "", size))]
#[case::toml_text(|size| one(INPUTS, "a = \"\"\"", "a\n", "\"\"\"", size))]
#[case::namepass(|size| one("telegraf.influxdata.com/namepass", "[", "'{',", "]", size))]
#[case::unknown_annotations(|size| many("telegraf.influxdata.com/unknown-#", "x", size))]
#[case::global_tags(|size| many("telegraf.influxdata.com/global-tag-literal-#", "x", size))]
#[case::variables(|size| many("telegraf.influxdata.com/env-literal-A#", "x", size))]
#[case::secret_variables(|size| many("telegraf.influxdata.com/env-secretkeyref-A#", "a.b", size))]
#[case::other_annotations(|size| many("example.com/a#", "x", size))]
fn grows_at_most_as_fast_as_the_annotation(#[case] shape: fn(usize) -> Value) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let base = cost(json!({KEY: "a: http://a.argocd.svc/"}));
    let sizes = [1, 4, 16, 64, 127, 256];
    let costs = sizes.map(|size| cost(shape(size * KIB)));
    for (pair, cost) in sizes.windows(2).zip(costs.windows(2)) {
        let factor = pair[1].div_ceil(pair[0]);
        let bound = |less: usize, base: usize| less.max(base) * factor * 3 / 2 + 64 * KIB;
        assert!(
            cost[1].allocated <= bound(cost[0].allocated, base.allocated),
            "{sizes:?} {costs:#?}"
        );
    }
    let largest = costs.iter().map(|cost| cost.peak).max();
    assert!(largest < Some(16 * KIB * KIB), "{costs:#?}");
    assert!(costs.iter().all(|cost| cost.answer < 512 * KIB), "{costs:#?}");
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
