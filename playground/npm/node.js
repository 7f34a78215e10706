// Node's fetch reads no files, so the module is loaded here. A browser does it in `init`, which does nothing here: what is
// written for the one runs in the other.
import { readFileSync } from "node:fs";
import { initSync } from "./telewarden.js";

initSync({ module: readFileSync(new URL("telewarden_bg.wasm", import.meta.url)) });

export * from "./telewarden.js";
export default async function init() {}
