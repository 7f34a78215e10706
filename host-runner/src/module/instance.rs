//! One instance of the module, behind waPC.
//!
//! This is `wasmtime-provider` for a host that needs to know *why* a call failed: that crate reports every failure as
//! text, tells nobody that memory was refused, and panics where a guest passes a pointer outside its memory.

use std::error::Error as StdError;
use std::sync::{Arc, Mutex, PoisonError};

use wapc::{HOST_NAMESPACE, ModuleState, WebAssemblyEngineProvider, wapc_functions as names};
use wasmtime::error::{Result, bail, format_err};
use wasmtime::{Caller, Engine, Extern, InstancePre, Linker, Memory, Module, ResourceLimiter, Store, Trap, TypedFunc};

/// Functions that a guest can refer to indirectly. A module of ours has some hundred.
const TABLE_ELEMENTS: usize = 100_000;

/// What stands behind one instance.
pub(super) struct Guest {
    host: Arc<ModuleState>,
    memory_limit: usize,
    memory_refused: bool,
}

/// Why the engine ended a call. An error that the guest reports itself is none of these.
pub(super) enum Failure {
    Deadline,
    OutOfMemory,
    Trap(wasmtime::Error),
    NotAGuest(wasmtime::Error),
}

/// Where a failure is left: waPC carries text alone.
#[derive(Clone, Default)]
pub(super) struct FailureSlot(Arc<Mutex<Option<Failure>>>);

impl FailureSlot {
    pub(super) fn take(&self) -> Option<Failure> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps it, and says it in waPC's way.
    fn put(&self, failure: Failure) -> Box<dyn StdError + Send + Sync> {
        let text = match &failure {
            Failure::Deadline => "deadline exceeded".to_owned(),
            Failure::OutOfMemory => "out of memory".to_owned(),
            Failure::Trap(error) | Failure::NotAGuest(error) => error.to_string(),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
        text.into()
    }
}

/// `__guest_call`: the lengths of operation and payload, to whether there is an answer.
type GuestCall = TypedFunc<(i32, i32), i32>;

/// One instance, used for one call.
pub(super) struct Instance {
    engine: Engine,
    guest: InstancePre<Guest>,
    ticks: u64,
    memory_limit: usize,
    failure: FailureSlot,
    running: Option<(Store<Guest>, GuestCall)>,
}

impl Instance {
    pub(super) fn new(
        engine: &Engine,
        guest: &InstancePre<Guest>,
        ticks: u64,
        memory_limit: usize,
    ) -> (Self, FailureSlot) {
        let failure = FailureSlot::default();
        let instance = Self {
            engine: engine.clone(),
            guest: guest.clone(),
            ticks,
            memory_limit,
            failure: failure.clone(),
            running: None,
        };
        (instance, failure)
    }

    fn start(&self, store: &mut Store<Guest>) -> Result<GuestCall, Failure> {
        let instance = self
            .guest
            .instantiate(&mut *store)
            .map_err(|error| failure(store.data(), error))?;
        let guest_call = instance
            .get_typed_func(&mut *store, names::GUEST_CALL)
            .map_err(Failure::NotAGuest)?;
        for name in names::REQUIRED_STARTS {
            if instance.get_func(&mut *store, name).is_some() {
                instance
                    .get_typed_func::<(), ()>(&mut *store, name)
                    .map_err(Failure::NotAGuest)?
                    .call(&mut *store, ())
                    .map_err(|error| failure(store.data(), error))?;
            }
        }
        Ok(guest_call)
    }
}

impl WebAssemblyEngineProvider for Instance {
    fn init(&mut self, host: Arc<ModuleState>) -> Result<(), Box<dyn StdError + Send + Sync>> {
        let mut store = Store::new(
            &self.engine,
            Guest {
                host,
                memory_limit: self.memory_limit,
                memory_refused: false,
            },
        );
        store.limiter(|guest| guest);
        // One deadline for all of it: start functions are part of the call that they are run for.
        store.set_epoch_deadline(self.ticks);
        let guest_call = self.start(&mut store).map_err(|failure| self.failure.put(failure))?;
        self.running = Some((store, guest_call));
        Ok(())
    }

    fn call(&mut self, operation: i32, payload: i32) -> Result<i32, Box<dyn StdError + Send + Sync>> {
        let (store, guest_call) = self.running.as_mut().ok_or("the instance was not started")?;
        let result = guest_call.call(&mut *store, (operation, payload));
        result.map_err(|error| self.failure.put(failure(store.data(), error)))
    }

    fn replace(&mut self, _: &[u8]) -> Result<(), Box<dyn StdError + Send + Sync>> {
        Err("an instance is used for one call and not replaced".into())
    }
}

/// A guest that is refused memory ends itself as it ends itself on any defect. That it was refused tells them apart.
fn failure(guest: &Guest, error: wasmtime::Error) -> Failure {
    if matches!(error.downcast_ref(), Some(Trap::Interrupt)) {
        Failure::Deadline
    } else if guest.memory_refused {
        Failure::OutOfMemory
    } else {
        Failure::Trap(error)
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let granted = desired <= self.memory_limit;
        self.memory_refused |= !granted;
        Ok(granted)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }

    fn memories(&self) -> usize {
        1
    }
}

/// Joins a module with the functions of waPC.
pub(super) fn link(engine: &Engine, module: &Module) -> Result<InstancePre<Guest>> {
    let is_guest = matches!(module.get_export(names::GUEST_CALL), Some(ty) if ty.func().is_some());
    if !is_guest {
        bail!("it does not export `{}`: it is not a waPC guest", names::GUEST_CALL);
    }

    let mut linker = Linker::<Guest>::new(engine);
    let wapc = HOST_NAMESPACE;
    linker.func_wrap(
        wapc,
        names::GUEST_REQUEST_FN,
        |mut caller: Caller<'_, Guest>, operation: u32, payload: u32| {
            let Some(request) = caller.data().host.get_guest_request() else {
                return Ok(());
            };
            write(&mut caller, payload, &request.msg)?;
            write(&mut caller, operation, request.operation.as_bytes())
        },
    )?;
    linker.func_wrap(
        wapc,
        names::GUEST_RESPONSE_FN,
        |mut caller: Caller<'_, Guest>, pointer: u32, length: u32| {
            let answer = read(&mut caller, pointer, length)?.to_vec();
            caller.data().host.set_guest_response(answer);
            Ok(())
        },
    )?;
    linker.func_wrap(
        wapc,
        names::GUEST_ERROR_FN,
        |mut caller: Caller<'_, Guest>, pointer: u32, length: u32| {
            let message = read_text(&mut caller, pointer, length)?;
            caller.data().host.set_guest_error(message);
            Ok(())
        },
    )?;
    linker.func_wrap(
        wapc,
        names::HOST_CONSOLE_LOG,
        |mut caller: Caller<'_, Guest>, pointer: u32, length: u32| {
            let message = read_text(&mut caller, pointer, length)?;
            caller.data().host.do_console_log(&message);
            Ok(())
        },
    )?;
    linker.func_wrap(
        wapc,
        names::HOST_CALL,
        |mut caller: Caller<'_, Guest>,
         binding: u32,
         binding_length: u32,
         namespace: u32,
         namespace_length: u32,
         operation: u32,
         operation_length: u32,
         payload: u32,
         payload_length: u32| {
            let binding = read_text(&mut caller, binding, binding_length)?;
            let namespace = read_text(&mut caller, namespace, namespace_length)?;
            let operation = read_text(&mut caller, operation, operation_length)?;
            let payload = read(&mut caller, payload, payload_length)?.to_vec();
            let host = &caller.data().host;
            Ok(host
                .do_host_call(&binding, &namespace, &operation, &payload)
                .unwrap_or(0))
        },
    )?;
    linker.func_wrap(
        wapc,
        names::HOST_RESPONSE_FN,
        |mut caller: Caller<'_, Guest>, pointer: u32| {
            let host = Arc::clone(&caller.data().host);
            host.with_host_response(|response| write(&mut caller, pointer, response))
                .unwrap_or(Ok(()))
        },
    )?;
    linker.func_wrap(wapc, names::HOST_RESPONSE_LEN_FN, |caller: Caller<'_, Guest>| {
        length(caller.data().host.host_response_len())
    })?;
    linker.func_wrap(
        wapc,
        names::HOST_ERROR_FN,
        |mut caller: Caller<'_, Guest>, pointer: u32| {
            let error = caller.data().host.get_host_error().unwrap_or_default();
            write(&mut caller, pointer, error.as_bytes())
        },
    )?;
    linker.func_wrap(wapc, names::HOST_ERROR_LEN_FN, |caller: Caller<'_, Guest>| {
        length(caller.data().host.get_host_error().map_or(0, |error| error.len()))
    })?;
    linker.instantiate_pre(module)
}

fn memory(caller: &mut Caller<'_, Guest>) -> Result<Memory> {
    caller
        .get_export("memory")
        .and_then(Extern::into_memory)
        .ok_or_else(|| format_err!("the module exports no memory"))
}

fn write(caller: &mut Caller<'_, Guest>, pointer: u32, bytes: &[u8]) -> Result<()> {
    let memory = memory(caller)?;
    Ok(memory.write(caller, pointer as usize, bytes)?)
}

fn read<'a>(caller: &'a mut Caller<'_, Guest>, pointer: u32, length: u32) -> Result<&'a [u8]> {
    let memory = memory(caller)?;
    let start = pointer as usize;
    memory
        .data(caller)
        .get(start..start.saturating_add(length as usize))
        .ok_or_else(|| format_err!("the module passed {length} bytes at {pointer}, which are not all in its memory"))
}

fn read_text(caller: &mut Caller<'_, Guest>, pointer: u32, length: u32) -> Result<String> {
    let bytes = read(caller, pointer, length)?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

fn length(bytes: usize) -> Result<u32> {
    Ok(u32::try_from(bytes)?)
}
