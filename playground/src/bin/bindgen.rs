//! Generates the JavaScript bindings of the module, and the documentation beside it: `bindgen MODULE FOLDER`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use telewarden_policy::diagnostic::rules;

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
    document(Path::new(folder))
}

/// Writes what only somebody who asks for help needs, so that the module does not contain it: the documentation of each rule by
/// its code, and the JSON Schemas without indentation.
fn document(folder: &Path) -> Result<(), Box<dyn Error>> {
    let rules: BTreeMap<_, _> = rules::all().iter().map(|rule| (rule.code, rule)).collect();
    fs::write(folder.join("rules.json"), serde_json::to_string(&rules)?)?;
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas");
    for name in ["annotation.schema.json", "settings.schema.json"] {
        let schema: serde_json::Value = serde_json::from_str(&fs::read_to_string(schemas.join(name))?)?;
        fs::write(folder.join(name), schema.to_string())?;
    }
    Ok(())
}
