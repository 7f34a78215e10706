//! `/healthz`, `/readyz` and `/metrics`.

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

use crate::error::Error;
use crate::metrics::Metrics;

/// What a probe and a scraper are told.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) metrics: Metrics,
    /// Everything has been listed once.
    pub(crate) ready: AtomicBool,
}

impl Status {
    /// Nothing is counted, and nothing is listed yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            metrics: Metrics::new(),
            ready: AtomicBool::new(false),
        })
    }
}

/// Opens the port. Fails at once when it is taken.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::File {
        doing: format!("listen on {address}"),
        source,
    })
}

/// Answers for ever.
pub(crate) async fn serve(listener: TcpListener, status: Arc<Status>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let status = status.clone();
        let service = service_fn(move |request| {
            let answer = answer(&request, &status);
            async move { Ok::<_, Infallible>(answer) }
        });
        // Whoever connects and says nothing is not waited for.
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection);
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
        "/metrics" => text(StatusCode::OK, status.metrics.text(), METRICS),
        _ => text(
            StatusCode::NOT_FOUND,
            "there are /healthz, /readyz and /metrics\n".to_owned(),
            PLAIN,
        ),
    }
}
