//! Makes the JavaScript around the module: `bindgen MODULE FOLDER`.

use std::error::Error;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [module, folder] = arguments.as_slice() else {
        return Err("usage: bindgen MODULE FOLDER".into());
    };
    let mut bindgen = Bindgen::new();
    bindgen.input_path(module).out_name("telewarden").typescript(true);
    // One that a browser loads as it is; Node and bundlers do too, with the few lines of npm/. The module's address stands
    // in the JavaScript, where bundlers find it.
    bindgen.web(true)?.omit_default_module_path(false);
    bindgen.generate(folder)?;
    Ok(())
}
