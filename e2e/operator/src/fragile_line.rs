//! A line to the API server that breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::{Cluster, Random};

/// Hands every connection on to the API server, and breaks it after a while: in the midst of a request, of an answer, of a
/// watch, or between the two, when something is written and nobody is told.
pub struct FragileLine {
    port: u16,
    broken: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl FragileLine {
    /// Lays a line to a cluster whose connections carry up to so many bytes.
    pub async fn to(cluster: &Cluster, bytes: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let to = cluster.port();
        let broken = Arc::new(AtomicUsize::new(0));
        let count = broken.clone();
        let task = tokio::spawn(async move {
            let mut random = Random::new();
            loop {
                let (from, _) = listener.accept().await.expect("a connection");
                let (left, count) = (random.below(bytes), count.clone());
                tokio::spawn(async move {
                    if let Ok(to) = TcpStream::connect(("127.0.0.1", to)).await
                        && carry(&from, &to, left).await
                    {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        Self { port, broken, task }
    }

    /// Where it begins.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections have broken.
    pub fn broken(&self) -> usize {
        self.broken.load(Ordering::Relaxed)
    }
}

impl Drop for FragileLine {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Carries so many bytes, either way. False if an end hung up before.
async fn carry(from: &TcpStream, to: &TcpStream, mut left: u64) -> bool {
    let mut buffer = [0; 4096];
    while left > 0 {
        let (source, sink) = tokio::select! {
            Ok(()) = from.readable() => (from, to),
            Ok(()) = to.readable() => (to, from),
            else => return false,
        };
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = match source.try_read(&mut buffer[..most]) {
            Ok(0) => return false,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => return false,
        };
        let mut written = 0;
        while written < read {
            if sink.writable().await.is_err() {
                return false;
            }
            match sink.try_write(&buffer[written..read]) {
                Ok(bytes) => written += bytes,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
        }
        left -= read as u64;
    }
    true
}
