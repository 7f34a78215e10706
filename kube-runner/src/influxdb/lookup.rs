//! Looks up a bucket, without making one.

use prometheus_client::metrics::counter::Counter;
use reqwest::StatusCode;
use telewarden::Causes;
use telewarden_policy::needs::Bucket;

use super::client::Client;
use super::token::AdministratorToken;

/// What a database says about a bucket.
pub(crate) enum Lookup {
    /// It exists.
    Exists,
    /// It does not exist, but its organization does.
    NoBucket,
    /// Its organization does not exist, or the token may not see it.
    NoOrganization,
}

/// Looks up a bucket.
///
/// # Errors
/// Why the database cannot be asked.
pub(crate) async fn look_up(bucket: &Bucket, token: AdministratorToken) -> Result<Lookup, String> {
    let client = Client::new(&bucket.url, token, Counter::default()).map_err(|error| Causes(&error).to_string())?;
    let cannot = |error: super::client::Error| error.to_string();
    let Some(organization) = client.organization(&bucket.organization).await.map_err(cannot)? else {
        return Ok(Lookup::NoOrganization);
    };
    match client.buckets(&organization, Some(&bucket.bucket)).await {
        Ok(found) if found.iter().any(|found| found.name == bucket.bucket) => Ok(Lookup::Exists),
        Ok(_) => Ok(Lookup::NoBucket),
        Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => Ok(Lookup::NoBucket),
        Err(error) => Err(cannot(error)),
    }
}
