// The documentation of the rules, and the schemas for completion. They are loaded when somebody asks for help, and not with
// the page.
import type { Rule } from "telewarden";
import type { Schema } from "./schema";

const files = {
    rules: new URL("../dist/npm/rules.json", import.meta.url),
    annotation: new URL("../dist/npm/annotation.schema.json", import.meta.url),
    settings: new URL("../dist/npm/settings.schema.json", import.meta.url),
};
const loaded = new Map<keyof typeof files, Promise<unknown>>();

function load<T>(name: keyof typeof files): Promise<T> {
    let file = loaded.get(name) as Promise<T> | undefined;
    if (!file) {
        file = fetch(files[name]).then((response) => {
            if (!response.ok) throw new Error(`The documentation could not be loaded: ${response.status}`);
            return response.json() as Promise<T>;
        });
        loaded.set(name, file);
        // The next one who asks tries again.
        file.catch(() => loaded.delete(name));
    }
    return file;
}

/** The documentation of the rule with a code, if there is one. */
export const rule = async (code: string): Promise<Rule | undefined> =>
    (await load<Record<string, Rule>>("rules"))[code.toUpperCase()];

/** The JSON Schema of the annotation's value or of the settings; nothing if it cannot be loaded. */
export const schema = (kind: "annotation" | "settings"): Promise<Schema | undefined> =>
    load<Schema>(kind).catch(() => undefined);
