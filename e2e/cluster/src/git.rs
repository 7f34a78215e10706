//! A git repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Node;
use crate::node::run;

/// A repository with one branch, `main`.
pub struct Git {
    folder: PathBuf,
}

impl Git {
    /// An empty repository of this name.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn new(node: &Node, name: &str) -> Self {
        let folder = node.folder().join("git").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        let git = Self { folder };
        git.git(&["init", "--quiet", "--initial-branch=main"]);
        git
    }

    /// The URL that Argo CD clones.
    pub fn url(&self) -> String {
        format!("file://{}", self.folder.display())
    }

    /// Writes a file.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("a folder");
        fs::write(path, text).expect("write a file");
    }

    /// Removes a file.
    ///
    /// # Panics
    /// If it does not exist.
    pub fn remove(&self, path: &str) {
        fs::remove_file(self.folder.join(path)).expect("remove a file");
    }

    /// Commits everything.
    pub fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
    }

    fn git(&self, arguments: &[&str]) {
        let mut command = Command::new("git");
        command.current_dir(&self.folder);
        command.args(["-c", "user.name=e2e", "-c", "user.email=e2e@telewarden.test"]);
        run(command.args(arguments));
    }
}
