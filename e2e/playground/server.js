// A static web server as people have one: files, their types, and gzip.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
    ".wasm": "application/wasm",
};

/** Serves a folder below /some/path/, and counts what goes over the wire. */
export async function serve(folder) {
    const sent = new Map();
    const server = createServer(async (request, response) => {
        const { pathname } = new URL(request.url, "http://localhost");
        const name = pathname.replace(/^\/some\/path\//, "") || "index.html";
        try {
            if (name.includes("..") || !pathname.startsWith("/some/path/")) throw new Error("not here");
            const body = gzipSync(await readFile(fileURLToPath(new URL(name, folder))));
            sent.set(name, (sent.get(name) ?? 0) + body.length);
            response.writeHead(200, { "Content-Type": TYPES[extname(name)], "Content-Encoding": "gzip" }).end(body);
        } catch {
            response.writeHead(404).end();
        }
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = `http://127.0.0.1:${server.address().port}/some/path/`;
    return { address, sent, close: () => new Promise((resolve) => server.close(resolve).closeAllConnections()) };
}
