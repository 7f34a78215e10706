//! `telewarden review`

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use telewarden_policy::admission::review::Review;
use telewarden_policy::manifest::Manifest;

use super::Status;
use super::failure::Failure;
use super::module::{self, PolicyArgs};
use super::output;
use super::project_file::SettingsArgs;
use super::report::human;

/// Answer an AdmissionReview or an AdmissionRequest as Kubewarden would
///
/// The exit status is 0 if the request is allowed and 1 if not.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The review or the request, in JSON or YAML; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    policy: PolicyArgs,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot read `{}`", file.display())]
    Read { file: PathBuf, source: std::io::Error },
    #[error("`{}` is not YAML: {message}", file.display())]
    Syntax { file: PathBuf, message: String },
    #[error("cannot read the settings")]
    Settings(Vec<Failure>),
    #[error("`{}` holds {found} documents; one AdmissionReview or AdmissionRequest is reviewed at a time", file.display())]
    Documents { file: PathBuf, found: usize },
    #[error("`{}` is neither an AdmissionReview nor an AdmissionRequest: it has no `uid` and `operation`", file.display())]
    NoRequest { file: PathBuf },
    #[error(transparent)]
    Module(#[from] module::Error),
    #[error(transparent)]
    Run(#[from] telewarden::Error),
}

pub(crate) fn run(args: &Args) -> Status {
    match review(args) {
        Ok(answer) => {
            let response = answer.get("response").unwrap_or(&answer);
            let status = match response["allowed"] == true {
                true => Status::Fine,
                false => Status::Findings,
            };
            status.max(output::print_json(&answer))
        }
        Err(Error::Settings(failures)) => {
            failures
                .iter()
                .for_each(|failure| output::say_styled(human::failure(failure)));
            Status::CouldNotRun
        }
        Err(error) => {
            output::say_error(&error);
            Status::CouldNotRun
        }
    }
}

fn review(args: &Args) -> Result<Value, Error> {
    let manifest = read(&args.file)?;
    let [document] = manifest.documents() else {
        let (file, found) = (args.file.clone(), manifest.documents().len());
        return Err(Error::Documents { file, found });
    };
    let project = args.settings.load().map_err(Error::Settings)?;
    let settings = project.settings.map(|settings| settings.value).unwrap_or_default();

    let review = Review::read(document.clone()).ok_or_else(|| Error::NoRequest {
        file: args.file.clone(),
    })?;
    let verdict = args.policy.load()?.validate(review.request(), &settings)?;
    // Serializing text and numbers cannot fail.
    let verdict = serde_json::to_value(verdict).unwrap_or_default();
    Ok(review.answer(&verdict))
}

/// Reads the file. The other commands' reader cannot be used, because an AdmissionRequest has neither `apiVersion` nor
/// `kind`.
fn read(file: &Path) -> Result<Manifest, Error> {
    let unreadable = |source| Error::Read {
        file: file.to_owned(),
        source,
    };
    let mut text = String::new();
    let read = match file == Path::new("-") {
        true => std::io::stdin().read_to_string(&mut text),
        false => File::open(file).and_then(|mut file| file.read_to_string(&mut text)),
    };
    read.map_err(unreadable)?;
    Manifest::parse(text).map_err(|(_, error)| Error::Syntax {
        file: file.to_owned(),
        message: error.message,
    })
}
