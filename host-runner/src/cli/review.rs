//! `telewarden review`

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::Status;
use super::input;
use super::module::{self, PolicyArgs};
use super::output;
use super::report::human;
use super::yaml;

/// Answer an AdmissionReview, or an AdmissionRequest alone, as Kubewarden would
///
/// The exit status is 0 when the request is allowed and 1 when it is not.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The review or the request, in JSON or YAML; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The administrator's settings, in YAML; the defaults without
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    #[command(flatten)]
    policy: PolicyArgs,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot read `{}`", file.display())]
    Read { file: PathBuf, source: std::io::Error },
    #[error("`{}` is not YAML: {message}", file.display())]
    Syntax { file: PathBuf, message: String },
    #[error("{0}")]
    Settings(String),
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
            status.max(output::print(&format!("{answer:#}\n")))
        }
        Err(error) => {
            output::say_error(&error);
            Status::CouldNotRun
        }
    }
}

fn review(args: &Args) -> Result<Value, Error> {
    let documents = documents(&args.file)?;
    let [document] = documents.as_slice() else {
        let (file, found) = (args.file.clone(), documents.len());
        return Err(Error::Documents { file, found });
    };
    let settings = match args.settings.as_deref().map(input::read_settings).transpose() {
        Ok(settings) => settings
            .and_then(|text| text.documents.into_iter().next())
            .unwrap_or_default(),
        Err(failure) => return Err(Error::Settings(human::failure(&failure))),
    };

    let is_review = document["kind"] == "AdmissionReview";
    let request = if is_review { &document["request"] } else { document };
    if !request["uid"].is_string() || !request["operation"].is_string() {
        return Err(Error::NoRequest {
            file: args.file.clone(),
        });
    }
    let answer = args.policy.load()?.validate(request, &settings)?;
    let response = response(request, &answer);
    Ok(match is_review {
        true => json!({
            "apiVersion": document["apiVersion"],
            "kind": "AdmissionReview",
            "response": response,
        }),
        false => response,
    })
}

/// Reads the file. An AdmissionRequest alone has neither `apiVersion` nor `kind`, and so is none of the objects that the
/// other commands look for.
fn documents(file: &Path) -> Result<Vec<Value>, Error> {
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
    yaml::documents(&text).map_err(|error| Error::Syntax {
        file: file.to_owned(),
        message: error.message,
    })
}

/// Kubewarden's answer to a policy's answer: an AdmissionResponse.
fn response(request: &Value, answer: &Value) -> Value {
    let mut response = Map::new();
    response.insert("uid".into(), request["uid"].clone());
    response.insert("allowed".into(), json!(answer["accepted"] == true));
    let object = &request["object"];
    if let Some(mutated) = answer.get("mutated_object").filter(|mutated| !mutated.is_null()) {
        let patch = json_patch::diff(object, mutated);
        if !patch.0.is_empty() {
            response.insert("patchType".into(), json!("JSONPatch"));
            response.insert("patch".into(), json!(STANDARD.encode(json!(patch).to_string())));
        }
    }
    let status: Map<_, _> = ["message", "code"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), answer.get(name)?.clone())))
        .collect();
    if !status.is_empty() {
        response.insert("status".into(), status.into());
    }
    for (ours, theirs) in [("audit_annotations", "auditAnnotations"), ("warnings", "warnings")] {
        if let Some(value) = answer.get(ours) {
            response.insert(theirs.into(), value.clone());
        }
    }
    response.into()
}
