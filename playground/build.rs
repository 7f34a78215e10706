//! The JSON Schemas without their indentation, which the page would load with them.

use std::path::Path;
use std::{env, fs};

fn main() {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas");
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    for name in ["annotation.schema.json", "settings.schema.json"] {
        let file = schemas.join(name);
        println!("cargo:rerun-if-changed={}", file.display());
        let text = fs::read_to_string(&file).expect("the schema is in the repository");
        let schema: serde_json::Value = serde_json::from_str(&text).expect("the schema is JSON");
        fs::write(Path::new(&out).join(name), schema.to_string()).expect("OUT_DIR can be written");
    }
}
