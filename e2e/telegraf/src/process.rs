//! Programs that run beside a test.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Asks again and again until the answer is there.
///
/// # Panics
/// With the last answer, when it is not there after two minutes: longer than anything here takes on the busiest machine.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(why) if Instant::now() > deadline => panic!("{what}: not after two minutes: {why}"),
            Err(_) => sleep(Duration::from_millis(50)),
        }
    }
}

/// A port on loopback that nobody listens on.
///
/// # Panics
/// When there is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port on loopback");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// A program that ends with the test.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
    folder: TempDir,
}

impl Process {
    /// Starts a program with nothing in its environment but what it is given. `command` sees a folder of its own.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(program: &Path, command: impl FnOnce(&mut Command, &Path)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = folder.path().join("log");
        let file = File::create(&log).expect("a log file");
        let mut child = Command::new(program);
        child.env_clear().current_dir(folder.path()).stdin(Stdio::null());
        child.stdout(file.try_clone().expect("a file handle")).stderr(file);
        command(&mut child, folder.path());
        let child = child
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", program.display()));
        Self { child, log, folder }
    }

    /// All that it has said.
    ///
    /// # Panics
    /// When its log cannot be read.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).expect("the log")).into_owned()
    }

    /// Its own folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    ///
    /// # Panics
    /// When the system cannot tell.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the state of a child")
    }

    /// # Panics
    /// When it has ended.
    pub fn assert_runs(&mut self) {
        if let Some(status) = self.ended() {
            panic!("it ended with {status}:\n{}", self.log());
        }
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Panics
    /// When it does not.
    pub fn stop(&mut self) -> ExitStatus {
        let id = self.child.id().to_string();
        Command::new("kill").arg(&id).status().expect("the command kill");
        eventually("the end of a process", || self.ended().ok_or_else(|| self.log()))
    }

    /// The most memory that it has used, in MiB.
    pub fn peak_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").trim().parse().ok()?;
        Some(kilobytes / 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
