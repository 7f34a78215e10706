//! Charts and overlays, rendered with the user's own `helm` and `kustomize`.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::failure::Failure;
use super::input::{Input, RenderedFrom};

/// Input that must be rendered first.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct RenderedArgs {
    /// Check the output of `helm template` for this chart; can be given several times
    ///
    /// A folder, an archive, or any other chart reference of Helm.
    #[arg(long, value_name = "CHART")]
    helm: Vec<PathBuf>,
    /// A values file for the charts of `--helm`; can be given several times
    #[arg(long, value_name = "FILE", requires = "helm")]
    values: Vec<PathBuf>,
    /// Check the output of `kustomize build` for this folder; can be given several times
    ///
    /// Without kustomize, `kubectl kustomize` is used.
    #[arg(long, value_name = "DIR")]
    kustomize: Vec<PathBuf>,
}

impl RenderedArgs {
    pub(crate) fn is_empty(&self) -> bool {
        self.helm.is_empty() && self.kustomize.is_empty()
    }

    /// Runs the programs, and adds their output.
    pub(crate) fn read(&self, input: &mut Input) {
        for chart in &self.helm {
            let values = self
                .values
                .iter()
                .flat_map(|file| [OsStr::new("--values"), file.as_os_str()]);
            let args: Vec<_> = [OsStr::new("template"), chart.as_os_str()]
                .into_iter()
                .chain(values)
                .collect();
            add(input, "helm template", chart, run("helm", &args));
        }
        for folder in &self.kustomize {
            let printed = match run("kustomize", &[OsStr::new("build"), folder.as_os_str()]) {
                Err(Unrendered::NoProgram(_)) => {
                    let kubectl = run("kubectl", &[OsStr::new("kustomize"), folder.as_os_str()]);
                    kubectl.map_err(|error| match error {
                        Unrendered::NoProgram(_) => Unrendered::NoProgram("kustomize"),
                        error => error,
                    })
                }
                printed => printed,
            };
            add(input, "kustomize build", folder, printed);
        }
    }
}

fn add(input: &mut Input, command: &str, path: &Path, printed: Result<String, Unrendered>) {
    let name = format!("{command} {}", path.display());
    let from = RenderedFrom { path: path.to_owned() };
    match printed {
        Ok(text) => input.add_text(&name, text, from),
        Err(Unrendered::NoProgram(program)) => input.failures.push(Failure::new(format!(
            "cannot run `{program}`: it is not on PATH; install it, or pipe its output: `{name} | telewarden validate -`"
        ))),
        Err(Unrendered::Io(error)) => input.failures.push(Failure::new(format!("cannot run `{name}`: {error}"))),
        Err(Unrendered::Failed(message)) => input
            .failures
            .push(Failure::of_file(&path.display().to_string(), format!("`{name}` failed: {message}"))),
    }
}

/// Why rendering failed.
enum Unrendered {
    NoProgram(&'static str),
    Io(std::io::Error),
    Failed(String),
}

fn run(program: &'static str, args: &[&OsStr]) -> Result<String, Unrendered> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Unrendered::NoProgram(program),
        _ => Unrendered::Io(error),
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        // The first lines contain the error.
        let said: String = said.trim().chars().take(1000).collect();
        return Err(Unrendered::Failed(said.replace('\n', " ")));
    }
    String::from_utf8(output.stdout).map_err(|_| Unrendered::Failed("it printed no UTF-8 text".to_owned()))
}
