//! The policy module, and calls of it on threads that may block.

use std::borrow::Cow;
use std::fs;
use std::io::{self, Read};
use std::process::Stdio;
use std::time::Duration;

use telewarden::artifact::{Registry, Store};
use telewarden::{Cache, Module, Options};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::cli::Policy;
use crate::error::Error;

/// The time after which a process that compiles the module is ended. Compiling takes about a second.
const COMPILE_TIMEOUT: Duration = Duration::from_secs(60);

/// Loads the module that the arguments select.
pub(crate) async fn load(policy: &Policy) -> Result<Module, Error> {
    let wasm = read(policy).await?;
    compile(policy, wasm).await
}

/// As [`load`], for a process that runs for long: another process compiles the module into the cache. Compiling takes 40 MiB,
/// and the allocator would keep them.
pub(crate) async fn load_for_long(policy: &Policy) -> Result<Module, Error> {
    let wasm = read(policy).await?;
    if Cache::of_user().is_usable() {
        match tokio::time::timeout(COMPILE_TIMEOUT, compile_apart(&wasm)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "no other process could compile the module"),
            Err(_) => tracing::warn!("the process that compiles the module was ended after {COMPILE_TIMEOUT:?}"),
        }
    }
    compile(policy, wasm).await
}

/// Compiles the module that [`compile_apart`] writes, for the command `compile`.
pub(crate) async fn compile_stdin() -> Result<(), Error> {
    blocking(|| {
        let mut wasm = Vec::new();
        io::stdin().read_to_end(&mut wasm).map_err(|source| Error::File {
            doing: "read the module".to_owned(),
            source,
        })?;
        let options = Options {
            cache: Cache::of_user(),
            ..Options::default()
        };
        Module::new(&wasm, &options).map(drop).map_err(error)
    })
    .await
}

/// Has another process of this program compile a module into the cache.
async fn compile_apart(wasm: &[u8]) -> io::Result<()> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("compile")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(wasm).await?;
    }
    child.wait().await.map(drop)
}

/// Compiles a module, or takes its code from the cache.
async fn compile(policy: &Policy, wasm: Cow<'static, [u8]>) -> Result<Module, Error> {
    let options = Options {
        deadline: Duration::from_millis(policy.module_deadline),
        memory: policy.module_memory * 1024 * 1024,
        cache: Cache::of_user(),
    };
    // Compilation uses all processors for a moment.
    let module = blocking(move || Module::new(&wasm, &options).map_err(error)).await?;
    if let Some(problem) = module.cache_problem() {
        tracing::warn!("{problem}");
    }
    Ok(module)
}

/// Reads the module that the arguments select.
async fn read(policy: &Policy) -> Result<Cow<'static, [u8]>, Error> {
    // The built-in module has no signature, so `--key` is refused for it.
    let signer = policy.signer.signer_of(policy.policy.as_deref())?;
    let Some(address) = policy.policy.clone() else {
        return Ok(telewarden::embedded::WASM.into());
    };
    let plain_http = policy.plain_http.clone();
    let read = move || {
        if address.starts_with("registry://") {
            let store = Store::of_user();
            return Ok(Registry { plain_http }.pull_by_digest(&address, store.as_ref(), signer.as_ref())?);
        }
        fs::read(&address).map_err(|source| {
            let path = address.into();
            error(telewarden::Error::Read { path, source })
        })
    };
    blocking(read).await.map(Cow::Owned)
}

/// A module that cannot be loaded.
fn error(source: telewarden::Error) -> Error {
    Error::Module {
        doing: "load the module".to_owned(),
        source,
    }
}

/// Runs a computation on a thread that may block. Panics are passed on.
pub(crate) async fn blocking<T: Send + 'static>(computation: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(computation).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// The module for tests, compiled once, because a debug build needs seconds for it.
#[cfg(test)]
pub(crate) fn for_tests() -> Module {
    static MODULE: std::sync::OnceLock<Module> = std::sync::OnceLock::new();
    let options = || Options {
        cache: Cache::of_user(),
        ..Options::default()
    };
    MODULE
        .get_or_init(|| telewarden::embedded::module(&options()).expect("the module"))
        .clone()
}
