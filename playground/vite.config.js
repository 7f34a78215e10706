import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Writes the service worker, with the names of all files that the page consists of. */
const offline = {
    name: "offline",
    generateBundle(_, bundle) {
        // What is loaded on demand is kept on demand.
        const files = ["./", "icon.svg", ...Object.keys(bundle).filter((name) => !name.endsWith(".json"))];
        const hash = createHash("sha256");
        for (const [name, file] of Object.entries(bundle)) hash.update(name).update(file.source ?? file.code);
        const source = readFileSync(here("page/service-worker.js"), "utf8")
            .replace(/^\s*\/\/.*\n/gm, "")
            .replace('"VERSION"', JSON.stringify(hash.digest("hex").slice(0, 16)))
            .replace('["FILES"]', JSON.stringify(files.filter((name) => name !== "index.html")));
        this.emitFile({ type: "asset", fileName: "service-worker.js", source });
    },
};

const [, release] = /^version = "(.*)"/m.exec(readFileSync(here("../Cargo.toml"), "utf8"));

/** Writes the version into the page, and leaves its comments out. */
const version = {
    name: "version",
    transformIndexHtml: (html) => html.replace("%VERSION%", `Version ${release}`).replaceAll(/\s*<!--[^]*?-->/g, ""),
};

export default defineConfig({
    root: here("page"),
    // It works from any folder of any web server.
    base: "./",
    resolve: { alias: { telewarden: here("dist/npm/telewarden.js") } },
    worker: { format: "es" },
    build: {
        outDir: here("dist/page"),
        emptyOutDir: true,
        target: "es2022",
        assetsInlineLimit: 0,
        modulePreload: { polyfill: false },
    },
    plugins: [version, { ...offline, enforce: "post" }],
});
