//! One attempt to reconcile a key: renders its source and applies the result.

use std::sync::Arc;

use telewarden::{Module, Rendered};

use crate::cluster_state::View;
use crate::conditions::Condition;
use crate::context::{Context, not_deleted};
use crate::error::Error;
use crate::owned::{Owned, Pruned};
use crate::queue::Attempt;
use crate::standalone;

/// Reconciles a source's objects with what the module renders.
pub(crate) async fn reconcile(context: Arc<Context>, key: Arc<str>) -> Attempt {
    let mut conditions = Vec::new();
    let (sources, result) = match context.settings.is_standalone() {
        true => {
            let changes = context.state.take_changes();
            let view = context.state.view_of(&changes);
            let sources = view.sources.clone();
            let result = standalone::attempt(&context, view, &changes.sources, &mut conditions).await;
            if result.is_err() {
                context.state.put_back(changes);
            }
            (sources, result)
        }
        false => {
            let view = context.state.view(&key);
            let sources = view.sources.clone();
            (sources, attempt(&context, &key, view, &mut conditions).await)
        }
    };
    if let Err(error) = &result {
        conditions.extend(context.failure(&key, error, &sources));
    }
    let complete = result.as_ref().map_or_else(|error| !error.is_passing(), |_| true);
    context
        .conditions
        .publish(&context.events, &context.status.board, &sources, conditions, complete);
    match result {
        Ok((result, attempt)) => {
            context.status.metrics.reconciled(result);
            attempt
        }
        Err(error) => {
            context.status.metrics.reconciled("failed");
            if let Error::Provide(failure) = &error {
                Attempt::At(failure.until)
            } else if error.is_passing() {
                Attempt::Soon
            } else {
                Attempt::Later
            }
        }
    }
}

/// Runs one attempt, in a topology in which each source has its own objects. Returns its result for the metric, and whether it must
/// be retried.
async fn attempt(
    context: &Context,
    key: &str,
    view: View,
    conditions: &mut Vec<Condition>,
) -> Result<(&'static str, Attempt), Error> {
    let View { sources, argocd, owned } = view;
    let mut left = Attempt::Done;
    let wanted = if sources.is_empty() {
        // The source was deleted, or has no annotations any more.
        context.conditions.forget(key);
        context.count_endpoints(key, 0);
        context.status.board.forget(key);
        Some(Rendered::default())
    } else {
        let inputs = context.inputs(&sources);
        let answer = context.call(key, inputs, argocd, Module::render).await?;
        context.read(key, answer, &sources, conditions)?
    };
    let Some(mut rendered) = wanted else {
        return Ok(("refused", left));
    };
    let waiting = context.wait_for_namespace(key, &sources, &mut rendered, conditions);
    let provided = context
        .provide(&sources, &mut rendered, &owned, conditions, &mut left)
        .await?;
    let mut all = Owned::new(
        &context.writer,
        Some(&context.state),
        Some(&context.status.metrics),
        owned,
    );
    for object in &rendered.objects {
        all.apply(object).await?;
    }
    if let (Some(provider), Some(provided)) = (&context.provider, &provided) {
        provider.written(provided);
    }
    left = left.or(context.report(&mut all, &sources, conditions).await);
    let Pruned {
        changes,
        stuck,
        left: of_deletions,
    } = all.prune().await?;
    left = left.or(of_deletions);
    // Last, when nothing uses them any more.
    if let Err(failure) = context.revoke(Some(key), &rendered).await {
        left = left.or(Attempt::At(failure.until));
    }
    conditions.extend(not_deleted(&sources, &stuck));
    context.publish_changes(key, &sources, &changes);
    Ok((context.finish(waiting, changes), left))
}
