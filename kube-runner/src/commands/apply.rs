//! `apply`: renders local files and applies the result once, without the operator.
//!
//! The objects have another instance label than an operator's, so that no operator changes them. AppProjects are not
//! checked, because users apply with their own rights.
//!
//! In `standalone` all sources share one Telegraf, or a few. Sources that are not given stay as last accepted, unless they are
//! pruned.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use telewarden::{Diagnostic, Module, Outcome, PROTOCOL, RenderAnswer, RenderRequest, Rendered};
use telewarden_policy::printable::printable;
use telewarden_policy::shards::{MAX_SHARDS, name};
use telewarden_policy::well_known::{ALL_SOURCES, SOURCE};

use crate::accepted::{AcceptedStore, Declarations};
use crate::cli::Apply;
use crate::connect::connect;
use crate::error::Error;
use crate::events::describe;
use crate::http::Status;
use crate::influxdb::{AdministratorToken, Provider, cluster_uid};
use crate::kinds::Kinds;
use crate::live_object::Live;
use crate::module::{self, blocking};
use crate::object_id::{GroupKind, ObjectId};
use crate::owned::{Owned, Stuck};
use crate::settings::Settings;
use crate::writer::Writer;
use crate::yaml;

/// Renders local files and applies the result.
pub(crate) async fn apply(arguments: Apply) -> Result<ExitCode, Error> {
    let sources: Arc<[Box<RawValue>]> = read_all(&arguments.paths)?.into();
    let module = module::load(&arguments.policy).await?;
    let mut document = match &arguments.policy.settings {
        Some(path) => yaml::settings(read(path)?, &path.display().to_string())?,
        None => Value::Object(Default::default()),
    };
    // The module refuses documents that are not maps.
    if let Some(document) = document.as_object_mut() {
        document.insert("instance".to_owned(), Value::String(arguments.instance.clone()));
    }
    let settings = Arc::new(Settings::check(&document, &module).await?);
    let (client, _) = connect().await?;
    let writer = Writer {
        kinds: Kinds::discover(&client, &settings.kinds(), &BTreeSet::new()).await?,
        client,
        instance: settings.host.instance.clone(),
        standalone: false,
        dry_run: arguments.dry_run,
        leads: None,
    };

    let token = AdministratorToken::new(arguments.influxdb.influxdb_token_file.as_deref());
    let provider = match settings.host.influxdb {
        Some(_) => {
            let cluster = cluster_uid(&writer.client).await?;
            Provider::new(&settings.host, &cluster, &token, &Status::new())?
        }
        None => None,
    };
    let renderer = Renderer {
        module,
        settings: settings.clone(),
        sources,
    };
    let mut answer = renderer.render(Vec::new(), None).await?;
    let mut undone = print_diagnostics("settings", &answer.diagnostics);
    if settings.is_standalone() {
        let applied = apply_shared(&writer, &renderer, provider.as_ref(), &mut answer, arguments.prune).await;
        for of_source in &answer.sources {
            undone |= print_diagnostics(&of_source.source, &of_source.diagnostics);
        }
        undone |= failed(ALL_SOURCES, applied);
        return Ok(if undone { ExitCode::FAILURE } else { ExitCode::SUCCESS });
    }

    let mut wanted: BTreeMap<String, Rendered> = BTreeMap::new();
    for of_source in answer.sources {
        undone |= print_diagnostics(&of_source.source, &of_source.diagnostics);
        if matches!(of_source.outcome, Outcome::Rendered | Outcome::Idle) {
            // Of a source that is given twice, only the first is rendered.
            wanted.entry(of_source.source).or_insert(of_source.rendered);
        }
    }
    for (source, mut rendered) in wanted {
        let applied = async {
            let live = live_objects(&writer, &source, &rendered.objects, arguments.prune).await?;
            let provided = provide(provider.as_ref(), &writer, &mut rendered, &live.objects).await?;
            apply_objects(&writer, live.objects, &rendered.objects, arguments.prune).await?;
            revoke(provided, &writer, Some(&source), &rendered).await
        };
        undone |= failed(&source, applied.await);
    }
    Ok(if undone { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Provides what is needed of databases, and puts the tokens into the rendered Secrets.
async fn provide<'a>(
    provider: Option<&'a Provider>,
    writer: &Writer,
    rendered: &mut Rendered,
    live: &BTreeMap<ObjectId, Arc<Live>>,
) -> Result<Option<&'a Provider>, Error> {
    let Some(provider) = provider.filter(|_| !rendered.databases.is_empty()) else {
        return Ok(provider);
    };
    let provided = provider.provide(writer, rendered, live).await;
    for line in provided.made.iter().chain(provided.notes.iter().map(|(_, note)| note)) {
        println!("{}", printable(line));
    }
    if let Some((_, failure)) = provided.failures.first() {
        return Err(Error::Provide(failure.clone()));
    }
    provided.fill(&mut rendered.objects);
    Ok(Some(provider))
}

/// Revokes tokens that the applied objects do not use.
async fn revoke(
    provider: Option<&Provider>,
    writer: &Writer,
    holder: Option<&str>,
    rendered: &Rendered,
) -> Result<(), Error> {
    let Some(provider) = provider else { return Ok(()) };
    let revoked = provider.revoke(writer, holder, Some(rendered)).await;
    for line in revoked.map_err(Error::Provide)? {
        println!("{}", printable(&line));
    }
    Ok(())
}

/// Renders the given sources.
struct Renderer {
    module: Module,
    settings: Arc<Settings>,
    sources: Arc<[Box<RawValue>]>,
}

impl Renderer {
    async fn render(&self, accepted: Vec<Arc<RawValue>>, shards: Option<usize>) -> Result<RenderAnswer, Error> {
        let (module, settings, sources) = (self.module.clone(), self.settings.clone(), self.sources.clone());
        let answer = blocking(move || {
            module.render(&RenderRequest {
                protocol: PROTOCOL,
                settings: Some(&settings.document),
                sources: sources.iter().map(|source| &**source).collect(),
                cluster: None,
                accepted: accepted.iter().map(|declaration| &**declaration).collect(),
                shards,
                ..Default::default()
            })
        });
        answer.await.map_err(|source| Error::Module {
            doing: "render the files".to_owned(),
            source,
        })
    }
}

/// `standalone`: applies the shared Telegraf for all sources, including stored ones.
async fn apply_shared(
    writer: &Writer,
    renderer: &Renderer,
    provider: Option<&Provider>,
    answer: &mut RenderAnswer,
    prune: bool,
) -> Result<(), Error> {
    let host = &renderer.settings.host;
    let store = AcceptedStore::new(&host.standalone_namespace, &host.instance);
    let remembered = store.read(&writer.client).await?;
    let needed = needed(&remembered, answer, prune);
    // Nothing is deleted without `prune`, so there are no fewer Telegrafs than before.
    let shards = match prune {
        true => 1,
        false => shards(writer, &host.standalone_namespace).await?,
    };
    if !needed.is_empty() || shards > 1 {
        *answer = renderer.render(needed, Some(shards)).await?;
    }
    // Without objects, the shared configuration does not fit into a ConfigMap. The running one stays.
    let Some(mut rendered) = answer.shared.take().filter(|rendered| !rendered.objects.is_empty()) else {
        return Ok(());
    };
    let live = live_objects(writer, ALL_SOURCES, &rendered.objects, prune).await?;
    let lost = lost_files(&live.files, &rendered.objects);
    if !lost.is_empty() && !prune {
        return Err(Error::Lost { files: lost.join(", ") });
    }
    let provider = provide(provider, writer, &mut rendered, &live.objects).await?;
    if !writer.dry_run {
        for of_source in &answer.sources {
            if let Some(declaration) = &of_source.accepted {
                let declaration = to_raw_value(declaration).expect("a JSON value is JSON");
                let old = remembered.get(&of_source.source);
                if old.is_none_or(|old| old.get() != declaration.get()) {
                    store.write(writer, &of_source.source, &declaration).await?;
                }
            }
        }
    }
    apply_objects(writer, live.objects, &rendered.objects, prune).await?;
    revoke(provider, writer, None, &rendered).await?;
    if prune {
        for file in &lost {
            println!("file {} deleted{}", printable(file), note(writer));
        }
        for source in remembered.keys().filter(|source| !stays(source, answer)) {
            if !writer.dry_run {
                store.delete(writer, source).await?;
            }
        }
    }
    Ok(())
}

/// How many of the shared Telegrafs there are.
async fn shards(writer: &Writer, namespace: &str) -> Result<usize, Error> {
    let mut shards = 1;
    loop {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name(shards), "namespace": namespace, "annotations": {SOURCE: ALL_SOURCES}}});
        let found = writer.get(&ObjectId::of(&map)?).await?;
        if shards == MAX_SHARDS || found.is_none_or(|found| writer.ours(&found, &map).is_err()) {
            return Ok(shards);
        }
        shards += 1;
    }
}

/// The stored declarations to render: those of refused sources, and without `prune` those of sources that are not given.
fn needed(remembered: &Declarations, answer: &RenderAnswer, prune: bool) -> Vec<Arc<RawValue>> {
    let takes_part = |source: &str| {
        let given = answer.sources.iter().find(|given| given.source == source);
        given.map_or(!prune, |given| given.outcome == Outcome::Refused)
    };
    let needed = remembered.iter().filter(|(source, _)| takes_part(source));
    needed.map(|(_, declaration)| declaration.clone()).collect()
}

/// True if the declaration of a source stays stored when others are pruned.
fn stays(source: &str, answer: &RenderAnswer) -> bool {
    let given = answer.sources.iter().find(|given| given.source == source);
    given.is_some_and(|given| matches!(given.outcome, Outcome::Rendered | Outcome::Refused))
}

fn note(writer: &Writer) -> &'static str {
    if writer.dry_run { " (dry run)" } else { "" }
}

/// Prints an error. Returns whether there is one.
fn failed(source: &str, applied: Result<(), Error>) -> bool {
    if let Err(error) = &applied {
        eprintln!("{}: {}", printable(source), printable(&error.chain()));
    }
    applied.is_err()
}

/// `standalone`: the files of the shared Telegraf that would be deleted.
fn lost_files(files: &BTreeSet<String>, objects: &[Value]) -> Vec<String> {
    let stay = |file: &str| objects.iter().any(|object| !object["data"][file].is_null());
    files.iter().filter(|file| !stay(file)).cloned().collect()
}

/// Applies rendered objects.
async fn apply_objects(
    writer: &Writer,
    live: BTreeMap<ObjectId, Arc<Live>>,
    objects: &[Value],
    prune: bool,
) -> Result<(), Error> {
    let mut owned = Owned::new(writer, None, None, live);
    for object in objects {
        owned.apply(object).await?;
    }
    let (changes, stuck) = if prune {
        let pruned = owned.prune().await?;
        (pruned.changes, pruned.stuck)
    } else {
        (owned.keep_others(), Vec::new())
    };
    for object in objects {
        let id = ObjectId::of(object)?;
        if !changes.iter().any(|change| change.id == id) {
            println!("{} unchanged", printable(&id.to_string()));
        }
    }
    for change in changes {
        println!(
            "{} {}{}",
            printable(&change.id.to_string()),
            change.verb.past(),
            note(writer)
        );
    }
    match stuck.first() {
        Some(Stuck { id, why, .. }) => Err(Error::NotDeleted {
            id: id.clone(),
            why: why.to_string(),
        }),
        None => Ok(()),
    }
}

/// The existing objects of a source.
struct LiveObjects {
    objects: BTreeMap<ObjectId, Arc<Live>>,
    /// The names of the files in the existing ConfigMaps.
    files: BTreeSet<String>,
}

/// The existing versions of rendered objects and, with `prune`, all other objects of the source.
async fn live_objects(writer: &Writer, source: &str, rendered: &[Value], prune: bool) -> Result<LiveObjects, Error> {
    let mut live = LiveObjects {
        objects: BTreeMap::new(),
        files: BTreeSet::new(),
    };
    for object in rendered {
        let id = ObjectId::of(object)?;
        let Some(found) = writer.get(&id).await? else { continue };
        if let Err(why) = writer.ours(&found, object) {
            return Err(Error::Foreign { id, why });
        }
        let files = found.data["data"].as_object().into_iter().flatten();
        live.files.extend(files.map(|(file, _)| file.clone()));
        live.objects
            .extend(Live::of(&id.kind, found).map(|live| (id, Arc::new(live))));
    }
    if prune {
        let kinds: Vec<GroupKind> = writer.kinds.known.keys().cloned().collect();
        for kind in kinds {
            let ours = writer.list(&kind).await?;
            for other in ours.into_iter().filter(|other| *other.source == *source) {
                live.objects.entry(other.id.clone()).or_insert_with(|| Arc::new(other));
            }
        }
    }
    Ok(live)
}

/// Prints findings. Returns whether one of them is an error.
pub(super) fn print_diagnostics(about: &str, diagnostics: &[Diagnostic]) -> bool {
    for line in describe(diagnostics).lines() {
        eprintln!("{}: {}", printable(about), printable(line));
    }
    diagnostics.iter().any(Diagnostic::is_error)
}

pub(super) fn read(path: &Path) -> Result<String, Error> {
    let doing = || format!("read {}", path.display());
    let mut text = String::new();
    let read = match path.as_os_str() == "-" {
        true => std::io::stdin().read_to_string(&mut text).map(drop),
        false => fs::read_to_string(path).map(|read| text = read),
    };
    read.map_err(|source| Error::File { doing: doing(), source })?;
    Ok(text)
}

/// Reads every document of every file. Files in folders are sorted by name.
pub(super) fn read_all(paths: &[PathBuf]) -> Result<Vec<Box<RawValue>>, Error> {
    let mut documents = Vec::new();
    read_into(paths, &mut BTreeSet::new(), &mut documents)?;
    Ok(documents)
}

/// The same. A folder that was already `visited` is skipped, because links can form cycles.
fn read_into(
    paths: &[PathBuf],
    visited: &mut BTreeSet<PathBuf>,
    documents: &mut Vec<Box<RawValue>>,
) -> Result<(), Error> {
    for path in paths {
        if path.is_dir() {
            let doing = || format!("read folder {}", path.display());
            let cannot = |source| Error::File { doing: doing(), source };
            if !visited.insert(path.canonicalize().map_err(cannot)?) {
                continue;
            }
            let entries = fs::read_dir(path).map_err(cannot)?;
            let mut entries: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
            let yaml = |path: &PathBuf| {
                path.extension()
                    .is_some_and(|end| ["yaml", "yml", "json"].iter().any(|yaml| end == *yaml))
            };
            entries.retain(|path| path.is_dir() || yaml(path));
            entries.sort();
            read_into(&entries, visited, documents)?;
            continue;
        }
        for document in yaml::documents(read(path)?, &path.display().to_string())? {
            if !document.is_null() {
                documents.push(to_raw_value(&document).expect("a JSON value is JSON"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_folder_with_links_to_itself_is_read_once() {
        let folder = std::env::temp_dir().join(format!("telewarden-apply-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("below")).unwrap();
        for link in ["one", "two", "below/three"] {
            std::os::unix::fs::symlink(&folder, folder.join(link)).unwrap();
        }
        fs::write(folder.join("a.yaml"), "kind: A\n---\nkind: B\n").unwrap();
        fs::write(folder.join("below/c.json"), "{\"kind\": \"C\"}").unwrap();
        fs::write(folder.join("notes.txt"), "kind: [").unwrap();
        let documents = read_all(std::slice::from_ref(&folder));
        fs::remove_dir_all(&folder).unwrap();
        let documents = documents.unwrap();
        let kinds: Vec<&str> = documents.iter().map(|document| document.get()).collect();
        assert_eq!(kinds, [r#"{"kind":"A"}"#, r#"{"kind":"B"}"#, r#"{"kind":"C"}"#]);
    }

    #[test]
    fn a_file_that_is_no_longer_rendered_is_lost() {
        let files = BTreeSet::from(["a.conf".to_owned(), "b.conf".to_owned()]);
        let objects = [json!({"data": {"a.conf": ""}}), json!({"data": {"c.conf": ""}})];
        assert_eq!(lost_files(&files, &objects), ["b.conf"]);
    }

    #[test]
    fn stored_declarations_are_rendered_unless_pruned_or_replaced() {
        let remembered: Declarations = ["refused", "rendered", "idle", "not given"]
            .map(|source| {
                (
                    source.to_owned(),
                    Arc::from(to_raw_value(&json!({"name": source})).unwrap()),
                )
            })
            .into();
        let of_source = |(index, (source, outcome)): (usize, (&str, Outcome))| json!({"index": index, "source": source, "outcome": outcome});
        let sources = [
            ("refused", Outcome::Refused),
            ("rendered", Outcome::Rendered),
            ("idle", Outcome::Idle),
        ];
        let sources: Vec<_> = sources.into_iter().enumerate().map(of_source).collect();
        let answer = json!({"protocol": 1, "diagnostics": [], "sources": sources});
        let answer: RenderAnswer = serde_json::from_value(answer).unwrap();
        let names = |prune| -> Vec<String> {
            let needed = needed(&remembered, &answer, prune).into_iter();
            needed.map(|declaration| declaration.get().to_owned()).collect()
        };
        assert_eq!(names(false), [r#"{"name":"not given"}"#, r#"{"name":"refused"}"#]);
        assert_eq!(names(true), [r#"{"name":"refused"}"#]);
        let stay: Vec<_> = remembered.keys().filter(|source| stays(source, &answer)).collect();
        assert_eq!(stay, ["refused", "rendered"]);
    }
}
