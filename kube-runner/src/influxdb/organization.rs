//! What is known of one organization of a database.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::client::{Authorization, Bucket, Client, Error};
use super::failure::Failure;
use crate::metrics::Metrics;
use crate::retry::{Backoff, LATER};

/// The first and the longest delay after a failure.
const DELAYS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// When to come again while another attempt asks for the first time, and while one asks whether the database is back.
const BUSY: Duration = Duration::from_secs(1);
const STILL_FAILING: Duration = Duration::from_secs(5);

/// An authorization that this operator made, and for what.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    /// The source, or `all`.
    pub(super) holder: String,
    /// Where the token is.
    pub(super) place: Place,
    pub(super) authorization: Authorization,
}

/// A key of a Secret.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Place {
    pub(super) namespace: String,
    pub(super) secret: String,
    pub(super) key: String,
}

/// The first word of a description.
const MARK: &str = "telewarden";

/// What an authorization is for, in words that can be found again. None of the names contains a space.
pub(super) fn describe(instance: &str, holder: &str, place: &Place) -> String {
    let Place { namespace, secret, key } = place;
    format!("{MARK} {instance} {holder} {namespace} {secret} {key}")
}

/// The same read again. `None` if it is not of this instance.
fn parse(description: &str, instance: &str) -> Option<(String, Place)> {
    let words: Vec<&str> = description.split(' ').collect();
    let [MARK, of, holder, namespace, secret, key] = words.as_slice() else {
        return None;
    };
    let place = Place {
        namespace: (*namespace).to_owned(),
        secret: (*secret).to_owned(),
        key: (*key).to_owned(),
    };
    (*of == instance).then(|| ((*holder).to_owned(), place))
}

/// An organization, and everything that is known of it.
#[derive(Debug)]
pub(super) struct Organization {
    pub(super) url: String,
    pub(super) name: String,
    instance: String,
    pub(super) client: Client,
    state: Mutex<State>,
    /// Held by whoever finds out whether the database is there.
    probing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    known: Option<Known>,
    /// True if a request may have been carried out that was not answered. Then the database is asked again for everything, and what
    /// is known is used until it answers.
    is_doubtful: bool,
    failing: Option<Failure>,
    /// The delays since something was done. That the database answers a question does not mean that it does what it is told.
    backoff: Option<Backoff>,
}

/// The lists of the database, kept up to date with what this operator does.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) buckets: HashMap<String, Bucket>,
    pub(super) grants: Grants,
}

/// The authorizations that this operator made. They are kept by holder, so that what is done for one source costs the same however
/// many sources there are.
#[derive(Debug, Default)]
pub(super) struct Grants(BTreeMap<String, BTreeMap<String, Grant>>);

impl Grants {
    /// All of a holder, or without one all, the oldest of each holder first: ids grow with time.
    pub(super) fn of<'a>(&'a self, holder: Option<&'a str>) -> impl Iterator<Item = &'a Grant> {
        let one = holder.and_then(|holder| self.0.get(holder));
        let all = holder.is_none().then_some(&self.0);
        one.into_iter()
            .chain(all.into_iter().flat_map(BTreeMap::values))
            .flat_map(BTreeMap::values)
    }

    /// Those of a holder for a place.
    pub(super) fn at<'a>(&'a self, holder: &'a str, place: &'a Place) -> impl Iterator<Item = &'a Grant> {
        self.of(Some(holder)).filter(move |grant| grant.place == *place)
    }

    /// The authorization of a holder with an id.
    pub(super) fn get(&self, holder: &str, id: &str) -> Option<&Grant> {
        self.0.get(holder)?.get(id)
    }

    pub(super) fn insert(&mut self, grant: Grant) {
        let of_holder = self.0.entry(grant.holder.clone()).or_default();
        of_holder.insert(grant.authorization.id.clone(), grant);
    }

    pub(super) fn remove(&mut self, grant: &Grant) {
        if let Some(of_holder) = self.0.get_mut(&grant.holder) {
            of_holder.remove(&grant.authorization.id);
            if of_holder.is_empty() {
                self.0.remove(&grant.holder);
            }
        }
    }

    /// Adds those that were made after the newest of these: while the database was asked, other attempts may have ended.
    fn add_newer(&mut self, before: Self) {
        let newest = self.of(None).map(|grant| grant.authorization.id.clone()).max();
        let all = before.0.into_values().flat_map(BTreeMap::into_values);
        let newer = all.filter(|grant| Some(&grant.authorization.id) > newest.as_ref());
        newer.for_each(|grant| self.insert(grant));
    }

    /// Whoever has one.
    pub(super) fn holders(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }
}

impl Organization {
    pub(super) fn new(url: &str, name: &str, instance: &str, client: Client) -> Self {
        Self {
            url: url.to_owned(),
            name: name.to_owned(),
            instance: instance.to_owned(),
            client,
            state: Mutex::default(),
            probing: tokio::sync::Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Uses what is known.
    ///
    /// # Errors
    /// If nothing is known.
    pub(super) fn with<T>(&self, use_it: impl FnOnce(&mut Known) -> T) -> Result<T, Failure> {
        match &mut self.state().known {
            Some(known) => Ok(use_it(known)),
            None => Err(self.busy()),
        }
    }

    fn busy(&self) -> Failure {
        Failure {
            why: "the database is being asked".into(),
            until: Instant::now() + BUSY,
            is_busy: true,
        }
    }

    /// Makes sure that the organization is known, and can be asked. One attempt asks at a time, so that a database that does
    /// not answer holds up one attempt and not all.
    ///
    /// # Errors
    /// Why it cannot, without a request if that is known.
    pub(super) async fn is_ready(&self, metrics: &Metrics) -> Result<(), Failure> {
        let is_known = {
            let state = self.state();
            match &state.failing {
                Some(failing) if Instant::now() < failing.until => return Err(failing.clone()),
                None if state.known.is_some() => return Ok(()),
                _ => state.known.is_some() && !state.is_doubtful,
            }
        };
        let Ok(_probing) = self.probing.try_lock() else {
            let failing = self.state().failing.clone();
            return Err(failing.map_or_else(
                || self.busy(),
                |failing| Failure {
                    until: Instant::now() + STILL_FAILING,
                    ..failing
                },
            ));
        };
        if self.state().failing.is_none() && self.state().known.is_some() {
            return Ok(());
        }
        match self.ask(is_known).await {
            Ok(known) => {
                let mut state = self.state();
                state.failing = None;
                if let Some(mut known) = known {
                    if let Some(before) = state.known.take() {
                        known.grants.add_newer(before.grants);
                    }
                    state.known = Some(known);
                    state.is_doubtful = false;
                }
                Ok(())
            }
            Err(error) => Err(self.failed(&error, "look up what there is", metrics)),
        }
    }

    async fn ask(&self, is_known: bool) -> Result<Option<Known>, Error> {
        let no_organization = || Error::Refused {
            status: reqwest::StatusCode::NOT_FOUND,
            message: format!(": there is no organization `{}`, or the token cannot see it", self.name),
            retry_after: None,
        };
        let id = self
            .client
            .organization(&self.name)
            .await?
            .ok_or_else(no_organization)?;
        if is_known {
            return Ok(None);
        }
        let buckets = self.client.buckets(&id, None).await?;
        let authorizations = self.client.authorizations(&id).await?;
        let grants = authorizations.into_iter().filter_map(|authorization| {
            let (holder, place) = parse(&authorization.description, &self.instance)?;
            let grant = Grant {
                holder,
                place,
                authorization,
            };
            Some(grant)
        });
        let mut known = Grants::default();
        grants.for_each(|grant| known.insert(grant));
        Ok(Some(Known {
            id,
            buckets: buckets
                .into_iter()
                .map(|bucket| (bucket.name.clone(), bucket))
                .collect(),
            grants: known,
        }))
    }

    /// Takes note that the database has done what it was told.
    pub(super) fn succeeded(&self) {
        self.state().backoff = None;
    }

    /// Takes note of a failed request. Unless it concerns only what was asked for, nothing is asked until a delay has passed.
    pub(super) fn failed(&self, error: &Error, doing: &str, metrics: &Metrics) -> Failure {
        metrics.influxdb_failed(error.reason());
        let concerns_all = error.reason() != "refused";
        let place = format!("organization `{}` of {}", self.name, self.url);
        tracing::warn!(reason = error.reason(), "cannot {doing} in {place}: {error}");
        let why = match concerns_all {
            // The same for whatever was tried, so that a source is told once.
            true => format!("cannot provide anything in {place}: {error}"),
            false => format!("cannot {doing} in {place}: {error}"),
        };
        let mut state = self.state();
        state.is_doubtful |= error.is_doubtful();
        if error.reason() == "missing" {
            // The known IDs are out of date.
            state.known = None;
        }
        let delay = match concerns_all {
            true => {
                let backoff = state.backoff.get_or_insert_with(|| Backoff::new(DELAYS.0, DELAYS.1));
                backoff.next().max(error.retry_after().unwrap_or_default())
            }
            // Only a change can help, such as another name of the bucket.
            false => LATER,
        };
        let failure = Failure {
            why: why.into(),
            until: Instant::now() + delay,
            is_busy: false,
        };
        if concerns_all {
            state.failing = Some(failure.clone());
        }
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(holder: &str, id: &str) -> Grant {
        let place = Place {
            namespace: "redis".to_owned(),
            secret: "telegraf-0123".to_owned(),
            key: "influx-token".to_owned(),
        };
        let authorization = serde_json::json!({"id": id});
        Grant {
            holder: holder.to_owned(),
            place,
            authorization: serde_json::from_value(authorization).unwrap(),
        }
    }

    fn grants(of: &[(&str, &str)]) -> Grants {
        let mut grants = Grants::default();
        of.iter().for_each(|(holder, id)| grants.insert(grant(holder, id)));
        grants
    }

    fn ids(grants: &Grants, holder: Option<&str>) -> Vec<String> {
        grants.of(holder).map(|grant| grant.authorization.id.clone()).collect()
    }

    #[test]
    fn grants_are_found_by_holder_and_forgotten() {
        let mut all = grants(&[("a", "02"), ("a", "01"), ("b", "03")]);
        assert_eq!(ids(&all, Some("a")), ["01", "02"]);
        assert_eq!(ids(&all, None), ["01", "02", "03"]);
        assert!(ids(&all, Some("c")).is_empty());
        assert!(all.get("a", "02").is_some() && all.get("b", "02").is_none());
        all.remove(&grant("b", "03"));
        assert_eq!(all.holders().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn what_was_made_while_the_database_was_asked_is_kept() {
        let mut listed = grants(&[("a", "01"), ("b", "05")]);
        // `02` was revoked by somebody else, and `06` was made since.
        listed.add_newer(grants(&[("a", "01"), ("a", "02"), ("c", "06")]));
        assert_eq!(ids(&listed, None), ["01", "05", "06"]);
    }

    #[test]
    fn a_description_is_read_as_it_was_written() {
        let place = Place {
            namespace: "redis".to_owned(),
            secret: "telegraf-0123".to_owned(),
            key: "influx-token".to_owned(),
        };
        let text = describe("telewarden", "argoproj.io/Application/argocd/redis", &place);
        let read = parse(&text, "telewarden");
        assert_eq!(read, Some(("argoproj.io/Application/argocd/redis".to_owned(), place)));
        assert_eq!(parse(&text, "other"), None);
        for other in ["", "telewarden", "a person's token", "telewarden telewarden a b c d e"] {
            assert_eq!(parse(other, "telewarden"), None, "{other}");
        }
    }
}
