// Made from the Rust types; a test compares.

/** What admission says to the creation of one source. */
export interface Admission {
    /** Which object it is. */
    source: string;
    /** The `AdmissionResponse`. */
    response: unknown;
}

/** What was found. */
export interface Checked {
    /** What is wrong or doubtful: first about the settings, then source by source. */
    findings: Finding[];
    /** Every Application, Namespace and ApplicationSet. */
    sources: CheckedSource[];
}

/** One source that was checked. */
export interface CheckedSource {
    /** Which object it is, as `argoproj.io/Application/<namespace>/<name>` or `Namespace/<name>`. */
    source: string;
    /** What became of it. */
    outcome: Outcome;
    /** How many endpoints it asks for. */
    endpoints: number;
}

/** The configuration of one Telegraf. */
export interface Configuration {
    /** The name of the Deployment that reads it. */
    name: string;
    /** Its files by name; one, `telegraf.conf`, except in `standalone`. */
    files: Record<string, string>;
}

/** One finding. */
export interface Diagnostic {
    /** The rule's code, such as `TW103`. */
    code: string;
    /** The severity. */
    severity: Severity;
    /** What is wrong, as a sentence without a full stop. */
    message: string;
    /** What to write instead. */
    help?: string;
    /** The place. Absent if the finding is about the whole document. */
    place?: Place;
}

/** One endpoint, in a form for display. */
export interface EndpointAnswer {
    /** Its name in the annotation. */
    name: string;
    /** Telegraf's input plugin, `prometheus` unless the settings allow others. */
    plugin: string;
    /** What is scraped; empty for a plugin that has no URLs. */
    urls?: string[];
    /** How often, as a Telegraf duration. */
    interval?: string;
    /** The measurement's name, where the configuration sets it. */
    measurement?: string;
}

/** Everything about a text and its settings at once, for who shows it as it is typed. */
export interface Evaluation {
    /** What `check` finds. */
    checked: Checked;
    /** What `render` answers. It is absent, and everything that follows is empty, where a text could not be read. */
    answer?: RenderAnswer;
    /** The objects as YAML, in the order in which they should be applied. */
    manifests: string;
    /** What admission says to the creation of each source. */
    admissions: Admission[];
    /** What is scraped, by which Telegraf, and where it goes. */
    flow: Flow;
    /** For each source that has annotations of ours the `kubectl` command that sets them. */
    commands: string[];
    /** The annotation whose value names endpoints. */
    annotation: string;
}

/** One finding, at its place in one of the texts. */
export interface Finding {
    /** The text that it is about. */
    text: Text;
    /** The rule, such as `TW103`; absent where the text is not YAML. */
    code?: string;
    /** How bad it is. */
    severity: Severity;
    /** What is wrong. */
    message: string;
    /** What to write instead. */
    help?: string;
    /** The object that it is about, if it is about one. */
    source?: string;
    /** The first character; absent where it is about the whole text. */
    start?: Position;
    /** The character after the last. */
    end?: Position;
}

/** Endpoints, the Telegrafs that scrape them, and the outputs of those. */
export interface Flow {
    /** The sources that have endpoints. */
    sources: FlowSource[];
    /** Every Telegraf. */
    telegrafs: Telegraf[];
    /** Every output that some Telegraf sends to. The one that answers the pod's probes sends nothing. */
    outputs: Output[];
}

/** An endpoint, and who scrapes it. */
export interface FlowEndpoint {
    /** Its name in the annotation. */
    name: string;
    /** What is scraped. */
    urls: string[];
    /** How often, as a Telegraf duration. */
    interval?: string;
    /** The number of the Telegraf in `telegrafs` that scrapes it, if one does. */
    telegraf?: number;
}

/** A source and its endpoints. */
export interface FlowSource {
    /** Which object it is. */
    source: string;
    /** What is scraped for it. */
    endpoints: FlowEndpoint[];
}

/** Whether a source was rendered, and why not. */
export type Outcome = "rendered" | "refused" | "idle" | "skipped";

/** Where metrics go. */
export interface Output {
    /** Telegraf's output plugin. */
    plugin: string;
    /** What tells it from others: its URLs, organization, bucket, database or files. */
    details: string[];
}

/** A place in a source or in the settings. */
export interface Place {
    /** JSON Pointer (RFC 6901) to the value, such as `/metadata/annotations/telegraf.influxdata.com~1rubin-telegraf-operator`. */
    pointer: string;
    /** True if the place is the key at the pointer and not its value. */
    key?: boolean;
    /** The characters, if the value is text that contains a document of its own (an annotation). */
    range?: Range;
}

/** The position of a character in a text, counted as editors do: lines and columns from 1, columns in characters (Unicode scalar values). */
export interface Position {
    /** The line, from 1. */
    line: number;
    /** The column, from 1. */
    column: number;
}

/** A run of characters in a text. The end is exclusive. */
export interface Range {
    /** The first character. */
    start: Position;
    /** The character after the last. */
    end: Position;
}

/** What `render` answers. */
export interface RenderAnswer {
    /** The contract's version, 1. */
    protocol: number;
    /** Problems of the request or of the settings. If one of them is an error, nothing was rendered. */
    diagnostics: Diagnostic[];
    /** One entry for each Application, Namespace and ApplicationSet of the request, in its order. */
    sources: SourceAnswer[];
    /** `standalone` only: the one Telegraf that all sources share. */
    shared?: Rendered;
}

/** Telegraf configurations, and the Kubernetes objects that carry and run them. */
export interface Rendered {
    /** The namespace that the objects are in. */
    namespace?: string;
    /** The class, which defines where the metrics are sent. */
    class?: string;
    /** The configurations, one for each Telegraf. */
    configurations?: Configuration[];
    /** The objects, in the order in which they should be applied. */
    objects?: unknown[];
}

/** A rule's documentation. All text is Markdown. */
export interface Rule {
    /** `TW` and three digits. */
    code: string;
    /** The rule's name, as it is spelled in the code. */
    name: string;
    /** What a finding means for the source. */
    severity: Severity;
    /** What the rule looks for, in one sentence. */
    summary: string;
    /** Why that is worth a finding, with the source of the rule. */
    why: string;
    /** What raises it: annotations (for `TW5`, settings) in YAML. Empty where a few lines cannot show it. */
    example: string;
    /** The same without the problem. Empty where there is nothing to write instead. */
    instead: string;
}

/** The severity. */
export type Severity = "warning" | "error";

/** The result for one source. */
export interface SourceAnswer {
    /** Its position in the request's `sources`. */
    index: number;
    /** Its position within the `v1` List at `index`, if the object at `index` is a List. */
    item?: number;
    /** Which object it is, as `argoproj.io/Application/<namespace>/<name>` or `Namespace/<name>`. */
    source: string;
    /** Whether it was rendered. */
    outcome: Outcome;
    /** Errors and warnings about the source, in the order of its text. */
    diagnostics?: Diagnostic[];
    /** The endpoints that will be scraped. */
    endpoints?: EndpointAnswer[];
    /** The namespace that the objects are in. */
    namespace?: string;
    /** The class, which defines where the metrics are sent. */
    class?: string;
    /** The configurations, one for each Telegraf. */
    configurations?: Configuration[];
    /** The objects, in the order in which they should be applied. */
    objects?: unknown[];
    /** `standalone` only, and only if `outcome` is `rendered`: the object as far as it was read. A host keeps it, and sends it in [`RenderRequest::accepted`] from then on. */
    accepted?: unknown;
}

/** One Telegraf. */
export interface Telegraf {
    /** The name of its Deployment. */
    name: string;
    /** The namespace that it runs in. */
    namespace?: string;
    /** The numbers of the outputs in `outputs` that it sends to. */
    outputs: number[];
}

/** One of the two texts. */
export type Text = "source" | "settings";
