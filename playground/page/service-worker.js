// Keeps the page for when there is no network: all of its files, and nothing else.
const name = "telewarden-" + "VERSION";
const files = ["FILES"];

addEventListener("install", (event) => {
    event.waitUntil(caches.open(name).then((cache) => cache.addAll(files)).then(() => skipWaiting()));
});

addEventListener("activate", (event) => {
    const old = async () => {
        const names = (await caches.keys()).filter((known) => known.startsWith("telewarden-") && known !== name);
        await Promise.all(names.map((known) => caches.delete(known)));
        await clients.claim();
    };
    event.waitUntil(old());
});

// Files have their content's hash in their names, so what is kept is never old. The page itself is asked for first.
addEventListener("fetch", (event) => {
    const { request } = event;
    if (request.method !== "GET" || new URL(request.url).origin !== location.origin) return;
    const kept = () => caches.match(request.mode === "navigate" ? "./" : request, { ignoreSearch: true });
    if (request.mode === "navigate") {
        event.respondWith(fetch(request).catch(async () => (await kept()) ?? Response.error()));
    } else {
        event.respondWith(kept().then((response) => response ?? fetch(request)));
    }
});
