import type { Evaluation, Finding } from "telewarden";
import { Core } from "./core";
import * as documentation from "./documentation";
import { Editor, fixName, type Language, Viewer } from "./editor";
import * as examples from "./examples";
import { asFile, draw, words } from "./picture";
import { inline, prose, show as showDocumentation } from "./rules";
import type { Lookup } from "./schema";
import * as kept from "./state";

const byId = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const core = new Core();

// What is shown.

interface File {
    name: string;
    text: string;
}

interface Tab {
    id: string;
    title: string;
    language: Language;
    files(evaluation: Evaluation): File[];
    /** What is said where there is none. */
    none: string;
}

const text = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;

function configurations({ answer }: Evaluation): File[] {
    const rendered = [...(answer?.sources ?? []), ...(answer?.shared ? [answer.shared] : [])];
    return rendered.flatMap(({ configurations, namespace }) =>
        (configurations ?? []).flatMap(({ name, files }) =>
            Object.entries(files).map(([file, text]) => ({ name: [namespace, name, file].filter(Boolean).join("/"), text })),
        ),
    );
}

const tabs: Tab[] = [
    {
        id: "configuration",
        title: "Configuration",
        language: "toml",
        files: configurations,
        none: "No Telegraf is configured.",
    },
    {
        id: "objects",
        title: "Objects",
        language: "yaml",
        files: ({ manifests }) => (manifests ? [{ name: "objects.yaml", text: manifests }] : []),
        none: "No Kubernetes object is rendered.",
    },
    {
        id: "admission",
        title: "Admission",
        language: "json",
        files: ({ admissions }) => admissions.map(({ source, response }) => ({ name: `${source}.json`, text: text(response) })),
        none: "There is no object that admission would be asked about.",
    },
    {
        id: "picture",
        title: "Picture",
        language: "yaml",
        files: () => [],
        none: "Nothing is scraped.",
    },
    {
        id: "command",
        title: "Command",
        language: "shell",
        files: ({ commands }) => (commands.length > 0 ? [{ name: "annotate.sh", text: `${commands.join("\n\n")}\n` }] : []),
        none: "No object has an annotation to set.",
    },
];

let shown = tabs[0] as Tab;
let evaluation: Evaluation | undefined;
let file: File | undefined;

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

function showResult() {
    if (!evaluation) return;
    const files = shown.files(evaluation);
    const wanted = picker.value;
    picker.replaceChildren(...files.map(({ name }) => new Option(name)));
    file = files.find(({ name }) => name === wanted) ?? files[0];
    if (file) picker.value = file.name;
    picker.hidden = files.length < 2;
    const isPicture = shown.id === "picture" && evaluation.flow.sources.length > 0;
    byId("viewer").hidden = !file;
    byId("picture").hidden = !isPicture;
    byId("nothing").hidden = Boolean(file) || isPicture;
    byId("nothing").textContent = shown.none;
    for (const id of ["copy", "download"]) byId<HTMLButtonElement>(id).disabled = !file && !isPicture;
    if (file) viewer.show(file.text, shown.language, `${shown.title}: ${file.name}`);
    if (isPicture) showPicture(evaluation);
}

function showPicture({ flow }: Evaluation) {
    const place = byId("picture");
    const list = Object.assign(document.createElement("ul"), { className: "unseen" });
    list.append(...words(flow).map((line) => Object.assign(document.createElement("li"), { textContent: line })));
    place.replaceChildren(draw(flow, place.clientWidth - 32), list);
}

function showFindings(findings: Finding[]) {
    const list = byId("findings");
    const items = findings.map((finding) => {
        const item = Object.assign(document.createElement("li"), { className: finding.severity });
        const { code, start, message, help, severity } = finding;
        const where = start ? `${finding.text} ${start.line}:${start.column}` : finding.text;
        const go = Object.assign(document.createElement("button"), { type: "button", className: "go" });
        for (const [className, said] of [["severity", severity], ["message", message], ["where", where]] as const) {
            const span = go.appendChild(Object.assign(document.createElement("span"), { className }));
            span.append(...inline(said));
        }
        go.addEventListener("click", () => editors[finding.text].goTo(finding));
        item.append(go);
        if (finding.fix) {
            const fix = Object.assign(document.createElement("button"), { type: "button", className: "fix" });
            fix.textContent = fixName(finding);
            fix.addEventListener("click", () => editors[finding.text].fix(finding));
            item.append(fix);
        }
        if (help) item.append(...prose(help).map((paragraph) => Object.assign(paragraph, { className: "help" })));
        if (code) {
            const link = Object.assign(document.createElement("a"), { href: `#rule=${code}`, textContent: code });
            link.setAttribute("aria-label", `About ${code}`);
            item.append(link);
        }
        return item;
    });
    list.replaceChildren(...items);
    list.hidden = findings.length === 0;
}

const count = (number: number, one: string) => `${number} ${one}${number === 1 ? "" : "s"}`;

function summary({ checked: { findings, sources } }: Evaluation): string {
    const errors = findings.filter(({ severity }) => severity === "error").length;
    const outcomes = [...new Set(sources.map(({ outcome }) => outcome))];
    const parts = outcomes.map((outcome) => `${count(sources.filter((source) => source.outcome === outcome).length, "source")} ${outcome}`);
    if (sources.length === 0 && errors === 0) parts.push("No Application, Namespace or ApplicationSet here");
    const endpoints = sources.reduce((sum, source) => sum + source.endpoints, 0);
    if (endpoints > 0) parts.push(count(endpoints, "endpoint"));
    if (errors > 0) parts.push(count(errors, "error"));
    if (findings.length > errors) parts.push(count(findings.length - errors, "warning"));
    return parts.join(" · ");
}

// What is written.

/** In a source there is a schema for the value of the annotation that names endpoints. */
const inSource: Lookup = async (path) => {
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
    source: new Editor({ host: byId("source"), label: "Source", text: first.source, lookup: inSource, changed, showRule }),
    settings: new Editor({ host: byId("settings"), label: "Settings", text: first.settings, lookup: inSettings, changed, showRule }),
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
    if (editors.source.text !== next.source) editors.source.text = next.source;
    if (editors.settings.text !== next.settings) editors.settings.text = next.settings;
    save();
    if (worthKeeping) notice(`${what} took the place of what was written.`, "Bring it back", () => replace(now, "What was there before"));
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
        const asked = state();
        try {
            const next = await core.evaluate(asked.source, asked.settings);
            if (stale) continue;
            evaluation = next;
            const { findings } = next.checked;
            editors.source.show(findings.filter(({ text }) => text === "source"));
            editors.settings.show(findings.filter(({ text }) => text === "settings"));
            showFindings(findings);
            showResult();
            byId("status").textContent = summary(next);
            byId("result").dataset["state"] = findings.some(({ severity }) => severity === "error") ? "refused" : "fine";
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
    const choose = new Option("Choose…", "");
    choose.disabled = true;
    const options = examples.names.map((name) => Object.assign(new Option(name.replace(/\.yaml$/, ""), name), { title: examples.about(name) }));
    select.replaceChildren(choose, ...options, new Option("what was here before", "before"));
    select.value = kept.draft() ? "" : "argocd.yaml";
    select.addEventListener("change", () => openExample(select.value));

    byId("tabs").replaceChildren(
        ...tabs.map((tab) => {
            const button = Object.assign(document.createElement("button"), { type: "button", id: `tab-${tab.id}`, textContent: tab.title });
            button.setAttribute("role", "tab");
            button.setAttribute("aria-controls", "panel");
            button.addEventListener("click", () => {
                shown = tab;
                showTab();
            });
            return button;
        }),
    );
    byId("tabs").addEventListener("keydown", (event) => {
        const at = tabs.indexOf(shown);
        const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
        if (next === undefined) return;
        event.preventDefault();
        shown = tabs[(next + tabs.length) % tabs.length] as Tab;
        showTab();
        byId(`tab-${shown.id}`).focus();
    });
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
