// Completion and hover from JSON Schemas. Where one is in a text is told from indentation, which holds for YAML, for YAML
// within YAML as an annotation is, and for text that is not finished.
import type { Completion, CompletionContext, CompletionResult } from "@codemirror/autocomplete";
import type { Text } from "@codemirror/state";
import type { Tooltip } from "@codemirror/view";
import { hoverTooltip } from "@codemirror/view";
import { prose } from "./rules";

export type Schema = Record<string, unknown>;

/** The schema of the text at a path, and the rest of the path. */
export type Lookup = (path: string[]) => Promise<{ schema: Schema; path: string[] } | undefined>;

const ITEM = "*";
const KEY = /^(?:"((?:[^"\\]|\\.)*)"|'((?:[^']|'')*)'|([^\s#'"[\]{},:-][^#:]*?|-[^\s#:][^#:]*?))\s*:(?=\s|$)/;

interface Line {
    dashes: number[];
    column: number;
    key: string | undefined;
    /** After the key's colon. */
    value: number;
    blank: boolean;
}

function read(text: string): Line {
    const dashes: number[] = [];
    let column = text.length - text.trimStart().length;
    for (let dash = /^- +/.exec(text.slice(column)); dash; dash = /^- +/.exec(text.slice(column))) {
        dashes.push(column);
        column += dash[0].length;
    }
    const rest = text.slice(column);
    const match = KEY.exec(rest);
    const key = match ? (match[1] ?? match[2] ?? match[3]) : undefined;
    return { dashes, column, key, value: match ? column + match[0].length : column, blank: /^\s*(#|$)/.test(rest) };
}

/** Where the line after a line begins. Behind `- web: URL` that is where the next item of the list does. */
export function indentation(text: string): number {
    const { dashes, column, value } = read(text);
    const isEndpoint = /^\s*["']?[a-z]+:\/\//.test(text.slice(value));
    if (isEndpoint && dashes.length > 0) return dashes[0] as number;
    return column + (/[:|>][+-]?\s*$/.test(text) ? 2 : 0);
}

/** The keys above a column of a line, outermost first. */
function above(text: Text, number: number, column: number): string[] {
    const path: string[] = [];
    let limit = column;
    const climb = ({ dashes, key, column }: Line, own: boolean) => {
        if (!own && key !== undefined && column < limit) {
            path.unshift(key);
            limit = column;
        }
        for (const dash of [...dashes].reverse()) {
            // Another item of the same list is not a parent.
            if (dash + 0.5 >= limit) continue;
            path.unshift(ITEM);
            // The list may stand right below its key; of what is in that column, only the key is above.
            limit = dash + 0.5;
        }
    };
    climb(read(text.line(number).text), true);
    for (let at = number - 1; at > 0 && limit > 0; at--) {
        const line = read(text.line(at).text);
        if (/^(---|\.\.\.)(\s|$)/.test(text.line(at).text)) break;
        if (!line.blank || line.dashes.length > 0) climb(line, false);
    }
    return path;
}

/** Every schema that may hold at a path. */
function resolve(root: Schema, path: string[]): Schema[] {
    const expand = (schema: unknown): Schema[] => {
        if (typeof schema !== "object" || schema === null) return [];
        const { $ref, anyOf, oneOf, allOf } = schema as Record<string, unknown>;
        const target = typeof $ref === "string" ? ($ref.slice(2).split("/") as string[]).reduce<unknown>((node, name) => (node as Schema)?.[name], root) : undefined;
        const parts = [anyOf, oneOf, allOf].flatMap((part) => (Array.isArray(part) ? part : []));
        return [schema as Schema, ...expand(target), ...parts.flatMap(expand)];
    };
    let schemas = expand(root);
    for (const name of path) {
        schemas = schemas.flatMap((schema) => {
            if (name === ITEM) return expand(schema["items"]);
            const known = (schema["properties"] as Schema | undefined)?.[name];
            return expand(known ?? schema["additionalProperties"]);
        });
    }
    return schemas;
}

function first<T>(schemas: Schema[], name: string): T | undefined {
    return schemas.find((schema) => schema[name] !== undefined)?.[name] as T | undefined;
}

function typesOf(schemas: Schema[]): string {
    const types = schemas.flatMap(({ type }) => (Array.isArray(type) ? type : type ? [type] : []));
    return [...new Set(types as string[])].filter((type) => type !== "null").join(" or ");
}

function describe(name: string, schemas: Schema[]): Node {
    const element = document.createElement("div");
    element.className = "schema";
    const title = element.appendChild(document.createElement("p"));
    title.append(Object.assign(document.createElement("strong"), { textContent: name }), ` ${typesOf(schemas)}`);
    const description = first<string>(schemas, "description");
    if (description) element.append(...prose(description));
    const fallback = first<unknown>(schemas, "default");
    const examples = first<unknown[]>(schemas, "examples") ?? [];
    const allowed = choices(schemas);
    if (allowed.length > 0) element.append(...prose(`One of ${allowed.map((value) => `\`${value}\``).join(", ")}`));
    if (fallback !== undefined) element.append(...prose(`Default: \`${JSON.stringify(fallback)}\``));
    if (examples.length > 0) {
        element.append(...prose(`For example ${examples.map((example) => `\`${JSON.stringify(example)}\``).join(", ")}`));
    }
    return element;
}

const plain = (values: unknown[]) => [...new Set(values.filter((value) => value !== null && typeof value !== "object").map(String))];

/** Every value that is allowed, where a schema lists them. */
function choices(schemas: Schema[]): string[] {
    const known = schemas.flatMap((schema) => [
        ...((schema["enum"] as unknown[]) ?? []),
        ...("const" in schema ? [schema["const"]] : []),
        ...(schema["type"] === "boolean" ? [true, false] : []),
    ]);
    return plain(known);
}

function values(schemas: Schema[]): Completion[] {
    const examples = schemas.flatMap((schema) => (schema["examples"] as unknown[]) ?? []);
    return plain([...choices(schemas), ...examples]).map((label) => ({ label, type: "constant" }));
}

/** What follows a key and its colon. */
const behind = ({ multiline }: Schema, nested: boolean) => (multiline ? " |" : nested ? "" : " ");

/** A schema of annotations with these names. In those of `texts`, the value is YAML of several lines. */
export const annotations = (names: string[], texts: string[], description: unknown): Schema => ({
    properties: Object.fromEntries(
        names.map((name) => [name, texts.includes(name) ? { type: "string", multiline: true, description } : { type: "string" }]),
    ),
});

export function completion(lookup: Lookup) {
    return async ({ state, pos, explicit }: CompletionContext): Promise<CompletionResult | null> => {
        const { from, number, text } = state.doc.lineAt(pos);
        const line = read(text);
        const column = pos - from;
        const before = above(state.doc, number, line.column);
        if (line.key !== undefined && column > line.value) {
            const found = await lookup([...before, line.key]);
            const start = text.slice(0, column).search(/\S*$/);
            const options = found ? values(resolve(found.schema, found.path)) : [];
            return options.length > 0 && (explicit || column > start) ? { from: from + start, options } : null;
        }
        if (column < line.column || (!explicit && column === line.column)) return null;
        const found = await lookup(before);
        if (!found) return null;
        const options = resolve(found.schema, found.path).flatMap((schema) =>
            Object.entries((schema["properties"] as Schema | undefined) ?? {}).map(([label, property]): Completion => {
                const schemas = resolve(found.schema, [...found.path, label]);
                const nested = schemas.some(({ properties, additionalProperties }) => properties ?? additionalProperties);
                return {
                    label,
                    type: "property",
                    detail: typesOf(schemas.length > 0 ? schemas : [property as Schema]),
                    info: () => describe(label, schemas),
                    apply: line.key === undefined ? `${label}:${behind(property as Schema, nested)}` : label,
                };
            }),
        );
        return options.length > 0 ? { from: from + line.column, options, validFor: /^[\w./-]*$/ } : null;
    };
}

export const hover = (lookup: Lookup) =>
    hoverTooltip(async (view, pos): Promise<Tooltip | null> => {
        const { from, number, text } = view.state.doc.lineAt(pos);
        const line = read(text);
        if (line.key === undefined || pos - from < line.column || pos - from > line.value) return null;
        const found = await lookup([...above(view.state.doc, number, line.column), line.key]);
        const schemas = found ? resolve(found.schema, found.path) : [];
        const key = line.key;
        if (first(schemas, "description") === undefined) return null;
        return { pos: from + line.column, end: from + line.value, create: () => ({ dom: describe(key, schemas) as HTMLElement }) };
    });
