//! Compiled modules and their calls.

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

/// Limits of calls, and the cache for compiled code.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Options {
    /// The deadline of a call; the default is 5 s. A call usually takes milliseconds.
    pub deadline: Duration,
    /// The memory limit of a call in bytes; the default is 256 MiB. The module's memory contains the request and the answer,
    /// so this is enough for a repository of about 50 MiB.
    pub memory: usize,
    /// The cache for compiled code.
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

/// A compiled module. It is cheap to clone, and many threads can call it at the same time: each call runs in a new
/// instance.
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
    /// True if the request is accepted.
    pub accepted: bool,
    /// The reason of a rejection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The HTTP status of a rejection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// The changed object, if the policy changes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutated_object: Option<Value>,
    /// Annotations of the audit event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_annotations: Option<BTreeMap<String, String>>,
    /// Warnings for the client, whether the request is accepted or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warnings: Option<Vec<String>>,
}

/// A policy's answer about its settings, as Kubewarden defines it:
/// <https://docs.kubewarden.io/reference/spec/settings>.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct SettingsVerdict {
    /// True if the settings are valid.
    pub valid: bool,
    /// Errors and warnings.
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
    /// Compiles a module, or loads its compiled code from the cache.
    ///
    /// # Errors
    /// [`Error::Compile`] if the bytes are not WebAssembly, [`Error::Link`] if the module is not a waPC guest or imports
    /// other functions.
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

    /// The deadline of a call.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Why the cache was not used, if its folder cannot be trusted. A program should show this to the user once.
    pub fn cache_problem(&self) -> Option<&CacheProblem> {
        self.compiled.cache_problem.as_ref()
    }

    /// Compiles a module from a file, or loads its compiled code from the cache.
    ///
    /// # Errors
    /// As [`Module::new`], and [`Error::Read`] if the file cannot be read.
    pub fn from_file(path: impl AsRef<Path>, options: &Options) -> Result<Self, Error> {
        let path = path.as_ref();
        let wasm = fs::read(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::new(&wasm, options)
    }

    /// Renders a set of sources.
    ///
    /// # Errors
    /// As [`Module::call`], and [`Error::Protocol`] for an answer with another protocol version, [`Error::Decode`] for an
    /// invalid answer. Invalid sources and settings are not errors; the answer has the findings.
    pub fn render(&self, request: &RenderRequest<'_>) -> Result<RenderAnswer, Error> {
        self.versioned("render", request)
    }

    /// `standalone`: renders each source by itself.
    ///
    /// # Errors
    /// As [`Module::render`].
    pub fn parts(&self, request: &RenderRequest<'_>) -> Result<RenderAnswer, Error> {
        self.versioned("parts", request)
    }

    /// `standalone`: renders one of the Telegrafs, without the files of its sources.
    ///
    /// # Errors
    /// As [`Module::render`].
    pub fn shard(&self, request: &RenderRequest<'_>) -> Result<RenderAnswer, Error> {
        self.versioned("shard", request)
    }

    /// Calls an operation whose answers have a version.
    fn versioned(&self, operation: &str, request: &RenderRequest<'_>) -> Result<RenderAnswer, Error> {
        /// Decoded first, because an answer of another version may have other fields.
        #[derive(Deserialize)]
        struct Version {
            protocol: u64,
        }
        let answer = self.call(operation, &encode(operation, request)?)?;
        let Version { protocol } = decode(operation, &answer)?;
        if protocol != u64::from(protocol::VERSION) {
            return Err(Error::Protocol { found: protocol });
        }
        decode(operation, &answer)
    }

    /// Kubewarden's `validate`: checks an admission request, or in raw mode any object.
    ///
    /// # Errors
    /// As [`Module::call`], and [`Error::Decode`] if the answer is not a [`Verdict`]. A rejection is not an error.
    pub fn validate(&self, request: &Value, settings: &Value) -> Result<Verdict, Error> {
        const OPERATION: &str = "validate";
        let payload = encode(OPERATION, &ValidatePayload { request, settings })?;
        decode(OPERATION, &self.call(OPERATION, &payload)?)
    }

    /// Kubewarden's `validate_settings`: checks a settings document.
    ///
    /// # Errors
    /// As [`Module::call`], and [`Error::Decode`] if the answer is not a [`SettingsVerdict`]. Invalid settings are not an
    /// error.
    pub fn validate_settings(&self, settings: &Value) -> Result<SettingsVerdict, Error> {
        const OPERATION: &str = "validate_settings";
        decode(OPERATION, &self.call(OPERATION, &encode(OPERATION, settings)?)?)
    }

    /// Checks a settings document, and answers the settings that a host needs. `Null` means the defaults.
    ///
    /// # Errors
    /// As [`Module::call`], and [`Error::Decode`] if the answer is not a [`SettingsReport`]. Invalid settings are not an
    /// error; the report has the findings.
    pub fn settings(&self, settings: &Value) -> Result<SettingsReport, Error> {
        const OPERATION: &str = "settings";
        decode(OPERATION, &self.call(OPERATION, &encode(OPERATION, settings)?)?)
    }

    /// Kubewarden's `protocol_version`, which is `"v1"`.
    ///
    /// # Errors
    /// As [`Module::call`], and [`Error::Decode`] if the answer is not JSON.
    pub fn protocol_version(&self) -> Result<Value, Error> {
        const OPERATION: &str = "protocol_version";
        decode(OPERATION, &self.call(OPERATION, b"")?)
    }

    /// Calls a waPC operation with any payload.
    ///
    /// # Errors
    /// [`Error::Deadline`], [`Error::OutOfMemory`] or [`Error::Trap`] if the call was stopped, [`Error::Guest`] if the module
    /// answers with an error, such as for an unknown operation.
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
    // The module is stripped, so a backtrace has no function names, and it would hide the trap's message.
    config.wasm_backtrace_max_frames(None);
    // Only backtraces and profilers need these, and each process would have to load them.
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
