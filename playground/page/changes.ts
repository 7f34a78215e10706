// A change as a unified diff, such as `diff -u` prints.
// Only this part of the library: the rest of it is three times as large.
import { diffArrays } from "diff/lib/diff/array.js";

/** How many lines that are the same are shown around a change. */
const AROUND = 3;

interface Line {
    mark: " " | "-" | "+";
    text: string;
}

/** The difference of two texts. Empty if there is none. */
export function changes(before: string, after: string): string {
    if (before === after) return "";
    const split = (text: string) => text.split("\n").slice(0, text.endsWith("\n") ? -1 : undefined);
    const lines = diffArrays(split(before), split(after)).flatMap(({ value, added, removed }) =>
        value.map((text): Line => ({ mark: added ? "+" : removed ? "-" : " ", text })),
    );
    const isNear = (at: number) => lines.slice(Math.max(0, at - AROUND), at + AROUND + 1).some(({ mark }) => mark !== " ");
    const written = ["--- before", "+++ after"];
    // The next line's number in each text.
    const next = { "-": 1, "+": 1 };
    for (let at = 0; at < lines.length; ) {
        let end = at;
        while (end < lines.length && isNear(end)) end++;
        const hunk = lines.slice(at, end);
        const range = (mark: "-" | "+") => `${mark}${next[mark]},${hunk.filter((line) => line.mark === " " || line.mark === mark).length}`;
        if (hunk.length > 0) written.push(`@@ ${range("-")} ${range("+")} @@`, ...hunk.map(({ mark, text }) => mark + text));
        // One line further, where nothing is near a change.
        for (const { mark } of lines.slice(at, Math.max(end, at + 1))) {
            if (mark !== "+") next["-"]++;
            if (mark !== "-") next["+"]++;
        }
        at = Math.max(end, at + 1);
    }
    return `${written.join("\n")}\n`;
}
