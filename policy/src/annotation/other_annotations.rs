//! All annotations but those that hold endpoints. Names and meanings are those of the archived telegraf-operator
//! (<https://github.com/influxdata/telegraf-operator#pod-level-annotations>).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ConfigMapKeySelector, EnvVar, EnvVarSource, ObjectFieldSelector, SecretKeySelector};

use super::{Declaration, SecretEnv, any_matches};
use crate::annotation_name::{ENDPOINTS, names_of_endpoints, without_prefix};
use crate::diagnostic::{Findings, Place, Problem};
use crate::glob::Glob;
use crate::located::{Data, from_yaml};
use crate::settings::{NamePattern, Quantity, Settings, check_image};
use crate::source::{Identity, Source, is_dns_subdomain};
use crate::telegraf::{
    Key, Literal, MAX_TAG_VALUE, MAX_TAGS, Options, Origin, TAG_VALUE, Value, nearest, read_options, refuse_unsafe_text,
};

/// All names that are read on an Application or a Namespace.
const KNOWN: &[&str] = &[
    "inputs",
    "class",
    "interval",
    "metric-version",
    "namepass",
    "internal",
    "image",
    "requests-cpu",
    "requests-memory",
    "limits-cpu",
    "limits-memory",
    "global-tag-literal-",
    "env-literal-",
    "env-fieldref-",
    "env-configmapkeyref-",
    "env-secretkeyref-",
    "secret-env",
];

/// The names that are read, without the prefix and without those that only begin a name.
#[cfg(feature = "host")]
pub(crate) fn known_annotations() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().copied().filter(|known| !known.ends_with('-'))
}

/// Annotations that admission writes and does not read.
const WRITTEN: &[&str] = &["rendered", "rendered-digest"];

/// Annotations for pods of telegraf-operator, and what to write instead.
const POD_LEVEL: &[(&str, &str)] = &[
    (
        "port",
        "write the port into the endpoint's URL: `- my-service: \"http://service.namespace.svc:9121/metrics\"`",
    ),
    (
        "ports",
        "write an endpoint for each port: `- my-service: \"http://service.namespace.svc:9121/metrics\"`",
    ),
    (
        "path",
        "write the path into the endpoint's URL: `- my-service: \"http://service.namespace.svc:9121/metrics\"`",
    ),
    (
        "scheme",
        "write the scheme into the endpoint's URL: `- my-service: \"https://service.namespace.svc:9121/metrics\"`",
    ),
    (
        "volume-mounts",
        "remove it: no volume can be mounted; the administrator can set variables with `pod.env`",
    ),
];

/// Reads the annotations that do not contain endpoints.
pub(super) struct OtherAnnotations<'a> {
    settings: &'a Settings,
    /// False if there are no endpoints, so that these annotations have no effect.
    has_endpoints: bool,
    /// True if that was reported.
    is_useless: bool,
    declaration: Declaration,
    /// The default options of all endpoints.
    options: Options,
    /// The names of the environment variables that were set.
    variables: BTreeSet<String>,
    /// The size of tags and variables in bytes.
    repeated: usize,
}

/// The maximum size of a source's tags and environment variables in bytes, with their names. They are repeated in each
/// endpoint's input or pod. For each, [`EACH_REPEATED`] bytes are added for the text around it.
const MAX_REPEATED: usize = 16 * 1024;
const EACH_REPEATED: usize = 64;

impl<'a> OtherAnnotations<'a> {
    pub(super) fn new(settings: &'a Settings, has_endpoints: bool) -> Self {
        Self {
            settings,
            has_endpoints,
            is_useless: false,
            declaration: Declaration::default(),
            options: Options::default(),
            variables: BTreeSet::new(),
            repeated: 0,
        }
    }

    /// Answers a declaration without endpoints, and the default options of all endpoints.
    pub(super) fn finish(self, source: &Source<'_>, findings: &mut Findings) -> (Declaration, Options) {
        check_together(&self.declaration, self.settings, source, findings);
        (self.declaration, self.options)
    }

    /// Reads one annotation. `name` is its name without the prefix.
    pub(super) fn read(&mut self, annotation: &str, name: &str, text: &str, findings: &mut Findings) {
        let settings = self.settings;
        if WRITTEN.contains(&name) {
            return;
        }
        if let Some(problem) = problem_with_name(annotation, name, settings, findings) {
            findings.report(problem, Place::annotation_name(annotation));
            return;
        }
        if !self.has_endpoints {
            // The endpoints are missing once, however many annotations count on them.
            if !std::mem::replace(&mut self.is_useless, true) {
                findings.report(Problem::NoEffectWithoutEndpoints {}, Place::annotation_name(annotation));
            }
            return;
        }
        let place = Place::annotation(annotation, None);
        if refuse_unsafe_text(
            text.trim_end_matches('\n'),
            Origin::Annotation,
            &(&place).into(),
            findings,
        ) {
            return;
        }
        if settings.topology.is_shared() && needs_own_telegraf(name) {
            let name = annotation.to_owned();
            findings.report(
                Problem::NoEffectInStandalone { name },
                Place::annotation_name(annotation),
            );
            return;
        }
        let declaration = &mut self.declaration;
        let mut reader = Reader {
            annotation,
            text: text.trim(),
            place,
            settings,
            findings,
        };
        if name.starts_with("global-tag-literal-") || name.starts_with("env-") {
            self.repeated += name.len() + text.len() + EACH_REPEATED;
            if self.repeated > MAX_REPEATED {
                return reader.value_problem("shorter: global tags and environment variables together may take 16 KiB");
            }
        }
        match name {
            "interval" => reader.option("interval", &mut self.options),
            "metric-version" => reader.option("metric_version", &mut self.options),
            "namepass" => reader.option("namepass", &mut self.options),
            "class" => declaration.class = reader.class(),
            "internal" => declaration.internal = reader.boolean(),
            "image" => declaration.image = reader.image(),
            "requests-cpu" => {
                declaration.requests.cpu = reader.quantity(Quantity::parse, &settings.allow.max_resources.cpu)
            }
            "requests-memory" => {
                declaration.requests.memory =
                    reader.quantity(Quantity::parse_memory, &settings.allow.max_resources.memory)
            }
            "limits-cpu" => declaration.limits.cpu = reader.limit(Quantity::parse, &settings.allow.max_resources.cpu),
            "limits-memory" => {
                declaration.limits.memory = reader.limit(Quantity::parse_memory, &settings.allow.max_resources.memory)
            }
            "secret-env" => declaration.secret_env = reader.secret_env(),
            _ => {
                if let Some(tag) = name.strip_prefix("global-tag-literal-") {
                    let count = declaration.global_tags.len() + 1;
                    if count > MAX_TAGS {
                        let (what, max) = ("the source".to_owned(), MAX_TAGS);
                        return reader.report(Problem::TooManyTags { what, count, max });
                    }
                    declaration.global_tags.extend(reader.global_tag(tag));
                } else if let Some((kind, variable)) = name.strip_prefix("env-").and_then(|rest| rest.split_once('-'))
                    && let Some(variable) = reader.env(kind, variable)
                {
                    if self.variables.insert(variable.name.clone()) {
                        declaration.env.push(variable);
                    } else {
                        let name = variable.name;
                        findings.report(Problem::EnvTwice { name }, Place::annotation_name(annotation));
                    }
                }
            }
        }
    }
}

/// True for annotations that need a Telegraf that is not shared.
fn needs_own_telegraf(name: &str) -> bool {
    matches!(name, "class" | "image" | "internal" | "secret-env")
        || ["requests-", "limits-", "env-"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// The problem with an annotation's name, whatever its value is.
fn problem_with_name(annotation: &str, name: &str, settings: &Settings, findings: &Findings) -> Option<Problem> {
    let pod_level = POD_LEVEL
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, instead)| *instead);
    let istio = name
        .starts_with("istio-")
        .then_some("leave it out: no sidecar is injected, so there is none to keep Istio away from");
    if let Some(instead) = pod_level.or(istio) {
        let name = annotation.to_owned();
        return Some(Problem::PodAnnotation { name, instead });
    }
    if !is_known(name) {
        return Some(Problem::UnknownAnnotation {
            name: annotation.to_owned(),
            nearest: (!findings.is_full())
                .then(|| nearest_annotation(annotation, name, settings))
                .flatten(),
        });
    }
    None
}

/// The known annotation with the most similar name.
fn nearest_annotation(annotation: &str, name: &str, settings: &Settings) -> Option<String> {
    let endpoints = &settings.annotation;
    if ENDPOINTS.contains(&annotation) {
        return Some(endpoints.to_string());
    }
    // The prefix is not compared: most names have the same one, so all would be similar.
    let prefix = annotation.strip_suffix(name).unwrap_or_default();
    let known = nearest(name, KNOWN.iter().copied()).map(|known| format!("{prefix}{known}"));
    known.or_else(|| {
        let mut names = names_of_endpoints(endpoints);
        let similar = |known: &&str| match without_prefix(known) {
            Some(known) => nearest(name, std::iter::once(known)).is_some(),
            None => nearest(annotation, std::iter::once(*known)).is_some(),
        };
        names.find(similar).map(str::to_owned)
    })
}

/// True for a known name. A known name that ends in `-` must be followed by more text.
fn is_known(name: &str) -> bool {
    KNOWN.iter().any(|known| match known.ends_with('-') {
        true => name.len() > known.len() && name.starts_with(known),
        false => name == *known,
    })
}

/// Checks rules about several annotations.
fn check_together(declaration: &Declaration, settings: &Settings, source: &Source<'_>, findings: &mut Findings) {
    let resources = [
        ("cpu", &declaration.requests.cpu, &declaration.limits.cpu),
        ("memory", &declaration.requests.memory, &declaration.limits.memory),
    ];
    for (resource, request, limit) in resources {
        if let (Some(request), Some(limit)) = (request, limit)
            && request > limit
        {
            let problem = Problem::RequestAboveLimit {
                resource,
                request: request.to_string(),
                limit: limit.to_string(),
            };
            let annotation = source.annotation_named(&format!("requests-{resource}"));
            findings.report(problem, Place::annotation(annotation, None));
        }
    }
    let chosen = declaration.class.as_deref().unwrap_or(&settings.default_class);
    if let Some(class) = settings.classes.get(chosen) {
        let identity = &source.identity;
        if !class.allow.iter().any(|pattern| may_use(pattern, identity, settings)) {
            let problem = Problem::ClassNotAllowed {
                class: chosen.to_owned(),
                source: identity.qualified_name(),
            };
            let annotation = match declaration.class {
                Some(_) => source.annotation_named("class"),
                None => source.endpoints_annotation(settings),
            };
            findings.report(problem, Place::annotation(annotation, None));
        }
    }
}

/// True if a pattern of a class's `allow` is for a source. The name alone counts only where its owner is trusted with it:
/// whoever may create Applications in another namespace chooses their names.
fn may_use(pattern: &NamePattern, identity: &Identity, settings: &Settings) -> bool {
    let pattern = pattern.as_str();
    let matches = |pattern, name: &str| Glob::stars(pattern).matches(name);
    match (pattern, pattern.split_once('/'), identity) {
        ("*", ..) => true,
        (_, Some((of_namespace, of_name)), Identity::Application { namespace, name }) => {
            matches(of_namespace, namespace) && matches(of_name, name)
        }
        (_, None, Identity::Application { namespace, name }) => {
            *namespace == settings.sources.argocd_namespace && matches(pattern, name)
        }
        (_, None, Identity::Namespace { name }) => matches(pattern, name),
        (_, Some(_), Identity::Namespace { .. }) => false,
    }
}

struct Reader<'a> {
    annotation: &'a str,
    text: &'a str,
    place: Place,
    settings: &'a Settings,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    fn report(&mut self, problem: Problem) {
        self.findings.report(problem, self.place.clone());
    }

    fn value_problem(&mut self, expected: &'static str) {
        let problem = Problem::AnnotationValue {
            name: self.annotation.to_owned(),
            text: self.text.chars().take(100).collect(),
            expected,
        };
        self.report(problem);
    }

    /// Reads a default option of all endpoints. The text is parsed as YAML, so `['a*', 'b*']` is a list.
    fn option(&mut self, option: &'static str, options: &mut Options) {
        let before = self.findings.count();
        let Some(node) = from_yaml(self.annotation, self.text, self.findings) else {
            if before == self.findings.count() {
                self.value_problem("a value");
            }
            return;
        };
        let key = crate::located::Key {
            text: option.to_owned(),
            spot: (&self.place).into(),
        };
        if option == "metric_version" && !matches!(node.data, Data::Integer(1 | 2, _)) {
            return self.value_problem("`1` or `2`");
        }
        let read = read_options(&[(key, node)], &[], Origin::Annotation, self.findings);
        self.settings.endpoints.bounds().check(&read, self.findings);
        options.extend(read);
    }

    fn class(&mut self) -> Option<String> {
        if self.settings.classes.contains_key(self.text) {
            return Some(self.text.to_owned());
        }
        let problem = Problem::UnknownClass {
            class: self.text.chars().take(100).collect(),
            known: self.settings.classes.keys().cloned().collect(),
        };
        self.report(problem);
        None
    }

    fn boolean(&mut self) -> bool {
        match self.text {
            "true" => true,
            "false" => false,
            _ => {
                self.value_problem("`true` or `false`");
                false
            }
        }
    }

    fn image(&mut self) -> Option<String> {
        if any_matches(&self.settings.allow.image, self.text) {
            return match check_image(self.text) {
                Ok(()) => Some(self.text.to_owned()),
                Err(_) => {
                    self.value_problem("Telegraf's image, 1.38 or later, with a tag or a digest");
                    None
                }
            };
        }
        let problem = Problem::ImageNotAllowed {
            image: self.text.chars().take(100).collect(),
            allowed: self
                .settings
                .allow
                .image
                .iter()
                .map(|pattern| pattern.as_str().to_owned())
                .collect(),
        };
        self.report(problem);
        None
    }

    fn quantity(&mut self, parse: fn(&str) -> Option<Quantity>, ceiling: &Quantity) -> Option<Quantity> {
        let name = self.annotation.to_owned();
        let Some(quantity) = parse(self.text) else {
            let text = self.text.chars().take(100).collect();
            self.report(Problem::InvalidQuantity { name, text });
            return None;
        };
        if quantity > *ceiling {
            let problem = Problem::AboveCeiling {
                name,
                text: quantity.to_string(),
                ceiling: ceiling.to_string(),
            };
            self.report(problem);
            return None;
        }
        Some(quantity)
    }

    /// A quantity above zero: to Kubernetes, a limit of zero is none.
    fn limit(&mut self, parse: fn(&str) -> Option<Quantity>, ceiling: &Quantity) -> Option<Quantity> {
        let quantity = self.quantity(parse, ceiling)?;
        if quantity.is_zero() {
            self.value_problem("more than 0: to Kubernetes, a limit of 0 is none");
            return None;
        }
        Some(quantity)
    }

    /// Reports a problem of the annotation's name.
    fn report_name(&mut self, problem: Problem) {
        self.findings.report(problem, Place::annotation_name(self.annotation));
    }

    fn global_tag(&mut self, tag: &str) -> Option<(Key, Value)> {
        if self.settings.inputs.reserved_tags.contains(tag) {
            let tag = tag.to_owned();
            self.report_name(Problem::ReservedTag { tag });
            return None;
        }
        let Some(key) = Key::new(tag) else {
            let name = tag.to_owned();
            let what = "a tag's name";
            self.report_name(Problem::Key { name, what });
            return None;
        };
        if self.text.len() > MAX_TAG_VALUE {
            self.value_problem(TAG_VALUE);
            return None;
        }
        // The text is checked with those of all other annotations.
        Literal::new(self.text).ok().map(|text| (key, text.into()))
    }

    /// Answers false, and reports it, if annotations may not set environment variables.
    fn env_is_allowed(&mut self) -> bool {
        if !self.settings.allow.env {
            let name = self.annotation.to_owned();
            let place = Place::annotation_name(self.annotation);
            self.findings.report(Problem::EnvNotAllowed { name }, place);
        }
        self.settings.allow.env
    }

    fn secret_env(&mut self) -> Option<SecretEnv> {
        if !self.env_is_allowed() {
            return None;
        }
        if !is_dns_subdomain(self.text) {
            self.value_problem("a Secret's name");
            return None;
        }
        Some(SecretEnv {
            secret: self.text.to_owned(),
            prefix: self.settings.allow.secret_env_prefix.to_string(),
        })
    }

    fn env(&mut self, kind: &str, variable: &str) -> Option<EnvVar> {
        if !self.env_is_allowed() {
            return None;
        }
        let name = variable.to_owned();
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if variable.is_empty() || !variable.chars().all(inner) || variable.starts_with(|c: char| c.is_ascii_digit()) {
            self.report(Problem::EnvName { name });
            return None;
        }
        if is_reserved_variable(variable, self.settings) {
            self.report(Problem::EnvReserved { name });
            return None;
        }
        let mut var = EnvVar {
            name,
            ..EnvVar::default()
        };
        if kind == "literal" {
            var.value = Some(self.text.to_owned());
            return Some(var);
        }
        let mut from = EnvVarSource::default();
        match kind {
            "fieldref" => {
                if !is_field_path(self.text) {
                    self.value_problem("a pod's field, such as `metadata.name` or `spec.nodeName`");
                    return None;
                }
                from.field_ref = Some(ObjectFieldSelector {
                    field_path: self.text.to_owned(),
                    ..ObjectFieldSelector::default()
                });
            }
            _ => {
                let config_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
                let reference = self.text.split_once('.');
                let Some((object, key)) = reference
                    .filter(|(object, key)| is_dns_subdomain(object) && !key.is_empty() && key.chars().all(config_key))
                else {
                    self.value_problem("`name.key`: an object's name, a dot, and the key in it");
                    return None;
                };
                let (name, key) = (object.to_owned(), key.to_owned());
                match kind {
                    "secretkeyref" => {
                        from.secret_key_ref = Some(SecretKeySelector {
                            name,
                            key,
                            optional: None,
                        })
                    }
                    _ => {
                        from.config_map_key_ref = Some(ConfigMapKeySelector {
                            name,
                            key,
                            optional: None,
                        })
                    }
                }
            }
        }
        var.value_from = Some(from);
        Some(var)
    }
}

/// The fields of a pod that a variable can have:
/// <https://kubernetes.io/docs/concepts/workloads/pods/downward-api/#available-fields>.
fn is_field_path(text: &str) -> bool {
    const FIELDS: &[&str] = &[
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.hostIPs",
        "status.podIP",
        "status.podIPs",
    ];
    let keyed = |field: &str| {
        let key = text
            .strip_prefix(field)
            .and_then(|rest| rest.strip_prefix("['"))
            .and_then(|rest| rest.strip_suffix("']"));
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        key.is_some_and(|key| !key.is_empty() && key.chars().all(known))
    };
    FIELDS.contains(&text) || keyed("metadata.labels") || keyed("metadata.annotations")
}

/// Variables that control where connections go, what is trusted, or what is read: those of Telegraf, of Go and its HTTP
/// client, of the C library, and of libraries that plugins use.
const RESERVED_VARIABLES: &[&str] = &[
    "BASH_ENV",
    "DBUS_SESSION_BUS_ADDRESS",
    "DBUS_SYSTEM_BUS_ADDRESS",
    "ENV",
    "GCONV_PATH",
    "GETCONF_DIR",
    "HOME",
    "HOSTALIASES",
    "HOST_DEV",
    "HOST_ETC",
    "HOST_MOUNT_PREFIX",
    "HOST_PROC",
    "HOST_PROC_MOUNTINFO",
    "HOST_ROOT",
    "HOST_RUN",
    "HOST_SYS",
    "HOST_VAR",
    "IFS",
    "KUBECONFIG",
    "LOCALDOMAIN",
    "LOCPATH",
    "NETRC",
    "NLSPATH",
    "NOTIFY_SOCKET",
    "OPENSSL_CONF",
    "PATH",
    "REQUEST_METHOD",
    "RESOLV_HOST_CONF",
    "SHELL",
    "SSH_AUTH_SOCK",
    "TNS_ADMIN",
    "TMPDIR",
    "TZDIR",
    "ZONEINFO",
];

/// Prefixes of the names of such variables.
const RESERVED_VARIABLE_PREFIXES: &[&str] = &[
    "ALIBABA_CLOUD_",
    "ARM_",
    "AWS_",
    "AZURE_",
    "BOTO_",
    "CLOUDSDK_",
    "CONSUL_",
    "CURL_",
    "DOCKER_",
    "ECS_",
    "GCE_",
    "GCLOUD_",
    "GCP_",
    "GODEBUG",
    "GOOGLE_",
    "GOTRACEBACK",
    "GOCOVERDIR",
    "GOFIPS",
    "GOGC",
    "GOMAXPROCS",
    "GOMEMLIMIT",
    "GORACE",
    "GRPC_",
    "IDENTITY_",
    "IMDS_",
    "INFLUX_",
    "KRB5",
    "KUBERNETES_",
    "LC_",
    "LD_",
    "LISTEN_",
    "MALLOC_",
    "MSI_",
    "NSS_",
    "ODBC",
    "OTEL_",
    "PG",
    "PROC_",
    "REQUESTS_CA",
    "RES_",
    "SF_",
    "SSL",
    "TELEGRAF_",
    "VAULT_",
    "XDG_",
];

/// True for a variable that the settings set or use, or that controls where connections go or what is trusted.
fn is_reserved_variable(name: &str, settings: &Settings) -> bool {
    let upper = name.to_ascii_uppercase();
    upper.ends_with("_PROXY")
        || RESERVED_VARIABLES.contains(&upper.as_str())
        || RESERVED_VARIABLE_PREFIXES
            .iter()
            .any(|prefix| upper.starts_with(prefix))
        // Google's libraries connect there without credentials.
        || upper.ends_with("_EMULATOR_HOST")
        || settings.pod.env.iter().any(|variable| variable.name() == name)
        || settings.uses_variable(name)
}
