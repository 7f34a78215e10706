// The findings of a text, in a list below its editor.
import type { Finding } from "telewarden";
import { type Editor, fixName } from "./editor";
import { inline, prose } from "./rules";

export function show(list: HTMLElement, findings: Finding[], editor: Editor) {
    list.replaceChildren(...findings.map((finding) => entry(finding, editor)));
    list.hidden = findings.length === 0;
}

function entry(finding: Finding, editor: Editor): HTMLElement {
    const { code, start, message, help, severity } = finding;
    const item = Object.assign(document.createElement("li"), { className: severity });
    const go = Object.assign(document.createElement("button"), { type: "button", className: "go" });
    const where = start ? `${start.line}:${start.column}` : "";
    for (const [className, said] of [["severity", severity], ["message", message], ["where", where]] as const) {
        const span = go.appendChild(Object.assign(document.createElement("span"), { className }));
        span.append(...inline(said));
    }
    go.addEventListener("click", () => editor.goTo(finding));
    item.append(go);
    if (finding.fix) {
        const fix = Object.assign(document.createElement("button"), { type: "button", className: "fix" });
        fix.textContent = fixName(finding);
        fix.addEventListener("click", () => editor.fix(finding));
        item.append(fix);
    }
    if (help) item.append(...prose(help).map((paragraph) => Object.assign(paragraph, { className: "help" })));
    if (code) {
        const link = Object.assign(document.createElement("a"), { href: `#rule=${code}`, textContent: code });
        link.setAttribute("aria-label", `About ${code}`);
        item.append(link);
    }
    return item;
}
