//! Checks what is selected, part by part on all cores, and finds each finding's place in the files.
//!
//! Files are read, checked and forgotten in parts, so memory does not grow with their number. Parts are reported in the order of
//! the files.

use std::collections::HashSet;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::value::RawValue;
use telewarden::{Causes, Diagnostic, Error, Module, Outcome, RenderAnswer, RenderRequest, Rendered, SourceAnswer};
use telewarden_policy::diagnostic::Rule;
use telewarden_policy::fixes::{self, Fixes};
use telewarden_policy::manifest::{Expansion, Generated, Region, in_application};
use telewarden_policy::render::skip_duplicates;
use telewarden_policy::settings::Settings as CoreSettings;

use super::failure::Failure;
use super::ignore;
use super::in_order::in_order;
use super::input::{self, Input, Reading, Selected, Settings, Text};
use super::module::PolicyArgs;
use super::output;
use super::project_file::{Project, SettingsArgs};
use super::rendered::RenderedArgs;
use super::report::{self, Finding, Report};
use super::skip::Skip;

/// The maximum number of findings for one source, as in the core. Other modules may answer more.
const MAX_FINDINGS: usize = 101;

/// The number of files that are read and checked together.
const FILES_OF_A_PART: usize = 32;

/// The most sources in a call of the module. The call has the deadline of all of them together.
const SOURCES_OF_A_CALL: u32 = 64;

/// The arguments of `validate` and `render`.
#[derive(Debug, clap::Args)]
pub(crate) struct Selection {
    /// Files or folders; `-` or no path for standard input
    ///
    /// In a folder, all *.yaml, *.yml and *.json files are read, except hidden ones. Objects of other kinds are ignored. A file that
    /// is neither YAML nor JSON is an error, unless it is a template, such as Helm's.
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) rendered: RenderedArgs,
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// Pass over files of folders that are neither YAML nor JSON
    #[arg(long)]
    allow_unparsable: bool,
    /// Check ApplicationSets as they are, without the Applications that their lists come to
    #[arg(long)]
    no_expand: bool,
    /// Name the files that are passed over
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
}

/// The result of a check.
#[derive(Default)]
pub(crate) struct Checked {
    pub(crate) report: Report,
    /// What was kept of the parts, in the order of the files.
    pub(crate) parts: Vec<Part>,
    pub(crate) project: Project,
}

impl Checked {
    /// The answers about all parts as one. The indices of sources are those in their parts.
    pub(crate) fn into_answer(self) -> RenderAnswer {
        let mut whole = RenderAnswer::default();
        for Part { answer, .. } in self.parts {
            whole.sources.extend(answer.sources);
            whole.shared = whole.shared.or(answer.shared);
        }
        whole
    }

    /// The texts that contain objects.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &Text> {
        self.parts.iter().flat_map(|part| &part.texts)
    }
}

/// Some files, and the answer about their sources.
#[derive(Default)]
pub(crate) struct Part {
    pub(crate) answer: RenderAnswer,
    /// The texts that contain objects.
    pub(crate) texts: Vec<Text>,
}

/// What is kept of the parts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Keep {
    /// Nothing: the report says it all.
    Nothing,
    /// The answers.
    Answers,
    /// The texts.
    Texts,
}

/// How parts are checked.
#[derive(Clone, Copy)]
pub(crate) struct Task<'a> {
    pub(crate) project: &'a Project,
    pub(crate) module: &'a Module,
    pub(crate) look: Look,
    /// Check the Applications of ApplicationSets too.
    pub(crate) expand: bool,
    pub(crate) read: &'a ReadSettings,
    pub(crate) keep: Keep,
}

/// The settings as the core reads them, which is done once for all parts.
pub(crate) struct ReadSettings {
    /// Nothing, if they have an error.
    core: Option<CoreSettings>,
    /// The annotation with the endpoints.
    annotation: String,
    /// True if a check that the module does not have finds an error in them.
    are_refused: bool,
}

impl ReadSettings {
    pub(crate) fn of(project: &Project) -> Self {
        let document = project.settings.as_ref().map(|settings| &settings.value);
        let found = telewarden_policy::settings::thorough(document, Vec::new());
        Self {
            core: telewarden_policy::settings::read(document).0,
            annotation: project.annotation(),
            are_refused: found.iter().any(Diagnostic::is_error),
        }
    }

    /// True if all sources have to be rendered in one call.
    fn need_all_sources(&self) -> bool {
        self.core.as_ref().is_some_and(CoreSettings::need_all_sources)
    }
}

/// Whether fixes are searched for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Look {
    /// Only findings.
    ForFindings,
    /// Findings and their fixes.
    ForFixes,
}

impl Selection {
    /// Finds the selected files. Without any, standard input is selected.
    fn select(&self, skip: &Skip) -> (Vec<Selected>, Input) {
        let (files, found) = match self.paths.is_empty() && !self.rendered.is_empty() {
            true => (Vec::new(), Input::default()),
            false => input::select(&self.paths, skip),
        };
        if self.verbose {
            let paths = found.skipped.by_skip.iter();
            paths.for_each(|path| output::say(format_args!("note: passed over `{path}`, which `skip` names")));
        }
        for pattern in &found.skipped.unused_skip {
            output::say(format_args!(
                "warning: `{pattern}` in `skip` matches nothing that was searched"
            ));
        }
        (files, found)
    }

    /// Reads one part: some files or, without any, what has to be rendered first.
    fn read(&self, files: &[Selected], annotation: &str) -> Input {
        let reading = Reading {
            allow_unparsable: self.allow_unparsable,
            annotation: annotation.to_owned(),
        };
        let mut input = input::read(files, &reading);
        if files.is_empty() {
            self.rendered.read(&mut input);
        }
        if self.verbose {
            let files = input.skipped.files.iter();
            files.for_each(|file| output::say(format_args!("note: passed over `{file}`")));
        }
        input
    }
}

/// The origin of an object in the request.
#[derive(Clone, Copy)]
struct Origin<'a> {
    text: &'a Text,
    document: usize,
    /// Its number in the document, where that is a List.
    item: Option<usize>,
    /// The ApplicationSet's Application that it is, if it is one.
    generated: Option<(&'a Expanded<'a>, &'a Generated)>,
}

/// An ApplicationSet, and what it comes to.
struct Expanded<'a> {
    text: &'a Text,
    document: usize,
    /// Its number in the document, where that is a List.
    item: Option<usize>,
    expansion: Expansion,
}

impl Expanded<'_> {
    /// True if the object is this ApplicationSet.
    fn is_at(&self, origin: &Origin<'_>) -> bool {
        std::ptr::eq(self.text, origin.text) && (self.document, self.item) == (origin.document, origin.item)
    }
}

/// Sees the report while it grows. Its totals are not updated yet.
pub(crate) type Show<'a> = &'a mut dyn FnMut(&Report, &Project);

/// Checks the selected input. Without a module, or with settings that cannot be read, it is only read.
pub(crate) fn check(selection: &Selection, look: Look, keep: Keep) -> Checked {
    check_showing(selection, look, keep, &mut |_, _| {})
}

/// The same, and shows the report each time that a part has been added.
pub(crate) fn check_showing(selection: &Selection, look: Look, keep: Keep, show: Show<'_>) -> Checked {
    let (project, mut failures) = match selection.settings.load() {
        Ok(project) => (Some(project), Vec::new()),
        Err(of_settings) => (None, of_settings),
    };
    let is_right = project.is_some();
    let project = project.unwrap_or_default();
    let (files, found) = selection.select(&project.skip);
    let module = match is_right.then(|| selection.policy.load()).transpose() {
        Ok(module) => module,
        Err(error) => {
            failures.push(Failure::new(Causes(&error).to_string()));
            None
        }
    };
    let read = ReadSettings::of(&project);
    let task = module.as_ref().map(|module| Task {
        project: &project,
        module,
        look,
        expand: !selection.no_expand,
        read: &read,
        keep,
    });
    let mut checked = Checked {
        report: Report::of(&found),
        ..Checked::default()
    };
    check_parts(selection, &files, task, &read, &mut checked, &mut |report| {
        show(report, &project)
    });
    checked.report.failures.extend(failures);
    checked.report.count();
    Checked { project, ..checked }
}

/// Reads and checks all parts.
fn check_parts(
    selection: &Selection,
    files: &[Selected],
    task: Option<Task<'_>>,
    read: &ReadSettings,
    checked: &mut Checked,
    show: &mut dyn FnMut(&Report),
) {
    let needs_all = read.need_all_sources();
    let mut parts: Vec<&[Selected]> = match needs_all {
        true => vec![files],
        false => files.chunks(FILES_OF_A_PART).collect(),
    };
    let is_rendered = !selection.rendered.is_empty();
    if parts.is_empty() || (is_rendered && !needs_all) {
        parts.push(&[]);
    }
    let progress = input::progress(files.len() as u64);
    let check = |index: usize, files: &&[Selected]| {
        let mut input = selection.read(files, &read.annotation);
        if needs_all && is_rendered && !files.is_empty() {
            selection.rendered.read(&mut input);
        }
        match task {
            Some(task) => check_part(input, task, index == 0, &HashSet::new()),
            None => (Report::of(&input), Part::default()),
        }
    };
    let mut known = HashSet::new();
    in_order(&parts, check, |index, (report, part)| {
        let (report, part) = without_duplicates(report, part, task, index == 0, &known);
        known.extend(rendered(&part.answer));
        checked.report.add(report);
        match task.map_or(Keep::Nothing, |task| task.keep) {
            Keep::Nothing => {}
            Keep::Answers => checked.parts.push(Part {
                texts: Vec::new(),
                ..part
            }),
            Keep::Texts => checked.parts.push(Part {
                answer: RenderAnswer::default(),
                ..part
            }),
        }
        progress.suspend(|| show(&checked.report));
        progress.inc(parts[index].len() as u64);
    });
    progress.finish_and_clear();
}

/// The names of the sources that were rendered.
fn rendered(answer: &RenderAnswer) -> impl Iterator<Item = String> {
    let sources = answer.sources.iter();
    let rendered = sources.filter(|source| source.outcome == Outcome::Rendered);
    rendered.map(|source| source.source.clone())
}

/// The same part, checked again if an earlier part has one of its sources.
fn without_duplicates(
    report: Report,
    part: Part,
    task: Option<Task<'_>>,
    is_first: bool,
    known: &HashSet<String>,
) -> (Report, Part) {
    let is_again = rendered(&part.answer).any(|source| known.contains(&source));
    match task.filter(|_| is_again) {
        Some(task) => {
            let input = Input {
                files: report.summary.files,
                skipped: report.summary.skipped.clone(),
                texts: part.texts,
                failures: Vec::new(),
            };
            let (mut again, part) = check_part(input, task, is_first, known);
            again.failures = report.failures;
            (again, part)
        }
        None => (report, part),
    }
}

/// Checks what was read.
pub(crate) fn check_input(input: Input, task: Task<'_>) -> Report {
    let (mut report, _) = check_part(input, task, true, &HashSet::new());
    report.count();
    report
}

/// Calls the module with a part of the input, and reports its answer. Only the first part reports findings about the settings.
/// `known` are sources of earlier parts.
fn check_part(input: Input, task: Task<'_>, is_first: bool, known: &HashSet<String>) -> (Report, Part) {
    let mut report = Report::of(&input);
    let texts = input.texts;
    let answer = report.add_texts(&texts, task, is_first, known);
    ignore::apply(&mut report, &texts);
    task.project.judge(&mut report);
    report.sort_findings();
    (report, Part { answer, texts })
}

/// Every ApplicationSet, with its Applications.
fn expand<'a>(texts: &'a [Text], annotation: &str) -> Vec<Expanded<'a>> {
    let of_text = |text: &'a Text| {
        text.manifest.items().filter_map(move |(document, item, _)| {
            Some(Expanded {
                text,
                document,
                item,
                expansion: text.manifest.expand(document, item, annotation)?,
            })
        })
    };
    texts.iter().flat_map(of_text).collect()
}

/// Every object, and behind it the Applications that it comes to.
fn sources<'a>(texts: &'a [Text], expanded: &'a [Expanded<'a>]) -> (Vec<Origin<'a>>, Vec<&'a Value>) {
    let objects = texts.iter().flat_map(|text| {
        text.manifest.items().flat_map(move |(document, item, value)| {
            let origin = Origin {
                text,
                document,
                item,
                generated: None,
            };
            let set = expanded.iter().find(move |set| set.is_at(&origin));
            let generated = set.into_iter().flat_map(move |set| {
                let applications = set.expansion.applications.iter();
                applications.map(move |generated| {
                    let of_set = Origin {
                        generated: Some((set, generated)),
                        ..origin
                    };
                    (of_set, &generated.application)
                })
            });
            std::iter::once((origin, value)).chain(generated)
        })
    });
    objects.unzip()
}

/// Calls the module's `render`. Unless answers are kept, nothing is rendered.
fn ask(module: &Module, settings: Option<&Settings>, sources: &[&Value], keep: Keep) -> Result<RenderAnswer, Error> {
    // Serializing settings cannot fail. The request takes them as raw JSON.
    let raw = |value: &Value| {
        serde_json::value::to_raw_value(value).map_err(|source| Error::Encode {
            operation: "render".to_owned(),
            source,
        })
    };
    let settings = settings.map(|settings| raw(&settings.value)).transpose()?;
    let sources = sources
        .iter()
        .map(|source| raw(source))
        .collect::<Result<Vec<Box<RawValue>>, _>>()?;

    module.render(&RenderRequest {
        protocol: telewarden::PROTOCOL,
        settings: settings.as_deref(),
        sources: sources.iter().map(AsRef::as_ref).collect(),
        findings_only: keep != Keep::Answers,
        ..Default::default()
    })
}

/// Calls the module's `render`, in as many calls as are needed. A call that fails is repeated for each of its sources alone, so
/// that one source costs no other. `failed` is told the number of a source that failed.
fn ask_in_parts(
    task: Task<'_>,
    sources: &[&Value],
    mut failed: impl FnMut(usize, Error),
) -> Result<RenderAnswer, Error> {
    let settings = task.project.settings.as_ref();
    let of_a_call = match task.read.need_all_sources() {
        true => sources.len().max(1),
        false => SOURCES_OF_A_CALL as usize,
    };
    let mut whole = None;
    let mut known = HashSet::new();
    let calls: Vec<_> = match sources.is_empty() {
        true => vec![sources],
        false => sources.chunks(of_a_call).collect(),
    };
    for (number, call) in calls.into_iter().enumerate() {
        let first = number * of_a_call;
        let count = u32::try_from(call.len())
            .unwrap_or(u32::MAX)
            .clamp(1, SOURCES_OF_A_CALL);
        let module = task.module.with_deadline(task.module.deadline() * count);
        let answers = match ask(&module, settings, call, task.keep) {
            Ok(answer) => vec![(first, answer)],
            Err(error @ (Error::Deadline { .. } | Error::OutOfMemory { .. } | Error::Trap { .. }))
                if call.len() > 1 =>
            {
                if task.read.need_all_sources() {
                    return Err(error);
                }
                let mut answers = Vec::new();
                for (index, source) in call.iter().enumerate() {
                    match ask(task.module, settings, &[source], task.keep) {
                        Ok(answer) => answers.push((first + index, answer)),
                        Err(error) => failed(first + index, error),
                    }
                }
                answers
            }
            Err(error) => return Err(error),
        };
        for (first, mut answer) in answers {
            for source in &mut answer.sources {
                source.index = source.index.saturating_add(first);
            }
            skip_duplicates(&mut answer, &known);
            known.extend(rendered(&answer));
            // A module may have rendered all the same.
            if task.keep != Keep::Answers {
                answer.sources.iter_mut().for_each(forget_objects);
            }
            match &mut whole {
                None => whole = Some(answer),
                Some(whole) => whole.sources.extend(answer.sources),
            }
        }
    }
    Ok(whole.unwrap_or_default())
}

/// Forgets what was rendered, which is many times as large as the rest of the answer.
fn forget_objects(source: &mut SourceAnswer) {
    source.rendered = Rendered::default();
    source.accepted = None;
}

/// The answer with what Telegraf's tables say of the settings. They are not in the module. As in the module's answers, nothing
/// is rendered under settings with an error.
fn thorough(mut answer: RenderAnswer, settings: Option<&Settings>) -> RenderAnswer {
    let document = settings.map(|settings| &settings.value);
    answer.diagnostics = telewarden_policy::settings::thorough(document, answer.diagnostics);
    if answer.diagnostics.iter().any(Diagnostic::is_error) {
        answer.sources.clear();
        answer.shared = None;
    }
    answer
}

impl Text {
    /// A finding about an object, at its place in this file. `item` is the object's number in a List.
    fn finding_of_object(
        &self,
        document: usize,
        item: Option<usize>,
        diagnostic: &Diagnostic,
        source: Option<&str>,
    ) -> Finding {
        self.finding(self.manifest.locate(document, item, diagnostic), diagnostic, source)
    }

    /// A finding at a place in this file.
    pub(crate) fn finding(&self, region: Option<Region>, diagnostic: &Diagnostic, source: Option<&str>) -> Finding {
        Finding {
            file: Some(self.name.clone()),
            template: self.rendered.as_ref().map(|rendered| {
                let line = region.map_or(1, |region| region.start.line);
                rendered.template(self.manifest.text(), line)
            }),
            excerpt: region.and_then(|region| self.manifest.excerpt(region)),
            line: region.map(|region| region.start.line),
            column: region.map(|region| region.start.column),
            end_line: region.map(|region| region.end.line),
            end_column: region.map(|region| region.end.column),
            source: source.map(str::to_owned),
            annotation: diagnostic.place.as_ref().and_then(telewarden::Place::annotation_key),
            ..Finding::new(diagnostic)
        }
    }
}

impl Report {
    fn of(input: &Input) -> Self {
        let mut report = Self {
            failures: input.failures.clone(),
            ..Self::default()
        };
        report.summary.files = input.files;
        report.summary.skipped = input.skipped.clone();
        report.count();
        report
    }

    /// Calls the module with the objects of texts, and adds its answer.
    fn add_texts(&mut self, texts: &[Text], task: Task<'_>, is_first: bool, known: &HashSet<String>) -> RenderAnswer {
        let Task {
            project,
            module,
            look,
            expand,
            read,
            ..
        } = task;
        let settings = project.settings.as_ref();
        let annotation = read.annotation.as_str();
        let expanded = match expand {
            true => self::expand(texts, annotation),
            false => Vec::new(),
        };
        let (origins, sources) = sources(texts, &expanded);
        if sources.is_empty() && !is_first {
            self.add_misplaced(texts, annotation);
            return RenderAnswer::default();
        }
        let failures = &mut self.failures;
        let answer = ask_in_parts(task, &sources, |number, error| {
            let name = origins.get(number).map_or("", |origin| &origin.text.name);
            failures.push(Failure::of_file(name, Causes(&error).to_string()));
        });
        let mut answer = match answer {
            Ok(answer) if is_first => thorough(answer, settings),
            Ok(mut answer) => {
                self.settings_refused |= answer.diagnostics.iter().any(Diagnostic::is_error);
                answer.diagnostics.clear();
                if read.are_refused {
                    answer.sources.clear();
                }
                answer
            }
            Err(error) => {
                self.failures.push(Failure::new(Causes(&error).to_string()));
                return RenderAnswer::default();
            }
        };
        // Objects of a List were asked about one by one.
        for source in &mut answer.sources {
            source.item = origins.get(source.index).and_then(|origin| origin.item);
        }
        skip_duplicates(&mut answer, known);
        self.settings_refused |= answer.diagnostics.iter().any(Diagnostic::is_error);
        let fixes = match look {
            Look::ForFindings => Fixes::default(),
            Look::ForFixes => {
                // An Application of an ApplicationSet is not in the file, and of rendered text the template must be changed.
                let asked = origins.iter().map(|origin| {
                    let is_in_file = origin.generated.is_none() && origin.text.rendered.is_none();
                    is_in_file.then_some((&origin.text.manifest, origin.document))
                });
                let asked: Vec<_> = asked.collect();
                let document = settings.map(|settings| &settings.value);
                fixes::find(&asked, &answer, document, &mut |object| {
                    ask(module, settings, &[object], Keep::Nothing).ok()
                })
            }
        };
        self.add_answer(&answer, task, &origins, &expanded, &fixes);
        self.add_managed_namespaces(texts, module, settings, annotation);
        self.add_misplaced(texts, annotation);
        answer
    }

    fn add_answer(
        &mut self,
        answer: &RenderAnswer,
        task: Task<'_>,
        origins: &[Origin<'_>],
        expanded: &[Expanded<'_>],
        fixes: &Fixes,
    ) {
        let Task { project, read, .. } = task;
        let settings = project.settings.as_ref();
        let annotation = &read.annotation;
        for diagnostic in &answer.diagnostics {
            self.findings.push(match settings {
                Some(settings) if diagnostic.place.is_some() => settings.finding(diagnostic),
                _ => Finding::new(diagnostic),
            });
        }
        // The findings about an ApplicationSet's Applications, which are all at places of the ApplicationSet.
        let mut repeated = Repeated::default();
        for (number, source) in answer.sources.iter().enumerate() {
            let SourceAnswer {
                index,
                source: identity,
                outcome,
                diagnostics,
                endpoints,
                ..
            } = source;
            // Another module may answer about a source that it was not asked about.
            let Some(origin) = origins.get(*index).copied() else {
                continue;
            };
            let Origin {
                text,
                document,
                item,
                generated,
            } = origin;
            let kept = diagnostics.iter().take(MAX_FINDINGS);
            self.summary.left_out += diagnostics.len().saturating_sub(MAX_FINDINGS);
            match generated {
                Some((_, generated)) => {
                    for diagnostic in kept {
                        let diagnostic = generated.in_set(diagnostic);
                        let finding = text.finding_of_object(document, item, &diagnostic, Some(identity));
                        repeated.add(finding, &mut self.findings);
                    }
                }
                None => {
                    let set = expanded.iter().find(|set| set.is_at(&origin));
                    let is_open = |diagnostic: &Diagnostic| diagnostic.is(Rule::UncheckedPlaceholder) && set.is_some();
                    let finding = |diagnostic| text.finding_of_object(document, item, diagnostic, Some(identity));
                    let has_open = kept.clone().any(&is_open);
                    let own = kept.enumerate().filter(|(_, diagnostic)| !is_open(diagnostic));
                    self.findings.extend(own.map(|(index, diagnostic)| Finding {
                        fix: fixes.of(number, index).cloned().map(Into::into),
                        ..finding(diagnostic)
                    }));
                    // What cannot be expanded counts where something depends on it.
                    let of_set = set.into_iter().flat_map(|set| &set.expansion.findings);
                    let of_set = of_set
                        .filter(|diagnostic| has_open || diagnostic.is_error() || diagnostic.is(Rule::NoApplication));
                    self.findings.extend(of_set.map(finding));
                }
            }
            let setting = report::setting_of(identity);
            if project.turns_off(setting) {
                if !self.summary.not_read.contains(&setting) {
                    self.summary.not_read.push(setting);
                }
            } else if *outcome == Outcome::Idle
                && diagnostics.is_empty()
                && text.manifest.managed_namespace(document, item, annotation).is_none()
            {
                self.summary.unannotated.count(identity);
            }
            self.sources.push(report::Source {
                source: identity.clone(),
                file: text.name.clone(),
                document: document + 1,
                item: item.map(|item| item + 1),
                outcome: *outcome,
                endpoints: endpoints.len(),
            });
            self.summary.refused += usize::from(*outcome == Outcome::Refused);
        }
        repeated.say(&mut self.findings);
    }

    /// Adds the findings about annotations that Argo CD puts on an Application's Namespace. Such a Namespace may be in another
    /// cluster, so it counts as no source. Each is asked about alone: several Applications may have one Namespace.
    fn add_managed_namespaces(
        &mut self,
        texts: &[Text],
        module: &Module,
        settings: Option<&Settings>,
        annotation: &str,
    ) {
        let objects = texts.iter().flat_map(|text| {
            let items = text.manifest.items();
            items.map(move |(document, item, _)| (text, document, item))
        });
        for (text, document, item) in objects {
            let Some(namespace) = text.manifest.managed_namespace(document, item, annotation) else {
                continue;
            };
            // A module that failed was reported for all sources.
            let answer = ask(module, settings, &[&namespace], Keep::Nothing).unwrap_or_default();
            for source in answer.sources {
                for diagnostic in source.diagnostics.iter().take(MAX_FINDINGS) {
                    let diagnostic = in_application(diagnostic);
                    let finding = text.finding_of_object(document, item, &diagnostic, Some(&source.source));
                    self.findings.push(finding);
                }
            }
        }
    }

    /// Adds annotations that are written where nobody reads them.
    fn add_misplaced(&mut self, texts: &[Text], annotation: &str) {
        for text in texts {
            let found = text.manifest.misplaced(annotation);
            let found = found
                .iter()
                .map(|(document, finding)| text.finding_of_object(*document, None, finding, None));
            self.findings.extend(found);
        }
    }
}

/// Findings about several Applications of an ApplicationSet that are at one place: one cause, and so one finding.
#[derive(Default)]
struct Repeated {
    /// The findings' numbers in the report, and how many more there are like each.
    more: Vec<(usize, usize)>,
}

impl Repeated {
    fn add(&mut self, finding: Finding, findings: &mut Vec<Finding>) {
        let is_same = |known: &Finding| {
            known.code == finding.code
                && known.file == finding.file
                && (known.line, known.column) == (finding.line, finding.column)
                && (known.end_line, known.end_column) == (finding.end_line, finding.end_column)
        };
        match findings.iter().position(is_same) {
            None => {
                self.more.push((findings.len(), 0));
                findings.push(finding);
            }
            // The ApplicationSet's own finding says it already.
            Some(index) => {
                if let Some((_, more)) = self.more.iter_mut().find(|(known, _)| *known == index) {
                    *more += 1;
                }
            }
        }
    }

    fn say(self, findings: &mut [Finding]) {
        for (index, more) in self.more.into_iter().filter(|(_, more)| *more > 0) {
            let others = report::count(more, "other Application");
            findings[index].message += &format!(" (and {others} of the ApplicationSet)");
        }
    }
}

#[cfg(test)]
mod tests {
    use telewarden::Severity;
    use telewarden_policy::manifest::Manifest;

    use super::*;

    #[test]
    fn the_size_of_a_finding_does_not_depend_on_its_line() {
        let manifest = Manifest::parse(format!("metadata: {{a: b, annotations: [{}]}}\n", "x, ".repeat(20_000)));
        let text = Text {
            name: "a.yaml".to_owned(),
            path: None,
            rendered: None,
            manifest: manifest.expect("it is YAML"),
        };
        let finding = |pointer: &str| {
            let diagnostic = Diagnostic {
                code: "TW000".into(),
                severity: Severity::Error,
                message: String::new(),
                help: None,
                place: Some(telewarden::Place::pointer(pointer)),
            };
            let excerpt = text
                .finding(text.manifest.locate(0, None, &diagnostic), &diagnostic, None)
                .excerpt
                .expect("it has a place");
            assert!(excerpt.text.len() < 500, "{}", excerpt.text.len());
            excerpt.text[excerpt.start..excerpt.end].to_owned()
        };
        assert_eq!(finding("/metadata/a"), "b");
        assert_eq!(finding("/metadata/annotations/15000"), "x");
        assert!(finding("/metadata").starts_with("{a: b"));
    }
}
