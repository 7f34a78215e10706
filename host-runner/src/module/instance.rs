//! One instance of the module, and waPC's host functions.
//!
//! waPC is a small protocol: <https://wapc.io/docs/spec/>. The host calls `__guest_call` with the lengths of an operation's
//! name and of its payload; the guest fetches both, and sets a response or an error. The crates `wapc` and
//! `wasmtime-provider` implement it too, but report every failure as text: `docs/decisions/0005-wapc.md`.

use wasmtime::error::{Result, bail, format_err};
use wasmtime::{Caller, Engine, Extern, InstancePre, Linker, Memory, Module, ResourceLimiter, Store, Trap};

/// The module name of all imports.
const WAPC: &str = "wapc";

/// The guest's export that runs an operation.
const GUEST_CALL: &str = "__guest_call";

/// The guest's optional start functions, in the order of their calls.
const STARTS: [&str; 2] = ["_start", "wapc_init"];

/// The maximum number of functions in a guest's table. Our module has some hundreds.
const TABLE_ELEMENTS: usize = 100_000;

/// The state of one call.
pub(super) struct Guest {
    operation: String,
    payload: Vec<u8>,
    /// The guest's response.
    response: Vec<u8>,
    /// The guest's error.
    error: Option<String>,
    /// Why the last host call was refused.
    host_error: String,
    memory_limit: usize,
    memory_refused: bool,
}

/// Why a call failed.
pub(super) enum Failure {
    Deadline,
    OutOfMemory,
    Trap(wasmtime::Error),
    NotAGuest(wasmtime::Error),
    /// The guest set an error.
    Guest(String),
}

/// Limits of a call.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// The deadline in epochs.
    pub(super) ticks: u64,
    /// The memory limit in bytes.
    pub(super) memory: usize,
}

/// Calls an operation in a new instance.
pub(super) fn call(
    engine: &Engine,
    guest: &InstancePre<Guest>,
    limits: Limits,
    operation: &str,
    payload: &[u8],
) -> Result<Vec<u8>, Failure> {
    let state = Guest {
        operation: operation.to_owned(),
        payload: payload.to_owned(),
        response: Vec::new(),
        error: None,
        host_error: String::new(),
        memory_limit: limits.memory,
        memory_refused: false,
    };
    let mut store = Store::new(engine, state);
    store.limiter(|guest| guest);
    // The deadline covers the start functions too.
    store.set_epoch_deadline(limits.ticks);
    let answered = start_and_call(&mut store, guest);
    let Guest { response, error, .. } = store.into_data();
    match (answered?, error) {
        (true, _) => Ok(response),
        (false, error) => {
            let message = error.unwrap_or_else(|| "no reason given".to_owned());
            Err(Failure::Guest(message))
        }
    }
}

fn start_and_call(store: &mut Store<Guest>, guest: &InstancePre<Guest>) -> Result<bool, Failure> {
    let instance = guest
        .instantiate(&mut *store)
        .map_err(|error| failure(store.data(), error))?;
    let guest_call = instance
        .get_typed_func::<(u32, u32), u32>(&mut *store, GUEST_CALL)
        .map_err(Failure::NotAGuest)?;
    for name in STARTS {
        if instance.get_func(&mut *store, name).is_some() {
            instance
                .get_typed_func::<(), ()>(&mut *store, name)
                .map_err(Failure::NotAGuest)?
                .call(&mut *store, ())
                .map_err(|error| failure(store.data(), error))?;
        }
    }
    let lengths = length(store.data().operation.len()).and_then(|operation| {
        let payload = length(store.data().payload.len())?;
        Ok((operation, payload))
    });
    // The limit cannot be larger than a module's address space.
    let lengths = lengths.map_err(|_| Failure::OutOfMemory)?;
    let answered = guest_call.call(&mut *store, lengths);
    answered
        .map(|answered| answered != 0)
        .map_err(|error| failure(store.data(), error))
}

/// The reason of a trap. A guest that was refused memory traps too, so it is recognized by the refusal.
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

/// Links a module with waPC's host functions.
pub(super) fn link(engine: &Engine, module: &Module) -> Result<InstancePre<Guest>> {
    let is_guest = matches!(module.get_export(GUEST_CALL), Some(ty) if ty.func().is_some());
    if !is_guest {
        bail!("it does not export `{GUEST_CALL}`: it is not a waPC guest");
    }

    let mut linker = Linker::<Guest>::new(engine);
    linker.func_wrap(
        WAPC,
        "__guest_request",
        |mut caller: Caller<'_, Guest>, operation: u32, payload: u32| {
            write(&mut caller, payload, |guest| &guest.payload)?;
            write(&mut caller, operation, |guest| guest.operation.as_bytes())
        },
    )?;
    linker.func_wrap(
        WAPC,
        "__guest_response",
        |mut caller: Caller<'_, Guest>, pointer: u32, length: u32| {
            caller.data_mut().response = read(&mut caller, pointer, length)?.to_vec();
            Ok(())
        },
    )?;
    linker.func_wrap(
        WAPC,
        "__guest_error",
        |mut caller: Caller<'_, Guest>, pointer: u32, length: u32| {
            caller.data_mut().error = Some(read_text(&mut caller, pointer, length)?);
            Ok(())
        },
    )?;
    // Log messages of the module are dropped.
    linker.func_wrap(WAPC, "__console_log", |_: u32, _: u32| ())?;
    linker.func_wrap(
        WAPC,
        "__host_call",
        |mut caller: Caller<'_, Guest>,
         binding: u32,
         binding_length: u32,
         namespace: u32,
         namespace_length: u32,
         operation: u32,
         operation_length: u32,
         _: u32,
         _: u32| {
            let binding = read_text(&mut caller, binding, binding_length)?;
            let namespace = read_text(&mut caller, namespace, namespace_length)?;
            let operation = read_text(&mut caller, operation, operation_length)?;
            // All host calls are refused, because a request contains everything that the module needs.
            caller.data_mut().host_error =
                format!("host call `{binding}/{namespace}/{operation}` refused: this host has no capabilities");
            Ok(0_u32)
        },
    )?;
    // Host calls have no response.
    linker.func_wrap(WAPC, "__host_response", |_: u32| ())?;
    linker.func_wrap(WAPC, "__host_response_len", || 0_u32)?;
    linker.func_wrap(WAPC, "__host_error", |mut caller: Caller<'_, Guest>, pointer: u32| {
        write(&mut caller, pointer, |guest| guest.host_error.as_bytes())
    })?;
    linker.func_wrap(WAPC, "__host_error_len", |caller: Caller<'_, Guest>| {
        length(caller.data().host_error.len())
    })?;
    linker.instantiate_pre(module)
}

fn memory(caller: &mut Caller<'_, Guest>) -> Result<Memory> {
    caller
        .get_export("memory")
        .and_then(Extern::into_memory)
        .ok_or_else(|| format_err!("the module exports no memory"))
}

/// Copies a part of the call's state to the module's memory.
fn write(caller: &mut Caller<'_, Guest>, pointer: u32, part: impl FnOnce(&Guest) -> &[u8]) -> Result<()> {
    let (memory, guest) = memory(caller)?.data_and_store_mut(caller);
    let bytes = part(guest);
    let start = pointer as usize;
    memory
        .get_mut(start..start.saturating_add(bytes.len()))
        .ok_or_else(|| {
            format_err!(
                "the module requested {} bytes at {pointer}, which is outside of its memory",
                bytes.len()
            )
        })?
        .copy_from_slice(bytes);
    Ok(())
}

fn read<'a>(caller: &'a mut Caller<'_, Guest>, pointer: u32, length: u32) -> Result<&'a [u8]> {
    let memory = memory(caller)?;
    let start = pointer as usize;
    memory
        .data(caller)
        .get(start..start.saturating_add(length as usize))
        .ok_or_else(|| format_err!("the module passed {length} bytes at {pointer}, which is outside of its memory"))
}

fn read_text(caller: &mut Caller<'_, Guest>, pointer: u32, length: u32) -> Result<String> {
    let bytes = read(caller, pointer, length)?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

fn length(bytes: usize) -> Result<u32> {
    Ok(u32::try_from(bytes)?)
}
