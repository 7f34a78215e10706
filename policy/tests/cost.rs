//! What an annotation costs is bounded by its size: memory and allocations are counted, not time.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::alloc::System;
use std::sync::{Mutex, PoisonError};

use cap::Cap;
use rstest::rstest;
use serde_json::{Map, Value, json};
use telewarden_policy::render::render;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// One at a time, since the allocator counts for all threads.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const ENDPOINTS: &str = "telegraf.influxdata.com/rubin-telegraf-operator";
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
    let request = json!({
        "protocol": 1,
        "settings": settings,
        "sources": [{
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": "argocd", "namespace": "argocd", "annotations": annotations},
            "spec": {"destination": {"namespace": "argocd", "server": "https://kubernetes.default.svc"}},
        }],
    })
    .to_string();
    drop(annotations);
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
    let mut annotations = Map::from_iter([(ENDPOINTS.to_owned(), "a: http://a.argocd.svc/".into())]);
    for number in 0..size / (name.len() + value.len() + 6) {
        let number = number.to_string();
        annotations.insert(name.replace('#', &number), value.replace('#', &number).into());
    }
    Value::Object(annotations)
}

#[rstest]
#[case::flow_map(|size| one(ENDPOINTS, "{", "a,", "a}", size))]
#[case::flow_map_of_names(|size| one(ENDPOINTS, "{", "a#: x,", "a: x}", size))]
#[case::flow_list(|size| one(ENDPOINTS, "[", "a,", "a]", size))]
#[case::flow_list_of_maps(|size| one(ENDPOINTS, "[", "{a: b},", "a]", size))]
#[case::not_closed(|size| one(ENDPOINTS, "", "[a,", "", size))]
#[case::quotes(|size| one(ENDPOINTS, "", "\"", "", size))]
#[case::lines(|size| one(ENDPOINTS, "", "- a\n", "", size))]
#[case::nested_lists(|size| one(ENDPOINTS, "", "- - - - a\n", "", size))]
#[case::names(|size| one(ENDPOINTS, "", "a#: http://a#.argocd.svc/\n", "", size))]
#[case::one_name(|size| one(ENDPOINTS, "", "a: http://a.argocd.svc/\n", "", size))]
#[case::one_name_in_a_list(|size| one(ENDPOINTS, "", "- a: http://a.argocd.svc/\n", "", size))]
#[case::wrong_urls(|size| one(ENDPOINTS, "", "a#: http://$/\n", "", size))]
#[case::one_url(|size| one(ENDPOINTS, "a: http://", "a.", "a", size))]
#[case::one_path(|size| one(ENDPOINTS, "a: http://a.argocd.svc/", "a", "", size))]
#[case::urls(|size| one(ENDPOINTS, "a: {urls: [", "http://a#.argocd.svc/,", "]}", size))]
#[case::unknown_options(|size| one(ENDPOINTS, "a:\n", "  o#: 1\n", "", size))]
#[case::one_option(|size| one(ENDPOINTS, "a:\n", "  interval: 1s\n", "", size))]
#[case::tags(|size| one(ENDPOINTS, "a: {url: 'http://a.argocd.svc/', tags: {", "t#: v,", "}}", size))]
#[case::wrong_tags(|size| one(ENDPOINTS, "a: {url: 'http://a.argocd.svc/', tags: {", "'t #': $,", "}}", size))]
#[case::patterns(|size| one(ENDPOINTS, "a: {url: 'http://a.argocd.svc/', tagexclude: [", "a#*,", "]}", size))]
#[case::patterns_of_tags(|size| one(ENDPOINTS, "a: {url: 'http://a.argocd.svc/', tagdrop: {", "t#: ['{}'],", "}}", size))]
#[case::a_pattern(|size| one(ENDPOINTS, "a: {url: 'http://a.argocd.svc/', tagexclude: ['", "{a", "']}", size))]
#[case::anchors(|size| one(ENDPOINTS, "", "- &a# a\n", "", size))]
#[case::aliases(|size| one(ENDPOINTS, "- &a a\n", "- *a\n", "", size))]
#[case::yaml_tags(|size| one(ENDPOINTS, "", "- !t# a\n", "", size))]
#[case::comments(|size| one(ENDPOINTS, "", "# a\n", "", size))]
#[case::one_comment(|size| one(ENDPOINTS, "#", "a", "", size))]
#[case::blank_lines(|size| one(ENDPOINTS, "a: |\n", "\n", "b", size))]
#[case::folded(|size| one(ENDPOINTS, "a: >\n", "  b\n\n", "b", size))]
#[case::spaces(|size| one(ENDPOINTS, "a:", " ", "b", size))]
#[case::tabs(|size| one(ENDPOINTS, "a:", "\t", "b", size))]
#[case::complex_keys(|size| one(ENDPOINTS, "", "? a#\n", "", size))]
#[case::documents(|size| one(ENDPOINTS, "", "---\n", "", size))]
#[case::directives(|size| one(ENDPOINTS, "", "%TAG !a# tag:b\n", "--- a", size))]
#[case::escapes(|size| one(ENDPOINTS, "\"", "\\u0041", "\"", size))]
#[case::characters(|size| one(ENDPOINTS, "a: \"", "é", "\"", size))]
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
    let base = cost(json!({ENDPOINTS: "a: http://a.argocd.svc/"}));
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
        annotations[ENDPOINTS] = endpoints.into();
        let cost = cost_in(topology, annotations);
        assert!(
            cost.peak < 16 * KIB * KIB && cost.answer < 4 * KIB * KIB,
            "{size}: {cost:?}"
        );
    }
}
