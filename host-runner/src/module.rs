//! The compiled module, and calls to it.

mod cache;
mod clock;
mod instance;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use telewarden_policy::protocol::{self, RenderAnswer, RenderRequest, SettingsReport};
use wapc::WapcHost;
use wasmtime::{Config, Engine, InstancePre};

#[cfg(feature = "registry")]
pub(crate) use self::cache::private_folder;
pub use self::cache::{Cache, CacheProblem};
use self::clock::Clock;
use self::instance::{Failure, Guest, Instance};
use crate::Error;

/// How the module is run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Options {
    /// How long a call may take, 5 s unless changed. A call takes milliseconds; what takes seconds will not end.
    pub deadline: Duration,
    /// How many bytes of memory a call may use, 256 MiB unless changed. A request lies in the module's memory once as text
    /// and once as what is rendered from it, so this holds a repository of some 50 MiB, and a host that runs a few calls
    /// at a time still fits a small container's limit.
    pub memory: usize,
    /// Where compiled code is kept.
    pub cache: Cache,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(5),
            memory: 256 * 1024 * 1024,
            cache: Cache::Off,
        }
    }
}

/// A compiled module. Cloning it is cheap, and it can be called from many threads at once: each call has an instance of
/// its own.
#[derive(Clone)]
pub struct Module {
    compiled: Arc<Compiled>,
    deadline: Duration,
}

struct Compiled {
    engine: Engine,
    guest: InstancePre<Guest>,
    clock: Clock,
    memory: usize,
    cache_problem: Option<CacheProblem>,
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module")
            .field("deadline", &self.deadline)
            .field("memory", &self.compiled.memory)
            .finish_non_exhaustive()
    }
}

/// The payload of Kubewarden's `validate`.
#[derive(Serialize)]
struct ValidatePayload<'a> {
    request: &'a Value,
    settings: &'a Value,
}

impl Module {
    /// Compiles a module, or finds its code in the cache.
    pub fn new(wasm: &[u8], options: &Options) -> Result<Self, Error> {
        let compile_error = |source: wasmtime::Error| Error::Compile { source: source.into() };
        let (cache, cache_problem) = match options.cache.open() {
            Ok(cache) => (cache, None),
            Err(problem) => (None, Some(problem)),
        };
        let engine = Engine::new(&config(cache)).map_err(compile_error)?;
        let module = wasmtime::Module::from_binary(&engine, wasm).map_err(compile_error)?;
        let guest = instance::link(&engine, &module).map_err(|source| Error::Link { source: source.into() })?;
        Ok(Self {
            compiled: Arc::new(Compiled {
                clock: Clock::new(&engine),
                engine,
                guest,
                memory: options.memory,
                cache_problem,
            }),
            deadline: options.deadline,
        })
    }

    /// The same module with another deadline for each call.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self {
            deadline,
            ..self.clone()
        }
    }

    /// How long a call may take.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Why the folder for compiled code was not used, if it was given and cannot be trusted. Whoever runs the module should
    /// say so once.
    pub fn cache_problem(&self) -> Option<&CacheProblem> {
        self.compiled.cache_problem.as_ref()
    }

    /// Compiles a module from its file, or finds its code in the cache.
    pub fn from_file(path: impl AsRef<Path>, options: &Options) -> Result<Self, Error> {
        let path = path.as_ref();
        let wasm = fs::read(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::new(&wasm, options)
    }

    /// Asks what a set of sources renders to.
    pub fn render(&self, request: &RenderRequest<'_>) -> Result<RenderAnswer, Error> {
        /// Read first and alone: an answer of another version need not have anything else in common with ours.
        #[derive(Deserialize)]
        struct Version {
            protocol: u64,
        }
        const OPERATION: &str = "render";

        let answer = self.call(OPERATION, &encode(OPERATION, request)?)?;
        let Version { protocol } = decode(OPERATION, &answer)?;
        if protocol != u64::from(protocol::VERSION) {
            return Err(Error::Protocol { found: protocol });
        }
        decode(OPERATION, &answer)
    }

    /// Kubewarden's `validate`: an admission request, or in raw mode any object, under settings.
    pub fn validate(&self, request: &Value, settings: &Value) -> Result<Value, Error> {
        const OPERATION: &str = "validate";
        let payload = encode(OPERATION, &ValidatePayload { request, settings })?;
        decode(OPERATION, &self.call(OPERATION, &payload)?)
    }

    /// Kubewarden's `validate_settings`.
    pub fn validate_settings(&self, settings: &Value) -> Result<Value, Error> {
        const OPERATION: &str = "validate_settings";
        decode(OPERATION, &self.call(OPERATION, &encode(OPERATION, settings)?)?)
    }

    /// What a host has to know of settings; null stands for the defaults.
    pub fn settings(&self, settings: &Value) -> Result<SettingsReport, Error> {
        const OPERATION: &str = "settings";
        decode(OPERATION, &self.call(OPERATION, &encode(OPERATION, settings)?)?)
    }

    /// Kubewarden's `protocol_version`.
    pub fn protocol_version(&self) -> Result<Value, Error> {
        const OPERATION: &str = "protocol_version";
        decode(OPERATION, &self.call(OPERATION, b"")?)
    }

    /// Calls a waPC operation.
    pub fn call(&self, operation: &str, payload: &[u8]) -> Result<Vec<u8>, Error> {
        let Compiled {
            engine,
            guest,
            clock,
            memory,
            ..
        } = &*self.compiled;
        let deadline = self.deadline;

        let (instance, failure) = Instance::new(engine, guest, clock.ticks(deadline), *memory);
        let _running = clock.run();
        let answer = WapcHost::new(Box::new(instance), Some(Box::new(refuse_host_call)))
            .and_then(|host| host.call(operation, payload));

        let operation = operation.to_owned();
        // waPC reports every failure as text. What the engine itself saw is in `failure`.
        match (answer, failure.take()) {
            (_, Some(Failure::Deadline)) => Err(Error::Deadline {
                operation,
                limit: deadline,
            }),
            (_, Some(Failure::OutOfMemory)) => Err(Error::OutOfMemory {
                operation,
                limit: *memory,
            }),
            (_, Some(Failure::Trap(trap))) => Err(Error::Trap {
                operation,
                source: trap.into(),
            }),
            (_, Some(Failure::NotAGuest(source))) => Err(Error::Link { source: source.into() }),
            (Err(wapc::errors::Error::GuestCallFailure(message)), None) => Err(Error::Guest { operation, message }),
            (Err(error), None) => Err(Error::Guest {
                operation,
                message: error.to_string(),
            }),
            (Ok(answer), None) => Ok(answer),
        }
    }
}

fn config(cache: Option<wasmtime::Cache>) -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    // A backtrace of a stripped module names no function, and hides the trap's own message behind it.
    config.wasm_backtrace_max_frames(None);
    // Only backtraces and profilers read these, and whatever is kept is read in again by each process.
    config.generate_address_map(false);
    config.native_unwind_info(cfg!(windows));
    config.cache(cache);
    config
}

fn encode(operation: &str, value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|source| Error::Encode {
        operation: operation.to_owned(),
        source,
    })
}

fn decode<T: for<'a> Deserialize<'a>>(operation: &str, answer: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(answer).map_err(|source| Error::Decode {
        operation: operation.to_owned(),
        source,
    })
}

/// The module is given what it needs with the request. Whatever it asks for, the answer is no.
fn refuse_host_call(
    _: u64,
    binding: &str,
    namespace: &str,
    operation: &str,
    _: &[u8],
) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    Err(format!("host call `{binding}/{namespace}/{operation}` refused: this host has no capabilities").into())
}
