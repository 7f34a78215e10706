// Separators between panes, which a pointer or the arrow keys move. A double click puts one back.
import * as kept from "./state";

const LEAST = 15;
const STEP = 4;

/** Makes a separator move. `--NAME` of `within` is the part of the first pane, in percent. */
export function separate(separator: HTMLElement, within: HTMLElement, name: string, usual: number) {
    const isVertical = separator.getAttribute("aria-orientation") === "vertical";
    const move = (part: number, keep = true) => {
        const percent = Math.round(Math.min(100 - LEAST, Math.max(LEAST, part)) * 10) / 10;
        within.style.setProperty(`--${name}`, String(percent));
        separator.setAttribute("aria-valuenow", String(Math.round(percent)));
        if (keep) kept.keepPane(name, percent);
    };
    const now = () => Number(within.style.getPropertyValue(`--${name}`));
    separator.setAttribute("aria-valuemin", String(LEAST));
    separator.setAttribute("aria-valuemax", String(100 - LEAST));
    move(kept.pane(name) ?? usual, false);

    separator.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        separator.focus();
        separator.setPointerCapture(event.pointerId);
    });
    separator.addEventListener("pointermove", (event) => {
        if (!separator.hasPointerCapture(event.pointerId)) return;
        const { left, top, width, height } = within.getBoundingClientRect();
        move(isVertical ? ((event.clientX - left) / width) * 100 : ((event.clientY - top) / height) * 100);
    });
    separator.addEventListener("dblclick", () => move(usual));
    separator.addEventListener("keydown", (event) => {
        const [less, more] = isVertical ? ["ArrowLeft", "ArrowRight"] : ["ArrowUp", "ArrowDown"];
        const to = { [less as string]: now() - STEP, [more as string]: now() + STEP, Home: LEAST, End: 100 - LEAST }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        move(to);
    });
}
