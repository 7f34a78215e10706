// Everything in examples/, as it is in the repository, and what only this page shows.
import type { State } from "./state";

const FOLDER = "../../examples/";
const files = import.meta.glob<string>("../../examples/**/*.yaml", { query: "?raw", import: "default", eager: true });
const own = import.meta.glob<string>("./examples/*.yaml", { query: "?raw", import: "default", eager: true });
const texts = new Map([
    ...Object.entries(own).map(([path, text]) => [path.slice("./examples/".length), text] as const),
    ...Object.entries(files).map(([path, text]) => [path.slice(FOLDER.length), text] as const),
]);

export const names = [...texts.keys()].sort();

/** The first sentence of what an example says about itself. */
export function about(name: string): string {
    const comment = texts.get(name)?.match(/^(?:#.*\n)+/)?.[0] ?? "";
    return comment.replaceAll(/^# ?/gm, " ").replaceAll(/\s+/g, " ").trim().split(/[.:](?= |$)/)[0] ?? "";
}

/** An example with the settings that its own comment names; settings take the place of settings alone. */
export function open(name: string, now: State): State | undefined {
    const text = texts.get(name);
    if (text === undefined) return undefined;
    if (/(^|\/)settings\.yaml$|^outputs\//.test(name)) return { ...now, settings: text };
    const settings = text.match(/--settings examples\/(\S+)/)?.[1];
    return { source: text, settings: (settings && texts.get(settings)) ?? "" };
}
