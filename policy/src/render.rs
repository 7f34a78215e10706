//! Sources and settings to rendered resources and diagnostics: the module's main job.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::annotation::{self, Declaration, Endpoint, EndpointUrl, Input};
use crate::application_set;
use crate::configuration;
use crate::diagnostic::{Diagnostic, Findings, Place, Problem};
use crate::ordered::ordered_map;
use crate::project::{Deployed, Projects, THIS_CLUSTER, THIS_SERVER};
use crate::protocol::{Configuration, Outcome, RenderAnswer, RenderRequest, Rendered, SourceAnswer, VERSION};
use crate::resources::{
    ConfigFiles, Owner, config_map, deployment, extra_resources, file_name, is_open, network_policy, object_name,
    shared_name, to_json,
};
use crate::settings::{self, Class, Names, Settings, Topology, is_dns_label};
use crate::source::{ApplicationSpec, Identity, Kind, Object, Source, TypeMeta, is_dns_subdomain};
use crate::telegraf::to_toml;

/// The most that a ConfigMap holds, in bytes, with some room for its metadata:
/// <https://kubernetes.io/docs/concepts/configuration/configmap/#motivation>.
const MAX_CONFIG_MAP: usize = 1_048_576 - 4096;

/// What all sources share in `standalone`. Telegraf reads files in the order of their names, and what `[agent]` says counts
/// only for what is read after it: this name is before every source's.
const SHARED_FILE: &str = "00-telegraf.conf";

static PREVIOUS: BTreeMap<String, String> = BTreeMap::new();

/// Renders every source of a request.
pub fn render(request: &RenderRequest<'_>) -> RenderAnswer {
    let mut answer = RenderAnswer {
        protocol: VERSION,
        ..RenderAnswer::default()
    };
    if request.protocol != VERSION {
        let problem = Problem::Protocol {
            found: request.protocol,
            known: VERSION,
        };
        answer.diagnostics.push(problem.diagnostic());
        return answer;
    }
    let document = match request
        .settings
        .map(|settings| serde_json::from_str::<Json>(settings.get()))
        .transpose()
    {
        Ok(document) => document,
        Err(error) => {
            let error = error.to_string();
            answer
                .diagnostics
                .push(Problem::Settings { error, nearest: None }.at(Place::pointer("")));
            return answer;
        }
    };
    let (settings, of_settings) = settings::read(document.as_ref());
    let mut findings = Findings::default();
    findings.extend(of_settings);
    let Some(settings) = settings else {
        answer.diagnostics = findings.into_vec();
        return answer;
    };
    warn_of_open_egress(&settings, &mut findings);
    let projects = request
        .cluster
        .as_ref()
        .map(|cluster| Projects::read(cluster, &settings));
    let mut renderer = Renderer::new(&settings, projects, &PREVIOUS);
    for (index, raw) in request.sources.iter().enumerate() {
        renderer.object(raw, index, None, &mut answer.sources);
    }
    if settings.topology == Topology::Standalone {
        answer.shared = Some(renderer.standalone(&mut findings));
    }
    answer.diagnostics = findings.into_vec();
    answer
}

/// Renders one object, which is not a List, under settings that are read already.
pub(crate) fn render_one(object: &Object<'_>, settings: &Settings) -> RenderAnswer {
    let mut answer = RenderAnswer {
        protocol: VERSION,
        ..RenderAnswer::default()
    };
    let mut renderer = Renderer::new(settings, None, &PREVIOUS);
    renderer.readable(object, 0, None, &mut answer.sources);
    if settings.topology == Topology::Standalone {
        let mut findings = Findings::default();
        answer.shared = Some(renderer.standalone(&mut findings));
        answer.diagnostics = findings.into_vec();
    }
    answer
}

struct Renderer<'a> {
    settings: &'a Settings,
    /// The cluster's AppProjects, where the host has read them.
    projects: Option<Projects>,
    seen: BTreeSet<Identity>,
    /// `standalone`: the sources that were found good.
    shared: Vec<(Source<'a>, Declaration)>,
    /// `standalone`: the sources that were refused, whose file stays as it was.
    kept: Vec<Source<'a>>,
    previous: &'a BTreeMap<String, String>,
}

impl<'a> Renderer<'a> {
    fn new(settings: &'a Settings, projects: Option<Projects>, previous: &'a BTreeMap<String, String>) -> Self {
        Self {
            settings,
            projects,
            seen: BTreeSet::new(),
            shared: Vec::new(),
            kept: Vec::new(),
            previous,
        }
    }

    /// Renders an object, or the objects of a List. Whatever is no source is passed over.
    fn object(&mut self, raw: &'a RawValue, index: usize, item: Option<usize>, answers: &mut Vec<SourceAnswer>) {
        let object: Object<'a> = match serde_json::from_str(raw.get()) {
            Ok(object) => object,
            Err(error) => {
                if let Some(kind) = unreadable_source(raw) {
                    let what = "the object";
                    let error = error.to_string();
                    let finding = Problem::Unreadable { what, error }.diagnostic();
                    answers.push(answer(index, item, kind, Outcome::Refused, vec![finding]));
                }
                return;
            }
        };
        self.readable(&object, index, item, answers);
    }

    /// Renders an object that is read.
    fn readable(&mut self, object: &Object<'a>, index: usize, item: Option<usize>, answers: &mut Vec<SourceAnswer>) {
        match object.kind() {
            Some(Kind::List) if item.is_none() => {
                let items = object
                    .items
                    .map(|items| serde_json::from_str::<Vec<&'a RawValue>>(items.get()));
                for (item, raw) in items.and_then(Result::ok).unwrap_or_default().into_iter().enumerate() {
                    self.object(raw, index, Some(item), answers);
                }
            }
            Some(Kind::Application | Kind::Namespace) => {
                let mut findings = Findings::default();
                let name = match object.metadata.namespace.as_deref() {
                    Some(namespace) => format!("{}/{namespace}/{}", object.kind, object.metadata.name),
                    None => format!("{}/{}", object.kind, object.metadata.name),
                };
                match read_source(object, self.settings, &mut findings) {
                    Some(source) => answers.push(self.source(source, index, item, findings)),
                    None => answers.push(answer(index, item, name, Outcome::Refused, findings.into_vec())),
                }
            }
            Some(Kind::ApplicationSet) => {
                let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
                let name = format!("argoproj.io/ApplicationSet/{namespace}/{}", object.metadata.name);
                let findings = application_set::check(object, self.settings);
                let refused = findings.iter().any(Diagnostic::is_error);
                let outcome = if refused { Outcome::Refused } else { Outcome::Skipped };
                answers.push(answer(index, item, name, outcome, findings));
            }
            Some(Kind::List) | None => {}
        }
    }

    fn source(
        &mut self,
        source: Source<'a>,
        index: usize,
        item: Option<usize>,
        mut findings: Findings,
    ) -> SourceAnswer {
        let settings = self.settings;
        let name = source.identity.to_string();
        let turned_off = match source.identity {
            Identity::Application { .. } => !settings.sources.applications,
            Identity::Namespace { .. } => !settings.sources.namespaces,
        };
        if turned_off {
            return answer(index, item, name, Outcome::Idle, Vec::new());
        }
        let declaration = annotation::read(&source, settings, &mut findings);
        if declaration.is_none() && !findings.has_error() {
            return answer(index, item, name, Outcome::Idle, findings.into_vec());
        }
        if let Some(problem) = self.not_ours(&source) {
            return answer(index, item, name, Outcome::Skipped, vec![problem]);
        }
        let Some(declaration) = declaration else {
            return self.refuse(source, index, item, findings);
        };
        check_namespace(&source, &mut findings);
        findings.extend(self.project_refuses(&source));
        let class = declaration.class.as_ref().unwrap_or(&settings.default_class);
        let Some(class_settings) = settings.classes.get(class) else {
            return self.refuse(source, index, item, findings);
        };
        if findings.has_error() {
            return self.refuse(source, index, item, findings);
        }
        if !self.seen.insert(source.identity.clone()) {
            let finding = Problem::DuplicateSource { source: name.clone() }.diagnostic();
            return answer(index, item, name, Outcome::Skipped, vec![finding]);
        }
        let describe = |endpoint| configuration::describe(&source, endpoint, class_settings, settings);
        let endpoints = declaration.endpoints.iter().map(describe).collect();
        let rendered = match settings.topology {
            Topology::Standalone => Rendered {
                namespace: Some(settings.standalone_namespace.clone()),
                class: Some(class.clone()),
                ..Rendered::default()
            },
            Topology::Application | Topology::Endpoint => {
                let rendered = render_source(&source, &declaration, class, class_settings, settings);
                if let Some(problem) = too_large(&rendered) {
                    findings.push(problem);
                    return answer(index, item, name, Outcome::Refused, findings.into_vec());
                }
                rendered
            }
        };
        if settings.topology == Topology::Standalone {
            self.shared.push((source, declaration));
        }
        SourceAnswer {
            endpoints,
            rendered,
            ..answer(index, item, name, Outcome::Rendered, findings.into_vec())
        }
    }

    /// Refuses a source. In `standalone` it keeps the file that it has.
    fn refuse(&mut self, source: Source<'a>, index: usize, item: Option<usize>, findings: Findings) -> SourceAnswer {
        let name = source.identity.to_string();
        if self.settings.topology == Topology::Standalone {
            self.kept.push(source);
        }
        answer(index, item, name, Outcome::Refused, findings.into_vec())
    }

    /// Why a source is not served here, if it is not.
    fn not_ours(&self, source: &Source<'_>) -> Option<Diagnostic> {
        let Identity::Application { namespace, .. } = &source.identity else {
            return None;
        };
        let sources = &self.settings.sources;
        if !sources.application_namespaces.contains(namespace) && *namespace != sources.argocd_namespace {
            let mut allowed = sources.application_namespaces.clone();
            if !allowed.contains(&sources.argocd_namespace) {
                allowed.insert(0, sources.argocd_namespace.clone());
            }
            let problem = Problem::ForeignNamespace {
                namespace: namespace.clone(),
                allowed,
            };
            return Some(problem.at(Place::pointer("/metadata/namespace")));
        }
        self.projects.as_ref()?;
        let (_, destination) = source.application.as_ref()?;
        let (pointer, cluster) = match (destination.name.as_ref(), destination.server.as_ref()) {
            (THIS_CLUSTER, _) | ("", THIS_SERVER) => return None,
            ("", server) => ("/spec/destination/server", server),
            (name, _) => ("/spec/destination/name", name),
        };
        let cluster = cluster.to_owned();
        Some(Problem::OtherCluster { cluster }.at(Place::pointer(pointer)))
    }

    /// Why Argo CD would not deploy there for the source, if it would not.
    fn project_refuses(&self, source: &Source<'_>) -> Option<Diagnostic> {
        let (Identity::Application { namespace, .. }, Some((project, _))) = (&source.identity, &source.application)
        else {
            return None;
        };
        let deployed = Deployed {
            application_namespace: namespace,
            project,
            namespace: &source.namespace,
        };
        let why = self.projects.as_ref()?.permit(deployed, self.settings).err()?;
        let project = deployed.project_name().to_owned();
        Some(Problem::ProjectRefuses { project, why }.at(Place::pointer("/spec/project")))
    }

    /// The one Telegraf of `standalone`.
    fn standalone(&mut self, findings: &mut Findings) -> Rendered {
        let settings = self.settings;
        let namespace = settings.standalone_namespace.as_str();
        let name = shared_name();
        let class = &settings.classes[&settings.default_class];
        self.shared.sort_by(|(a, _), (b, _)| a.identity.cmp(&b.identity));
        let mut files = BTreeMap::new();
        let mut outputs: BTreeMap<&Identity, Names<'_>> = BTreeMap::new();
        for source in &self.kept {
            let file = file_name(&source.identity);
            if let Some(text) = self.previous.get(&file) {
                files.insert(file, text.clone());
                outputs.insert(&source.identity, source.names(settings, ""));
            }
        }
        for (source, declaration) in &self.shared {
            let inputs = configuration::inputs_of_source(source, declaration, settings);
            files.insert(file_name(&source.identity), to_toml(&inputs));
            outputs.insert(&source.identity, source.names(settings, ""));
        }
        let base = configuration::of_all(class, outputs.into_values(), settings);
        files.insert(SHARED_FILE.to_owned(), to_toml(&base));
        let owner = Owner::All;
        let names = Names {
            application: &name,
            namespace,
            endpoint: "",
            cluster_domain: &settings.endpoints.cluster_domain,
        };
        let mut objects = extra_resources(owner, namespace, &names, settings);
        objects.push(to_json(config_map(&name, namespace, owner, &files, settings)));
        if settings.network_policy {
            let urls = self
                .shared
                .iter()
                .flat_map(|(_, declaration)| urls(&declaration.endpoints));
            objects.push(to_json(network_policy(&name, namespace, owner, urls, &base, settings)));
        }
        let read = (ConfigFiles::Directory, &files);
        let declaration = Declaration::default();
        objects.push(to_json(deployment(
            &name,
            namespace,
            owner,
            read,
            &declaration,
            &names,
            settings,
        )));
        let rendered = Rendered {
            namespace: Some(namespace.to_owned()),
            class: Some(settings.default_class.clone()),
            configurations: vec![Configuration { name, files }],
            objects,
        };
        if let Some(problem) = too_large(&rendered) {
            findings.push(problem);
            return Rendered::default();
        }
        rendered
    }
}

/// What a source of its own Telegraf renders to.
fn render_source(
    source: &Source<'_>,
    declaration: &Declaration,
    class: &str,
    class_settings: &Class,
    settings: &Settings,
) -> Rendered {
    let identity = &source.identity;
    let names = source.names(settings, "");
    let whole = Owner::Source {
        identity,
        endpoint: None,
    };
    let mut rendered = Rendered {
        namespace: Some(source.namespace.clone()),
        class: Some(class.to_owned()),
        configurations: Vec::new(),
        objects: extra_resources(whole, &source.namespace, &names, settings),
    };
    let groups: Vec<(Option<&str>, Vec<&Endpoint>)> = match settings.topology {
        Topology::Endpoint => declaration
            .endpoints
            .iter()
            .map(|endpoint| (Some(endpoint.name.as_str()), vec![endpoint]))
            .collect(),
        Topology::Application | Topology::Standalone => vec![(None, declaration.endpoints.iter().collect())],
    };
    for (endpoint, endpoints) in groups {
        let name = object_name(identity, endpoint, settings);
        let owner = Owner::Source { identity, endpoint };
        let table = configuration::of_source(source, declaration, &endpoints, class_settings, settings);
        let files = ordered_map([("telegraf.conf".to_owned(), to_toml(&table))]);
        let namespace = source.namespace.as_str();
        rendered
            .objects
            .push(to_json(config_map(&name, namespace, owner, &files, settings)));
        if settings.network_policy {
            let urls = endpoints
                .iter()
                .flat_map(|endpoint| urls(std::slice::from_ref(*endpoint)));
            rendered
                .objects
                .push(to_json(network_policy(&name, namespace, owner, urls, &table, settings)));
        }
        let read = (ConfigFiles::One, &files);
        rendered.objects.push(to_json(deployment(
            &name,
            namespace,
            owner,
            read,
            declaration,
            &names,
            settings,
        )));
        rendered.configurations.push(Configuration { name, files });
    }
    rendered
}

/// The URLs of endpoints.
fn urls(endpoints: &[Endpoint]) -> impl Iterator<Item = &EndpointUrl> {
    endpoints.iter().flat_map(|endpoint| match &endpoint.input {
        Input::Prometheus { urls, .. } => urls.as_slice(),
        Input::Other { .. } => &[],
    })
}

/// Reads an object as a source. `None`, and findings, when its names cannot be used.
pub(crate) fn read_source<'a>(object: &Object<'a>, settings: &Settings, findings: &mut Findings) -> Option<Source<'a>> {
    let before = findings.count();
    let name = object.metadata.name.to_string();
    if !is_dns_subdomain(&name) {
        let error = "it is not a DNS subdomain: a-z, 0-9, `-` and `.`".to_owned();
        let what = "the object's name";
        findings.report(Problem::Unreadable { what, error }, Place::pointer("/metadata/name"));
    }
    let annotations = object.metadata.annotations.clone().unwrap_or_default();
    if object.kind() == Some(Kind::Namespace) {
        return (findings.count() == before).then(|| Source {
            namespace: name.clone(),
            identity: Identity::Namespace { name },
            annotations,
            application: None,
        });
    }
    let spec = object.spec.map_or("{}", RawValue::get);
    let spec: ApplicationSpec<'a> = match serde_json::from_str(spec) {
        Ok(spec) => spec,
        Err(error) => {
            let error = error.to_string();
            let what = "the Application's `spec`";
            findings.report(Problem::Unreadable { what, error }, Place::pointer("/spec"));
            return None;
        }
    };
    let namespace = object
        .metadata
        .namespace
        .as_deref()
        .unwrap_or(&settings.sources.argocd_namespace);
    if !is_dns_label(namespace) {
        let name = namespace.to_owned();
        findings.report(Problem::NotANamespace { name }, Place::pointer("/metadata/namespace"));
    }
    (findings.count() == before).then(|| Source {
        namespace: spec.destination.namespace.to_string(),
        identity: Identity::Application {
            namespace: namespace.to_owned(),
            name,
        },
        annotations,
        application: Some((spec.project.into_owned(), spec.destination)),
    })
}

/// The namespace becomes a part of the hosts that may be scraped, so it has to be one label.
pub(crate) fn check_namespace(source: &Source<'_>, findings: &mut Findings) {
    let pointer = match source.application {
        Some(_) => "/spec/destination/namespace",
        None => "/metadata/name",
    };
    if source.namespace.is_empty() {
        findings.push(Problem::NoNamespace {}.at(Place::pointer(pointer)));
    } else if !is_dns_label(&source.namespace) {
        let name = source.namespace.clone();
        findings.report(Problem::NotANamespace { name }, Place::pointer(pointer));
    }
}

/// The kind of an object that does not decode, if it says that it is a source.
fn unreadable_source(raw: &RawValue) -> Option<String> {
    let meta: TypeMeta<'_> = serde_json::from_str(raw.get()).ok()?;
    meta.known().map(|_| meta.kind.into_owned())
}

fn too_large(rendered: &Rendered) -> Option<Diagnostic> {
    let size = |configuration: &Configuration| {
        configuration
            .files
            .iter()
            .map(|(name, text)| name.len() + text.len())
            .sum::<usize>()
    };
    let size = rendered.configurations.iter().map(size).max().unwrap_or(0);
    (size > MAX_CONFIG_MAP).then(|| {
        let limit = MAX_CONFIG_MAP;
        Problem::ConfigurationTooLarge { size, limit }.diagnostic()
    })
}

/// Warns of classes whose outputs a NetworkPolicy cannot name.
fn warn_of_open_egress(settings: &Settings, findings: &mut Findings) {
    let domain = &settings.endpoints.cluster_domain;
    let open = |class: &Class| is_open(&configuration::outputs_of(class), domain);
    for (name, _) in settings
        .classes
        .iter()
        .filter(|(_, class)| settings.network_policy && open(class))
    {
        let problem = Problem::OpenEgress { class: name.clone() };
        findings.report(problem, Place::pointer(format!("/classes/{name}/outputs")));
    }
}

fn answer(
    index: usize,
    item: Option<usize>,
    source: String,
    outcome: Outcome,
    diagnostics: Vec<Diagnostic>,
) -> SourceAnswer {
    SourceAnswer {
        index,
        item,
        source,
        outcome,
        diagnostics,
        endpoints: Vec::new(),
        rendered: Rendered::default(),
        accepted: None,
    }
}
