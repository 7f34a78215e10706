import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

// As a program that depends on the package would: by its entry in package.json.
const manifest = JSON.parse(readFileSync("package.json", "utf8"));
const telewarden = await import(pathToFileURL(manifest.exports["."].node).href);
const calls = JSON.parse(readFileSync(0, "utf8"));
const answers = calls.map(([name, ...given]) => {
    try {
        return JSON.stringify(telewarden[name](...given)) ?? "undefined";
    } catch (error) {
        return String(error);
    }
});
process.stdout.write(JSON.stringify(answers));
