// A rule's documentation, as a dialog.
import type { Rule } from "telewarden";

/** The little Markdown that a sentence of the core is written in: code and addresses. */
export function inline(markdown: string): (Node | string)[] {
    return markdown.split(/(`[^`]+`|<https:[^>]+>)/).map((part) => {
        if (part.startsWith("`")) return Object.assign(document.createElement("code"), { textContent: part.slice(1, -1) });
        if (!part.startsWith("<https:")) return part;
        const href = part.slice(1, -1);
        const link = Object.assign(document.createElement("a"), { href, textContent: href });
        return Object.assign(link, { target: "_blank", rel: "noreferrer" });
    });
}

/** Paragraphs of it. */
export function prose(markdown: string): HTMLElement[] {
    return markdown.split(/\n\n+/).map((text) => {
        const paragraph = document.createElement("p");
        paragraph.append(...inline(text));
        return paragraph;
    });
}

export function show(dialog: HTMLDialogElement, code: string, rule: Rule | undefined) {
    const title = Object.assign(document.createElement("h2"), { id: "rule-title" });
    const close = Object.assign(document.createElement("button"), { type: "button", textContent: "Close" });
    close.addEventListener("click", () => dialog.close());
    const head = Object.assign(document.createElement("header"), { className: "bar" });
    head.append(title, close);
    const body = Object.assign(document.createElement("div"), { className: "body" });
    if (rule) {
        title.textContent = `${rule.code} ${rule.severity}`;
        body.append(...prose(`${rule.summary}`), ...prose(rule.why));
        for (const [heading, yaml] of [["What raises it", rule.example], ["Instead", rule.instead]] as const) {
            if (!yaml.trim()) continue;
            const text = yaml.replace(/^\n+/, "").trimEnd();
            const pre = Object.assign(document.createElement("pre"), { textContent: text, tabIndex: 0 });
            pre.setAttribute("role", "group");
            pre.setAttribute("aria-label", heading);
            body.append(Object.assign(document.createElement("h3"), { textContent: heading }), pre);
        }
    } else {
        title.textContent = "No such rule";
        body.append(...prose(`There is no rule \`${code}\`.`));
    }
    dialog.replaceChildren(head, body);
    if (!dialog.open) dialog.showModal();
}
