//! Requests to InfluxDB 2.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use telewarden::Causes;
use telewarden_policy::printable::printable;

use super::token::{AdministratorToken, Token};

/// The time for a connection, and for a whole request.
const CONNECT: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that is read. A list of 10,000 authorizations has about 10 MiB.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// What the database says is shown as far as this.
const MAX_MESSAGE: usize = 200;
/// The largest page of buckets that the API allows.
const PAGE: usize = 100;
/// The longest that a database can ask to be left alone.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Why a request failed.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{0}")]
    NoToken(String),
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    #[error("the database does not answer within {} s", TIMEOUT.as_secs())]
    Timeout,
    #[error("the database answers {status}{message}")]
    Refused {
        status: StatusCode,
        message: String,
        retry_after: Option<Duration>,
    },
    #[error("the database's answer cannot be read: {0}")]
    Unreadable(String),
}

impl Error {
    /// The value of the label `reason` in the metric.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::NoToken(_) => "token",
            Self::Unreachable(_) => "unreachable",
            Self::Timeout => "timeout",
            Self::Unreadable(_) => "answer",
            Self::Refused { status, .. } => match status.as_u16() {
                401 | 403 => "unauthorized",
                404 => "missing",
                429 => "throttled",
                500.. => "server",
                _ => "refused",
            },
        }
    }

    /// True if the database may have done what it was told.
    pub(super) fn is_doubtful(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Timeout | Self::Unreadable(_) => true,
            Self::Refused { status, .. } => status.is_server_error(),
            Self::NoToken(_) => false,
        }
    }

    pub(super) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// How long the database asks to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// A bucket.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bucket {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default)]
    retention_rules: Vec<RetentionRule>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct RetentionRule {
    every_seconds: u64,
}

impl Bucket {
    /// How long it keeps data, in seconds. 0 is for ever.
    pub(super) fn retention_seconds(&self) -> u64 {
        self.retention_rules.first().map_or(0, |rule| rule.every_seconds)
    }
}

/// An authorization. A database that stores only hashes does not show its token.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Authorization {
    pub(super) id: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default, deserialize_with = "token")]
    pub(super) token: Option<Token>,
    #[serde(default)]
    permissions: Vec<Permission>,
}

fn token<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Token>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text
        .filter(|text| !text.is_empty() && !text.contains('*'))
        .map(Token::new))
}

#[derive(Clone, Debug, Deserialize)]
struct Permission {
    action: String,
    resource: PermissionResource,
}

#[derive(Clone, Debug, Deserialize)]
struct PermissionResource {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    id: Option<String>,
}

impl Authorization {
    /// True if it can write this bucket, and do nothing else.
    pub(super) fn writes_only(&self, bucket: &str) -> bool {
        let [permission] = self.permissions.as_slice() else {
            return false;
        };
        self.status == "active"
            && permission.action == "write"
            && permission.resource.kind == "buckets"
            && permission.resource.id.as_deref() == Some(bucket)
    }
}

/// Sends requests to one database, as an administrator.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    url: String,
    token: AdministratorToken,
    requests: Counter,
}

impl Client {
    /// The client of a database.
    ///
    /// # Errors
    /// If no certificates can be read.
    pub(super) fn new(url: &str, token: AdministratorToken, requests: Counter) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(TIMEOUT)
            // The token must not go where a redirect leads.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("telewarden-operator/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            http,
            url: url.to_owned(),
            token,
            requests,
        })
    }

    /// The id of an organization; `None` if there is none with this name.
    pub(super) async fn organization(&self, name: &str) -> Result<Option<String>, Error> {
        #[derive(Deserialize)]
        struct Organizations {
            orgs: Vec<Organization>,
        }
        #[derive(Deserialize)]
        struct Organization {
            id: String,
            name: String,
        }
        match self.get::<Organizations>("orgs", &[("org", name)]).await {
            Ok(found) => Ok(found
                .orgs
                .into_iter()
                .find(|found| found.name == name)
                .map(|found| found.id)),
            Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All buckets of an organization, or those with a name.
    pub(super) async fn buckets(&self, organization: &str, name: Option<&str>) -> Result<Vec<Bucket>, Error> {
        #[derive(Deserialize)]
        struct Buckets {
            buckets: Vec<Bucket>,
        }
        let mut all = Vec::new();
        loop {
            let (limit, offset) = (PAGE.to_string(), all.len().to_string());
            let mut query = vec![("orgID", organization), ("limit", &limit), ("offset", &offset)];
            query.extend(name.map(|name| ("name", name)));
            let mut page = self.get::<Buckets>("buckets", &query).await?.buckets;
            let is_last = page.len() < PAGE;
            all.append(&mut page);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Makes a bucket.
    pub(super) async fn create_bucket(&self, organization: &str, name: &str, retention: u64) -> Result<Bucket, Error> {
        let body = json!({
            "orgID": organization,
            "name": name,
            "description": "made by telewarden",
            "retentionRules": [{"type": "expire", "everySeconds": retention}],
        });
        self.send(Method::POST, "buckets", &[], Some(&body)).await
    }

    /// All authorizations of an organization.
    pub(super) async fn authorizations(&self, organization: &str) -> Result<Vec<Authorization>, Error> {
        #[derive(Deserialize)]
        struct Authorizations {
            authorizations: Vec<Authorization>,
        }
        let found = self
            .get::<Authorizations>("authorizations", &[("orgID", organization)])
            .await?;
        Ok(found.authorizations)
    }

    /// Makes an authorization that can write one bucket.
    pub(super) async fn create_authorization(
        &self,
        organization: &str,
        bucket: &str,
        description: &str,
    ) -> Result<Authorization, Error> {
        let body = json!({
            "orgID": organization,
            "description": description,
            "permissions": [{
                "action": "write",
                "resource": {"type": "buckets", "id": bucket, "orgID": organization},
            }],
        });
        self.send(Method::POST, "authorizations", &[], Some(&body)).await
    }

    /// Deletes an authorization. One that is gone is fine.
    pub(super) async fn delete_authorization(&self, id: &str) -> Result<(), Error> {
        let path = format!("authorizations/{id}");
        match self.ask(Method::DELETE, &path, &[], None).await {
            Err(error) if error.status() != Some(StatusCode::NOT_FOUND) => Err(error),
            _ => Ok(()),
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, Error> {
        self.send(Method::GET, path, query, None).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<T, Error> {
        let answer = self.ask(method, path, query, body).await?;
        // The text of the error could contain a part of the answer, and so a token.
        serde_json::from_slice(&answer)
            .map_err(|error| Error::Unreadable(format!("line {}, column {}", error.line(), error.column())))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Vec<u8>, Error> {
        let token = self.token.read().await.map_err(Error::NoToken)?;
        let header = format!("Token {}", token.reveal());
        let mut header = HeaderValue::from_str(&header).map_err(|_| Error::NoToken("it is not a token".to_owned()))?;
        header.set_sensitive(true);
        let mut url = reqwest::Url::parse(&format!("{}/api/v2/{path}", self.url))
            .map_err(|error| Error::Unreachable(error.to_string()))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.request(method, url).header(AUTHORIZATION, header);
        if let Some(body) = body {
            let json = HeaderValue::from_static("application/json");
            request = request
                .header(reqwest::header::CONTENT_TYPE, json)
                .body(body.to_string());
        }
        self.requests.inc();
        let mut response = request.send().await.map_err(failed)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if answer.len() + chunk.len() > MAX_ANSWER {
                return Err(Error::Unreadable("it is too long".to_owned()));
            }
            answer.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(answer);
        }
        let retry_after = headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        Err(Error::Refused {
            status,
            message: message(&answer, &token),
            retry_after: retry_after
                .map(Duration::from_secs)
                .map(|after| after.min(MAX_RETRY_AFTER)),
        })
    }
}

/// What the database says, without the token.
fn message(answer: &[u8], token: &Token) -> String {
    #[derive(Deserialize)]
    struct Message {
        message: String,
    }
    let Ok(Message { message }) = serde_json::from_slice(answer) else {
        return String::new();
    };
    let message = printable(&message.replace(token.reveal(), "…")).to_string();
    format!(": {}", &message[..message.floor_char_boundary(MAX_MESSAGE)])
}

fn failed(error: reqwest::Error) -> Error {
    match error.is_timeout() {
        true => Error::Timeout,
        false => Error::Unreachable(Causes(&error.without_url()).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authorization(permissions: Value) -> Authorization {
        let authorization = json!({"id": "1", "status": "active", "token": "t", "permissions": permissions});
        serde_json::from_value(authorization).unwrap()
    }

    fn permission(action: &str, kind: &str, id: Option<&str>) -> Value {
        json!({"action": action, "resource": {"type": kind, "id": id, "orgID": "o"}})
    }

    #[test]
    fn an_authorization_may_write_one_bucket_and_nothing_else() {
        let write = permission("write", "buckets", Some("b"));
        assert!(authorization(json!([write])).writes_only("b"));
        assert!(!authorization(json!([write])).writes_only("c"));
        for other in [
            json!([]),
            json!([write, permission("read", "buckets", Some("b"))]),
            json!([permission("write", "buckets", None)]),
            json!([permission("read", "buckets", Some("b"))]),
            json!([permission("write", "orgs", Some("b"))]),
        ] {
            assert!(!authorization(other.clone()).writes_only("b"), "{other}");
        }
    }

    #[test]
    fn what_the_database_says_has_no_token_in_it() {
        let token = Token::new("s3cret".to_owned());
        let said = message(br#"{"code": "unauthorized", "message": "bad token s3cret\n"}"#, &token);
        assert!(said.starts_with(": bad token …"), "{said}");
        assert!(!said.contains("s3cret") && !said.contains('\n'), "{said}");
        assert_eq!(message(b"<html>", &token), "");
    }
}
