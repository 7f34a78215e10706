// Asks the core, which runs in a worker.
import type { Evaluation } from "telewarden";
import type { Answer, Call } from "./worker";

// What takes longer than this never ends, as far as a person is concerned.
const PATIENCE = 20_000;

interface Waiting {
    resolve(value: unknown): void;
    reject(error: Error): void;
    timer: number;
}

export class Core {
    #worker: Worker | undefined;
    #waiting = new Map<number, Waiting>();
    #last = 0;

    evaluate(source: string, settings: string) {
        return this.#call<Evaluation>("evaluate", source, settings);
    }

    #call<T>(name: Call["name"], ...given: string[]): Promise<T> {
        const worker = (this.#worker ??= this.#start());
        const id = ++this.#last;
        return new Promise<T>((resolve, reject) => {
            const timer = setTimeout(() => this.#stop("It took too long, and was stopped."), PATIENCE);
            this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject, timer });
            worker.postMessage({ id, name, given } satisfies Call);
        });
    }

    #start() {
        const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
        worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => {
            const waiting = this.#waiting.get(data.id);
            if (!waiting) return;
            clearTimeout(waiting.timer);
            this.#waiting.delete(data.id);
            if ("value" in data) {
                waiting.resolve(data.value);
            } else {
                waiting.reject(new Error(data.error));
                // What ran into its own limits is in no state to go on.
                if (data.error.startsWith("RuntimeError") || data.error.startsWith("RangeError")) {
                    this.#stop("It was started anew.");
                }
            }
        });
        worker.addEventListener("error", (event) => this.#stop(event.message || "The module could not be loaded."));
        return worker;
    }

    /** Gives everybody who waits a reason. The next call starts a new worker. */
    #stop(reason: string) {
        this.#worker?.terminate();
        this.#worker = undefined;
        for (const { reject, timer } of this.#waiting.values()) {
            clearTimeout(timer);
            reject(new Error(reason));
        }
        this.#waiting.clear();
    }
}
