//! An OCI registry.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::{eventually, free_port, part};

/// Debian's docker-registry on loopback, without TLS. It stops when this is dropped.
pub struct DockerRegistry {
    child: Child,
    port: u16,
}

impl DockerRegistry {
    /// Starts an empty registry with its data in a folder.
    pub async fn start(folder: &Path) -> Self {
        let port = free_port();
        let config = folder.join("registry.yaml");
        let data = folder.join("registry");
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"127.0.0.1:{port}\"}}\n",
            data.display()
        );
        fs::write(&config, text).expect("write the registry's configuration");
        let log = File::create(folder.join("registry.log")).expect("create a log");
        let child = Command::new(part("TELEWARDEN_E2E_DOCKER_REGISTRY"))
            .arg("serve")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("start a registry");
        eventually(|| async {
            let connected = TcpStream::connect(("127.0.0.1", port));
            connected.map(drop).map_err(|error| error.to_string())
        })
        .await;
        Self { child, port }
    }

    /// Its host and port.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
