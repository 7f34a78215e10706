// What can be shown of a result.
import type { Evaluation } from "telewarden";
import { changes } from "./changes";
import type { Language } from "./editor";

export interface File {
    name: string;
    text: string;
}

export interface Tab {
    id: string;
    title: string;
    language: Language;
    /** `before` are the objects that a change is compared with. */
    files(evaluation: Evaluation, before: string): File[];
    /** The message if there is none. */
    none: string;
    /** The tab is there only if it has something to show. */
    isRare?: boolean;
}

/** `text` as the only file, if there is one. */
const file = (name: string, text: string): File[] => (text ? [{ name, text }] : []);

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;

function configurations({ answer }: Evaluation): File[] {
    const rendered = [...(answer?.sources ?? []), ...(answer?.shared ? [answer.shared] : [])];
    return rendered.flatMap(({ configurations, namespace }) =>
        (configurations ?? []).flatMap(({ name, files }) =>
            Object.entries(files).map(([file, text]) => ({ name: [namespace, name, file].filter(Boolean).join("/"), text })),
        ),
    );
}

export const tabs: Tab[] = [
    {
        id: "configuration",
        title: "Configuration",
        language: "toml",
        files: configurations,
        none: "No Telegraf is configured.",
    },
    {
        id: "objects",
        title: "Objects",
        language: "yaml",
        files: ({ manifests }) => file("objects.yaml", manifests),
        none: "No Kubernetes object is rendered.",
    },
    {
        id: "admission",
        title: "Admission",
        language: "json",
        files: ({ admissions }) => admissions.map(({ source, response }) => ({ name: `${source}.json`, text: json(response) })),
        none: "There is no object that admission would be asked about.",
    },
    {
        id: "picture",
        title: "Picture",
        language: "yaml",
        files: () => [],
        none: "Nothing is scraped.",
    },
    {
        id: "changes",
        title: "Changes",
        language: "diff",
        files: ({ manifests }, before) => file("changes.diff", changes(before, manifests)),
        none: "The objects are the same as before. Change the source or the settings to see what follows.",
    },
    {
        id: "effective",
        title: "All settings",
        language: "yaml",
        files: ({ settings }) => file("settings.yaml", settings),
        none: "The settings have an error.",
    },
    {
        id: "applications",
        title: "Applications",
        language: "yaml",
        files: ({ applications }) => file("applications.yaml", applications),
        none: "No ApplicationSet makes an Application.",
        isRare: true,
    },
    {
        id: "command",
        title: "Command",
        language: "shell",
        files: ({ commands }) => file("annotate.sh", commands.length > 0 ? `${commands.join("\n\n")}\n` : ""),
        none: "No object has an annotation to set.",
    },
];
