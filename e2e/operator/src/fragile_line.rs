//! A proxy for the API server whose connections break.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::{Cluster, Random};

/// Forwards connections to the API server and breaks each after some bytes: during a request, a response or a watch, or
/// after a write and before its response.
pub struct FragileLine {
    port: u16,
    broken: Arc<AtomicUsize>,
    sent: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl FragileLine {
    /// Starts a proxy whose connections break after at most the given number of bytes.
    pub async fn to(cluster: &Cluster, bytes: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let to = cluster.port();
        let broken = Arc::new(AtomicUsize::new(0));
        let sent = Arc::new(AtomicU64::new(0));
        let (count, counted) = (broken.clone(), sent.clone());
        let task = tokio::spawn(async move {
            let mut random = Random::new();
            loop {
                let (from, _) = listener.accept().await.expect("a connection");
                let (left, count, counted) = (random.below(bytes), count.clone(), counted.clone());
                tokio::spawn(async move {
                    if let Ok(to) = TcpStream::connect(("127.0.0.1", to)).await
                        && carry(&from, &to, left, &counted).await
                    {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        Self {
            port,
            broken,
            sent,
            task,
        }
    }

    /// The proxy's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The number of bytes that were sent to the API server.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// The number of broken connections.
    pub fn broken(&self) -> usize {
        self.broken.load(Ordering::Relaxed)
    }
}

impl Drop for FragileLine {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Forwards the given number of bytes in both directions. Returns false if one side closed the connection before.
async fn carry(from: &TcpStream, to: &TcpStream, mut left: u64, sent: &AtomicU64) -> bool {
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
        if std::ptr::eq(source, from) {
            sent.fetch_add(read as u64, Ordering::Relaxed);
        }
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
