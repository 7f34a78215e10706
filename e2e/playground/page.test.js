// The built page, used as people use it.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { serve } from "./server.js";

const root = new URL("../../", import.meta.url);
const require = createRequire(new URL("playground/package.json", root));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const screenshots = new URL("target/playground/", root);

let server, browser, context, page, faults;

before(async () => {
    mkdirSync(screenshots, { recursive: true });
    server = await serve(new URL("playground/dist/page/", root));
    browser = await chromium.launch({
        executablePath: process.env.TELEWARDEN_PART_CHROMIUM,
        args: [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ],
    });
});

after(async () => {
    await browser?.close();
    await server?.close();
});

beforeEach(async () => {
    await visit();
});

/** A fresh profile. Whatever goes wrong in it, or leaves for another origin, fails the test. */
async function visit(fragment = "", options = {}) {
    await context?.close();
    faults = [];
    context = await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: "light", ...options });
    context.on("weberror", (error) => faults.push(String(error.error())));
    context.on("console", (message) => ["error", "warning"].includes(message.type()) && faults.push(message.text()));
    context.on("request", (request) => {
        const { origin, protocol } = new URL(request.url());
        if (protocol !== "blob:" && protocol !== "data:" && !server.address.startsWith(origin)) faults.push(request.url());
    });
    page = await context.newPage();
    page.setDefaultTimeout(20_000);
    await page.goto(server.address + fragment);
    await page.locator("#result[data-state]").waitFor();
}

afterEach(() => assert.deepEqual(faults, []));

const content = (which) => page.locator(`#${which} .cm-content`);
const status = (text) => page.locator("#status", { hasText: text }).waitFor();
const tab = (name) => page.getByRole("tab", { name }).click();
const kept = () => page.evaluate(() => JSON.parse(sessionStorage.getItem("telewarden.draft")));
const undone = () => page.locator("#notice", { hasText: "took the place" });

/** Puts a text into an editor, as pasting does. */
async function paste(which, text) {
    await content(which).click();
    await page.keyboard.press("Control+A");
    await content(which).evaluate((element, text) => {
        const clipboardData = new DataTransfer();
        clipboardData.setData("text/plain", text);
        element.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
    }, text);
}

const application = (annotation) => `apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: argocd
  namespace: argocd
  annotations:
    telegraf.influxdata.com/rubin-telegraf-operator: |
${annotation.replaceAll(/^/gm, "      ")}
spec:
  destination: {namespace: argocd, server: https://kubernetes.default.svc}
`;

const server64 = Array.from({ length: 64 }, (_, number) => `- server_${number}:
    url: http://server-${number}.argocd.svc:8083/metrics
    interval: 30s`).join("\n");

test("a mistake is underlined where it is, explained, and mended", async () => {
    await paste("source", application("- redis:\n    url: http://redis.argocd.svc:9121/metrics\n    intervall: 30s"));
    const underlined = page.locator("#source .cm-lintRange-error");
    await underlined.waitFor();
    assert.equal(await underlined.textContent(), "intervall");
    await status("1 error");

    await underlined.hover();
    const tooltip = page.locator("#source .cm-tooltip-lint");
    await tooltip.getByText("intervall is not an option of an endpoint").waitFor();
    await tooltip.getByText("Help: did you mean interval?").waitFor();
    await tooltip.getByText("About TW201").click();
    await page.getByRole("dialog").getByText("What raises it").waitFor();
    await page.getByRole("button", { name: "Close" }).click();

    // The finding's entry in the list leads there.
    await page.locator("#findings .go").click();
    await page.keyboard.press("Control+ArrowRight");
    await page.keyboard.press("Backspace");
    await status("1 source rendered · 1 endpoint");
    assert.equal(await page.locator("#source .cm-lintRange").count(), 0);
    await content("viewer").getByText('interval = "30s"').waitFor();
});

test("a finding with one plausible fix has a button for it, in the list and where it is", async () => {
    const mistake = application("- redis:\n    url: http://redis.argocd.svc:9121/metrics\n    intervall: 30s");
    const findings = page.locator("#findings");
    await paste("source", mistake);
    await findings.getByRole("button", { name: "Write interval", exact: true }).click();
    await status("1 source rendered · 1 endpoint");
    await content("viewer").getByText('interval = "30s"').waitFor();
    await paste("source", mistake);
    await status("1 error");
    await page.locator("#source .cm-lintRange-error").hover();
    await page.locator("#source .cm-diagnosticAction", { hasText: "Write interval" }).click();
    await status("1 source rendered · 1 endpoint");
});

test("what is shown follows what is typed", async () => {
    await paste("source", application("redis: http://redis.argocd.svc:9121/metrics"));
    await content("viewer").getByText('name_override = "prometheus_redis"').waitFor();
    await paste("settings", "inputs: {nameOverride: 'scraped_{endpoint}'}\nmutation: digest\n");
    await content("viewer").getByText('name_override = "scraped_redis"').waitFor();
    await tab("Objects");
    await content("viewer").getByText("kind: ConfigMap").waitFor();
    await tab("Admission");
    await content("viewer").getByText('"patchType": "JSONPatch"').waitFor();
    await tab("Command");
    await content("viewer").getByText("kubectl annotate --overwrite --namespace argocd applications.argoproj.io argocd").waitFor();
    await tab("Picture");
    await page.locator("#picture svg .telegraf", { hasText: "telegraf-argocd" }).waitFor();
    await page.locator("#picture svg .output", { hasText: "influxdb_v2" }).waitFor();
    await paste("source", application("redis: nonsense"));
    await status("1 source refused");
    await tab("Admission");
    await content("viewer").getByText('"allowed": false').waitFor();
});

test("every example opens, and is fine", async () => {
    const files = readdirSync(new URL("examples", root), { recursive: true }).filter((name) => name.endsWith(".yaml"));
    const picker = page.getByLabel("Example");
    const offered = await picker.locator("option:not([disabled])").evaluateAll((options) => options.map(({ value }) => value));
    assert.deepEqual(offered.sort(), [...files, "before"].sort());
    for (const name of files) {
        await picker.selectOption(name);
        const text = readFileSync(new URL(`examples/${name}`, root), "utf8");
        const which = name.endsWith("settings.yaml") || name.startsWith("outputs/") ? "settings" : "source";
        await page.waitForFunction(
            ([which, text]) => JSON.parse(sessionStorage.getItem("telewarden.draft"))?.[which] === text,
            [which, text],
        );
        await status("rendered");
        assert.doesNotMatch(await page.locator("#status").textContent(), /error/, name);
    }
});

test("a link carries everything to somebody else", async () => {
    const source = application("réseau: http://redis.argocd.svc:9121/metrics # 😀");
    await paste("source", source);
    await paste("settings", "networkPolicy: true\n");
    await status("1 error");
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.getByRole("button", { name: "Copy link" }).click();
    await status("Link copied");
    const link = await page.evaluate(() => navigator.clipboard.readText());
    assert.ok(link.startsWith(`${server.address}#state=`), link);

    await visit(link.slice(server.address.length));
    await status("1 error");
    assert.deepEqual(await kept(), { source, settings: "networkPolicy: true\n" });

    // Somebody who had written something of their own has it still.
    await visit();
    await paste("source", "mine: 1\n");
    await page.waitForFunction(() => sessionStorage.getItem("telewarden.draft")?.includes("mine"));
    await page.goto(link);
    await undone().waitFor();
    await page.getByRole("button", { name: "Bring it back" }).click();
    await page.waitForFunction(() => sessionStorage.getItem("telewarden.draft")?.includes("mine"));
});

test("a damaged link says so, and nothing else is lost", async () => {
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.getByRole("button", { name: "Copy link" }).click();
    await status("Link copied");
    const link = (await page.evaluate(() => navigator.clipboard.readText())).slice(server.address.length);
    const middle = Math.floor(link.length / 2);
    const other = link[middle] === "A" ? "B" : "A";
    for (const damaged of [
        link.slice(0, -20),
        link.slice(0, 30),
        link.slice(0, middle) + other + link.slice(middle + 1),
        "#state=%%%",
        "#state=eJw",
    ]) {
        await visit(damaged);
        await page.locator("#notice", { hasText: "This link is damaged" }).waitFor();
        await page.getByRole("button", { name: "Dismiss" }).click();
        await status("1 source rendered");
        await paste("source", application("redis: http://redis.argocd.svc:9121/metrics"));
        await content("viewer").getByText('name_override = "prometheus_redis"').waitFor();
    }
});

test("what is no example is said to be none", async () => {
    await visit("#example=no-such.yaml");
    await page.locator("#notice", { hasText: "There is no example no-such.yaml." }).waitFor();
    await status("1 source rendered");
    await visit("#example=namespace.yaml");
    await content("viewer").getByText("alertmanager", { exact: false }).first().waitFor();
});

test("what cannot be read is a message at its place", async () => {
    await paste("source", "apiVersion: v1\nkind: [\n");
    await page.locator("#findings", { hasText: "not YAML" }).waitFor();
    await page.locator("#source .cm-lintRange-error, #source .cm-lintPoint-error").first().waitFor();
    await paste("source", application("redis: http://redis.argocd.svc:9121/metrics"));
    await status("1 source rendered");
    for (const [settings, message] of [
        ["topology: sideways\n", "sideways"],
        ["a: 1\n---\nb: 2\n", "the settings must be one document"],
        ["endpoints: {hosts: [", "not YAML"],
    ]) {
        await paste("settings", settings);
        await page.locator("#findings", { hasText: message }).waitFor();
        await page.locator("#settings .cm-lintRange-error, #settings .cm-lintPoint-error").first().waitFor();
    }
    await paste("settings", "");
    await status("1 source rendered");
});

test("a megabyte is read or refused, and a reload has it still", async () => {
    const long = application("redis: http://redis.argocd.svc:9121/metrics") + `# ${"x".repeat(98)}\n`.repeat(10_500);
    assert.ok(long.length > 1024 * 1024);
    await paste("source", long);
    await status("1 source rendered · 1 endpoint");
    const large = application(`# ${"x".repeat(98)}\n`.repeat(10_500));
    await paste("source", large);
    await page.locator("#findings", { hasText: "TW002" }).waitFor();
    await page.waitForFunction((length) => JSON.parse(sessionStorage.getItem("telewarden.draft")).source.length === length, large.length);
    await page.reload();
    await page.locator("#findings", { hasText: "TW002" }).waitFor();
    assert.equal((await kept()).source, large);
    await paste("source", application("redis: http://redis.argocd.svc:9121/metrics"));
    await status("1 source rendered");
});

test("a reload has what was typed a moment ago", async () => {
    await content("source").click();
    await page.keyboard.press("Control+A");
    await page.keyboard.insertText("# typed\n");
    await page.reload();
    await content("source").getByText("# typed").waitFor();
});

test("it works with the network cut off, also after a reload", async () => {
    await page.evaluate(() => navigator.serviceWorker.ready);
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    await context.setOffline(true);
    await server.close();
    try {
        await page.reload();
        await status("1 source rendered");
        await paste("source", application("redis: http://redis.argocd.svc:9121/metrics"));
        await content("viewer").getByText('name_override = "prometheus_redis"').waitFor();
        await page.getByLabel("Example").selectOption("namespace.yaml");
        await status("2 endpoints");
        // The browser says itself that it could not fetch the page anew.
        faults = faults.filter((fault) => !fault.includes("ERR_INTERNET_DISCONNECTED"));
    } finally {
        server = await serve(new URL("playground/dist/page/", root));
    }
});

test("completion and hover come from the schemas", async () => {
    await paste("source", application("redis:\n  url: http://redis.argocd.svc:9121/metrics\n  "));
    await page.locator("#source .cm-line", { hasText: "9121" }).click();
    await page.keyboard.press("End");
    await page.keyboard.press("Enter");
    await page.keyboard.type("metric_");
    const completions = page.locator("#source .cm-tooltip-autocomplete");
    await completions.locator(".cm-completionLabel", { hasText: "metric_version" }).waitFor();
    await page.waitForTimeout(100);
    await page.keyboard.press("Enter");
    await page.keyboard.type("1");
    await content("viewer").getByText("metric_version = 1").waitFor();
    await page.locator("#source .cm-line", { hasText: "metric_version" }).hover({ position: { x: 110, y: 8 } });
    await page.locator("#source .cm-tooltip-hover").waitFor();

    await paste("settings", "");
    await page.keyboard.type("topo");
    await page.locator("#settings .cm-completionLabel", { hasText: "topology" }).waitFor();
    await page.waitForTimeout(100);
    await page.keyboard.press("Enter");
    await page.keyboard.type("e");
    await page.locator("#settings .cm-completionLabel", { hasText: "endpoint" }).waitFor();
});

test("everything can be done with the keyboard", async () => {
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the result");
    const reached = new Set();
    for (let step = 0; step < 24; step++) {
        await page.keyboard.press("Tab");
        reached.add(await page.evaluate(() => document.activeElement.id || document.activeElement.tagName));
    }
    for (const id of ["example", "share", "theme", "source", "settings", "tab-configuration", "copy", "download", "viewer"]) {
        assert.ok(reached.has(id), `${id} is not reached: ${[...reached]}`);
    }
    await page.locator("#tab-configuration").focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    await content("viewer").getByText('"allowed": true').waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), "tab-admission");
});

test("what is made can be copied and downloaded", async () => {
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.getByRole("button", { name: "Copy", exact: true }).click();
    await status("Configuration copied");
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^\[agent\]|\[\[inputs\.prometheus\]\]/m);
    for (const [name, file, starts] of [
        ["Configuration", "telegraf.conf", "["],
        ["Objects", "objects.yaml", "apiVersion:"],
        ["Command", "annotate.sh", "kubectl annotate"],
        ["Picture", "picture.svg", "<svg"],
    ]) {
        await tab(name);
        const downloading = page.waitForEvent("download");
        await page.getByRole("button", { name: "Download" }).click();
        const download = await downloading;
        assert.equal(download.suggestedFilename(), file);
        assert.ok(readFileSync(await download.path(), "utf8").includes(starts), file);
    }
});

test("what is loaded weighs less than 500 KB", async () => {
    server.sent.clear();
    await visit();
    await page.evaluate(() => navigator.serviceWorker.ready);
    const total = [...server.sent.values()].reduce((sum, size) => sum + size, 0);
    console.log(`loaded, in gzip: ${total} bytes:`, Object.fromEntries(server.sent));
    assert.ok(total < 500_000, `${total} bytes`);
});

test("typing does not wait for 64 endpoints", async (t) => {
    await paste("source", application(server64));
    await status("64 endpoints");
    await page.keyboard.press("Control+Home");
    for (const key of ["ArrowDown", "ArrowDown", "ArrowDown", "End"]) await page.keyboard.press(key);
    await page.evaluate(() => {
        globalThis.pauses = [];
        addEventListener("keydown", ({ timeStamp }) => requestAnimationFrame(() => setTimeout(() => pauses.push(performance.now() - timeStamp))), true);
    });
    for (let step = 0; step < 40; step++) {
        await page.keyboard.type("x");
        await page.waitForTimeout(40);
    }
    const started = Date.now();
    await page.keyboard.type("end");
    await tab("Objects");
    await content("viewer").getByText("xend", { exact: false }).first().waitFor();
    const followed = Date.now() - started;
    const pauses = (await page.evaluate(() => pauses)).sort((a, b) => a - b);
    const at = (part) => Math.round(pauses[Math.floor((pauses.length - 1) * part)]);
    console.log(`from key to frame: median ${at(0.5)} ms, 9 of 10 ${at(0.9)} ms, longest ${at(1)} ms; all followed in ${followed} ms`);
    assert.ok(at(0.5) <= 34, `a key takes ${at(0.5)} ms`);
});

for (const [name, options] of [
    ["light", {}],
    ["dark", { colorScheme: "dark" }],
    ["narrow", { viewport: { width: 390, height: 844 } }],
]) {
    test(`axe finds no violation, and here are pictures: ${name}`, async () => {
        await visit("", options);
        const shot = (what) => page.screenshot({ path: new URL(`${name}-${what}.png`, screenshots).pathname, fullPage: name === "narrow" });
        const check = async (what) => {
            await page.evaluate(axe);
            const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
            const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
            assert.deepEqual(told, [], what);
        };
        for (const view of ["Configuration", "Objects", "Admission", "Picture", "Command"]) {
            await tab(view);
            await check(view);
            await shot(view.toLowerCase());
        }
        await paste("source", application("- redis:\n    url: http://redis.argocd.svc:9121/metrics\n    intervall: 30s\n- server: nonsense"));
        await paste("settings", "networkPolicy: true\ntopology: sideways\n");
        await status("1 error");
        await paste("settings", "networkPolicy: true\n");
        await status("2 errors");
        await check("findings");
        await page.locator("#source .cm-lintRange-error").first().hover();
        await page.locator("#source .cm-tooltip-lint").waitFor();
        await shot("findings");
        await page.locator("#findings a").first().click();
        await page.getByRole("dialog").getByText("What raises it").waitFor();
        await check("rule");
        await shot("rule");
    });
}
