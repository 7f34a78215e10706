//! The policy module, and calls of it on threads that may block.

use std::time::Duration;

use telewarden::artifact::{Registry, Store};
use telewarden::{Cache, Module, Options};

use crate::cli::Policy;
use crate::error::Error;

/// Loads the module that the arguments select.
pub(crate) async fn load(policy: &Policy) -> Result<Module, Error> {
    let options = Options {
        deadline: Duration::from_millis(policy.module_deadline),
        memory: policy.module_memory * 1024 * 1024,
        cache: Cache::of_user(),
    };
    let (address, plain_http) = (policy.policy.clone(), policy.plain_http.clone());
    let signer = policy.signer.clone();
    // Compilation uses all processors for a moment.
    let module = blocking(move || {
        let signer = signer.signer_of(address.as_deref())?;
        let module = match address.as_deref() {
            None => telewarden::embedded::module(&options),
            Some(address) if address.starts_with("registry://") => {
                let store = Store::of_user();
                let wasm = Registry { plain_http }.pull_by_digest(address, store.as_ref(), signer.as_ref())?;
                Module::new(&wasm, &options)
            }
            Some(file) => Module::from_file(file, &options),
        };
        module.map_err(|source| Error::Module {
            doing: "load the module".to_owned(),
            source,
        })
    })
    .await?;
    if let Some(problem) = module.cache_problem() {
        tracing::warn!("{problem}");
    }
    Ok(module)
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
