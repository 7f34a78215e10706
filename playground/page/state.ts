// What is written: kept over a reload, and carried by a link.

export interface State {
    source: string;
    settings: string;
}

const DRAFT = "telewarden.draft";
const BEFORE = "telewarden.before";
const THEME = "telewarden.theme";
const PANE = "telewarden.pane.";

export const THEMES = ["system", "light", "dark"];

// Longer links are cut by programs that they pass through.
const MAX_LINK = 100_000;

// What a link may unpack to: more than anybody types, and nothing that fills the memory.
const MAX_TEXT = 8 * 1024 * 1024;

export const equal = (a: State, b: State) => a.source === b.source && a.settings === b.settings;

/** What was written when this tab, or else any other, was last here. */
export const draft = () => read("sessionStorage", DRAFT) ?? read("localStorage", DRAFT);

/** Keeps what is written. False where the browser has no room for it. */
export function keep(state: State): boolean {
    const here = write("sessionStorage", DRAFT, state);
    return write("localStorage", DRAFT, state) || here;
}

export const theme = () => THEMES.find((name) => name === readText("localStorage", THEME));
export const keepTheme = (name: string) => writeText("localStorage", THEME, name);

/** How large somebody made a pane, in percent. */
export const pane = (name: string) => {
    const percent = Number.parseFloat(readText("localStorage", PANE + name) ?? "");
    return percent > 0 && percent < 100 ? percent : undefined;
};
export const keepPane = (name: string, percent: number) => writeText("localStorage", PANE + name, String(percent));

/** What a link or an example took the place of. */
export const before = () => read("localStorage", BEFORE);
export const keepBefore = (state: State) => write("localStorage", BEFORE, state);

// A browser may forbid a page its storage: to ask for it is an error then.
type Storages = "localStorage" | "sessionStorage";

function readText(storage: Storages, name: string): string | undefined {
    try {
        return window[storage].getItem(name) ?? undefined;
    } catch {
        return undefined;
    }
}

function writeText(storage: Storages, name: string, text: string): boolean {
    try {
        window[storage].setItem(name, text);
        return true;
    } catch {
        return false;
    }
}

function read(storage: Storages, name: string): State | undefined {
    try {
        return asState(JSON.parse(readText(storage, name) ?? "null"));
    } catch {
        return undefined;
    }
}

const write = (storage: Storages, name: string, state: State) => writeText(storage, name, JSON.stringify(state));

function asState(value: unknown): State | undefined {
    if (typeof value !== "object" || value === null) return undefined;
    const { source, settings } = value as Record<string, unknown>;
    return typeof source === "string" && typeof settings === "string" ? { source, settings } : undefined;
}

/** The state as the text of a link's fragment. Its checksum tells a link that was cut short. */
export async function pack(state: State): Promise<string> {
    const json = new Blob([JSON.stringify({ source: state.source, settings: state.settings })]);
    const packed = await new Response(json.stream().pipeThrough(new CompressionStream("deflate"))).arrayBuffer();
    let binary = "";
    for (const byte of new Uint8Array(packed)) binary += String.fromCharCode(byte);
    const text = btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    if (text.length > MAX_LINK) throw new Error("This is too much for a link. Download it instead.");
    return text;
}

export async function unpack(text: string): Promise<State> {
    try {
        const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
        const packed = new Blob([Uint8Array.from(binary, (c) => c.charCodeAt(0))]);
        const reader = packed.stream().pipeThrough(new DecompressionStream("deflate")).getReader();
        const decoder = new TextDecoder("utf-8", { fatal: true });
        let json = "";
        for (let part = await reader.read(); !part.done; part = await reader.read()) {
            json += decoder.decode(part.value, { stream: true });
            if (json.length > MAX_TEXT) throw new Error("too large");
        }
        const state = asState(JSON.parse(json + decoder.decode()));
        if (state) return state;
    } catch {
        // Whatever is wrong with it, there is one thing to say.
    }
    throw new Error("This link is damaged: it was cut short or changed on its way. Ask for it again.");
}
