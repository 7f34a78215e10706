//! A proxy for InfluxDB that injects faults.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::InfluxDb;

/// Forwards requests to the real database and counts them, unless it is in trouble.
pub struct Troubled {
    port: u16,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    /// What `Retry-After` says, in seconds. 0: requests are forwarded.
    after: AtomicU32,
    /// True if the next answer to a new authorization is lost.
    loses: AtomicBool,
    requests: AtomicUsize,
}

impl Troubled {
    /// Starts a proxy that forwards requests.
    pub async fn before(database: &InfluxDb) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let (to, state) = (database.port(), Arc::new(State::default()));
        let shared = state.clone();
        let task = tokio::spawn(async move {
            loop {
                let (from, _) = listener.accept().await.expect("a connection");
                // A client that is gone is not an error of the proxy.
                tokio::spawn(serve(from, to, shared.clone()));
            }
        });
        Self { port, state, task }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on requests are answered with 429 and these seconds, or forwarded if they are 0.
    pub fn retry_after(&self, seconds: u32) {
        self.state.after.store(seconds, Ordering::Relaxed);
    }

    /// The next new authorization is made, and nobody gets the answer.
    pub fn lose_an_answer(&self) {
        self.state.loses.store(true, Ordering::Relaxed);
    }

    /// True until that has happened.
    pub fn is_about_to_lose(&self) -> bool {
        self.state.loses.load(Ordering::Relaxed)
    }

    /// The number of requests so far.
    pub fn requests(&self) -> usize {
        self.state.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Troubled {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves one request of a connection, and closes it.
async fn serve(from: TcpStream, to: u16, state: Arc<State>) -> io::Result<()> {
    let mut from = BufReader::new(from);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        if line == "\r\n" {
            head += "Connection: close\r\n\r\n";
            break;
        }
        head += &line;
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).await?;
    state.requests.fetch_add(1, Ordering::Relaxed);
    match state.after.load(Ordering::Relaxed) {
        0 => {
            let mut to = TcpStream::connect(("127.0.0.1", to)).await?;
            to.write_all(head.as_bytes()).await?;
            to.write_all(&body).await?;
            let mut answer = Vec::new();
            to.read_to_end(&mut answer).await?;
            let is_new = head.starts_with("POST /api/v2/authorizations");
            if is_new && state.loses.swap(false, Ordering::Relaxed) {
                return Ok(());
            }
            from.write_all(&answer).await?;
        }
        seconds => {
            let answer = format!(
                "HTTP/1.1 429 Too Many Requests\r\nRetry-After: {seconds}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            from.write_all(answer.as_bytes()).await?;
        }
    }
    from.shutdown().await
}
