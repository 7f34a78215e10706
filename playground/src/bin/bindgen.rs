//! Generates the JavaScript bindings of the module: `bindgen MODULE FOLDER`.

use std::error::Error;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [module, folder] = arguments.as_slice() else {
        return Err("usage: bindgen MODULE FOLDER".into());
    };
    let mut bindgen = Bindgen::new();
    bindgen.input_path(module).out_name("telewarden").typescript(true);
    // The target `web` works in browsers directly, and with the files of npm/ in Node and bundlers. The JavaScript contains
    // the module's URL, so that bundlers find it.
    bindgen.web(true)?.omit_default_module_path(false);
    bindgen.generate(folder)?;
    Ok(())
}
