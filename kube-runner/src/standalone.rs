//! An attempt in `topology: standalone`, where all sources share some Telegrafs.
//!
//! It renders the sources that have changed, and no others. Of the others it knows what the module has said of them. What differs
//! in the cluster is written: mostly one file in one ConfigMap.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use serde_json::value::to_raw_value;
use telewarden::{Module, Outcome, PROTOCOL, Part, RenderAnswer, RenderRequest, Rendered, SourceAnswer};
use telewarden_policy::shards::{name, with_name};
use telewarden_policy::well_known::ALL_SOURCES;
use tokio::time::Instant;

use crate::accepted::Declarations;
use crate::cluster_state::{ArgoCd, Source, View};
use crate::conditions::Condition;
use crate::context::{Context, check_settings, lock, not_deleted};
use crate::error::Error;
use crate::group::{Input, render_group};
use crate::live_object::Live;
use crate::module::blocking;
use crate::object_id::ObjectId;
use crate::owned::{FilesOf, Owned, Pruned};
use crate::queue::Attempt;
use crate::reports::is_report;
use crate::shards::{Found, Shards};
use crate::status::{expected_in, telegrafs_of};

/// The most sources in one call of the module, and the most bytes of their texts.
const AT_ONCE: usize = 100;
const BYTES_AT_ONCE: usize = 4 * 1024 * 1024;
/// How often it is asked whether a new Telegraf runs.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// What the module said of one source.
struct Said {
    source: Arc<Source>,
    answer: SourceAnswer,
    /// What is rendered for it, if that differs from what it had.
    part: Option<Part>,
}

/// Runs one attempt about the sources in `view`. `changed` are their names, and those of sources that are gone.
pub(crate) async fn attempt(
    context: &Context,
    view: View,
    changed: &BTreeSet<String>,
    conditions: &mut Vec<Condition>,
) -> Result<(&'static str, Attempt), Error> {
    let View { sources, argocd, owned } = view;
    let mut left = Attempt::Done;
    let mut known = context.shards.lock().await;
    let shards = match &mut *known {
        Some(shards) => shards,
        none => none.insert(first_shards(context, &owned).await?),
    };
    let mut gone = changed.clone();
    for source in &sources {
        gone.remove(&*source.key);
    }
    let is_first = !shards.is_complete;
    if is_first {
        // They were deleted while no operator was there.
        let there: BTreeSet<String> = sources.iter().map(|source| source.key.to_string()).collect();
        context.status.board.forget_others(&there);
        let accepted = lock(&context.accepted);
        gone.extend(accepted.keys().filter(|key| !there.contains(*key)).cloned());
    }

    let mut said = render_all(context, shards, &sources, argocd, conditions, &mut left).await?;
    let accepted = take(context, shards, &mut said, &mut gone, conditions);
    shards.settle();
    let fits = shards.fit_now().into_iter().map(Arc::from);
    fits.for_each(|source| context.state.touch(&source));
    if is_first {
        find_leaving(context, shards, &owned).await?;
    }
    release(context, shards).await?;
    let stale = render_shards(context, shards).await?;
    follow(context, shards, &said, &gone);
    drop(said);

    let mut rendered = together(context, shards);
    let waiting = context.wait_for_namespace(ALL_SOURCES, &sources, &mut rendered, conditions);
    let provided = context
        .provide(&sources, &mut rendered, &owned, conditions, &mut left)
        .await?;
    // A declaration is stored before it is applied, so that it can always be rendered again.
    if !context.remember(accepted).await? {
        left = left.or(Attempt::Later);
    }
    let is_of_another = |live: &&Arc<Live>| {
        is_report(&live.id, &live.source, &context.writer.instance)
            && !changed.contains(&*live.source)
            && context.state.source(&live.source).is_some()
    };
    let reports: Vec<ObjectId> = owned
        .values()
        .filter(is_of_another)
        .map(|live| live.id.clone())
        .collect();
    let mut all = Owned::new(
        &context.writer,
        Some(&context.state),
        Some(&context.status.metrics),
        owned,
    );
    // The Reports of sources that this attempt is not about stay.
    reports.iter().for_each(|report| all.keep(report));
    let failed = apply(context, shards, &mut all, &rendered.objects).await?.or(stale);
    if let (Some(provider), Some(provided), None) = (&context.provider, &provided, &failed) {
        provider.written(provided);
    }
    left = left.or(context.report(&mut all, &sources, conditions).await);
    // Before pruning, because an object that cannot be deleted must not keep a declaration.
    context.forget_accepted(&gone).await?;
    shards.is_complete = true;
    let Pruned {
        changes,
        stuck,
        left: of_deletions,
    } = all.prune().await?;
    left = left.or(of_deletions);
    for stuck in &stuck {
        match stuck.is_known {
            true => context.state.has_changed(&stuck.source),
            // Nothing is rendered for what others have made in a source's name.
            false => context.state.set_named(&stuck.source),
        }
    }
    // Last, when nothing uses them any more.
    if failed.is_none()
        && let Err(failure) = context.revoke(None, &rendered).await
    {
        left = left.or(Attempt::At(failure.until));
    }
    conditions.extend(not_deleted(&sources, &stuck));
    if !waiting && !shards.awaited().is_empty() {
        left = left.or(Attempt::At(Instant::now() + ASK_AGAIN));
    }
    let result = context.finish(waiting, changes);
    if let Some(error) = failed {
        conditions.extend(context.failure(ALL_SOURCES, &error, &sources));
        let again = match error.is_passing() {
            true => Attempt::Soon,
            false => Attempt::Later,
        };
        return Ok(("failed", left.or(again)));
    }
    Ok((result, left))
}

/// No source, and as many shards as there are in the cluster.
async fn first_shards(context: &Context, owned: &BTreeMap<ObjectId, Arc<Live>>) -> Result<Shards, Error> {
    let base = render_shard(context, 0, Vec::new()).await?;
    let files = base
        .configurations
        .iter()
        .flat_map(|configuration| &configuration.files);
    let size = files.map(|(name, text)| name.len() + text.len()).sum();
    let current = config_maps(context, owned).map(|(number, _)| number + 1).max();
    let host = &context.settings.host;
    Ok(Shards::new(host.standalone_shards, current.unwrap_or(1), size))
}

/// The ConfigMaps of shards in the cluster.
fn config_maps<'a>(
    context: &'a Context,
    owned: &'a BTreeMap<ObjectId, Arc<Live>>,
) -> impl Iterator<Item = (usize, &'a ObjectId)> {
    let namespace = context.settings.host.standalone_namespace.as_str();
    let of_all = owned.values().filter(|live| *live.source == *ALL_SOURCES);
    let maps = of_all.filter(move |live| *live.id.kind.kind == *"ConfigMap" && *live.id.namespace == *namespace);
    maps.filter_map(|live| Some((with_name(&live.id.name)?, &live.id)))
}

/// Renders sources, some at once, and adds what was accepted of them earlier.
///
/// # Errors
/// If the module fails on every source, which means that the sources are not the cause. What they had stays.
async fn render_all(
    context: &Context,
    shards: &mut Shards,
    sources: &[Arc<Source>],
    argocd: ArgoCd,
    conditions: &mut Vec<Condition>,
    left: &mut Attempt,
) -> Result<Vec<Said>, Error> {
    let mut all = Vec::with_capacity(sources.len());
    let (mut answers, mut failure) = (0, None);
    let mut rest = sources;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take(AT_ONCE).take_while(|source| {
            bytes += source.text().get().len();
            bytes <= BYTES_AT_ONCE
        });
        let (some, more) = rest.split_at(fits.count().max(1));
        rest = more;
        let call = |inputs| context.call(ALL_SOURCES, inputs, argocd.clone(), Module::parts);
        let group = render_group(context.inputs(some), call).await?;
        answers += group.answers.len();
        for (input, error) in group.failed {
            conditions.extend(context.failure(&input.source.key, &error, std::slice::from_ref(&input.source)));
            render_later(context, &input, left);
            failure = failure.or(Some(error));
        }
        for (answer, inputs) in group.answers {
            for input in &inputs {
                render_later(context, input, left);
            }
            let current: Vec<_> = inputs.iter().filter(|input| input.has_text()).collect();
            read(shards, answer, &current, &mut all)?;
        }
        if !more.is_empty() || sources.len() > AT_ONCE {
            tracing::info!(sources = sources.len() - more.len(), of = sources.len(), "rendered");
        }
    }
    match failure.filter(|_| answers == 0) {
        Some(failure) => Err(failure),
        None => Ok(all),
    }
}

/// Has a source whose text is not used rendered again with a later attempt.
fn render_later(context: &Context, input: &Input, left: &mut Attempt) {
    context.remember_failing(input);
    if !input.has_text() {
        context.state.has_changed(&input.source.key);
        *left = left.or(Attempt::Later);
    }
}

/// Reads an answer about some sources.
fn read(shards: &mut Shards, answer: RenderAnswer, sent: &[&Input], all: &mut Vec<Said>) -> Result<(), Error> {
    check_settings(&answer)?;
    for kept in answer.kept {
        // What is known is at least as new. If there is not enough room for all of them, the first ones are kept.
        if shards.part(&kept.source).is_none() {
            let _ = shards.put(kept);
        }
    }
    let mut parts: BTreeMap<String, Part> = BTreeMap::new();
    parts.extend(answer.parts.into_iter().map(|part| (part.source.clone(), part)));
    for answer in answer.sources {
        let Some(sent) = sent.get(answer.index) else { continue };
        let part = parts.remove(&*sent.source.key);
        let is_new = |part: &Part| shards.part(&part.source).is_none_or(|known| **known != *part);
        all.push(Said {
            source: sent.source.clone(),
            part: part.filter(is_new),
            answer,
        });
    }
    Ok(())
}

/// Takes over what the module said. Returns the accepted declarations, and adds to `gone` who asks for nothing any more.
fn take(
    context: &Context,
    shards: &mut Shards,
    said: &mut [Said],
    gone: &mut BTreeSet<String>,
    conditions: &mut Vec<Condition>,
) -> Declarations {
    let mut accepted = Declarations::new();
    for Said { source, answer, part } in said {
        let key = &source.key;
        match answer.outcome {
            Outcome::Rendered => {
                if let Some(part) = part
                    && let Err(too_large) = shards.put(part.clone())
                {
                    answer.outcome = Outcome::Refused;
                    answer.diagnostics.push(too_large.diagnostic());
                    conditions.extend(context.condition_of(answer, source));
                    continue;
                }
                context.count_endpoints(key, answer.endpoints.len());
                if let Some(declaration) = &answer.accepted {
                    let declaration = to_raw_value(declaration).expect("a JSON value is JSON");
                    accepted.insert(key.to_string(), declaration.into());
                }
            }
            Outcome::Refused => {}
            Outcome::Idle | Outcome::Skipped => drop(gone.insert(key.to_string())),
        }
        conditions.extend(context.condition_of(answer, source));
    }
    for key in gone.iter() {
        shards.remove(key);
        context.count_endpoints(key, 0);
    }
    accepted
}

/// After a start: finds the files that were about to leave a shard when the operator stopped.
async fn find_leaving(
    context: &Context,
    shards: &mut Shards,
    owned: &BTreeMap<ObjectId, Arc<Live>>,
) -> Result<(), Error> {
    let maps: Vec<_> = config_maps(context, owned).collect();
    if maps.len() < 2 && shards.shards().len() < 2 {
        return Ok(());
    }
    for (number, id) in maps {
        let Some(map) = context.writer.get(id).await? else {
            continue;
        };
        let files = map.data["data"].as_object().into_iter().flatten();
        let created = map.metadata.creation_timestamp.map(|time| time.0);
        let entries = map.metadata.managed_fields.unwrap_or_default();
        let changed = entries.into_iter().filter_map(|entry| Some(entry.time?.0)).max();
        let age = changed.map(|time| Timestamp::now().duration_since(time));
        shards.found(&Found {
            number,
            files: files.map(|(file, _)| file.clone()).collect(),
            is_as_created: created.is_some() && created == changed,
            age: age.and_then(|age| age.try_into().ok()).unwrap_or_default(),
        });
    }
    Ok(())
}

/// Takes from old shards what runs in new ones.
async fn release(context: &Context, shards: &mut Shards) -> Result<(), Error> {
    let mut up = BTreeSet::new();
    for number in shards.awaited() {
        if context.writer.dry_run {
            up.insert(number);
            continue;
        }
        let shard = &shards.shards()[number];
        let objects = shard.rendered().into_iter().flat_map(|rendered| &rendered.objects);
        let deployment = objects.into_iter().find(|object| object["kind"] == "Deployment");
        if let Some(deployment) = deployment.filter(|_| shard.may_be_up())
            && context.writer.is_rolled_out(&ObjectId::of(deployment)?, false).await?
        {
            up.insert(number);
        }
    }
    shards.release(&up);
    Ok(())
}

/// Has shards rendered that need something else than before. One on which the module fails keeps what it had, and holds up no other;
/// the first such failure is answered.
///
/// # Errors
/// If nothing was rendered for a shard yet, so that its objects would be deleted.
async fn render_shards(context: &Context, shards: &mut Shards) -> Result<Option<Error>, Error> {
    let mut failed = None;
    for (number, shard) in shards.shards().iter_mut().enumerate() {
        let Some(needs) = shard.needs_rendering() else { continue };
        match render_shard(context, number, needs).await {
            Ok(rendered) => shard.set_rendered(rendered),
            Err(error) if shard.rendered().is_none() => return Err(error),
            Err(error) => {
                tracing::warn!(
                    telegraf = name(number),
                    error = error.chain(),
                    "not rendered; it keeps what it had"
                );
                failed = failed.or(Some(error));
            }
        }
    }
    Ok(failed)
}

async fn render_shard(context: &Context, shard: usize, needs: Vec<String>) -> Result<Rendered, Error> {
    let (module, settings) = (context.module.clone(), context.settings.clone());
    let _call = context.calls.acquire().await;
    let started = std::time::Instant::now();
    let answer = blocking(move || {
        module.shard(&RenderRequest {
            protocol: PROTOCOL,
            settings: Some(&settings.document),
            shard: Some(shard),
            needs,
            ..RenderRequest::default()
        })
    })
    .await;
    context.status.metrics.called_module(started.elapsed());
    let answer = answer.map_err(|source| Error::Module {
        doing: format!("render {}", name(shard)),
        source,
    })?;
    check_settings(&answer)?;
    Ok(answer.shared.unwrap_or_default())
}

/// Follows whether what is rendered works.
fn follow(context: &Context, shards: &mut Shards, said: &[Said], gone: &BTreeSet<String>) {
    let (moved, board) = (shards.take_moved(), &context.status.board);
    gone.iter().for_each(|source| board.forget(source));
    let Some(interval) = context.looks else { return };
    let shared = |text: &str| context.state.shared(text);
    let telegrafs = |source: &str| {
        let rendered = shards.shard_of(source).and_then(|shard| shard.rendered());
        rendered
            .map(|rendered| telegrafs_of(rendered, shared))
            .unwrap_or_default()
    };
    for source in &moved {
        board.has_moved(source, telegrafs(source), interval);
    }
    for Said { source, answer, .. } in said {
        if answer.outcome == Outcome::Rendered && shards.part(&source.key).is_some() {
            board.follow(expected_in(answer, source, telegrafs(&source.key), shared), interval);
        }
    }
}

/// All that is rendered, without the files of the sources, and each object once.
fn together(context: &Context, shards: &mut Shards) -> Rendered {
    let mut whole = Rendered::default();
    for rendered in shards.shards().iter().filter_map(|shard| shard.rendered()) {
        whole.namespace.clone_from(&rendered.namespace);
        if whole.databases.is_empty() {
            whole.databases.clone_from(&rendered.databases);
        }
        let known: BTreeSet<String> = whole.objects.iter().map(identity).collect();
        let new = rendered
            .objects
            .iter()
            .filter(|object| !known.contains(&identity(object)));
        whole.objects.extend(new.cloned());
    }
    if context.provider.is_some() {
        let databases = shards.parts().flat_map(|part| &part.databases);
        whole.databases.extend(databases.cloned());
    }
    whole
}

fn identity(object: &Value) -> String {
    let metadata = &object["metadata"];
    format!("{} {} {}", object["kind"], metadata["namespace"], metadata["name"])
}

/// Applies all objects. What is wrong with a shard holds up no other one; the first error is answered.
///
/// # Errors
/// If nothing may be written.
async fn apply(
    context: &Context,
    shards: &mut Shards,
    all: &mut Owned<'_>,
    objects: &[Value],
) -> Result<Option<Error>, Error> {
    let mut failed = None;
    let mut broken = None;
    for object in objects {
        let id = ObjectId::of(object)?;
        let number = with_name(&id.name).filter(|number| *number < shards.shards().len());
        // Without its ConfigMap, a Deployment is not applied.
        if number.is_some() && broken == number {
            all.keep(&id);
            continue;
        }
        let result = match number.filter(|_| object["kind"] == "ConfigMap") {
            Some(number) => {
                let shard = &mut shards.shards()[number];
                let digest = shard.digest(object);
                let map = FilesOf {
                    id: &id,
                    digest,
                    object: &|| shard.config_map(object.clone()),
                    changed: shard.changes(),
                };
                let result = all.apply_files(map).await;
                if let (Ok(by_us), false) = (&result, context.writer.dry_run) {
                    shard.is_written(*by_us);
                }
                result.map(|_| ())
            }
            None => all.apply(object).await,
        };
        match result {
            Ok(()) => {}
            Err(error @ Error::Leadership(_)) => return Err(error),
            Err(error) => {
                tracing::warn!(%id, error = error.chain(), "not applied; the other Telegrafs are");
                broken = number;
                failed = failed.or(Some(error));
            }
        }
    }
    Ok(failed)
}
