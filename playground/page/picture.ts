// What is scraped, by which Telegraf, and where it goes, drawn.
import type { Flow } from "telewarden";

const SVG = "http://www.w3.org/2000/svg";
const LINE = 16;
const PADDING = 10;
const GAP = 14;
// How wide a character is, for the fonts that style.css has here.
const CHARACTER = 6.75;

interface Box {
    x: number;
    y: number;
    width: number;
    height: number;
}

type Attributes = Record<string, string | number>;

function element(name: string, attributes: Attributes, text?: string): SVGElement {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
    if (text !== undefined) node.textContent = text;
    return node;
}

/** Text in lines that fit, broken where an address may be. */
function wrap(text: string, width: number): string[] {
    const room = Math.max(8, Math.floor((width - 2 * PADDING) / CHARACTER));
    const lines: string[] = [];
    for (let rest = text; rest; ) {
        if (rest.length <= room) {
            lines.push(rest);
            break;
        }
        const at = Math.max(...["/", ".", "-", " ", ":"].map((mark) => rest.lastIndexOf(mark, room - 1))) + 1;
        const end = at > room / 2 ? at : room;
        lines.push(rest.slice(0, end));
        rest = rest.slice(end);
    }
    return lines;
}

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

export function draw(flow: Flow, available: number): SVGElement {
    const width = Math.max(available, 600);
    const column = (from: number, to: number) => ({ x: width * from, width: width * (to - from) });
    const places = { endpoints: column(0, 0.42), telegrafs: column(0.49, 0.69), outputs: column(0.76, 1) };
    const svg = element("svg", { width, role: "img", "aria-label": "Endpoints, the Telegraf that scrapes each, and where it sends metrics" });
    const arrows = svg.appendChild(element("g", { class: "arrows" }));

    const box = (kind: string, { x, y, width }: Omit<Box, "height">, title: string, details: string[]): Box => {
        const lines = details.flatMap((text) => wrap(text, width));
        const titles = wrap(title, width);
        const height = 2 * PADDING + LINE * (titles.length + lines.length) - 2;
        const group = svg.appendChild(element("g", { class: kind }));
        group.append(element("rect", { x, y, width, height, rx: kind === "telegraf" ? 14 : 6 }));
        [...titles, ...lines].forEach((text, index) => {
            const name = index < titles.length ? "title" : "detail";
            group.append(element("text", { x: x + PADDING, y: y + PADDING + 11 + index * LINE, class: name }, text));
        });
        return { x, y, width, height };
    };
    const arrow = (from: Box, to: Box) => {
        const [x1, y1, x2, y2] = [from.x + from.width, from.y + from.height / 2, to.x, to.y + to.height / 2];
        const bend = (x2 - x1) / 2;
        arrows.append(element("path", { d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2 - 7} ${y2}` }));
        arrows.append(element("path", { class: "head", d: `M${x2 - 8} ${y2 - 4}L${x2 - 1} ${y2}L${x2 - 8} ${y2 + 4}z` }));
    };
    /** The middle of what leads somewhere, not above what is there already. */
    const beside = (leading: Box[], free: number) => {
        const middles = leading.map(({ y, height }) => y + height / 2);
        const middle = middles.reduce((sum, y) => sum + y, 0) / Math.max(1, middles.length);
        return Math.max(free, middle - LINE * 1.5);
    };

    let free = GAP;
    const scraped: [Box, number | undefined][] = [];
    for (const { source, endpoints } of flow.sources) {
        for (const text of wrap(source, places.endpoints.width)) {
            svg.append(element("text", { x: places.endpoints.x, y: free + 11, class: "source" }, text));
            free += LINE;
        }
        free += 4;
        for (const { name, urls, interval, telegraf } of endpoints) {
            const placed = box("endpoint", { ...places.endpoints, y: free }, name, [...urls, interval ? `every ${interval}` : ""]);
            scraped.push([placed, telegraf]);
            free += placed.height + GAP / 2;
        }
        free += GAP;
    }
    let lowest = free;

    free = GAP;
    const telegrafs = flow.telegrafs.map(({ name, namespace }, number) => {
        const leading = scraped.filter(([, telegraf]) => telegraf === number).map(([placed]) => placed);
        const y = beside(leading, free);
        const placed = box("telegraf", { ...places.telegrafs, y }, name, [namespace ? `in ${namespace}` : ""]);
        leading.forEach((from) => arrow(from, placed));
        free = y + placed.height + GAP;
        return placed;
    });
    lowest = Math.max(lowest, free);

    free = GAP;
    flow.outputs.forEach(({ plugin, details }, number) => {
        const leading = telegrafs.filter((_, index) => flow.telegrafs[index]?.outputs.includes(number));
        const y = beside(leading, free);
        const placed = box("output", { ...places.outputs, y }, plugin, details);
        leading.forEach((from) => arrow(from, placed));
        free = y + placed.height + GAP;
    });
    const height = Math.max(lowest, free);
    svg.setAttribute("height", String(height));
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    return svg;
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
