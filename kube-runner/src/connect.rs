//! The connection to the cluster.

use kube::{Client, Config};

use crate::error::Error;

/// Connects to the cluster of the kubeconfig, or to the cluster that the process runs in.
pub(crate) async fn connect() -> Result<(Client, Config), Error> {
    let mut config = Config::infer().await.map_err(|source| Error::Api {
        doing: "find a cluster".to_owned(),
        source: kube::Error::InferConfig(source),
    })?;
    // Attempts are retried as a whole, with the current state. So single requests are not.
    config.default_retry = false;
    let client = Client::try_from(config.clone()).map_err(|source| Error::Api {
        doing: "connect to the cluster".to_owned(),
        source,
    })?;
    Ok((client, config))
}
