//! Asking one registry, and reading no more of what it answers than is expected.

use std::pin::Pin;
use std::task::{Context, Poll};

use oci_client::Reference;
use oci_client::client::Client;
use oci_client::errors::OciDistributionError;
use oci_client::manifest::{
    IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, OciDescriptor,
};
use oci_client::secrets::RegistryAuth;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::StatusCode;
use reqwest::header::ACCEPT;
use tokio::io::AsyncWrite;

use super::{Digest, Location, Registry, SILENCE, USER_AGENT};

/// No manifest is larger, in bytes: registries accept none that is.
const MAX_MANIFEST: usize = 4 * 1024 * 1024;

/// What is told of an answer that says why not, in characters.
const MAX_REASON: usize = 400;

type Result<T> = std::result::Result<T, OciDistributionError>;

/// A registry, and the right to read a repository of it.
pub(super) struct Session<'a> {
    client: Client,
    http: reqwest::Client,
    /// `https://HOST/v2/NAME`
    repository: String,
    auth: &'a RegistryAuth,
    token: Option<String>,
}

impl<'a> Session<'a> {
    pub(super) async fn open(registry: &Registry, at: &Location, auth: &'a RegistryAuth) -> Result<Self> {
        let client = registry.client(at)?;
        let token = client
            .auth(&at.reference, auth, oci_client::RegistryOperation::Pull)
            .await?;
        let http = reqwest::Client::builder()
            .connect_timeout(SILENCE)
            .read_timeout(SILENCE)
            .user_agent(USER_AGENT);
        let scheme = if registry.is_plain(at) { "http" } else { "https" };
        let (host, name) = (at.reference.resolve_registry(), at.reference.repository());
        Ok(Self {
            client,
            http: http.build()?,
            repository: format!("{scheme}://{host}/v2/{name}"),
            auth,
            token,
        })
    }

    /// The manifest that a tag or a digest names. oci-client would read one however long it is.
    pub(super) async fn manifest(&self, reference: &Reference) -> Result<Vec<u8>> {
        let name = reference.digest().or(reference.tag()).unwrap_or("latest");
        self.ask(&format!("manifests/{name}")).await?.body()
    }

    /// The manifest at a tag or a digest, if there is one.
    pub(super) async fn manifest_if_any(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.ask(&format!("manifests/{name}")).await?.body_if_any()
    }

    /// The index of the manifests of a type that refer to a manifest. None where the registry does not keep one by itself.
    pub(super) async fn referrers(&self, digest: &Digest, artifact_type: &str) -> Result<Option<Vec<u8>>> {
        let artifact_type = utf8_percent_encode(artifact_type, NON_ALPHANUMERIC);
        let path = format!("referrers/{digest}?artifactType={artifact_type}");
        self.ask(&path).await?.body_if_any()
    }

    async fn ask(&self, path: &str) -> Result<Answer> {
        let url = format!("{}/{path}", self.repository);
        let accept = [
            OCI_IMAGE_MEDIA_TYPE,
            IMAGE_MANIFEST_MEDIA_TYPE,
            OCI_IMAGE_INDEX_MEDIA_TYPE,
        ];
        let request = self.http.get(&url).header(ACCEPT, accept.join(", "));
        let request = match (&self.token, self.auth) {
            (Some(token), _) => request.bearer_auth(token),
            (None, RegistryAuth::Basic(user, password)) => request.basic_auth(user, Some(password)),
            (None, _) => request,
        };
        let mut answer = request.send().await?;
        let status = answer.status();
        let mut body = Bounded::new(MAX_MANIFEST);
        while let Some(bytes) = answer.chunk().await? {
            body.push(&bytes)?;
        }
        let body = body.bytes;
        Ok(Answer { status, url, body })
    }

    /// What a descriptor describes, if it has that length and that digest.
    pub(super) async fn blob(&self, at: &Reference, descriptor: &OciDescriptor) -> Result<Vec<u8>> {
        let mut bytes = Bounded::new(usize::try_from(descriptor.size).unwrap_or(0));
        self.client.pull_blob(at, descriptor, &mut bytes).await?;
        Ok(bytes.bytes)
    }
}

/// What a registry answers.
struct Answer {
    status: StatusCode,
    url: String,
    body: Vec<u8>,
}

impl Answer {
    fn body(self) -> Result<Vec<u8>> {
        let Self { status, url, body } = self;
        match status {
            StatusCode::OK => Ok(body),
            StatusCode::UNAUTHORIZED => Err(OciDistributionError::UnauthorizedError { url }),
            _ => Err(match serde_json::from_slice(&body) {
                Ok(envelope) => OciDistributionError::RegistryError { envelope, url },
                Err(_) => OciDistributionError::ServerError {
                    code: status.as_u16(),
                    url,
                    message: String::from_utf8_lossy(&body).chars().take(MAX_REASON).collect(),
                },
            }),
        }
    }

    fn body_if_any(self) -> Result<Option<Vec<u8>>> {
        match self.status {
            StatusCode::NOT_FOUND => Ok(None),
            _ => self.body().map(Some),
        }
    }
}

/// Bytes in memory, no more than were announced.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl Bounded {
    fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
        }
    }

    fn push(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if self.bytes.len() + bytes.len() > self.limit {
            let limit = self.limit;
            return Err(std::io::Error::other(format!("it is longer than {limit} bytes")));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(self.push(bytes).map(|()| bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
