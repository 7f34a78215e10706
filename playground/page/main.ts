import type { Evaluation, Finding } from "telewarden";
import { Core } from "./core";
import * as documentation from "./documentation";
import { Editor, Viewer } from "./editor";
import * as examples from "./examples";
import * as findingsList from "./findings";
import { separate } from "./panes";
import { asFile, draw, fitting, type Target, words, zoom } from "./picture";
import { show as showDocumentation } from "./rules";
import { annotations, type Lookup } from "./schema";
import * as kept from "./state";
import { type File, type Tab, tabs } from "./tabs";

const byId = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const core = new Core();

// What is shown.

let shown = tabs[0] as Tab;
let evaluation: Evaluation | undefined;
let file: File | undefined;
/** The objects that changes are compared with: those of what was opened last, or of when somebody asked for it. */
let before: string | undefined;

const viewer = new Viewer(byId("viewer"));
const picker = byId<HTMLSelectElement>("file");

function showTab() {
    for (const { id } of tabs) {
        const tab = byId(`tab-${id}`);
        const selected = id === shown.id;
        tab.setAttribute("aria-selected", String(selected));
        tab.tabIndex = selected ? 0 : -1;
    }
    byId("panel").setAttribute("aria-labelledby", `tab-${shown.id}`);
    showResult();
}

function choose(id: string) {
    shown = tabs.find((tab) => tab.id === id) as Tab;
    showTab();
}

/** The tabs that have something to show, and those that say why they have nothing. */
const offered = () => tabs.filter((tab) => !tab.isRare || (evaluation && tab.files(evaluation, "").length > 0));

function showResult() {
    if (!evaluation) return;
    const visible = offered();
    for (const tab of tabs) byId(`tab-${tab.id}`).hidden = !visible.includes(tab);
    if (!visible.includes(shown)) return choose("configuration");
    const isEmpty = editors.source.text.trim() === "" && shown.id !== "effective";
    const files = isEmpty ? [] : shown.files(evaluation, before ?? "");
    const wanted = picker.value;
    picker.replaceChildren(...files.map(({ name }) => new Option(name)));
    file = files.find(({ name }) => name === wanted) ?? files[0];
    if (file) picker.value = file.name;
    picker.hidden = files.length < 2;
    const isPicture = shown.id === "picture" && evaluation.flow.sources.length > 0;
    byId("viewer").hidden = !file;
    byId("picture").hidden = byId("zoom").hidden = !isPicture;
    byId("compare").hidden = shown.id !== "changes" || !file;
    byId("start").hidden = !isEmpty;
    byId("nothing").hidden = Boolean(file) || isPicture || isEmpty;
    byId("nothing").textContent = shown.none;
    for (const id of ["copy", "download"]) byId<HTMLButtonElement>(id).disabled = !file && !isPicture;
    if (file) viewer.show(file.text, shown.language, `${shown.title}: ${file.name}`);
    if (isPicture) showPicture(evaluation);
}

// The picture.

const MARGIN = 32;
/** A picture that is a little too large is made smaller; one that is much too large is scrolled. */
const LEGIBLE = 0.7;
/** The zoom that somebody chose. */
let chosen: number | undefined;
let factor = 1;
let opened = new Set<string>();

function showPicture({ flow, places }: Evaluation) {
    const place = byId("picture");
    const list = Object.assign(document.createElement("ul"), { className: "unseen" });
    list.append(...words(flow).map((line) => Object.assign(document.createElement("li"), { textContent: line })));
    const open = (group: string) => {
        opened.add(group);
        showResult();
        place.focus();
    };
    const width = place.clientWidth - MARGIN;
    const svg = draw({ flow, places, width, opened, open, go });
    place.replaceChildren(svg, list);
    const fit = fitting(svg, place, MARGIN);
    zoomTo(chosen ?? (fit < LEGIBLE ? 1 : fit));
}

function zoomTo(wanted: number) {
    const svg = byId("picture").querySelector("svg");
    if (!svg) return;
    factor = Math.min(3, Math.max(0.2, wanted));
    zoom(svg, factor);
}

function chooseZoom(wanted: number) {
    chosen = wanted;
    zoomTo(wanted);
}

/** Goes to where something of the picture is written. */
function go(target: Target) {
    if (target.kind === "endpoint") {
        editors.source.goTo({ start: target.position });
    } else if (target.kind === "telegraf") {
        const folder = [target.namespace, target.name, ""].filter((part) => part !== undefined).join("/");
        choose("configuration");
        picker.value = [...picker.options].find(({ value }) => value.startsWith(folder))?.value ?? picker.value;
        showResult();
        byId("tab-configuration").focus();
    } else {
        const pattern = new RegExp(`\\b${target.plugin}\\s*:`);
        if (editors.settings.find(pattern)) return;
        choose("effective");
        viewer.find(pattern);
    }
}

// What is wrong.

function showFindings(findings: Finding[]) {
    for (const name of ["source", "settings"] as const) {
        const own = findings.filter(({ text }) => text === name);
        editors[name].show(own);
        findingsList.show(byId(`${name}-findings`), own, editors[name]);
    }
}

const count = (number: number, one: string) => `${number} ${one}${number === 1 ? "" : "s"}`;

function summary({ sources }: Evaluation["checked"], findings: Finding[], remark: string): string {
    const errors = findings.filter(({ severity }) => severity === "error").length;
    const outcomes = [...new Set(sources.map(({ outcome }) => outcome))];
    const parts = outcomes.map((outcome) => `${count(sources.filter((source) => source.outcome === outcome).length, "source")} ${outcome}`);
    if (sources.length === 0 && errors === 0) parts.push("No Application, Namespace or ApplicationSet here");
    const endpoints = sources.reduce((sum, source) => sum + source.endpoints, 0);
    if (endpoints > 0) parts.push(count(endpoints, "endpoint"));
    if (errors > 0) parts.push(count(errors, "error"));
    if (findings.length > errors) parts.push(count(findings.length - errors, "warning"));
    if (remark) parts.push(remark);
    return parts.join(" · ");
}

// What is written.

/** In a source there is a schema for the value of the annotation that names endpoints. */
const inSource: Lookup = async (path) => {
    if (path.at(-1) === "annotations" && evaluation) {
        const value = await documentation.schema("annotation");
        return { schema: annotations(evaluation.names, evaluation.annotations, value?.["description"]), path: [] };
    }
    const at = path.findIndex((name, index) => path[index - 1] === "annotations" && evaluation?.annotations.includes(name));
    const schema = at > 0 ? await documentation.schema("annotation") : undefined;
    return schema && { schema, path: path.slice(at + 1) };
};
const inSettings: Lookup = async (path) => {
    const schema = await documentation.schema("settings");
    return schema && { schema, path };
};

const first = kept.draft() ?? examples.open("argocd.yaml", { source: "", settings: "" }) ?? { source: "", settings: "" };
/** What was there before anybody typed: it need not be kept when something else comes. */
let untouched: kept.State = kept.draft() ? { source: "", settings: "" } : first;

const changed = (typed: boolean) => {
    evaluate();
    if (typed) byId<HTMLSelectElement>("example").value = "";
};
const showRule = (code: string) => {
    documentation.rule(code).then(
        (rule) => showDocumentation(byId<HTMLDialogElement>("rule"), code, rule),
        (error: Error) => notice(error.message),
    );
};
const editors = {
    source: new Editor({ host: byId("source"), label: "Source", text: first.source, empty: "Paste an Application, a Namespace or an ApplicationSet", lookup: inSource, changed, showRule }),
    settings: new Editor({ host: byId("settings"), label: "Settings", text: first.settings, empty: "Nothing here means the default settings", lookup: inSettings, changed, showRule }),
};
const state = (): kept.State => ({ source: editors.source.text, settings: editors.settings.text });

let saving = 0;
function save() {
    clearTimeout(saving);
    if (!kept.keep(state())) notice("This browser has no room to keep what is written here: a reload would lose it.");
}

/** Takes a text's place with another, and keeps what was there. */
function replace(next: kept.State, what: string) {
    const now = state();
    if (kept.equal(now, next)) return;
    const worthKeeping = !kept.equal(now, untouched) && (now.source + now.settings).trim() !== "";
    if (worthKeeping) kept.keepBefore(now);
    untouched = next;
    before = undefined;
    opened = new Set();
    chosen = undefined;
    if (editors.source.text !== next.source) editors.source.text = next.source;
    if (editors.settings.text !== next.settings) editors.settings.text = next.settings;
    save();
    if (worthKeeping) notice(`${what} took the place of what was written.`, "Bring it back", () => replace(now, "What was there before"));
}

const isError = ({ severity }: Finding) => severity === "error";

/** The last settings without an error. */
let good: string | undefined;

/**
 * Everything about what is written. While the settings have an error, nothing is rendered; the source is checked with the last
 * settings that had none, so that its findings are seen too.
 */
async function ask({ source, settings }: kept.State) {
    const next = await core.evaluate(source, settings);
    const { findings } = next.checked;
    const ofSettings = findings.filter(({ text }) => text === "settings");
    if (!ofSettings.some(isError)) {
        good = settings;
        return { next, checked: next.checked, findings, remark: "" };
    }
    const { checked } = await core.evaluate(source, good ?? "");
    const remark = `source checked with ${good?.trim() ? "the settings before" : "the default settings"}`;
    return { next, checked, findings: [...ofSettings, ...checked.findings.filter(({ text }) => text === "source")], remark };
}

let running = false;
let stale = false;

/** Asks the core about what is written now. While it thinks, whatever else is typed is one more question. */
async function evaluate() {
    clearTimeout(saving);
    saving = setTimeout(save, 300);
    stale = true;
    if (running) return;
    running = true;
    while (stale) {
        stale = false;
        try {
            const { next, checked, findings, remark } = await ask(state());
            if (stale) continue;
            evaluation = next;
            before ??= next.manifests;
            showFindings(findings);
            showResult();
            byId("status").textContent = summary(checked, findings, remark);
            byId("result").dataset["state"] = findings.some(isError) ? "refused" : "fine";
        } catch (error) {
            byId("status").textContent = `It could not be checked. ${(error as Error).message}`;
            byId("result").dataset["state"] = "refused";
        }
    }
    running = false;
}

// What is beside it.

function notice(message: string, action?: string, act?: () => void) {
    const place = byId("notice");
    const button = (label: string, clicked: () => void) => {
        const made = Object.assign(document.createElement("button"), { type: "button", textContent: label });
        made.addEventListener("click", () => {
            place.hidden = true;
            clicked();
        });
        return made;
    };
    (place.querySelector("p") as HTMLElement).textContent = message;
    const buttons = [button("Dismiss", () => {})];
    if (action && act) buttons.unshift(button(action, act));
    (place.querySelector(".actions") as HTMLElement).replaceChildren(...buttons);
    place.hidden = false;
}

async function copy(what: string, made: string | Promise<string>) {
    try {
        await navigator.clipboard.writeText(await made);
        byId("status").textContent = `${what} copied`;
    } catch (error) {
        notice(error instanceof DOMException ? "This browser does not let the page copy." : (error as Error).message);
    }
}

function result(): File | undefined {
    const svg = byId("picture").querySelector("svg");
    return shown.id === "picture" && svg ? { name: "picture.svg", text: asFile(svg) } : file;
}

function download() {
    const made = result();
    if (!made) return;
    const href = URL.createObjectURL(new Blob([made.text], { type: "text/plain" }));
    // `a/b/telegraf.conf` is `telegraf.conf` on a disk.
    Object.assign(document.createElement("a"), { href, download: made.name.split("/").pop() }).click();
    setTimeout(() => URL.revokeObjectURL(href), 10_000);
}

async function link() {
    const address = new URL(location.href);
    address.hash = `state=${await kept.pack(state())}`;
    return address.href;
}

function openExample(name: string) {
    if (name === "before") {
        const before = kept.before();
        if (before) replace(before, "What was there before");
        return;
    }
    const opened = examples.open(name, state());
    if (opened) replace(opened, `The example ${name}`);
    else notice(`There is no example ${name}.`);
    byId<HTMLSelectElement>("example").value = opened ? name : "";
}

/** What an address asks for: a shared state, an example, a rule. Afterwards what is written counts, also after a reload. */
async function follow() {
    const asked = new URLSearchParams(location.hash.slice(1));
    const [shared, example, rule] = ["state", "example", "rule"].map((name) => asked.get(name));
    if (!shared && !example && !rule) return;
    history.replaceState(null, "", location.pathname + location.search);
    if (rule) showRule(rule);
    if (example) openExample(example);
    if (shared) {
        try {
            replace(await kept.unpack(shared), "The link");
        } catch (error) {
            notice((error as Error).message);
        }
    }
}

function theme(name: string) {
    document.documentElement.dataset["theme"] = name;
    byId("theme").textContent = `Theme: ${name}`;
    kept.keepTheme(name);
}

function begin() {
    const select = byId<HTMLSelectElement>("example");
    const nothing = new Option("Choose…", "");
    nothing.disabled = true;
    const options = examples.names.map((name) => Object.assign(new Option(name.replace(/\.yaml$/, ""), name), { title: examples.about(name) }));
    select.replaceChildren(nothing, ...options, new Option("what was here before", "before"));
    select.value = kept.draft() ? "" : "argocd.yaml";
    select.addEventListener("change", () => openExample(select.value));

    byId("tabs").replaceChildren(
        ...tabs.map((tab) => {
            const button = Object.assign(document.createElement("button"), { type: "button", id: `tab-${tab.id}`, textContent: tab.title });
            button.setAttribute("role", "tab");
            button.setAttribute("aria-controls", "panel");
            button.addEventListener("click", () => choose(tab.id));
            return button;
        }),
    );
    byId("tabs").addEventListener("keydown", (event) => {
        const visible = offered();
        const at = visible.indexOf(shown);
        const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: visible.length - 1 }[event.key];
        if (next === undefined) return;
        event.preventDefault();
        choose((visible[(next + visible.length) % visible.length] as Tab).id);
        byId(`tab-${shown.id}`).focus();
    });
    separate(byId("columns"), document.querySelector("main") as HTMLElement, "columns", 50);
    separate(byId("rows"), byId("inputs"), "rows", 62);
    byId("compare").addEventListener("click", () => {
        before = evaluation?.manifests;
        showResult();
    });
    byId("smaller").addEventListener("click", () => chooseZoom(factor / 1.25));
    byId("larger").addEventListener("click", () => chooseZoom(factor * 1.25));
    byId("fit").addEventListener("click", () => {
        const svg = byId("picture").querySelector("svg");
        if (svg) chooseZoom(fitting(svg, byId("picture"), MARGIN));
    });
    for (const button of byId("start").querySelectorAll("button")) {
        button.addEventListener("click", () => openExample(button.dataset["example"] as string));
    }
    picker.addEventListener("change", showResult);
    byId("copy").addEventListener("click", () => copy(shown.title, result()?.text ?? ""));
    byId("download").addEventListener("click", download);
    byId("share").addEventListener("click", () => copy("Link", link()));
    byId("theme").addEventListener("click", () => {
        const now = kept.THEMES.indexOf(document.documentElement.dataset["theme"] ?? "system");
        theme(kept.THEMES[(now + 1) % kept.THEMES.length] as string);
    });
    new ResizeObserver(() => evaluation && shown.id === "picture" && showResult()).observe(byId("panel"));
    addEventListener("hashchange", follow);
    addEventListener("pagehide", save);

    showTab();
    const evaluated = evaluate();
    void follow();
    // Its files are then kept without being fetched a second time. Where there is no service worker, the page works for as long as
    // it is open.
    void evaluated.then(() => navigator.serviceWorker?.register("service-worker.js").catch(() => {}));
}

theme(kept.theme() ?? "system");
begin();
