//! What an annotation costs in the module is bounded by its size: instructions and memory are counted, not time.

#[allow(dead_code, reason = "shared with the core's tests, which use all of it")]
#[path = "../../policy/tests/one_source/mod.rs"]
mod one_source;
#[allow(dead_code, reason = "shared with the core's tests, which use all of it")]
#[path = "../../policy/tests/shapes/mod.rs"]
mod shapes;

use one_source::{KEY, request};
use rstest::rstest;
use serde_json::{Value, json};
use shapes::SHAPES;
use wasmtime::{Cache, CacheConfig, Caller, Config, Engine, Extern, InstancePre, Linker, Module, Store};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What stands for 100 ms, at three units of fuel in a nanosecond. A unit is about an instruction of WebAssembly. Without the
/// counting, the slowest of these calls took 49 ms on a shared core, and it is one of 270 million units.
const FUEL_OF_100_MS: u64 = 300_000_000;

/// The most that a call may need of the module's memory besides what it has before the call.
const MAX_MEMORY: usize = 16 * MIB;

/// One call of the module.
struct Call {
    operation: &'static str,
    payload: Vec<u8>,
    answer: usize,
}

/// What a call cost.
#[derive(Clone, Copy, Debug)]
struct Cost {
    fuel: u64,
    /// Bytes of linear memory, besides those at rest.
    memory: usize,
    /// Bytes.
    answer: usize,
}

/// The built-in module, with its instructions counted.
struct Counted {
    engine: Engine,
    guest: InstancePre<Call>,
}

impl Counted {
    fn new() -> Self {
        let mut cache = CacheConfig::new();
        cache.with_directory(concat!(env!("CARGO_TARGET_TMPDIR"), "/counted"));
        let mut config = Config::new();
        config.consume_fuel(true);
        config.cache(Some(Cache::new(cache).expect("a folder to write into")));
        let engine = Engine::new(&config).expect("an engine");
        let module = Module::from_binary(&engine, telewarden::embedded::WASM).expect("it compiles");
        let guest = linker(&engine).instantiate_pre(&module).expect("it imports waPC alone");
        Self { engine, guest }
    }

    fn call(&self, operation: &'static str, payload: &Value) -> Cost {
        let call = Call {
            operation,
            payload: payload.to_string().into_bytes(),
            answer: 0,
        };
        let lengths = (operation.len() as u32, call.payload.len() as u32);
        let mut store = Store::new(&self.engine, call);
        store.set_fuel(u64::MAX).expect("fuel is counted");
        let instance = self.guest.instantiate(&mut store).expect("it starts");
        for start in ["_start", "wapc_init"] {
            if let Ok(start) = instance.get_typed_func::<(), ()>(&mut store, start) {
                start.call(&mut store, ()).expect("it starts");
            }
        }
        let memory = instance.get_memory(&mut store, "memory").expect("a memory");
        let (at_rest, before) = (memory.data_size(&store), store.get_fuel().expect("fuel is counted"));
        let guest_call = instance.get_typed_func::<(u32, u32), u32>(&mut store, "__guest_call");
        let answered = guest_call.expect("waPC").call(&mut store, lengths);
        assert_eq!(answered.expect("it does not trap"), 1);
        Cost {
            fuel: before - store.get_fuel().expect("fuel is counted"),
            memory: memory.data_size(&store) - at_rest,
            answer: store.data().answer,
        }
    }

    /// Rendering an Application with annotations.
    fn render(&self, topology: &str, annotations: Value) -> Cost {
        self.call("render", &of_text(&request(&settings(topology), annotations)))
    }

    /// Admitting a change of its annotations, where both the old and the new ones are looked at.
    fn validate(&self, old: Value, new: Value) -> Cost {
        let object = |annotations| of_text(&request(&Value::Null, annotations))["sources"][0].clone();
        let kind = json!({"group": "argoproj.io", "version": "v1alpha1", "kind": "Application"});
        let request = json!({
            "uid": "1", "operation": "UPDATE", "kind": kind, "namespace": "argocd", "name": "argocd",
            "object": object(new), "oldObject": object(old),
        });
        self.call(
            "validate",
            &json!({"request": request, "settings": settings("application")}),
        )
    }
}

fn of_text(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn settings(topology: &str) -> Value {
    json!({"topology": topology, "allow": {"env": true}, "inputs": {"allowedPlugins": ["prometheus", "redis"]}})
}

/// waPC, as far as the module uses it: <https://wapc.io/docs/spec/>.
fn linker(engine: &Engine) -> Linker<Call> {
    fn write(caller: &mut Caller<'_, Call>, pointer: u32, bytes: &[u8]) {
        let memory = caller.get_export("memory").and_then(Extern::into_memory);
        let written = memory.expect("a memory").write(caller, pointer as usize, bytes);
        written.expect("room for it");
    }
    let mut linker = Linker::new(engine);
    let wapc = "wapc";
    linker
        .func_wrap(
            wapc,
            "__guest_request",
            |mut caller: Caller<'_, Call>, operation: u32, payload: u32| {
                let (name, bytes) = (caller.data().operation, std::mem::take(&mut caller.data_mut().payload));
                write(&mut caller, operation, name.as_bytes());
                write(&mut caller, payload, &bytes);
            },
        )
        .and_then(|linker| {
            linker.func_wrap(
                wapc,
                "__guest_response",
                |mut caller: Caller<'_, Call>, _: u32, length: u32| {
                    caller.data_mut().answer = length as usize;
                },
            )
        })
        .and_then(|linker| linker.func_wrap(wapc, "__guest_error", |_: u32, _: u32| {}))
        .and_then(|linker| linker.func_wrap(wapc, "__console_log", |_: u32, _: u32| {}))
        .and_then(|linker| {
            linker.func_wrap(
                wapc,
                "__host_call",
                |_: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32| 0_u32,
            )
        })
        .and_then(|linker| linker.func_wrap(wapc, "__host_response", |_: u32| {}))
        .and_then(|linker| linker.func_wrap(wapc, "__host_response_len", || 0_u32))
        .and_then(|linker| linker.func_wrap(wapc, "__host_error", |_: u32| {}))
        .and_then(|linker| linker.func_wrap(wapc, "__host_error_len", || 0_u32))
        .expect("each name once");
    linker
}

#[test]
fn each_shape_costs_in_proportion_to_its_size() {
    let module = Counted::new();
    let small = json!({KEY: "a: http://a.argocd.svc/"});
    let base = module.render("application", small.clone());
    let sizes = [4, 16, 64, 127, 256];
    let mut wrong = Vec::new();
    for (name, shape) in SHAPES {
        let costs = sizes.map(|size| module.render("application", shape(size * KIB)));
        for (pair, cost) in sizes.windows(2).zip(costs.windows(2)) {
            let factor = pair[1].div_ceil(pair[0]) as u64;
            if cost[1].fuel > cost[0].fuel.max(base.fuel) * factor * 3 / 2 {
                wrong.push(format!("{name}: more than linear: {costs:?}"));
            }
        }
        let mut largest: Vec<_> = ["standalone", "endpoint"]
            .map(|topology| module.render(topology, shape(127 * KIB)))
            .into();
        largest.push(module.validate(small.clone(), shape(127 * KIB)));
        largest.push(module.validate(shape(127 * KIB), shape(126 * KIB)));
        largest.extend(costs);
        let most = |of: fn(&Cost) -> usize| largest.iter().map(of).max().unwrap_or_default();
        let fuel = largest.iter().map(|cost| cost.fuel).max().unwrap_or_default();
        if fuel > FUEL_OF_100_MS || most(|cost| cost.memory) > MAX_MEMORY || most(|cost| cost.answer) > 2 * MIB {
            wrong.push(format!("{name}: too much: {largest:?}"));
        }
        println!("{fuel:>12} {:>12} {name}", most(|cost| cost.memory));
    }
    assert!(wrong.is_empty(), "at rest {base:?}\n{}", wrong.join("\n"));
}

/// An Application with endpoints as people write them.
fn good(endpoints: usize) -> Value {
    let endpoint = |index| {
        let url = format!("http://service-{index}.argocd.svc:8080/metrics");
        format!("- endpoint_{index}:\n    url: {url}\n    interval: 30s\n    tags: {{tier: web}}\n")
    };
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": "argocd", "namespace": "argocd", "annotations": {
            KEY: (0..endpoints).map(endpoint).collect::<String>(),
        }},
        "spec": {"destination": {"namespace": "argocd", "server": "https://kubernetes.default.svc"}},
    })
}

/// What requests of a normal day cost, in thousands of units of fuel. The limits are a tenth above what was measured.
#[rstest]
#[case::created_with_5_endpoints("CREATE", 5, 1_410)]
#[case::created_with_64_endpoints("CREATE", 64, 13_610)]
#[case::updated_without_a_change("UPDATE", 5, 141)]
fn a_good_annotation_is_cheap(#[case] operation: &str, #[case] endpoints: usize, #[case] limit: u64) {
    let object = good(endpoints);
    let request = json!({"uid": "1", "operation": operation, "object": object, "oldObject": object});
    let cost = Counted::new().call("validate", &json!({"request": request, "settings": {}}));
    println!("{operation} {endpoints}: {cost:?}");
    assert!(cost.fuel <= limit * 1000, "{cost:?}");
}

#[rstest]
#[case::settings("validate_settings", json!({}), 231)]
#[case::a_large_standalone_source("render", json!({"protocol": 1, "settings": {"topology": "standalone"}, "sources": [good(64)]}), 24_800)]
#[case::findings("render", json!({"protocol": 1, "findingsOnly": true, "sources": [good(5)]}), 1_470)]
#[case::an_own_telegraf("render", json!({"protocol": 1, "sources": [good(5)]}), 3_520)]
fn what_an_operation_costs(#[case] operation: &'static str, #[case] payload: Value, #[case] limit: u64) {
    let cost = Counted::new().call(operation, &payload);
    println!("{operation}: {cost:?}");
    assert!(cost.fuel <= limit * 1000, "{cost:?}");
}
