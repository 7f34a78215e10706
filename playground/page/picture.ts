// What is scraped, by which Telegraf, and where it goes, drawn.
import type { Flow, Position } from "telewarden";

const SVG = "http://www.w3.org/2000/svg";
const LINE = 16;
const PADDING = 10;
const GAP = 14;
// How wide a character is, for the fonts that style.css has here.
const CHARACTER = 6.75;
/** Below this width the boxes are below each other, and the arrows beside them. */
const NARROW = 520;
/** More boxes than this are drawn as groups with a line for each. */
const MANY = 10;
/** A group with more lines is closed at first. */
const OPEN = 12;
/** What a closed group shows. */
const SHOWN = 6;

/** What a click asks for. */
export type Target =
    | { kind: "endpoint"; position: Position }
    | { kind: "telegraf"; name: string; namespace: string | undefined }
    | { kind: "output"; plugin: string };

export interface Picture {
    flow: Flow;
    /** Where each endpoint is written: a list for each source. */
    places: (Position | null)[][];
    /** The width that there is. */
    width: number;
    /** The groups that were opened. */
    opened: Set<string>;
    open(group: string): void;
    go(target: Target): void;
}

interface Box {
    x: number;
    y: number;
    width: number;
    height: number;
}

/** A line of a group, or a box of its own. */
interface Item {
    title: string;
    details: string[];
    target?: Target | undefined;
}

type Attributes = Record<string, string | number>;

function element(name: string, attributes: Attributes, text?: string): SVGElement {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
    if (text !== undefined) node.textContent = text;
    return node;
}

const room = (width: number) => Math.max(8, Math.floor((width - 2 * PADDING) / CHARACTER));

/** Text in lines that fit, broken where an address may be. */
function wrap(text: string, width: number): string[] {
    const most = room(width);
    const lines: string[] = [];
    for (let rest = text; rest; ) {
        if (rest.length <= most) {
            lines.push(rest);
            break;
        }
        const at = Math.max(...["/", ".", "-", " ", ":"].map((mark) => rest.lastIndexOf(mark, most - 1))) + 1;
        const end = at > most / 2 ? at : most;
        lines.push(rest.slice(0, end));
        rest = rest.slice(end);
    }
    return lines;
}

const cut = (text: string, most: number) => (text.length > most ? `${text.slice(0, Math.max(0, most - 1))}…` : text);

const sentence = (words: string[]) => words.filter(Boolean).join(", ");

/** The same in words, for those who do not see it. */
export function words(flow: Flow): string[] {
    const scraped = flow.sources.flatMap(({ source, endpoints }) =>
        endpoints.map(({ name, urls, interval, telegraf }) => {
            const by = telegraf === undefined ? "by no Telegraf" : `by ${flow.telegrafs[telegraf]?.name}`;
            return sentence([`${name} of ${source}`, urls.join(" "), interval ? `every ${interval}` : "", by]);
        }),
    );
    const sent = flow.telegrafs.map(({ name, outputs }) => {
        const to = outputs.map((number) => flow.outputs[number]).map((output) => output && sentence([output.plugin, ...output.details]));
        return `${name} sends to ${to.join("; ") || "nothing"}`;
    });
    return [...scraped, ...sent];
}

/** Puts what has the same key together, in the order of the first. */
function grouped<T>(items: T[], key: (item: T, index: number) => string | number): Map<string, number[]> {
    const groups = new Map<string, number[]>();
    items.forEach((item, index) => {
        const name = String(key(item, index));
        groups.set(name, [...(groups.get(name) ?? []), index]);
    });
    return groups;
}

export function draw({ flow, places, width, opened, open, go }: Picture): SVGElement {
    const isNarrow = width < NARROW;
    const whole = isNarrow ? width : Math.max(width, 600);
    const column = (from: number, to: number) => ({ x: whole * from, width: whole * (to - from) });
    const wide = { endpoints: column(0, 0.42), telegrafs: column(0.49, 0.69), outputs: column(0.76, 1) };
    const stacked = { x: 0, width: whole - 34 };
    const columns = isNarrow ? { endpoints: stacked, telegrafs: stacked, outputs: stacked } : wide;
    const svg = element("svg", { role: "group", "aria-label": "Endpoints, the Telegraf that scrapes each, and where it sends metrics" });
    const arrows = svg.appendChild(element("g", { class: "arrows" }));

    /** Lets something be clicked, or be chosen with the keyboard. */
    const act = (node: SVGElement, action: () => void) => {
        node.setAttribute("role", "button");
        node.setAttribute("tabindex", "0");
        node.classList.add("act");
        node.addEventListener("click", action);
        node.addEventListener("keydown", (event) => {
            if (event.key !== "Enter" && event.key !== " ") return;
            event.preventDefault();
            action();
        });
    };
    const aim = (node: SVGElement, { target }: Item) => {
        if (target) act(node, () => go(target));
    };
    const text = (x: number, y: number, kind: string, content: string) => element("text", { x, y: y + 11, class: kind }, content);

    const box = (kind: string, { x, y, width }: Omit<Box, "height">, item: Item): Box => {
        const titles = wrap(item.title, width);
        const lines = item.details.filter(Boolean).flatMap((detail) => wrap(detail, width));
        const height = 2 * PADDING + LINE * (titles.length + lines.length) - 2;
        const group = svg.appendChild(element("g", { class: kind }));
        group.append(element("rect", { x, y, width, height, rx: kind === "telegraf" ? 14 : 6 }));
        [...titles, ...lines].forEach((line, index) => {
            group.append(text(x + PADDING, y + PADDING + index * LINE, index < titles.length ? "title" : "detail", line));
        });
        aim(group, item);
        return { x, y, width, height };
    };
    /** A box with a line for each item. A long one is closed until somebody opens it. */
    const group = (kind: string, { x, y, width }: Omit<Box, "height">, name: string, items: Item[]): Box => {
        const isClosed = items.length > OPEN && !opened.has(name);
        const shown = isClosed ? items.slice(0, SHOWN) : items;
        const rows = shown.length + Number(isClosed);
        const height = 2 * PADDING + LINE * rows - 2;
        const node = svg.appendChild(element("g", { class: kind }));
        node.append(element("rect", { x, y, width, height, rx: kind === "telegraf" ? 14 : 6 }));
        shown.forEach((item, index) => {
            const row = node.appendChild(element("g", {}));
            const top = y + PADDING + index * LINE;
            const most = room(width);
            const title = cut(item.title, most);
            const line = element("text", { x: x + PADDING, y: top + 11 });
            line.append(element("tspan", { class: "title" }, title));
            const left = most - title.length - 2;
            if (left > 8 && item.details[0]) line.append(element("tspan", { class: "detail", dx: 8 }, cut(item.details[0], left)));
            row.append(line);
            aim(row, item);
        });
        if (isClosed) {
            const more = node.appendChild(element("g", { class: "more" }));
            more.append(text(x + PADDING, y + PADDING + shown.length * LINE, "title", `Show ${items.length - shown.length} more`));
            act(more, () => open(name));
        }
        return { x, y, width, height };
    };
    const head = (x: number, y: number, direction: number) =>
        element("path", { class: "head", d: `M${x - 7 * direction} ${y - 4}L${x} ${y}L${x - 7 * direction} ${y + 4}z` });
    const arrow = (from: Box, to: Box, lane: number) => {
        const [y1, y2] = [from.y + from.height / 2, to.y + to.height / 2];
        if (isNarrow) {
            const [right, beside] = [from.x + from.width, from.x + from.width + lane];
            arrows.append(element("path", { d: `M${right} ${y1}H${beside}V${y2}H${right + 7}` }), head(right + 1, y2, -1));
            return;
        }
        const [x1, x2] = [from.x + from.width, to.x];
        const bend = (x2 - x1) / 2;
        arrows.append(element("path", { d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2 - 7} ${y2}` }), head(x2 - 1, y2, 1));
    };
    /** The middle of what leads somewhere, not above what is there already. */
    const beside = (leading: Box[], free: number) => {
        if (isNarrow) return free;
        const middles = leading.map(({ y, height }) => y + height / 2);
        const middle = middles.reduce((sum, y) => sum + y, 0) / Math.max(1, middles.length);
        return Math.max(free, middle - LINE * 1.5);
    };

    // Telegrafs that do the same are one group.
    const alike = grouped(flow.telegrafs, ({ namespace, outputs }, index) =>
        flow.telegrafs.length > MANY ? [namespace, ...outputs].join() : index,
    );
    const groupOf = new Map([...alike].flatMap(([name, numbers]) => numbers.map((number) => [number, name] as const)));
    const areMany = flow.sources.reduce((sum, { endpoints }) => sum + endpoints.length, 0) > MANY;

    let free = GAP;
    const scraped: [Box, string | undefined][] = [];
    flow.sources.forEach(({ source, endpoints }, number) => {
        const items = endpoints.map(({ name, urls, interval }, index): Item => {
            const position = places[number]?.[index];
            const details = [...urls, interval ? `every ${interval}` : ""];
            return { title: name, details, target: position ? { kind: "endpoint", position } : undefined };
        });
        const title = areMany && endpoints.length > 1 ? `${source}, ${endpoints.length} endpoints` : source;
        for (const line of wrap(title, columns.endpoints.width)) {
            svg.append(text(columns.endpoints.x, free, "source", line));
            free += LINE;
        }
        free += 4;
        const to = ({ telegraf }: { telegraf?: number }) => (telegraf === undefined ? "" : (groupOf.get(telegraf) ?? ""));
        const boxes = grouped(endpoints, (endpoint, index) => (areMany ? to(endpoint) : index));
        for (const [name, members] of boxes) {
            const place = { ...columns.endpoints, y: free };
            const all = members.map((member) => items[member] as Item);
            const placed = areMany ? group("endpoint", place, `${source} ${name}`, all) : box("endpoint", place, all[0] as Item);
            const telegraf = endpoints[members[0] as number]?.telegraf;
            scraped.push([placed, telegraf === undefined ? undefined : groupOf.get(telegraf)]);
            free += placed.height + GAP / 2;
        }
        free += GAP;
    });
    let lowest = free;

    free = isNarrow ? lowest : GAP;
    const telegrafs = new Map<string, Box>();
    for (const [name, members] of alike) {
        const leading = scraped.filter(([, telegraf]) => telegraf === name).map(([placed]) => placed);
        const items = members.map((member): Item => {
            const { name, namespace } = flow.telegrafs[member] as Flow["telegrafs"][number];
            return { title: name, details: [namespace ? `in ${namespace}` : ""], target: { kind: "telegraf", name, namespace } };
        });
        const place = { ...columns.telegrafs, y: beside(leading, free) };
        const placed = items.length > 1 ? group("telegraf", place, `telegraf ${name}`, items) : box("telegraf", place, items[0] as Item);
        for (const from of leading) arrow(from, placed, 12);
        telegrafs.set(name, placed);
        free = placed.y + placed.height + GAP;
    }
    lowest = Math.max(lowest, free);

    free = isNarrow ? lowest : GAP;
    flow.outputs.forEach(({ plugin, details }, number) => {
        const leading = [...alike].filter(([, members]) => members.some((member) => flow.telegrafs[member]?.outputs.includes(number)));
        const boxes = leading.map(([name]) => telegrafs.get(name) as Box);
        const place = { ...columns.outputs, y: beside(boxes, free) };
        const placed = box("output", place, { title: plugin, details, target: { kind: "output", plugin } });
        for (const from of boxes) arrow(from, placed, 24);
        free = placed.y + placed.height + GAP;
    });
    const height = Math.max(lowest, free);
    svg.setAttribute("viewBox", `0 0 ${whole} ${height}`);
    zoom(svg, 1);
    return svg;
}

/** How much of a picture's own size it has. */
export function zoom(svg: SVGElement, factor: number) {
    const [, , width, height] = (svg.getAttribute("viewBox") as string).split(" ").map(Number) as [number, number, number, number];
    svg.setAttribute("width", String(Math.round(width * factor)));
    svg.setAttribute("height", String(Math.round(height * factor)));
}

/** The factor with which all of it is in a place, never larger than its own size. */
export function fitting(svg: SVGElement, { clientWidth, clientHeight }: Element, margin: number): number {
    const [, , width, height] = (svg.getAttribute("viewBox") as string).split(" ").map(Number) as [number, number, number, number];
    return Math.min(1, (clientWidth - margin) / width, (clientHeight - margin) / height);
}

/** The picture as a file, which has no style sheet. */
export function asFile(svg: SVGElement): string {
    const copy = svg.cloneNode(true) as SVGElement;
    const originals = svg.querySelectorAll("*");
    copy.querySelectorAll("*").forEach((node, index) => {
        const style = getComputedStyle(originals[index] as Element);
        for (const name of ["fill", "stroke", "stroke-width", "font-family", "font-size", "font-weight"]) {
            node.setAttribute(name, style.getPropertyValue(name));
        }
    });
    copy.setAttribute("xmlns", SVG);
    return copy.outerHTML;
}
