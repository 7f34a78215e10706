#!/usr/bin/env node
// Starts the command of the package for this platform.
"use strict";

const { spawnSync } = require("node:child_process");

const suffix = process.platform === "win32" ? ".exe" : "";
const name = `@telewarden/cli-${process.platform}-${process.arch}`;
let program;
try {
  program = require.resolve(`${name}/telewarden${suffix}`);
} catch {
  console.error(`telewarden: ${name} is not installed. It is an optional dependency: install without --omit=optional,`);
  console.error("or, if there is no package for this platform, build the command: https://github.com/telewarden/telewarden");
  process.exit(2);
}
const { error, signal, status } = spawnSync(program, process.argv.slice(2), { stdio: "inherit" });
if (error) {
  console.error(`telewarden: ${program}: ${error.message}`);
  process.exit(2);
}
if (signal) {
  process.kill(process.pid, signal);
}
process.exit(status ?? 2);
