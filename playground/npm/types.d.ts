// Made from the Rust types; a test compares.

/** The admission response to the creation of a source. */
export interface Admission {
    /** The object. */
    source: string;
    /** The `AdmissionResponse`. */
    response: unknown;
}

/** The answer of `check`. */
export interface Checked {
    /** The findings: first those of the settings, then those of each source. */
    findings: Finding[];
    /** All Applications, Namespaces and ApplicationSets. */
    sources: CheckedSource[];
}

/** One source that was checked. */
export interface CheckedSource {
    /** The object, as `argoproj.io/Application/<namespace>/<name>` or `Namespace/<name>`. */
    source: string;
    /** The outcome. */
    outcome: Outcome;
    /** The number of its endpoints. */
    endpoints: number;
}

/** The configuration of one Telegraf. */
export interface Configuration {
    /** The name of the Deployment that reads it. */
    name: string;
    /** Its files by name; one, `telegraf.conf`, except in `standalone`. */
    files: Record<string, string>;
    /** The digest that this Telegraf tells with its state (setting `status`): that of its file, in `standalone` of the file that all sources share, without the part that makes it tell. */
    status?: string;
}

/** A bucket of InfluxDB 2, and a token that can write it. */
export interface Database {
    /** The source that needs it; `all` for an output that is the same for all sources of `standalone`. */
    holder: string;
    /** The database's URL. It does not depend on a source. */
    url: string;
    /** The organization's name. It does not depend on a source. */
    organization: string;
    /** The bucket's name. */
    bucket: string;
    /** How long a new bucket keeps its data, in seconds. */
    retentionSeconds: number;
    /** The token, if one is provided. It can write the bucket and do nothing else. */
    token?: DatabaseToken;
}

/** A token that can write one bucket. */
export interface DatabaseToken {
    /** The name of the rendered Secret that it is put into. The Secret is rendered without data. */
    secret: string;
    /** Its key in the Secret. */
    key: string;
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
    /** The URLs; empty for a plugin without URLs. */
    urls?: string[];
    /** The interval, as a Telegraf duration. */
    interval?: string;
    /** The measurement's name, if the configuration sets it. */
    measurement?: string;
}

/** Everything about a text and its settings, for live display while a user types. */
export interface Evaluation {
    /** The answer of `check`. */
    checked: Checked;
    /** The answer of `render`. If a text could not be parsed, this is absent and everything below is empty. */
    answer?: RenderAnswer;
    /** The objects as YAML, in the order in which they should be applied. */
    manifests: string;
    /** The admission response to the creation of each source. */
    admissions: Admission[];
    /** The Applications that the ApplicationSets make, as YAML, without the parts that are not read. */
    applications: string;
    /** The settings with all defaults, as YAML. Empty if they have an error. */
    settings: string;
    /** The endpoints, the Telegrafs that scrape them, and their outputs. */
    flow: Flow;
    /** The place of each endpoint of `flow` in the source text: a list for each source, in the same order. */
    places: ((Position | null)[])[];
    /** For each annotated source, the `kubectl` command that sets its annotations. */
    commands: string[];
    /** The names of the annotation with the endpoints. */
    annotations: string[];
    /** The names of all annotations that are read, as documents show them. */
    names: string[];
}

/** A finding at its place in one of the texts. */
export interface Finding {
    /** The text with the finding. */
    text: Text;
    /** The rule, such as `TW103`; absent for syntax errors. */
    code?: string;
    /** The severity. */
    severity: Severity;
    /** The message. */
    message: string;
    /** How to correct it. */
    help?: string;
    /** The object, if the finding concerns one. */
    source?: string;
    /** The first character; absent if the finding concerns the whole text. */
    start?: Position;
    /** The character after the last. */
    end?: Position;
    /** The fix, if only one is plausible. It was tested: the finding is gone, and there is no new error. */
    fix?: Fix;
}

/** A change of a text. */
export interface Fix {
    /** The first character to remove. */
    start: Position;
    /** The character after the last one. */
    end: Position;
    /** The text to insert. */
    text: string;
}

/** Endpoints, the Telegrafs that scrape them, and the outputs of those. */
export interface Flow {
    /** The sources that have endpoints. */
    sources: FlowSource[];
    /** Every Telegraf. */
    telegrafs: Telegraf[];
    /** All outputs of all Telegrafs, except those for the pod's probes and for its own state. */
    outputs: Output[];
}

/** An endpoint and the Telegraf that scrapes it. */
export interface FlowEndpoint {
    /** Its name in the annotation. */
    name: string;
    /** The URLs. */
    urls: string[];
    /** The interval, as a Telegraf duration. */
    interval?: string;
    /** The index in `telegrafs` of the Telegraf that scrapes it, if one does. */
    telegraf?: number;
}

/** A source and its endpoints. */
export interface FlowSource {
    /** The identity of the object. */
    source: string;
    /** Its endpoints. */
    endpoints: FlowEndpoint[];
}

/** Whether a source was rendered, and why not. */
export type Outcome = "rendered" | "refused" | "idle" | "skipped";

/** A destination of metrics. */
export interface Output {
    /** Telegraf's output plugin. */
    plugin: string;
    /** Its identifying options: URLs, organization, bucket, database or files. */
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

/** The answer of `render`. */
export interface RenderAnswer {
    /** The contract's version, 1. */
    protocol: number;
    /** Problems of the request or of the settings. If one of them is an error, nothing was rendered. */
    diagnostics: Diagnostic[];
    /** One entry for each Application, Namespace and ApplicationSet of the request, in its order. */
    sources: SourceAnswer[];
    /** `standalone` only: the Telegraf that all sources share, or the few of them (shards). */
    shared?: Rendered;
}

/** Telegraf configurations, and the Kubernetes objects that carry and run them. */
export interface Rendered {
    /** The namespace that the objects are in. */
    namespace?: string;
    /** The class, which defines where the metrics are sent. */
    class?: string;
    /** What the outputs need of databases, if the settings have it provided (`influxdb.provide`). A host that applies the objects provides it first. */
    databases?: Database[];
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
    /** The object, as `argoproj.io/Application/<namespace>/<name>` or `Namespace/<name>`. */
    source: string;
    /** The outcome. */
    outcome: Outcome;
    /** Errors and warnings about the source, in the order of its text. */
    diagnostics?: Diagnostic[];
    /** The endpoints that will be scraped. */
    endpoints?: EndpointAnswer[];
    /** The namespace that the objects are in. */
    namespace?: string;
    /** The class, which defines where the metrics are sent. */
    class?: string;
    /** What the outputs need of databases, if the settings have it provided (`influxdb.provide`). A host that applies the objects provides it first. */
    databases?: Database[];
    /** The configurations, one for each Telegraf. */
    configurations?: Configuration[];
    /** The objects, in the order in which they should be applied. */
    objects?: unknown[];
    /** `standalone` only, and only if `outcome` is `rendered`: the fields of the object that were read. A host stores it and sends it in [`RenderRequest::accepted`]. */
    accepted?: unknown;
}

/** One Telegraf. */
export interface Telegraf {
    /** The name of its Deployment. */
    name: string;
    /** Its namespace. */
    namespace?: string;
    /** The indices in `outputs` of its outputs. */
    outputs: number[];
}

/** One of the two texts. */
export type Text = "source" | "settings";
