//! The metrics' end: the real InfluxDB, which checks the organization, the bucket and the token of each write.

use serde_json::{Value, json};
use telewarden_e2e_operator::{InfluxDb, Series};
use telewarden_policy::protocol::Rendered;
use tokio::runtime::Runtime;

/// A database on loopback with some buckets in the organization `square`, and a token that can write these.
pub struct Database {
    inner: InfluxDb,
    runtime: Runtime,
    token: String,
}

impl Database {
    /// Starts one with these buckets.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn start(buckets: &[&str]) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let (inner, token) = runtime.block_on(async {
            let inner = InfluxDb::start().await;
            for bucket in buckets {
                inner.create_bucket(bucket, 0).await;
            }
            let token = inner.create_token(buckets).await;
            (inner, token)
        });
        Self { inner, runtime, token }
    }

    /// Stops it, so that connections are refused.
    pub fn stop(&mut self) {
        self.inner.stop();
    }

    /// Restarts it with the same address and data, and waits until it answers.
    ///
    /// # Panics
    /// If it does not.
    pub fn start_again(&mut self) {
        self.runtime.block_on(self.inner.start_again());
    }

    /// The URL.
    pub fn url(&self) -> String {
        self.inner.url()
    }

    /// A Secret with the token.
    pub fn secret(&self, name: &str) -> Value {
        json!({"kind": "Secret", "metadata": {"name": name}, "stringData": {"influx-token": self.token}})
    }

    /// What is rendered, with the token in the Secret that the default settings name.
    pub fn given(&self, mut rendered: Rendered) -> Rendered {
        rendered.objects.push(self.secret("telegraf"));
        rendered
    }

    /// All series of a bucket.
    ///
    /// # Panics
    /// If the database does not answer.
    pub fn series(&self, bucket: &str) -> Vec<Series> {
        self.runtime.block_on(self.inner.series(bucket))
    }
}
