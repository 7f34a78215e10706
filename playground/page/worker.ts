// The core, beside the page: however long it takes, typing does not wait for it.
import init, { evaluate } from "telewarden";

const calls = { evaluate };

export interface Call {
    id: number;
    name: keyof typeof calls;
    given: string[];
}

export type Answer = { id: number; value: unknown } | { id: number; error: string };

const ready = init();

addEventListener("message", async ({ data: { id, name, given } }: MessageEvent<Call>) => {
    let answer: Answer;
    try {
        await ready;
        answer = { id, value: (calls[name] as (...given: string[]) => unknown)(...given) };
    } catch (error) {
        answer = { id, error: String(error) };
    }
    postMessage(answer);
});
