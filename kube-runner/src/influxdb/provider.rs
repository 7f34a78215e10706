//! Provides what the module's answers need, and revokes what nothing needs any more.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use telewarden::Rendered;
use telewarden_policy::protocol::{Database, DatabaseToken, HostSettings};
use telewarden_policy::well_known::{ROTATED, TOKENS};
use tokio::time::Instant;

use super::client::{Bucket, Client, Error as RequestError};
use super::failure::Failure;
use super::organization::{Grant, Known, Organization, Place, describe};
use super::token::{AdministratorToken, Token};
use crate::error::Error;
use crate::http::Status;
use crate::live_object::Live;
use crate::object::Object;
use crate::object_id::{GroupKind, ObjectId};
use crate::writer::Writer;

/// When to look again whether pods were replaced.
const ROLL_OUT: Duration = Duration::from_secs(10);
/// When to come again after Kubernetes has not answered.
const SOON: Duration = Duration::from_secs(1);

/// Provides buckets and tokens for one set of settings.
pub(crate) struct Provider {
    /// The instance and its cluster, as descriptions of authorizations have them.
    instance: String,
    organizations: Vec<Organization>,
    /// The tokens in the Secrets.
    held: Mutex<HashMap<Place, Held>>,
    /// The authorizations whose Secrets were deleted by others.
    leaked: Mutex<HashSet<String>>,
    status: Arc<Status>,
}

/// A token that a source has.
#[derive(Clone, Debug)]
struct Held {
    authorization: String,
    token: Token,
    /// True after it was written to its Secret. If the Secret is gone then, somebody has deleted it.
    is_written: bool,
    /// The rotation that it was made for.
    rotation: Option<Box<str>>,
}

/// What was provided for one answer.
#[derive(Debug, Default)]
pub(crate) struct Provided {
    /// The tokens by Secret and key, each with the id of its authorization. Of one that could not be had, there is what the
    /// Secret has.
    tokens: BTreeMap<String, BTreeMap<String, (String, Token)>>,
    /// The rotations for which the tokens of each Secret were made. They differ if one of them could not be had.
    rotations: BTreeMap<String, BTreeSet<Option<Box<str>>>>,
    namespace: String,
    /// What failed, and for whom.
    pub(crate) failures: Vec<(String, Failure)>,
    /// What people should know: for whom, and what.
    pub(crate) notes: Vec<(String, String)>,
    /// What was made, or in a dry run would be.
    pub(crate) made: Vec<String>,
    /// When to come again, because a rotation waits for the one before.
    pub(crate) again: Option<Instant>,
}

impl Provider {
    /// The provider for settings. `None` if they ask for nothing. Operators of several clusters can use one organization, so the
    /// authorizations of each say which `cluster` they are for.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub(crate) fn new(
        host: &HostSettings,
        cluster: &str,
        token: &AdministratorToken,
        status: &Arc<Status>,
    ) -> Result<Option<Self>, Error> {
        let Some(influxdb) = &host.influxdb else {
            return Ok(None);
        };
        let instance = format!("{}@{cluster}", host.instance);
        let organization = |of: &telewarden_policy::protocol::HostOrganization| {
            let client = Client::new(&of.url, token.clone(), status.metrics.influxdb_requests()).map_err(|error| {
                Error::Settings {
                    why: format!("cannot connect to {}: {}", of.url, telewarden::Causes(&error)),
                }
            })?;
            Ok(Organization::new(&of.url, &of.organization, &instance, client))
        };
        let organizations: Result<_, Error> = influxdb.organizations.iter().map(organization).collect();
        Ok(Some(Self {
            organizations: organizations?,
            instance,
            held: Mutex::default(),
            leaked: Mutex::default(),
            status: status.clone(),
        }))
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Place, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leaked(&self) -> MutexGuard<'_, HashSet<String>> {
        self.leaked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Provides what an answer needs. Nothing is asked if it is known to be there.
    pub(crate) async fn provide(
        &self,
        writer: &Writer,
        rendered: &Rendered,
        live: &BTreeMap<ObjectId, Arc<Live>>,
    ) -> Provided {
        let mut provided = Provided {
            namespace: rendered.namespace.clone().unwrap_or_default(),
            ..Provided::default()
        };
        let mut secrets = Secrets {
            writer,
            live,
            rendered,
            read: BTreeMap::new(),
        };
        for database in &rendered.databases {
            let holder = database.holder.clone();
            let result = self.provide_one(database, &mut secrets, &mut provided).await;
            let Err(failure) = result else { continue };
            // Of a shared Secret, the other tokens are written. This one stays as it is.
            if let Some(token) = &database.token
                && let Ok(Some(secret)) = secrets.get(&token.secret).await
                && let Some((id, found)) = secret.token(&token.key)
            {
                provided.add(token, id, found, secret.rotation);
            }
            provided.failures.push((holder, failure));
        }
        provided
    }

    async fn provide_one(
        &self,
        database: &Database,
        secrets: &mut Secrets<'_>,
        provided: &mut Provided,
    ) -> Result<(), Failure> {
        let organization = self.organization(database)?;
        let place = database
            .token
            .as_ref()
            .map(|token| place_of(&provided.namespace, token));
        let held = place.as_ref().and_then(|place| self.still_held(place, secrets));
        let asked = place.as_ref().and_then(|place| secrets.rotation(&place.secret));
        let is_current = |held: &Held| asked.is_none() || held.rotation == asked;
        // One that the database does not have any more is not held. Without an answer it is used.
        let is_there = |held: &Held| {
            let find = |known: &mut Known| known.grants.get(&database.holder, &held.authorization).is_some();
            organization.with(find).unwrap_or(true)
        };
        let held = held.filter(is_there);
        let is_settled = place.is_none() || held.as_ref().is_some_and(is_current);
        let known = organization.with(|known| known.buckets.get(&database.bucket).cloned());
        if let (Ok(Some(bucket)), true) = (known, is_settled) {
            provided.note_retention(database, &bucket);
            if let (Some(token), Some(held)) = (&database.token, held) {
                provided.add(token, held.authorization, held.token, held.rotation);
            }
            return Ok(());
        }
        organization.is_ready(&self.status.metrics).await?;
        let bucket = self.bucket(organization, database, secrets.writer, provided).await?;
        let (Some(token), Some(place)) = (&database.token, place) else {
            return Ok(());
        };
        let Some(bucket) = bucket else {
            // A dry run.
            provided
                .made
                .push(format!("a token for {} would be made", database.holder));
            return Ok(());
        };
        let held = match held {
            Some(held) => Some(held),
            None => {
                self.adopt(organization, &bucket, (&database.holder, token), &place, secrets)
                    .await?
            }
        };
        let is_waiting = match &held {
            Some(held) if !is_current(held) => organization.with(|known| {
                let mut there = known.grants.at(&database.holder, &place);
                there.any(|grant| grant.authorization.id != held.authorization)
            })?,
            _ => false,
        };
        if is_waiting {
            provided.again = Some(Instant::now() + ROLL_OUT);
        }
        let held = match held.filter(|held| is_waiting || is_current(held)) {
            Some(held) => Some(held),
            None => {
                self.make_room(organization, &database.holder, &place, secrets.writer)
                    .await?;
                let made = self.make_token(
                    organization,
                    &bucket,
                    &database.holder,
                    &place,
                    secrets.writer,
                    provided,
                );
                made.await?.map(|made| Held {
                    rotation: asked,
                    ..made
                })
            }
        };
        if let Some(held) = held {
            let Held {
                authorization,
                token: found,
                rotation,
                ..
            } = held.clone();
            provided.add(token, authorization, found, rotation);
            self.held().insert(place, held);
        }
        Ok(())
    }

    fn organization(&self, database: &Database) -> Result<&Organization, Failure> {
        let mut all = self.organizations.iter();
        let found = all.find(|known| known.url == database.url && known.name == database.organization);
        // The settings name all of them, and a source cannot name another one.
        found.ok_or_else(|| Failure {
            why: format!(
                "the settings have no organization `{}` at {}",
                database.organization, database.url
            )
            .into(),
            until: Instant::now() + crate::retry::LATER,
            is_busy: false,
        })
    }

    /// The token that was put there, unless somebody has deleted the Secret. Then it counts as leaked.
    fn still_held(&self, place: &Place, secrets: &Secrets<'_>) -> Option<Held> {
        let mut all = self.held();
        let held = all.get(place)?;
        if held.is_written && !secrets.is_there(&place.secret) {
            self.leaked().insert(held.authorization.clone());
            all.remove(place);
            return None;
        }
        Some(held.clone())
    }

    /// Finds the bucket or makes it. Returns `None` if a dry run would make it.
    async fn bucket(
        &self,
        organization: &Organization,
        database: &Database,
        writer: &Writer,
        provided: &mut Provided,
    ) -> Result<Option<Bucket>, Failure> {
        let name = &database.bucket;
        let (id, known) = organization.with(|known| (known.id.clone(), known.buckets.get(name).cloned()))?;
        if let Some(bucket) = known {
            provided.note_retention(database, &bucket);
            return Ok(Some(bucket));
        }
        let what = format!(
            "bucket `{name}` in organization `{}` of {}",
            organization.name, organization.url
        );
        if writer.dry_run {
            provided.made.push(format!("{what} would be made"));
            return Ok(None);
        }
        may_write(writer)?;
        let made = organization
            .client
            .create_bucket(&id, name, database.retention_seconds)
            .await;
        let bucket = match made {
            Ok(bucket) => {
                tracing::info!(bucket = name, organization = organization.name, "a bucket was made");
                self.status.metrics.influxdb_made("bucket");
                organization.succeeded();
                provided.made.push(format!("made {what}"));
                bucket
            }
            // Somebody was faster.
            Err(error) if error.status() == Some(StatusCode::UNPROCESSABLE_ENTITY) => {
                let found = organization.client.buckets(&id, Some(name)).await;
                let found = found.map_err(|error| self.failed(organization, &error, "find a bucket"))?;
                let found = found.into_iter().find(|found| found.name == *name);
                found.ok_or_else(|| self.failed(organization, &error, &format!("make {what}")))?
            }
            Err(error) => return Err(self.failed(organization, &error, &format!("make {what}"))),
        };
        organization.with(|known| known.buckets.insert(name.clone(), bucket.clone()))?;
        Ok(Some(bucket))
    }

    fn failed(&self, organization: &Organization, error: &RequestError, doing: &str) -> Failure {
        organization.failed(error, doing, &self.status.metrics)
    }

    /// Takes over the token in a Secret that an earlier operator wrote, if the database knows it as the token for just that.
    async fn adopt(
        &self,
        organization: &Organization,
        bucket: &Bucket,
        (holder, token): (&str, &DatabaseToken),
        place: &Place,
        secrets: &mut Secrets<'_>,
    ) -> Result<Option<Held>, Failure> {
        let Some(secret) = secrets.get(&token.secret).await? else {
            return Ok(None);
        };
        let Some((id, found)) = secret.token(&token.key) else {
            return Ok(None);
        };
        let is_known = organization.with(|known| {
            known.grants.get(holder, &id).is_some_and(|grant| {
                // A database that stores hashes shows no token. Then the Secret is believed: whoever can write it can only
                // make this Telegraf write elsewhere, which they can do without it.
                let is_same = grant.authorization.token.as_ref().is_none_or(|token| *token == found);
                is_same && grant.place == *place && grant.authorization.writes_only(&bucket.id)
            })
        })?;
        Ok(is_known.then_some(Held {
            authorization: id,
            token: found,
            is_written: true,
            rotation: secret.rotation,
        }))
    }

    /// Revokes the tokens of a place that have leaked, and of the others all but the newest. So a place never has more than two,
    /// also if somebody keeps deleting its Secret while its pods cannot be replaced.
    async fn make_room(
        &self,
        organization: &Organization,
        holder: &str,
        place: &Place,
        writer: &Writer,
    ) -> Result<(), Failure> {
        let all: Vec<Grant> = organization.with(|known| known.grants.at(holder, place).cloned().collect())?;
        let (mut surplus, mut replaced): (Vec<_>, Vec<_>) = {
            let leaked = self.leaked();
            all.into_iter()
                .partition(|grant| leaked.contains(&grant.authorization.id))
        };
        replaced.pop();
        surplus.append(&mut replaced);
        for grant in surplus.iter().filter(|_| !writer.dry_run) {
            self.delete(organization, grant, writer).await?;
        }
        Ok(())
    }

    /// Makes a token. Returns `None` if a dry run would make it.
    async fn make_token(
        &self,
        organization: &Organization,
        bucket: &Bucket,
        holder: &str,
        place: &Place,
        writer: &Writer,
        provided: &mut Provided,
    ) -> Result<Option<Held>, Failure> {
        if writer.dry_run {
            provided.made.push(format!(
                "a token for {holder} would be made, for bucket `{}`",
                bucket.name
            ));
            return Ok(None);
        }
        may_write(writer)?;
        let description = describe(&self.instance, holder, place);
        let id = organization.with(|known| known.id.clone())?;
        let made = organization
            .client
            .create_authorization(&id, &bucket.id, &description)
            .await;
        let made = made.and_then(|made| match made.token.clone() {
            Some(token) => Ok((made, token)),
            None => Err(RequestError::Unreadable("a new authorization has no token".to_owned())),
        });
        let doing = || format!("make a token for {holder}");
        let (authorization, revealed) = made.map_err(|error| self.failed(organization, &error, &doing()))?;
        tracing::info!(
            source = holder,
            bucket = bucket.name,
            id = authorization.id,
            "a token was made"
        );
        self.status.metrics.influxdb_made("token");
        organization.succeeded();
        provided.made.push(format!("made a token for bucket `{}`", bucket.name));
        let id = authorization.id.clone();
        let grant = Grant {
            holder: holder.to_owned(),
            place: place.clone(),
            authorization,
        };
        organization.with(|known| known.grants.insert(grant))?;
        Ok(Some(Held {
            authorization: id,
            token: revealed,
            is_written: false,
            rotation: None,
        }))
    }

    /// Takes note that the tokens are in their Secrets.
    pub(crate) fn written(&self, provided: &Provided) {
        let mut all = self.held();
        for (secret, keys) in &provided.tokens {
            for (key, (id, _)) in keys {
                let place = Place {
                    namespace: provided.namespace.clone(),
                    secret: secret.clone(),
                    key: key.clone(),
                };
                if let Some(held) = all.get_mut(&place).filter(|held| held.authorization == *id) {
                    held.is_written = true;
                }
            }
        }
    }

    /// Revokes the tokens of a holder, or of all, that an answer does not need. Returns what was revoked, or in a dry run would
    /// be.
    ///
    /// # Errors
    /// If the database cannot be asked. What is left is tried again.
    pub(crate) async fn revoke(
        &self,
        writer: &Writer,
        holder: Option<&str>,
        rendered: Option<&Rendered>,
    ) -> Result<Vec<String>, Failure> {
        let namespace = rendered
            .and_then(|rendered| rendered.namespace.as_deref())
            .unwrap_or_default();
        let databases = rendered
            .map(|rendered| rendered.databases.as_slice())
            .unwrap_or_default();
        let tokens = databases.iter().filter_map(|database| database.token.as_ref());
        let needed: BTreeSet<Place> = tokens.map(|token| place_of(namespace, token)).collect();
        let mut revoked = Vec::new();
        let mut failure = None;
        for organization in &self.organizations {
            match self.revoke_in(organization, writer, holder, &needed, rendered).await {
                Ok(more) => revoked.extend(more),
                // The others are not held up.
                Err(why) => failure = Some(why),
            }
        }
        failure.map_or(Ok(revoked), Err)
    }

    async fn revoke_in(
        &self,
        organization: &Organization,
        writer: &Writer,
        holder: Option<&str>,
        needed: &BTreeSet<Place>,
        rendered: Option<&Rendered>,
    ) -> Result<Vec<String>, Failure> {
        organization.is_ready(&self.status.metrics).await?;
        let unused: Vec<Grant> = organization.with(|known| {
            let held = self.held();
            let is_used = |grant: &&Grant| {
                needed.contains(&grant.place)
                    // What could not be provided now may still be in use.
                    && held.get(&grant.place).is_none_or(|held| held.authorization == grant.authorization.id)
            };
            let theirs = known.grants.of(holder);
            theirs.filter(|grant| !is_used(grant)).cloned().collect()
        })?;
        let mut revoked = Vec::new();
        let mut in_use = None;
        for grant in unused {
            // A replaced token is used until the new pods are there.
            let is_replaced = needed.contains(&grant.place) && !self.leaked().contains(&grant.authorization.id);
            if is_replaced && !writer.dry_run {
                let rolled_out = match in_use {
                    Some(known) => known,
                    None => is_rolled_out(writer, rendered).await?,
                };
                in_use = Some(rolled_out);
                if !rolled_out {
                    return Err(Failure {
                        why: "the pods with the new token are not ready yet".into(),
                        until: Instant::now() + ROLL_OUT,
                        is_busy: true,
                    });
                }
            }
            let holder = &grant.holder;
            if writer.dry_run {
                revoked.push(format!("a token of {holder} would be revoked"));
                continue;
            }
            self.delete(organization, &grant, writer).await?;
            revoked.push(format!("revoked a token of {holder}"));
        }
        Ok(revoked)
    }

    async fn delete(&self, organization: &Organization, grant: &Grant, writer: &Writer) -> Result<(), Failure> {
        let (id, holder) = (&grant.authorization.id, &grant.holder);
        may_write(writer)?;
        let deleted = organization.client.delete_authorization(id).await;
        deleted.map_err(|error| self.failed(organization, &error, &format!("revoke a token of {holder}")))?;
        tracing::info!(source = holder, id, "a token was revoked");
        self.status.metrics.influxdb_made("revocation");
        organization.succeeded();
        organization.with(|known| known.grants.remove(grant))?;
        self.leaked().remove(id);
        let mut all = self.held();
        if all.get(&grant.place).is_some_and(|held| held.authorization == *id) {
            all.remove(&grant.place);
        }
        Ok(())
    }

    /// Looks up what earlier operators have left behind, and answers whom it belongs to. Repeats it until all databases have
    /// answered, or only tries `once`.
    pub(crate) async fn holders(&self, once: bool) -> BTreeSet<String> {
        let mut holders = BTreeSet::new();
        for organization in &self.organizations {
            while let Err(failure) = organization.is_ready(&self.status.metrics).await {
                if once {
                    break;
                }
                tokio::time::sleep_until(failure.until).await;
            }
            let theirs = organization.with(|known| known.grants.holders().cloned().collect());
            holders.append(&mut theirs.unwrap_or_default());
        }
        holders
    }
}

impl Provided {
    fn add(&mut self, token: &DatabaseToken, id: String, found: Token, rotation: Option<Box<str>>) {
        self.rotations.entry(token.secret.clone()).or_default().insert(rotation);
        let keys = self.tokens.entry(token.secret.clone()).or_default();
        keys.insert(token.key.clone(), (id, found));
    }

    fn note_retention(&mut self, database: &Database, bucket: &Bucket) {
        let (wanted, found) = (database.retention_seconds, bucket.retention_seconds());
        if wanted != found {
            let found = match found {
                0 => "for ever".to_owned(),
                seconds => format!("{} h", seconds / 3600),
            };
            let note = format!(
                "bucket {} keeps its data {found}, and the settings say {} h; it is left as it is",
                bucket.name,
                wanted / 3600
            );
            self.notes.push((database.holder.clone(), note));
        }
    }

    /// Puts the tokens into the rendered Secrets, and marks the pods that use them, so that pods are replaced when their token
    /// is.
    pub(crate) fn fill(&self, objects: &mut [Value]) {
        let all = self
            .tokens
            .values()
            .flatten()
            .map(|(key, (id, _))| format!("{key}={id}"));
        let all: Vec<String> = all.collect();
        for object in objects {
            match object["kind"].as_str() {
                Some("Secret") => {
                    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                    let Some(keys) = self.tokens.get(&name) else { continue };
                    let ids: Vec<String> = keys.iter().map(|(key, (id, _))| format!("{key}={id}")).collect();
                    let data = keys
                        .iter()
                        .map(|(key, (_, token))| (key.clone(), Value::String(STANDARD.encode(token.reveal()))));
                    object["data"] = Value::Object(data.collect());
                    object["metadata"]["annotations"][TOKENS] = json!(ids.join(" "));
                    // While one of them is older, the rotation is not done. The first is the older one: what asks for a
                    // rotation is a time.
                    let rotation = self
                        .rotations
                        .get(&name)
                        .and_then(|rotations| rotations.first()?.as_ref());
                    if let Some(rotation) = rotation {
                        object["metadata"]["annotations"][ROTATED] = json!(rotation);
                    }
                }
                Some("Deployment") => {
                    let mark = object.pointer_mut("/spec/template/metadata/annotations");
                    if let Some(Value::String(mark)) = mark.and_then(|annotations| annotations.get_mut(TOKENS))
                        && !all.is_empty()
                    {
                        let digest = Sha256::digest(all.join(" "));
                        *mark = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
                    }
                }
                _ => {}
            }
        }
    }
}

fn place_of(namespace: &str, token: &DatabaseToken) -> Place {
    Place {
        namespace: namespace.to_owned(),
        secret: token.secret.clone(),
        key: token.key.clone(),
    }
}

fn may_write(writer: &Writer) -> Result<(), Failure> {
    writer.may_write().map_err(|error| not_now(&error))
}

fn not_now(error: &Error) -> Failure {
    Failure {
        why: error.chain().into(),
        until: Instant::now() + SOON,
        is_busy: false,
    }
}

/// True if no pod uses a token that was replaced: all pods of the rendered Deployments are as in their templates
/// (<https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#complete-deployment>).
async fn is_rolled_out(writer: &Writer, rendered: Option<&Rendered>) -> Result<bool, Failure> {
    let objects = rendered.map(|rendered| rendered.objects.as_slice()).unwrap_or_default();
    for object in objects.iter().filter(|object| object["kind"] == "Deployment") {
        let Ok(id) = ObjectId::of(object) else { continue };
        let is_rolled_out = writer.is_rolled_out(&id, true).await;
        if !is_rolled_out.map_err(|error| not_now(&error))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The Secrets of one answer in the cluster, which are read at most once.
struct Secrets<'a> {
    writer: &'a Writer,
    live: &'a BTreeMap<ObjectId, Arc<Live>>,
    rendered: &'a Rendered,
    read: BTreeMap<String, Option<Secret>>,
}

impl Secrets<'_> {
    fn id(&self, name: &str) -> ObjectId {
        ObjectId {
            kind: Arc::new(GroupKind::parse("Secret")),
            namespace: self.rendered.namespace.as_deref().unwrap_or_default().into(),
            name: name.into(),
        }
    }

    /// The rotation that somebody has asked for.
    fn rotation(&self, name: &str) -> Option<Box<str>> {
        self.live.get(&self.id(name)).and_then(|live| live.rotation.clone())
    }

    fn is_there(&self, name: &str) -> bool {
        self.live.contains_key(&self.id(name))
    }

    /// A Secret of this operator. Others are not read.
    async fn get(&mut self, name: &str) -> Result<Option<Secret>, Failure> {
        let id = self.id(name);
        if !self.live.contains_key(&id) {
            return Ok(None);
        }
        if !self.read.contains_key(name) {
            let object = self.writer.get(&id).await.map_err(|error| not_now(&error))?;
            let rendered = self
                .rendered
                .objects
                .iter()
                .find(|object| object["kind"] == "Secret" && object["metadata"]["name"] == name);
            let is_ours = |object: &Object| rendered.is_some_and(|rendered| self.writer.ours(object, rendered).is_ok());
            self.read
                .insert(name.to_owned(), object.filter(is_ours).map(Secret::of));
        }
        Ok(self.read.get(name).cloned().flatten())
    }
}

/// The tokens in a Secret, by key, each with the id of its authorization.
#[derive(Clone, Debug)]
struct Secret {
    tokens: BTreeMap<String, (String, Token)>,
    rotation: Option<Box<str>>,
}

impl Secret {
    fn of(object: Object) -> Self {
        let annotations = object.metadata.annotations.unwrap_or_default();
        let ids = annotations.get(TOKENS).map(String::as_str).unwrap_or_default();
        let token = |pair: &str| {
            let (key, id) = pair.split_once('=')?;
            let bytes = STANDARD.decode(object.data["data"][key].as_str()?).ok()?;
            let token = Token::new(String::from_utf8(bytes).ok()?);
            Some((key.to_owned(), (id.to_owned(), token)))
        };
        Self {
            tokens: ids.split(' ').filter_map(token).collect(),
            rotation: annotations.get(ROTATED).map(|rotation| rotation.as_str().into()),
        }
    }

    fn token(&self, key: &str) -> Option<(String, Token)> {
        self.tokens.get(key).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provided() -> Provided {
        let mut provided = Provided::default();
        let token = DatabaseToken {
            secret: "telegraf-1".to_owned(),
            key: "influx-token".to_owned(),
        };
        provided.add(&token, "0a".to_owned(), Token::new("secret".to_owned()), None);
        provided
    }

    fn objects() -> Vec<Value> {
        let pod = json!({"metadata": {"annotations": {TOKENS: ""}}});
        vec![
            json!({"kind": "Secret", "metadata": {"name": "telegraf-1", "annotations": {}}}),
            json!({"kind": "Secret", "metadata": {"name": "other", "annotations": {}}}),
            json!({"kind": "Deployment", "spec": {"template": pod}}),
            json!({"kind": "Deployment", "spec": {"template": {"metadata": {}}}}),
        ]
    }

    #[test]
    fn tokens_are_put_into_their_secrets_and_pods_are_marked() {
        let mut filled = objects();
        provided().fill(&mut filled);
        assert_eq!(filled[0]["data"], json!({"influx-token": STANDARD.encode("secret")}));
        assert_eq!(filled[0]["metadata"]["annotations"][TOKENS], "influx-token=0a");
        assert_eq!(filled[1], objects()[1]);
        let mark = |object: &Value| object["spec"]["template"]["metadata"]["annotations"][TOKENS].clone();
        assert_eq!(mark(&filled[2]).as_str().map(str::len), Some(16));
        assert_eq!(filled[3], objects()[3]);
        let object: Object = serde_json::from_value(filled[0].clone()).unwrap();
        let read = Secret::of(object).token("influx-token").unwrap();
        assert_eq!((read.0.as_str(), read.1.reveal()), ("0a", "secret"));
    }

    #[test]
    fn another_token_is_another_mark() {
        let (mut one, mut other) = (objects(), objects());
        provided().fill(&mut one);
        let mut changed = provided();
        for (id, _) in changed.tokens.values_mut().flat_map(BTreeMap::values_mut) {
            *id = "0b".to_owned();
        }
        changed.fill(&mut other);
        assert_ne!(one[2], other[2]);
    }

    #[test]
    fn nothing_shows_a_token() {
        let held = Held {
            authorization: "0a".to_owned(),
            token: Token::new("secret".to_owned()),
            is_written: true,
            rotation: None,
        };
        let shown = format!("{held:?} {:?}", provided());
        assert!(
            !shown.contains("secret") && !shown.contains(&STANDARD.encode("secret")),
            "{shown}"
        );
    }
}
