// The editors. Each lives in a shadow tree: there its styles are style sheets of their own, which a strict
// Content-Security-Policy allows, and not elements.
import { autocompletion, completionKeymap } from "@codemirror/autocomplete";
import { history, historyKeymap, standardKeymap } from "@codemirror/commands";
import { yamlLanguage } from "@codemirror/lang-yaml";
import { HighlightStyle, indentService, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { diff } from "@codemirror/legacy-modes/mode/diff";
import { toml } from "@codemirror/legacy-modes/mode/toml";
import { type Diagnostic, nextDiagnostic, setDiagnostics } from "@codemirror/lint";
import { Annotation, Compartment, EditorState, type Extension, type Text } from "@codemirror/state";
import { EditorView, highlightActiveLine, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import type { Finding, Position } from "telewarden";
import { prose } from "./rules";
import { completion, hover, indentation, type Lookup } from "./schema";

const languages = {
    yaml: yamlLanguage,
    // JSON is YAML. The messages in it are long.
    json: [yamlLanguage, EditorView.lineWrapping],
    toml: StreamLanguage.define(toml),
    // Without colours.
    shell: [],
    diff: StreamLanguage.define(diff),
};
export type Language = keyof typeof languages;

const highlight = HighlightStyle.define([
    { tag: [tags.comment, tags.lineComment], color: "var(--faint)", fontStyle: "italic" },
    { tag: [tags.propertyName, tags.definition(tags.propertyName), tags.labelName], color: "var(--key)" },
    { tag: [tags.string, tags.special(tags.string), tags.attributeValue], color: "var(--string)" },
    { tag: [tags.number, tags.bool, tags.atom, tags.null], color: "var(--number)" },
    { tag: [tags.keyword, tags.typeName, tags.heading, tags.standard(tags.variableName)], color: "var(--accent)" },
    { tag: tags.inserted, color: "var(--string)" },
    { tag: tags.deleted, color: "var(--error)" },
    { tag: [tags.punctuation, tags.separator, tags.squareBracket, tags.brace, tags.meta], color: "var(--muted)" },
]);

const wavy = (color: string) => ({
    backgroundImage: "none",
    textDecoration: `underline wavy ${color} 1.2px`,
    textDecorationSkipInk: "none",
    textUnderlineOffset: "3px",
    paddingBottom: "0",
});

const look = EditorView.theme({
    "&": { height: "100%", fontSize: "12.5px", color: "var(--text)", backgroundColor: "var(--panel)" },
    "&.cm-focused": { outline: "none" },
    ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55" },
    ".cm-content": { padding: "10px 0", caretColor: "var(--accent)" },
    ".cm-line": { padding: "0 14px 0 8px" },
    ".cm-gutters": { backgroundColor: "var(--panel)", color: "var(--faint)", border: "none" },
    ".cm-lineNumbers .cm-gutterElement": { padding: "0 6px 0 14px" },
    ".cm-activeLine": { backgroundColor: "transparent" },
    "&.cm-focused .cm-activeLine": { backgroundColor: "var(--active)" },
    ".cm-cursor": { borderLeftColor: "var(--accent)", borderLeftWidth: "2px" },
    "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
        backgroundColor: "var(--selection)",
    },
    ".cm-lintRange-error": wavy("var(--error)"),
    ".cm-lintRange-warning": wavy("var(--warning)"),
    ".cm-lintPoint:after": { borderBottomColor: "var(--error)" },
    ".cm-tooltip": {
        backgroundColor: "var(--panel)",
        border: "1px solid var(--line)",
        borderRadius: "8px",
        boxShadow: "var(--shadow)",
        color: "var(--text)",
        fontFamily: "var(--sans)",
        overflow: "hidden",
    },
    ".cm-tooltip .cm-diagnostic, .cm-tooltip .schema": { padding: "10px 14px", maxWidth: "34rem", lineHeight: "1.45" },
    ".cm-tooltip .cm-diagnostic-error": { borderLeft: "3px solid var(--error)" },
    ".cm-tooltip .cm-diagnostic-warning": { borderLeft: "3px solid var(--warning)" },
    ".cm-tooltip p": { margin: "0 0 6px" },
    ".cm-tooltip p:last-child": { margin: "0" },
    ".cm-tooltip code": { fontFamily: "var(--mono)", fontSize: "0.92em", overflowWrap: "anywhere" },
    ".cm-tooltip a": { color: "var(--accent)" },
    ".cm-tooltip .cm-diagnosticAction": {
        backgroundColor: "var(--accent)",
        color: "var(--panel)",
        borderRadius: "6px",
        font: "inherit",
        fontSize: "0.92em",
        margin: "6px 8px 0 0",
        padding: "2px 10px",
        cursor: "pointer",
    },
    // What explains a completion is beside the list, and not within it.
    ".cm-tooltip.cm-tooltip-autocomplete": { overflow: "visible" },
    ".cm-tooltip.cm-completionInfo": { padding: "0", width: "max-content", maxWidth: "min(26rem, 90vw)", maxHeight: "16rem", overflow: "auto" },
    ".cm-placeholder": { color: "var(--muted)" },
    ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", fontSize: "12.5px" },
    ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "3px 10px" },
    ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--panel)" },
    ".cm-completionDetail": { opacity: "0.7", fontStyle: "normal" },
    ".cm-completionIcon": { display: "none" },
    ".cm-panels": { backgroundColor: "var(--ground)", color: "var(--text)", borderColor: "var(--line)" },
    ".cm-panel.cm-panel-lint ul [aria-selected]": { backgroundColor: "var(--selection)" },
});

/** A change that nobody typed. */
const replaced = Annotation.define<boolean>();

function mount(host: HTMLElement, label: string, text: string, extensions: Extension): EditorView {
    const root = host.attachShadow({ mode: "open" });
    const basics = [
        lineNumbers(),
        syntaxHighlighting(highlight),
        look,
        EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0", spellcheck: "false", autocapitalize: "off" }),
    ];
    const state = EditorState.create({ doc: text, extensions: [basics, extensions] });
    return new EditorView({ state, parent: root, root });
}

export interface EditorOptions {
    host: HTMLElement;
    label: string;
    text: string;
    /** What an empty editor says. */
    empty: string;
    lookup: Lookup;
    changed(typed: boolean): void;
    showRule(code: string): void;
}

/** An editor for YAML. The tab key leaves it, as it leaves every other field. */
export class Editor {
    readonly #view: EditorView;
    readonly #showRule: (code: string) => void;

    constructor({ host, label, text, empty, lookup, changed, showRule }: EditorOptions) {
        this.#showRule = showRule;
        this.#view = mount(host, label, text, [
            languages.yaml,
            placeholder(empty),
            history(),
            indentService.of((context, pos) => indentation(context.lineAt(pos, -1).text)),
            highlightActiveLine(),
            autocompletion({ override: [completion(lookup)], icons: false }),
            hover(lookup),
            keymap.of([...standardKeymap, ...historyKeymap, ...completionKeymap, { key: "F8", run: nextDiagnostic }]),
            EditorView.updateListener.of((update) => {
                if (!update.docChanged) return;
                changed(!update.transactions.some((transaction) => transaction.annotation(replaced)));
            }),
        ]);
    }

    get text(): string {
        return this.#view.state.doc.toString();
    }

    /** Puts another text in its place; undoing brings the old one back. */
    set text(text: string) {
        const changes = { from: 0, to: this.#view.state.doc.length, insert: text };
        this.#view.dispatch({ changes, annotations: replaced.of(true), selection: { anchor: 0 }, scrollIntoView: true });
    }

    show(findings: Finding[]) {
        const { doc } = this.#view.state;
        const diagnostics = findings.map((finding): Diagnostic => {
            const [from, to] = range(doc, finding);
            const { severity, message, fix } = finding;
            const actions = fix ? [{ name: fixName(finding), apply: () => this.fix(finding) }] : [];
            return { from, to, severity, message, actions, renderMessage: () => this.#message(finding) };
        });
        this.#view.dispatch(setDiagnostics(this.#view.state, diagnostics));
    }

    /** Makes the change that a finding suggests, as if it was typed. */
    fix({ fix }: Finding) {
        if (!fix) return;
        const [from, to] = range(this.#view.state.doc, fix, true);
        this.#view.dispatch({ changes: { from, to, insert: fix.text }, selection: { anchor: from + fix.text.length } });
        this.#view.focus();
    }

    /** Puts the cursor where a finding or something else is. */
    goTo(place: Pick<Finding, "start" | "end">) {
        reveal(this.#view, range(this.#view.state.doc, place)[0]);
    }

    /** Puts the cursor at the first place that fits. False if there is none. */
    find(pattern: RegExp): boolean {
        return find(this.#view, pattern);
    }

    #message({ code, message, help }: Finding): Node {
        const element = document.createElement("div");
        element.append(...prose(message), ...(help ? prose(`Help: ${help}`) : []));
        if (code) {
            const link = Object.assign(document.createElement("a"), { href: `#rule=${code}`, textContent: `About ${code}` });
            link.addEventListener("click", (event) => {
                event.preventDefault();
                this.#showRule(code);
            });
            element.append(link);
        }
        return element;
    }
}

function reveal(view: EditorView, anchor: number) {
    view.dispatch({ selection: { anchor }, effects: EditorView.scrollIntoView(anchor, { y: "center" }) });
    view.focus();
}

function find(view: EditorView, pattern: RegExp): boolean {
    const at = view.state.doc.toString().search(pattern);
    if (at >= 0) reveal(view, at);
    return at >= 0;
}

/** What is made, to be read and copied. */
export class Viewer {
    readonly #view: EditorView;
    readonly #language = new Compartment();
    readonly #label = new Compartment();

    constructor(host: HTMLElement) {
        this.#view = mount(host, "Result", "", [
            this.#language.of([]),
            this.#label.of([]),
            highlightActiveLine(),
            EditorState.readOnly.of(true),
            EditorView.contentAttributes.of({ "aria-readonly": "true" }),
            keymap.of(standardKeymap),
        ]);
    }

    /** Puts the cursor at the first place that fits. */
    find(pattern: RegExp) {
        find(this.#view, pattern);
    }

    show(text: string, language: Language, label: string) {
        const { doc } = this.#view.state;
        const effects = [
            this.#language.reconfigure(languages[language]),
            this.#label.reconfigure(EditorView.contentAttributes.of({ "aria-label": label })),
        ];
        // Only what differs is changed, so that one goes on seeing the same lines.
        const old = doc.toString();
        let from = 0;
        while (from < old.length && from < text.length && old[from] === text[from]) from++;
        let after = 0;
        const most = Math.min(old.length, text.length) - from;
        while (after < most && old[old.length - 1 - after] === text[text.length - 1 - after]) after++;
        const changes = { from, to: old.length - after, insert: text.slice(from, text.length - after) };
        this.#view.dispatch({ changes, effects });
    }
}

/** What a fix does, for a button. */
export const fixName = ({ fix }: Finding) => (fix?.text ? `Write ${fix.text.trim()}` : "Remove it");

/** Where a finding or a fix is, as the editor counts: in UTF-16 code units. `exact` keeps what has no width. */
function range(doc: Text, { start, end }: Pick<Finding, "start" | "end">, exact = false): [number, number] {
    const offset = ({ line, column }: Position) => {
        if (line > doc.lines) return doc.length;
        const { from, text } = doc.line(line);
        let units = 0;
        let characters = 1;
        for (const character of text) {
            if (characters++ >= column) break;
            units += character.length;
        }
        return from + units;
    };
    if (!start) return [0, doc.line(1).to];
    const from = offset(start);
    const to = end ? offset(end) : from;
    if (to > from || exact) return [from, to];
    // What has no width is still to be seen: the character there, or the last before it.
    if (from < doc.lineAt(from).to) return [from, from + 1];
    const before = doc.sliceString(0, from).trimEnd().length;
    return [Math.max(0, before - 1), before];
}
