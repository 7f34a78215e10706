//! `apply`: renders local files and applies them once, for people without the operator.
//!
//! What it applies has an instance label of its own, so that no operator takes it for its own. There is no AppProject here
//! to ask: whoever applies does so with their own rights.
//!
//! In `standalone` the given sources are all that there are, for one ConfigMap holds the files of all. Files of others are
//! dropped only by who says so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use telewarden::{Diagnostic, Outcome, PROTOCOL, RenderRequest};

use crate::cli::Apply;
use crate::error::Error;
use crate::events::describe;
use crate::kinds::Kinds;
use crate::object::{ALL, GroupKind, Live, ObjectId};
use crate::owned::{Owned, Writer};
use crate::reconcile::previous_files;
use crate::settings::{Settings, parse};

/// Applies what local files render to.
pub(crate) async fn apply(arguments: Apply) -> Result<ExitCode, Error> {
    let sources = read_all(&arguments.paths)?;
    let module = crate::module(&arguments.policy).await?;
    let mut document = match &arguments.policy.settings {
        Some(path) => parse(&read(path)?, &path.display().to_string())?,
        None => serde_json::json!({}),
    };
    document["instance"] = Value::String(arguments.instance.clone());
    let settings = Settings::check(&document, &module)?;
    let render = |_: BTreeMap<String, String>| {
        let request = RenderRequest {
            protocol: PROTOCOL,
            settings: Some(&settings.document),
            sources: sources.iter().map(|source| &**source).collect(),
            cluster: None,
            accepted: Vec::new(),
        };
        module.render(&request).map_err(|source| Error::Module {
            key: "the files".to_owned(),
            source,
        })
    };
    let (client, _) = crate::client().await?;
    let writer = Writer {
        kinds: Kinds::discover(&client, &settings, &BTreeSet::new()).await?,
        client,
        instance: settings.instance.clone(),
        standalone: false,
        dry_run: arguments.dry_run,
        leads: None,
    };

    let mut answer = render(BTreeMap::new())?;
    let mut shared = None;
    if let Some(first) = &answer.shared {
        // What the one Telegraf reads now. Where that is only the module knows, which has just said it.
        let live = match live_objects(&writer, ALL, &first.objects, arguments.prune).await {
            Ok(live) => live,
            Err(error) => {
                failed(ALL, Err(error));
                return Ok(ExitCode::FAILURE);
            }
        };
        let previous = previous_files(&live);
        answer = render(previous.clone())?;
        shared = Some((live, previous));
    }

    let mut undone = print_diagnostics("settings", &answer.diagnostics);
    let mut wanted: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for of_source in answer.sources {
        undone |= print_diagnostics(&of_source.source, &of_source.diagnostics);
        if matches!(of_source.outcome, Outcome::Rendered | Outcome::Idle) && !settings.standalone {
            wanted
                .entry(of_source.source)
                .or_default()
                .extend(of_source.rendered.objects);
        }
    }
    for (source, objects) in wanted {
        let applied = async {
            let live = live_objects(&writer, &source, &objects, arguments.prune).await?;
            apply_objects(&writer, live, &objects, arguments.prune).await
        };
        undone |= failed(&source, applied.await);
    }
    // Without objects the one Telegraf does not fit into a ConfigMap: what runs keeps running.
    let rendered = answer.shared.filter(|rendered| !rendered.objects.is_empty());
    if let (Some((live, previous)), Some(rendered)) = (shared, rendered) {
        let lost = lost_files(&previous, &rendered.objects);
        let applied = async {
            if !lost.is_empty() && !arguments.prune {
                return Err(Error::Lost { files: lost.join(", ") });
            }
            apply_objects(&writer, live, &rendered.objects, arguments.prune).await?;
            lost.iter()
                .for_each(|file| println!("file {file} dropped{}", note(&writer)));
            Ok(())
        };
        undone |= failed(ALL, applied.await);
    }
    Ok(if undone { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn note(writer: &Writer) -> &'static str {
    if writer.dry_run { " (dry run)" } else { "" }
}

/// Prints what went wrong. True if something did.
fn failed(source: &str, applied: Result<(), Error>) -> bool {
    if let Err(error) = &applied {
        eprintln!("{source}: {}", error.chain());
    }
    applied.is_err()
}

/// `standalone`: the files that the one Telegraf reads now and would no longer, because nothing that was given renders to
/// them.
fn lost_files(previous: &BTreeMap<String, String>, objects: &[Value]) -> Vec<String> {
    let stay = |file: &str| objects.iter().any(|object| !object["data"][file].is_null());
    previous.keys().filter(|file| !stay(file)).cloned().collect()
}

/// Brings what is in the cluster to what was rendered.
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
    let changes = if prune {
        owned.prune().await?
    } else {
        owned.keep_the_rest()
    };
    for object in objects {
        let id = ObjectId::of(object)?;
        if !changes.iter().any(|change| change.id == id) {
            println!("{id} unchanged");
        }
    }
    for change in changes {
        println!("{} {}{}", change.id, change.verb.past(), note(writer));
    }
    Ok(())
}

/// What is in the cluster of what a source rendered: the same objects, and, if the rest is to be pruned, the rest.
async fn live_objects(
    writer: &Writer,
    source: &str,
    objects: &[Value],
    prune: bool,
) -> Result<BTreeMap<ObjectId, Arc<Live>>, Error> {
    let mut live = BTreeMap::new();
    for object in objects {
        let id = ObjectId::of(object)?;
        let Some(found) = writer.get(&id).await? else { continue };
        if let Err(why) = writer.ours(&found, object) {
            return Err(Error::Foreign { id, why });
        }
        live.extend(Live::of(&id.kind, found).map(|live| (id, Arc::new(live))));
    }
    if prune {
        let kinds: Vec<GroupKind> = writer.kinds.known.keys().cloned().collect();
        for kind in kinds {
            let ours = writer.list(&kind).await?;
            let theirs = ours.into_iter().filter(|live| live.source == source);
            live.extend(theirs.map(|live| (live.id.clone(), Arc::new(live))));
        }
    }
    Ok(live)
}

/// Prints findings. True if one of them is an error.
fn print_diagnostics(about: &str, diagnostics: &[Diagnostic]) -> bool {
    for line in describe(diagnostics).lines() {
        eprintln!("{about}: {line}");
    }
    diagnostics.iter().any(Diagnostic::is_error)
}

fn read(path: &Path) -> Result<String, Error> {
    let doing = || format!("read {}", path.display());
    let mut text = String::new();
    let read = match path.as_os_str() == "-" {
        true => std::io::stdin().read_to_string(&mut text).map(drop),
        false => fs::read_to_string(path).map(|read| text = read),
    };
    read.map_err(|source| Error::File { doing: doing(), source })?;
    Ok(text)
}

/// Every document of every file, folders in the order of their names.
fn read_all(paths: &[PathBuf]) -> Result<Vec<Box<RawValue>>, Error> {
    let mut documents = Vec::new();
    for path in paths {
        if path.is_dir() {
            let doing = || format!("read folder {}", path.display());
            let entries = fs::read_dir(path).map_err(|source| Error::File { doing: doing(), source })?;
            let mut entries: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
            let yaml = |path: &PathBuf| {
                path.extension()
                    .is_some_and(|end| ["yaml", "yml", "json"].iter().any(|yaml| end == *yaml))
            };
            entries.retain(|path| path.is_dir() || yaml(path));
            entries.sort();
            documents.extend(read_all(&entries)?);
            continue;
        }
        for document in serde_yaml::Deserializer::from_str(&read(path)?) {
            let value = Value::deserialize(document).map_err(|error| Error::Yaml {
                what: path.display().to_string(),
                why: error.to_string(),
            })?;
            if !value.is_null() {
                documents.push(to_raw_value(&value).expect("a JSON value is JSON"));
            }
        }
    }
    Ok(documents)
}
