//! Renders sources and settings to resources and diagnostics. This is the module's main function.
//!
//! [`render`] reads the settings, then parses and checks each source, then plans the accepted sources and makes their
//! resources.

use std::collections::BTreeSet;

use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use crate::annotation;
use crate::annotation_name::is_ours;
use crate::application_set;
use crate::decode::without_place;
use crate::diagnostic::{Diagnostic, Findings, Place, Problem, Rule};
use crate::plan::{self, Accepted, Need, Owner, Part, Standalone, Workload, check_output_addresses, configuration};
use crate::project::{Deployed, Projects, no_cluster, other_cluster};
use crate::protocol::{
    ClusterView, Configuration, Database, Outcome, RenderAnswer, RenderRequest, Rendered, SourceAnswer, VERSION,
};
use crate::resources;
use crate::services::ScrapedPorts;
use crate::settings::{self, LookUp, Settings};
use crate::shards::{self, MAX_CONFIG_MAP, MAX_PART, TooLarge};
use crate::source::{self, Identity, Kind, Object, Source, TypeMeta};

/// Renders every source of a request.
pub fn render(request: &RenderRequest<'_>) -> RenderAnswer {
    with_settings(request, &|settings, answer| {
        let shared = match settings.topology.is_shared() {
            true => Shared::Telegrafs(Standalone::new(settings, request.shards.unwrap_or(1))),
            false => Shared::None,
        };
        let extent = match request.findings_only {
            true => Extent::Findings,
            false => Extent::Everything,
        };
        let renderer = render_sources(request, settings, extent, shared);
        (answer.sources, answer.shared) = renderer.finish();
    })
}

/// `standalone`: renders the part of every source of a request. In other topologies there are none.
#[cfg(feature = "guest")]
pub fn render_parts(request: &RenderRequest<'_>) -> RenderAnswer {
    with_settings(request, &|settings, answer| {
        if settings.topology.is_shared() {
            let parts = Shared::Parts(Vec::new(), Default::default());
            let renderer = render_sources(request, settings, Extent::Everything, parts);
            answer.sources = renderer.answers;
            if let Shared::Parts(parts, kept) = renderer.shared {
                answer.parts = parts;
                answer.kept = kept.into_iter().map(|(_, part)| part.into_answer()).collect();
            }
        }
    })
}

/// `standalone`: renders one shard, without the files of its sources.
#[cfg(feature = "guest")]
pub fn render_shard(request: &RenderRequest<'_>) -> RenderAnswer {
    with_settings(request, &|settings, answer| {
        if let Some(shard) = request.shard.filter(|_| settings.topology.is_shared()) {
            let base = plan::Base::of(settings);
            let mut needs = BTreeSet::new();
            for need in &request.needs {
                needs.insert(need.clone());
            }
            let workload = base.workload(shard, Default::default(), needs, settings);
            let mut rendered = rendered_for_all(settings);
            if shard > 0 {
                rendered.objects.clear();
            }
            if workload.has_tokens {
                add_secret(&mut rendered, &plan::shared_secret(settings), Owner::All, settings);
            }
            let databases = base.databases().iter().map(|need| need.database.clone());
            rendered.databases.extend(databases);
            add(&mut rendered, &workload, settings);
            answer.shared = Some(rendered);
        }
    })
}

/// The answer to a request, as far as it does not depend on what is asked for.
fn with_settings(request: &RenderRequest<'_>, fill: &dyn Fn(&Settings, &mut RenderAnswer)) -> RenderAnswer {
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
    let (settings, mut findings) = read_settings(request.settings);
    if let Some(settings) = &settings {
        warn_of_open_egress(settings, &mut findings);
        fill(settings, &mut answer);
    }
    answer.diagnostics = findings.into_vec();
    answer
}

fn render_sources<'a>(
    request: &RenderRequest<'_>,
    settings: &'a Settings,
    extent: Extent,
    shared: Shared<'a>,
) -> Renderer<'a> {
    let mut renderer = Renderer::new(settings, request.cluster.as_ref(), extent, shared);
    for raw in &request.accepted {
        renderer.remember(raw);
    }
    for (index, raw) in request.sources.iter().enumerate() {
        renderer.object(raw, Position { index, item: None });
    }
    renderer
}

/// Renders one object, which is not a List, under settings that are read already.
pub(crate) fn render_one(object: &Object<'_>, settings: &Settings) -> RenderAnswer {
    let shared = match settings.topology.is_shared() {
        true => Shared::Telegrafs(Standalone::new(settings, 1)),
        false => Shared::None,
    };
    let mut renderer = Renderer::new(settings, None, Extent::Everything, shared);
    renderer.readable(object, Position { index: 0, item: None });
    let (sources, shared) = renderer.finish();
    RenderAnswer {
        protocol: VERSION,
        diagnostics: Vec::new(),
        sources,
        shared,
        ..RenderAnswer::default()
    }
}

/// Skips sources that were rendered before, in answers about a part of the sources each. `known` are the sources rendered so
/// far. Answers true if there was one.
#[cfg(feature = "host")]
pub fn skip_duplicates(answer: &mut RenderAnswer, known: &std::collections::HashSet<String>) -> bool {
    let mut is_any = false;
    for source in &mut answer.sources {
        if source.outcome == Outcome::Rendered && known.contains(&source.source) {
            is_any = true;
            let name = source.source.clone();
            let finding = Problem::DuplicateSource { source: name.clone() }.diagnostic();
            let position = Position {
                index: source.index,
                item: source.item,
            };
            *source = self::answer(position, name, Outcome::Skipped, vec![finding]);
        }
    }
    is_any
}

/// What is found out about an object without rendering it.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    pub(crate) findings: Vec<Diagnostic>,
    /// The number of its endpoints, if it would be rendered.
    pub(crate) endpoints: usize,
    /// With `services: warn`: the ports that it scrapes in its namespace.
    pub(crate) scraped: ScrapedPorts,
}

/// The findings of [`render_one`].
pub(crate) fn judge(object: &Object<'_>, settings: &Settings) -> Judgement {
    let mut renderer = Renderer::new(settings, None, Extent::Verdict, Shared::None);
    renderer.readable(object, Position { index: 0, item: None });
    Judgement {
        endpoints: renderer.endpoints,
        scraped: renderer.scraped,
        findings: renderer
            .answers
            .into_iter()
            .flat_map(|answer| answer.diagnostics)
            .collect(),
    }
}

fn read_settings(document: Option<&RawValue>) -> (Option<Settings>, Findings) {
    let mut findings = Findings::default();
    let document = match document
        .map(|document| serde_json::from_str::<Json>(document.get()))
        .transpose()
    {
        Ok(document) => document,
        Err(error) => {
            let error = error.to_string();
            findings.report(Problem::Settings { error, nearest: None }, Place::pointer(""));
            return (None, findings);
        }
    };
    let (settings, of_settings) = settings::read(document.as_ref());
    findings.extend(of_settings);
    (settings, findings)
}

/// Where an object stands in a request.
#[derive(Clone, Copy)]
struct Position {
    index: usize,
    /// Within a List.
    item: Option<usize>,
}

/// What is asked for.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Extent {
    /// Only what admission needs: the findings about one source, and [`Judgement`]'s facts.
    Verdict,
    /// The findings, and the endpoints.
    Findings,
    /// The findings, and everything that is rendered.
    Everything,
}

struct Renderer<'a> {
    settings: &'a Settings,
    extent: Extent,
    /// The number of endpoints of what would be rendered. Counted only for a verdict.
    endpoints: usize,
    /// Only for a verdict, and with `services: warn`.
    scraped: ScrapedPorts,
    /// The cluster's AppProjects, where the host has read them.
    projects: Option<Projects>,
    in_cluster_enabled: bool,
    /// The sources that were rendered.
    rendered: BTreeSet<String>,
    answers: Vec<SourceAnswer>,
    shared: Shared<'a>,
}

/// What is rendered for sources together.
enum Shared<'a> {
    None,
    /// `standalone`: the Telegrafs of all sources.
    Telegrafs(Standalone<'a>),
    /// `standalone`: single parts, and those of declarations that were accepted earlier.
    #[cfg(feature = "guest")]
    Parts(Vec<crate::protocol::Part>, crate::sorted_map::SmallMap<Identity, Part>),
}

impl Shared<'_> {
    /// Adds the part of a declaration that was accepted earlier.
    fn remember(&mut self, part: Part) {
        match self {
            Self::None => {}
            Self::Telegrafs(standalone) => {
                // If there is not enough room for all of them, the first ones are kept.
                let _ = standalone.add(part);
            }
            #[cfg(feature = "guest")]
            Self::Parts(_, kept) => kept.insert(part.identity().clone(), part),
        }
    }

    /// Adds the part of a source.
    fn add(&mut self, part: Part) -> Result<(), TooLarge> {
        match self {
            Self::None => {}
            Self::Telegrafs(standalone) => standalone.add(part)?,
            #[cfg(feature = "guest")]
            Self::Parts(parts, _) => {
                // Whether there is room for all of them, is for the host to ask.
                shards::check(part.size(), MAX_PART)?;
                parts.push(part.into_answer());
            }
        }
        Ok(())
    }

    /// Removes the part of a source.
    fn remove(&mut self, identity: &Identity) {
        match self {
            Self::None => {}
            Self::Telegrafs(standalone) => standalone.remove(identity),
            #[cfg(feature = "guest")]
            Self::Parts(_, kept) => drop(kept.remove(identity)),
        }
    }
}

impl<'a> Renderer<'a> {
    fn new(settings: &'a Settings, cluster: Option<&ClusterView<'_>>, extent: Extent, shared: Shared<'a>) -> Self {
        Self {
            settings,
            extent,
            endpoints: 0,
            scraped: ScrapedPorts::default(),
            // Without the feature a host has no AppProjects to give.
            projects: cluster
                .filter(|_| cfg!(feature = "regex"))
                .map(|cluster| Projects::read(cluster, settings)),
            in_cluster_enabled: cluster.and_then(|cluster| cluster.in_cluster_enabled) != Some(false),
            rendered: BTreeSet::new(),
            // Admission is about one, and an answer is large.
            answers: Vec::with_capacity(1),
            shared,
        }
    }

    /// `standalone`: adds the part of a declaration that was accepted earlier. The part stays unless the source is
    /// rendered again or is no longer served. The declaration is checked like any other; a declaration that the
    /// settings no longer allow is left out.
    fn remember(&mut self, raw: &RawValue) {
        if matches!(self.shared, Shared::None) {
            return;
        }
        let Ok(object) = serde_json::from_str::<Object<'_>>(raw.get()) else {
            return;
        };
        let mut findings = Findings::default();
        let source = match object.kind() {
            Some(Kind::Application | Kind::Namespace) => source::read(&object, self.settings, &mut findings),
            _ => None,
        };
        let Some(source) = source.filter(|source| is_turned_on(source, self.settings)) else {
            return;
        };
        if let Some(accepted) = check(source, self.settings, &mut findings) {
            self.shared.remember(Part::of(&accepted, self.settings));
        }
    }

    /// Renders an object, or the objects of a List. Objects that are not sources are ignored.
    fn object(&mut self, raw: &RawValue, position: Position) {
        match serde_json::from_str::<Object<'_>>(raw.get()) {
            Ok(object) => self.readable(&object, position),
            Err(error) => {
                if let Some(kind) = unreadable_source(raw) {
                    let what = "the object";
                    let error = without_place(&error);
                    let finding = Problem::Unreadable { what, error }.diagnostic();
                    self.answer(position, kind, Outcome::Refused, vec![finding]);
                }
            }
        }
    }

    /// Renders one decoded object.
    fn readable(&mut self, object: &Object<'_>, position: Position) {
        match object.kind() {
            Some(Kind::List) if position.item.is_none() => {
                let items = object
                    .items
                    .map(|items| serde_json::from_str::<Vec<&RawValue>>(items.get()));
                for (item, raw) in items.and_then(Result::ok).unwrap_or_default().into_iter().enumerate() {
                    let item = Some(item);
                    self.object(raw, Position { item, ..position });
                }
            }
            Some(Kind::Application | Kind::Namespace) => {
                let mut findings = Findings::default();
                match source::read(object, self.settings, &mut findings) {
                    Some(source) => self.source(source, position, findings),
                    None => {
                        let name = object.metadata.name.to_string();
                        let namespace = object.metadata.namespace.as_deref();
                        let identity = match object.kind() {
                            Some(Kind::Application) => Identity::Application {
                                namespace: namespace.unwrap_or(&self.settings.sources.argocd_namespace).to_owned(),
                                name,
                            },
                            _ => Identity::Namespace { name },
                        };
                        let name = identity.to_string();
                        self.answer(position, name, Outcome::Refused, findings.into_vec());
                    }
                }
            }
            Some(Kind::ApplicationSet) => {
                let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
                let name = format!("argoproj.io/ApplicationSet/{namespace}/{}", object.metadata.name);
                let (outcome, findings) = match application_set::check(object, self.settings) {
                    None => (Outcome::Idle, Vec::new()),
                    Some(findings) if findings.iter().any(Diagnostic::is_error) => (Outcome::Refused, findings),
                    Some(findings) => (Outcome::Skipped, findings),
                };
                self.answer(position, name, outcome, findings);
            }
            Some(Kind::List) | None => {}
        }
    }

    fn source(&mut self, source: Source<'_>, position: Position, mut findings: Findings) {
        let settings = self.settings;
        let name = source.identity.to_string();
        if !is_turned_on(&source, settings) || !source.is_annotated(settings) {
            self.forget(&source.identity);
            return self.answer(position, name, Outcome::Idle, Vec::new());
        }
        if let Some(problem) = self.not_ours(&source) {
            self.forget(&source.identity);
            return self.answer(position, name, Outcome::Skipped, vec![problem]);
        }
        if let Some(problem) = self.not_this_cluster(&source, &mut findings) {
            self.forget(&source.identity);
            findings.push(problem);
            // Nothing is rendered, but what is wrong is wrong there too.
            check(source, settings, &mut findings);
            return self.answer(position, name, Outcome::Skipped, findings.into_vec());
        }
        self.check_argo_cd(&source, &mut findings);
        let identity = source.identity.clone();
        let Some(accepted) = check(source, settings, &mut findings) else {
            let outcome = match findings.has_error() {
                true => Outcome::Refused,
                false => Outcome::Idle,
            };
            if outcome == Outcome::Idle {
                self.forget(&identity);
            }
            return self.answer(position, name, outcome, findings.into_vec());
        };
        if self.rendered.contains(&name) {
            let finding = Problem::DuplicateSource { source: name.clone() }.diagnostic();
            return self.answer(position, name, Outcome::Skipped, vec![finding]);
        }
        let rendered = match self.make(&accepted) {
            Ok(rendered) => rendered,
            Err(too_large) => {
                findings.push(too_large.diagnostic());
                return self.answer(position, name, Outcome::Refused, findings.into_vec());
            }
        };
        if self.extent == Extent::Verdict {
            self.endpoints += accepted.declaration.endpoints.len();
            if settings.services == LookUp::Warn {
                let (endpoints, namespace) = (&accepted.declaration.endpoints, &accepted.source.namespace);
                self.scraped = ScrapedPorts::of(endpoints, namespace, &settings.endpoints.cluster_domain);
            }
            return self.answer(position, name, Outcome::Rendered, findings.into_vec());
        }
        self.rendered.insert(name.clone());
        let describe = |endpoint| configuration::describe(&accepted, endpoint, settings);
        let endpoints = accepted.declaration.endpoints.iter().map(describe).collect();
        let is_kept = settings.topology.is_shared() && self.extent == Extent::Everything;
        self.answers.push(SourceAnswer {
            endpoints,
            rendered,
            accepted: is_kept.then(|| declaration_of(&accepted, settings)),
            ..answer(position, name, Outcome::Rendered, findings.into_vec())
        });
    }

    /// Renders a source, as far as is asked for.
    ///
    /// # Errors
    /// If there is no room for it.
    fn make(&mut self, accepted: &Accepted<'_>) -> Result<Rendered, TooLarge> {
        let settings = self.settings;
        if self.extent != Extent::Everything && matches!(self.shared, Shared::None) {
            check_size_of_one(accepted, settings)?;
            return Ok(Rendered::default());
        }
        if settings.topology.is_shared() {
            let part = Part::of(accepted, settings);
            debug_assert!(part.size() <= plan::size_bound(accepted, settings));
            let databases = part.databases().iter().map(|need| need.database.clone()).collect();
            self.shared.add(part)?;
            return Ok(match self.extent {
                Extent::Everything => Rendered {
                    namespace: Some(settings.standalone.namespace.to_string()),
                    class: Some(accepted.class.to_owned()),
                    databases,
                    ..Rendered::default()
                },
                Extent::Verdict | Extent::Findings => Rendered::default(),
            });
        }
        let workloads = plan::of_source(accepted, settings);
        debug_assert!(size_of(&workloads) <= plan::size_bound(accepted, settings));
        shards::check(size_of(&workloads), MAX_CONFIG_MAP)?;
        Ok(render_source(accepted, &workloads, settings))
    }

    /// `standalone`: removes the part of a source that no longer has endpoints.
    fn forget(&mut self, identity: &Identity) {
        if !matches!(self.shared, Shared::None) && !self.rendered.contains(&identity.to_string()) {
            self.shared.remove(identity);
        }
    }

    /// Why a source is not served here, if it is not.
    fn not_ours(&self, source: &Source<'_>) -> Option<Diagnostic> {
        let Identity::Application { namespace, .. } = &source.identity else {
            return None;
        };
        if !self.settings.serves(namespace) {
            let allowed = self.settings.application_namespaces();
            let problem = Problem::ForeignNamespace {
                namespace: namespace.clone(),
                allowed,
            };
            return Some(problem.at(Place::pointer("/metadata/namespace")));
        }
        None
    }

    /// That Argo CD does not deploy a source to this cluster, if it does not. A file may leave the cluster to a patch, so that
    /// one without a cluster is skipped in a cluster, and only gets a warning elsewhere.
    fn not_this_cluster(&self, source: &Source<'_>, findings: &mut Findings) -> Option<Diagnostic> {
        let (_, destination) = source.application.as_ref()?;
        let unnamed = no_cluster(destination);
        if self.projects.is_none() {
            findings.extend(unnamed);
            return other_cluster(destination);
        }
        unnamed.or_else(|| other_cluster(destination))
    }

    /// Reports why Argo CD would not deploy there for the source, if it would not, and what it would warn of.
    fn check_argo_cd(&self, source: &Source<'_>, findings: &mut Findings) {
        let (Identity::Application { namespace, name }, Some((project, _)), Some(projects)) =
            (&source.identity, &source.application, &self.projects)
        else {
            return;
        };
        if !self.in_cluster_enabled {
            findings.report(Problem::InClusterDisabled {}, Place::pointer("/spec/destination"));
        }
        let deployed = Deployed {
            application_namespace: namespace,
            project,
            namespace: &source.namespace,
        };
        if let Err(why) = projects.permit(deployed, self.settings) {
            let project = deployed.project_name().to_owned();
            findings.report(
                Problem::ProjectRefuses { project, why },
                Place::pointer("/spec/project"),
            );
        }
        let ignore = projects.warns_of_ours(deployed, name, self.settings);
        if !ignore.is_empty() {
            let project = deployed.project_name().to_owned();
            findings.report(
                Problem::OrphanedResources { project, ignore },
                Place::pointer("/spec/project"),
            );
        }
    }

    fn answer(&mut self, position: Position, source: String, outcome: Outcome, diagnostics: Vec<Diagnostic>) {
        self.answers.push(answer(position, source, outcome, diagnostics));
    }

    /// The result for each source and, in `standalone`, the shared resources.
    fn finish(self) -> (Vec<SourceAnswer>, Option<Rendered>) {
        let settings = self.settings;
        let standalone = match self.shared {
            Shared::Telegrafs(standalone) if self.extent == Extent::Everything => standalone,
            _ => return (self.answers, None),
        };
        let (workloads, databases) = standalone.workloads();
        let mut rendered = rendered_for_all(settings);
        add_databases(&mut rendered, &databases, Owner::All, settings);
        for workload in &workloads {
            add(&mut rendered, workload, settings);
        }
        (self.answers, Some(rendered))
    }
}

/// `standalone`: what is rendered once.
fn rendered_for_all(settings: &Settings) -> Rendered {
    let namespace = &*settings.standalone.namespace;
    let names = plan::names_of_all(settings);
    Rendered {
        namespace: Some(namespace.to_owned()),
        class: Some(settings.default_class.to_string()),
        objects: resources::extra_resources(Owner::All, namespace, &names, settings),
        ..Rendered::default()
    }
}

/// The answer about a source that is not rendered.
fn answer(position: Position, source: String, outcome: Outcome, diagnostics: Vec<Diagnostic>) -> SourceAnswer {
    SourceAnswer {
        index: position.index,
        item: position.item,
        source,
        outcome,
        diagnostics,
        endpoints: Vec::new(),
        rendered: Rendered::default(),
        accepted: None,
    }
}

/// True if the settings ask for sources of this kind.
fn is_turned_on(source: &Source<'_>, settings: &Settings) -> bool {
    match source.identity {
        Identity::Application { .. } => settings.sources.applications,
        Identity::Namespace { .. } => settings.sources.namespaces,
    }
}

/// Checks a source against the settings. Answers `None` if there is an error, including one found earlier, or if no
/// annotation contains an endpoint.
fn check<'a>(source: Source<'a>, settings: &'a Settings, findings: &mut Findings) -> Option<Accepted<'a>> {
    let named = source::check_namespace(&source, findings);
    let mut of_annotations = Findings::default();
    let declaration = annotation::read(&source, settings, &mut of_annotations);
    if !named {
        // The allowed hosts depend on the namespace. An invalid namespace is reported once, not once for each URL.
        of_annotations.retain(|finding| !finding.is(Rule::HostNotAllowed) && !finding.is(Rule::OtherNamespace));
    }
    findings.append(of_annotations);
    let declaration = declaration?;
    let class = declaration.class.as_deref().unwrap_or(&settings.default_class);
    let (class, class_settings) = settings.classes.get_key_value(class)?;
    if findings.has_error() {
        return None;
    }
    let accepted = Accepted {
        source,
        declaration,
        class,
        class_settings,
    };
    check_output_addresses(&accepted, settings, findings);
    (!findings.has_error()).then_some(accepted)
}

/// Renders a source that has its own Telegrafs.
fn render_source(accepted: &Accepted<'_>, workloads: &[Workload<'_>], settings: &Settings) -> Rendered {
    let source = &accepted.source;
    let owner = Owner::Source {
        identity: &source.identity,
        endpoint: None,
    };
    let mut rendered = Rendered {
        namespace: Some(source.namespace.clone()),
        class: Some(accepted.class.to_owned()),
        databases: Vec::new(),
        configurations: Vec::new(),
        objects: resources::extra_resources(owner, &source.namespace, &accepted.names(settings), settings),
    };
    for workload in workloads {
        add_databases(&mut rendered, &workload.needs, owner, settings);
    }
    for workload in workloads {
        add(&mut rendered, workload, settings);
    }
    rendered
}

/// Adds what is needed of databases, and the Secrets for the tokens, each once. They stand before the Deployments that use
/// them.
fn add_databases(rendered: &mut Rendered, needs: &[Need], owner: Owner<'_>, settings: &Settings) {
    for Need { database, .. } in needs {
        if rendered.databases.contains(database) {
            continue;
        }
        if let Some(token) = &database.token
            && !has_secret(&rendered.databases, &token.secret)
        {
            add_secret(rendered, &token.secret, owner, settings);
        }
        rendered.databases.push(database.clone());
    }
}

fn add_secret(rendered: &mut Rendered, name: &str, owner: Owner<'_>, settings: &Settings) {
    let namespace = rendered.namespace.as_deref().unwrap_or_default();
    let secret = resources::secret(owner, namespace, name, settings);
    rendered.objects.push(secret);
}

/// Adds a workload's configuration and objects.
fn add(rendered: &mut Rendered, workload: &Workload<'_>, settings: &Settings) {
    rendered.objects.extend(resources::objects(workload, settings));
    rendered.configurations.push(Configuration {
        name: workload.name.clone(),
        files: workload.files.by_name().clone(),
        status: workload.status.clone(),
    });
}

fn has_secret(databases: &[Database], secret: &str) -> bool {
    let mut tokens = databases.iter().filter_map(|database| database.token.as_ref());
    tokens.any(|token| token.secret == secret)
}

/// The fields of a source that were read, for a host to keep.
fn declaration_of(accepted: &Accepted<'_>, settings: &Settings) -> Json {
    let source = &accepted.source;
    let annotations: serde_json::Map<String, Json> = source
        .annotations
        .0
        .iter()
        .filter(|(name, _)| is_ours(name, &settings.annotation))
        .filter_map(|(name, value)| Some((name.clone().into_owned(), serde_json::from_str(value.get()).ok()?)))
        .collect();
    match (&source.identity, &source.application) {
        (Identity::Application { namespace, name }, Some((project, destination))) => json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
            "spec": {
                "project": project,
                "destination": {
                    "namespace": destination.namespace,
                    "server": destination.server,
                    "name": destination.name,
                },
            },
        }),
        (identity, _) => json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": identity.name(), "annotations": annotations},
        }),
    }
}

/// The kind of an object that cannot be decoded, if it is the kind of a source.
fn unreadable_source(raw: &RawValue) -> Option<String> {
    let meta: TypeMeta<'_> = serde_json::from_str(raw.get()).ok()?;
    meta.known().map(|_| meta.kind.into_owned())
}

/// Checks the size of a single source's configuration, and does without the configuration if it can.
///
/// # Errors
/// If it is too large.
fn check_size_of_one(accepted: &Accepted<'_>, settings: &Settings) -> Result<(), TooLarge> {
    // No limit is lower than that of a part.
    if plan::size_bound(accepted, settings) <= MAX_PART {
        return Ok(());
    }
    match settings.topology.is_shared() {
        true => Standalone::new(settings, 1).add(Part::of(accepted, settings)),
        false => shards::check(size_of(&plan::of_source(accepted, settings)), MAX_CONFIG_MAP),
    }
}

/// The size of all configurations together, in bytes.
fn size_of(workloads: &[Workload<'_>]) -> usize {
    let files = workloads.iter().flat_map(|workload| workload.files.by_name());
    files.map(|(name, text)| name.len() + text.len()).sum()
}

/// Warns of classes with outputs that a NetworkPolicy cannot restrict.
fn warn_of_open_egress(settings: &Settings, findings: &mut Findings) {
    let classes = settings.classes.iter().filter(|_| settings.network_policy);
    for (name, _) in classes.filter(|(_, class)| plan::has_open_output(class, settings)) {
        let problem = Problem::OpenEgress { class: name.clone() };
        let name = crate::diagnostic::escape_pointer(name);
        findings.report(problem, Place::pointer(format!("/classes/{name}/outputs")));
    }
}
