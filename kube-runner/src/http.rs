//! `/healthz`, `/readyz`, `/metrics` and `/status`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::error::Error;
use crate::metrics::Metrics;
use crate::status::Board;

/// The state that the endpoints serve.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) metrics: Metrics,
    /// True after everything was listed once.
    pub(crate) ready: AtomicBool,
    /// Whether what was applied works.
    pub(crate) board: Arc<Board>,
    /// The number of failing endpoints that have a metric of their own.
    failing_series: usize,
}

impl Status {
    /// The initial state: not ready, all counters zero.
    pub(crate) fn new() -> Arc<Self> {
        Self::with_failing_series(0)
    }

    /// The same, with a metric for each of so many failing endpoints.
    pub(crate) fn with_failing_series(failing_series: usize) -> Arc<Self> {
        Arc::new(Self {
            metrics: Metrics::new(),
            ready: AtomicBool::new(false),
            board: Arc::default(),
            failing_series,
        })
    }
}

/// Opens the port. Fails if it is in use.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::File {
        doing: format!("listen on {address}"),
        source,
    })
}

/// The maximum number of connections. A probe and a few scrapers need one each.
const CONNECTIONS: usize = 64;

/// Serves connections until the task is stopped. If there are too many, the oldest is closed, so that idle clients cannot
/// block a probe.
pub(crate) async fn serve(listener: TcpListener, status: Arc<Status>) {
    let mut connections: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Most likely, there are no file descriptors left.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let status = status.clone();
        let service = service_fn(move |request| {
            let answer = answer(&request, &status);
            async move { Ok::<_, Infallible>(answer) }
        });
        // The timer closes connections without a request.
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service);
        connections.retain(|connection| !connection.is_finished());
        if connections.len() >= CONNECTIONS
            && let Some(oldest) = connections.pop_front()
        {
            oldest.abort();
        }
        connections.push_back(tokio::spawn(connection).abort_handle());
    }
}

fn answer(request: &Request<Incoming>, status: &Status) -> Response<Full<Bytes>> {
    let text = |code: StatusCode, text: String, kind: &'static str| {
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = code;
        response
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
        response
    };
    const PLAIN: &str = "text/plain; charset=utf-8";
    const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match request.uri().path() {
        "/healthz" => text(StatusCode::OK, "ok\n".to_owned(), PLAIN),
        "/readyz" if status.ready.load(Ordering::Relaxed) => text(StatusCode::OK, "ok\n".to_owned(), PLAIN),
        "/readyz" => text(
            StatusCode::SERVICE_UNAVAILABLE,
            "not everything is listed yet\n".to_owned(),
            PLAIN,
        ),
        "/metrics" => {
            status.metrics.states(&status.board.states(status.failing_series));
            text(StatusCode::OK, status.metrics.text(), METRICS)
        }
        "/status" if status.metrics.leader.get() == 0 => text(
            StatusCode::SERVICE_UNAVAILABLE,
            "another operator leads, and knows the status\n".to_owned(),
            PLAIN,
        ),
        "/status" => {
            let health = serde_json::to_string(&status.board.health()).expect("a status is JSON");
            text(StatusCode::OK, health, "application/json")
        }
        _ => text(
            StatusCode::NOT_FOUND,
            "not found; the endpoints are /healthz, /readyz, /metrics and /status\n".to_owned(),
            PLAIN,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    async fn ask(stream: &mut TcpStream) -> std::io::Result<String> {
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: operator\r\nConnection: close\r\n\r\n")
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn the_oldest_of_too_many_connections_is_closed() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, Status::new()));
        let mut open = Vec::new();
        for _ in 0..2 * CONNECTIONS {
            open.push(TcpStream::connect(address).await.unwrap());
        }
        // A probe is answered despite all other connections.
        let answer = ask(&mut TcpStream::connect(address).await.unwrap()).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let mut byte = [0];
        let closed = open[0].read(&mut byte).await;
        assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
        let last = open.last_mut().unwrap();
        assert!(
            ask(last).await.unwrap().starts_with("HTTP/1.1 200"),
            "the newest are served"
        );
    }
}
