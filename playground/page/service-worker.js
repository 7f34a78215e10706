// Keeps the page for when there is no network: all of its files at once, and the documentation when it is first asked for.
const name = "telewarden-" + "VERSION";
const files = ["FILES"];

// What has its content's hash in its name is never old: the browser has most of it already, and need not fetch it twice.
const request = (file) => new Request(file, { cache: file.startsWith("assets/") ? "force-cache" : "no-cache" });

addEventListener("install", (event) => {
    const keep = async () => {
        await (await caches.open(name)).addAll(files.map(request));
        await skipWaiting();
    };
    event.waitUntil(keep());
});

addEventListener("activate", (event) => {
    const old = async () => {
        const names = (await caches.keys()).filter((known) => known.startsWith("telewarden-") && known !== name);
        await Promise.all(names.map((known) => caches.delete(known)));
        await clients.claim();
    };
    event.waitUntil(old());
});

const fetchAndKeep = async (request) => {
    const response = await fetch(request);
    if (response.ok && request.url.endsWith(".json")) await (await caches.open(name)).put(request, response.clone());
    return response;
};

// The page itself is asked for first, so that a new one is seen.
addEventListener("fetch", (event) => {
    const { request } = event;
    if (request.method !== "GET" || new URL(request.url).origin !== location.origin) return;
    const kept = () => caches.match(request.mode === "navigate" ? "./" : request, { ignoreSearch: true });
    if (request.mode === "navigate") {
        event.respondWith(fetch(request).catch(async () => (await kept()) ?? Response.error()));
    } else {
        event.respondWith(kept().then((response) => response ?? fetchAndKeep(request)));
    }
});
