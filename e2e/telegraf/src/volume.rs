//! A ConfigMap volume that is updated like the kubelet's.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A folder whose files are links into `..data`, which is a link to the folder of the current version. An update is one
/// rename (<https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/util/atomic_writer.go>).
#[derive(Debug)]
pub struct Volume {
    path: PathBuf,
    version: u32,
}

impl Volume {
    /// An empty volume.
    ///
    /// # Panics
    /// If the folder cannot be created.
    pub fn new(path: &Path) -> Self {
        fs::create_dir_all(path).expect("a folder for the volume");
        Self {
            path: path.to_owned(),
            version: 0,
        }
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the files.
    ///
    /// # Panics
    /// If the file system fails.
    pub fn write(&mut self, files: &BTreeMap<String, String>) {
        let data = self.path.join("..data");
        let old = fs::read_link(&data).ok();
        self.version += 1;
        let version = format!("..2026_01_01_00_00_00.{:09}", self.version);
        let folder = self.path.join(&version);
        fs::create_dir(&folder).expect("a folder for the version");
        for (name, text) in files {
            fs::write(folder.join(name), text).expect("a file of the version");
        }
        let next = self.path.join("..data_tmp");
        symlink(&version, &next).expect("a link to the version");
        fs::rename(&next, &data).expect("the switch to the version");
        for name in files.keys() {
            let link = self.path.join(name);
            if link.symlink_metadata().is_err() {
                symlink(Path::new("..data").join(name), link).expect("a link to a file");
            }
        }
        for entry in fs::read_dir(&self.path).expect("the volume's files").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with("..") && !files.contains_key(&name) {
                fs::remove_file(entry.path()).expect("the removal of a link");
            }
        }
        if let Some(old) = old {
            fs::remove_dir_all(self.path.join(old)).expect("the removal of the old version");
        }
    }
}
