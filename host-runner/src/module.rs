//! The compiled module, and calls to it.

mod cache;
mod clock;
mod instance;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use telewarden_policy::protocol::{self, RenderAnswer, RenderRequest, SettingsReport};
use wasmtime::{Config, Engine, InstancePre};

#[cfg(feature = "registry")]
pub(crate) use self::cache::private_folder;
pub use self::cache::{Cache, CacheProblem};
use self::clock::Clock;
use self::instance::{Failure, Guest, Limits};
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

/// A policy's answer to a request, as Kubewarden defines it:
/// <https://docs.kubewarden.io/reference/spec/validating-policies#the-validationresponse-object>.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Verdict {
    /// Whether the request is let through.
    pub accepted: bool,
    /// Why not, for whoever sent the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The HTTP status of a rejection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// The object as the policy wants it, where it changes the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutated_object: Option<Value>,
    /// Annotations of the audit event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_annotations: Option<BTreeMap<String, String>>,
    /// What is shown to whoever sent the request, accepted or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warnings: Option<Vec<String>>,
}

/// A policy's answer about its settings, as Kubewarden defines it:
/// <https://docs.kubewarden.io/reference/spec/settings>.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct SettingsVerdict {
    /// Whether the settings can be used.
    pub valid: bool,
    /// Why not, or what is doubtful.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The payload of Kubewarden's `validate`.
#[derive(Serialize)]
struct ValidatePayload<'a> {
    request: &'a Value,
    settings: &'a Value,
}

impl Module {
    /// Compiles a module, or finds its code in the cache.
    ///
    /// # Errors
    /// [`Error::Compile`] for what is not WebAssembly, [`Error::Link`] for a module that is no waPC guest or imports
    /// anything else than waPC.
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
    ///
    /// # Errors
    /// As [`Module::new`], and [`Error::Read`] for the file.
    pub fn from_file(path: impl AsRef<Path>, options: &Options) -> Result<Self, Error> {
        let path = path.as_ref();
        let wasm = fs::read(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::new(&wasm, options)
    }

    /// Asks what a set of sources renders to.
    ///
    /// # Errors
    /// As [`Module::call`], [`Error::Protocol`] for an answer in another version of the contract, [`Error::Decode`] for one
    /// that is not as the contract says. Sources and settings that are wrong are no error: the answer says what is.
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
    ///
    /// # Errors
    /// As [`Module::call`], and [`Error::Decode`] for an answer that is no [`Verdict`]. A request that the policy rejects is
    /// no error.
    pub fn validate(&self, request: &Value, settings: &Value) -> Result<Verdict, Error> {
        const OPERATION: &str = "validate";
        let payload = encode(OPERATION, &ValidatePayload { request, settings })?;
        decode(OPERATION, &self.call(OPERATION, &payload)?)
    }

    /// Kubewarden's `validate_settings`: whether a settings document can be used.
    ///
    /// # Errors
    /// As [`Module::call`], and [`Error::Decode`] for an answer that is no [`SettingsVerdict`]. Settings that are wrong are
    /// no error.
    pub fn validate_settings(&self, settings: &Value) -> Result<SettingsVerdict, Error> {
        const OPERATION: &str = "validate_settings";
        decode(OPERATION, &self.call(OPERATION, &encode(OPERATION, settings)?)?)
    }

    /// Asks what is wrong with a settings document, and what a host has to know of it. `Null` stands for the defaults.
    ///
    /// # Errors
    /// As [`Module::call`], and [`Error::Decode`] for an answer that is no [`SettingsReport`]. Settings that are wrong are
    /// no error: the report says what is.
    pub fn settings(&self, settings: &Value) -> Result<SettingsReport, Error> {
        const OPERATION: &str = "settings";
        decode(OPERATION, &self.call(OPERATION, &encode(OPERATION, settings)?)?)
    }

    /// Kubewarden's `protocol_version`, which is `"v1"`.
    ///
    /// # Errors
    /// As [`Module::call`], and [`Error::Decode`] for an answer that is not JSON.
    pub fn protocol_version(&self) -> Result<Value, Error> {
        const OPERATION: &str = "protocol_version";
        decode(OPERATION, &self.call(OPERATION, b"")?)
    }

    /// Calls a waPC operation with any payload.
    ///
    /// # Errors
    /// [`Error::Deadline`], [`Error::OutOfMemory`] or [`Error::Trap`] where the module was stopped, [`Error::Guest`] where it
    /// answers with an error, as for an operation that it does not know.
    pub fn call(&self, operation: &str, payload: &[u8]) -> Result<Vec<u8>, Error> {
        let Compiled {
            engine,
            guest,
            clock,
            memory,
            ..
        } = &*self.compiled;
        let deadline = &self.deadline;
        let limits = Limits {
            ticks: clock.ticks(*deadline),
            memory: *memory,
        };
        let _running = clock.run();
        instance::call(engine, guest, limits, operation, payload).map_err(|failure| {
            let operation = operation.to_owned();
            match failure {
                Failure::Deadline => Error::Deadline {
                    operation,
                    limit: *deadline,
                },
                Failure::OutOfMemory => Error::OutOfMemory {
                    operation,
                    limit: *memory,
                },
                Failure::Trap(trap) => Error::Trap {
                    operation,
                    source: trap.into(),
                },
                Failure::NotAGuest(source) => Error::Link { source: source.into() },
                Failure::Guest(message) => Error::Guest { operation, message },
            }
        })
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
