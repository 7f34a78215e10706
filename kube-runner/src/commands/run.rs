//! `run`: the operator.

use std::process::ExitCode;
use std::time::Duration;

use crate::cli::Run;
use crate::error::Error;
use crate::http::{self, Status};
use crate::operator::{Looks, operate};
use crate::queue::Until;

/// Watches the cluster and reconciles it.
pub(crate) async fn run(arguments: Run) -> Result<ExitCode, Error> {
    let listener = match arguments.once {
        true => None,
        false => Some(http::listen(arguments.listen).await?),
    };
    let status = Status::with_failing_series(arguments.failing_series);
    if let Some(listener) = listener {
        tokio::spawn(http::serve(listener, status.clone()));
    }
    let election = (!arguments.no_leader_election && !arguments.dry_run).then_some(arguments.lease);
    let until = if arguments.once { Until::Idle } else { Until::Stopped };
    let (policy, cluster) = (arguments.policy.clone(), arguments.cluster.clone());
    let looks = (!arguments.once && !arguments.dry_run && arguments.status_interval > 0).then(|| Looks {
        interval: Duration::from_secs(arguments.status_interval.into()),
        reports: arguments.reports,
    });
    let outcome = operate(&policy, cluster, status, until, arguments.dry_run, election, looks).await?;
    Ok(match outcome.undone {
        0 => ExitCode::SUCCESS,
        undone if arguments.once => {
            tracing::error!(undone, "some sources could not be reconciled");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    })
}
