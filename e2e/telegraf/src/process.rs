//! Processes that run during a test.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Repeats a question until there is an answer.
///
/// # Panics
/// If there is no answer within five minutes, which is longer than anything takes on a busy machine.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + Duration::from_secs(300);
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(why) if Instant::now() > deadline => panic!("{what}: not after five minutes: {why}"),
            Err(_) => sleep(Duration::from_millis(50)),
        }
    }
}

/// A free port on loopback.
///
/// # Panics
/// If there is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port on loopback");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// A process that ends with the test.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
    folder: TempDir,
}

impl Process {
    /// Starts a program with only the given environment. `command` gets the process's folder.
    ///
    /// # Panics
    /// If it cannot be started.
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

    /// The output so far.
    ///
    /// # Panics
    /// If the log cannot be read.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).expect("the log")).into_owned()
    }

    /// The process's folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process ID.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The exit status, if it has ended.
    ///
    /// # Panics
    /// If the system cannot tell.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the state of a child")
    }

    /// # Panics
    /// If it has ended.
    pub fn assert_runs(&mut self) {
        if let Some(status) = self.ended() {
            panic!("it ended with {status}:\n{}", self.log());
        }
    }

    /// Terminates it, and waits until it has ended.
    ///
    /// # Panics
    /// If it does not end.
    pub fn stop(&mut self) -> ExitStatus {
        let id = self.child.id().to_string();
        Command::new("kill").arg(&id).status().expect("the command kill");
        eventually("the end of a process", || self.ended().ok_or_else(|| self.log()))
    }

    /// The peak memory in MiB.
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
