//! `telewarden lsp`: the language server.
//!
//! An annotation is text that contains a YAML document. YAML schemas do not apply to it, so editors need this server.

mod messages;
mod outline;
mod schema;

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::path::{Path, PathBuf};

use lsp_server::{Connection, ErrorCode, Message, Notification, Request, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use telewarden::{Module, Severity};
use telewarden_policy::annotation;
use telewarden_policy::annotation_name::{PREFIXES, is_endpoints};
use telewarden_policy::diagnostic::rules;
use telewarden_policy::manifest::{Manifest, syntax_help};
use telewarden_policy::schema as schemas;

use self::messages::{
    AtPosition, CodeAction, Completion, Diagnostic, DidChange, DidOpen, Hover, InRange, Initialize, Markup, OfDocument,
    Position, PublishDiagnostics, Range, ShowMessage, TextEdit, WorkspaceEdit,
};
use self::outline::Line;
use super::Status;
use super::check::{self, Keep, Look, ReadSettings, Task};
use super::failure::Failure;
use super::input::{Input, Text};
use super::module::PolicyArgs;
use super::output::{self, plain};
use super::project_file::{NAME, Project, SettingsArgs};
use super::report::{Finding, Report};
use super::rule;

/// Run the language server for editors
///
/// It uses the Language Server Protocol on standard input and output. docs/editors.md explains how to configure editors.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    /// Has no effect; many editors pass it
    #[arg(long, hide = true)]
    stdio: bool,
}

pub(crate) fn run(args: &Args) -> Status {
    match serve(args) {
        Ok(()) => Status::Fine,
        Err(error) => {
            output::say(format_args!("error: {error}"));
            Status::CouldNotRun
        }
    }
}

fn serve(args: &Args) -> Result<(), Box<dyn Error + Send + Sync>> {
    let module = args.policy.load()?;
    let (connection, threads) = Connection::stdio();
    let (id, params) = connection.initialize_start()?;
    go_to_root(serde_json::from_value(params)?);
    connection.initialize_finish(
        id,
        json!({
            "capabilities": {
                // Full texts on each change.
                "textDocumentSync": {"openClose": true, "change": 1, "save": true},
                "hoverProvider": true,
                "completionProvider": {"triggerCharacters": [" ", ":", "/"]},
                "codeActionProvider": {"codeActionKinds": ["quickfix"]},
            },
            "serverInfo": {"name": "telewarden", "version": env!("CARGO_PKG_VERSION")},
        }),
    )?;
    let mut server = Server {
        connection: &connection,
        module,
        args,
        project: None,
        broken: BTreeMap::new(),
        documents: HashMap::new(),
        changed: Vec::new(),
        annotation: schemas::annotation().to_value(),
        settings: schemas::settings().to_value(),
    };
    server.load_project();
    server.run()?;
    drop(server);
    drop(connection);
    threads.join()?;
    Ok(())
}

/// Changes to the editor's folder, so that its project file is found.
fn go_to_root(
    Initialize {
        root_uri,
        workspace_folders,
    }: Initialize,
) {
    let first = workspace_folders.into_iter().flatten().next().map(|folder| folder.uri);
    if let Some(root) = first.or(root_uri).and_then(|uri| path_of(&uri)) {
        // If the folder does not exist, there is no project file.
        _ = std::env::set_current_dir(root);
    }
}

struct Server<'a> {
    connection: &'a Connection,
    module: Module,
    args: &'a Args,
    /// The last project file and settings that could be used. None until there are some.
    project: Option<Project>,
    /// What is wrong with the project file or the settings now, by file.
    broken: BTreeMap<PathBuf, Vec<Diagnostic>>,
    documents: HashMap<String, Document>,
    /// Documents that have not been checked since they changed.
    changed: Vec<String>,
    annotation: Value,
    settings: Value,
}

struct Document {
    text: String,
    findings: Vec<Finding>,
}

impl Server<'_> {
    fn run(&mut self) -> Result<(), Box<dyn Error + Send + Sync>> {
        loop {
            // While messages arrive, only the latest text is checked.
            let message = match self.connection.receiver.try_recv() {
                Ok(message) => message,
                Err(_) => {
                    self.check_changed()?;
                    match self.connection.receiver.recv() {
                        Ok(message) => message,
                        Err(_) => return Ok(()),
                    }
                }
            };
            match message {
                Message::Request(request) => {
                    if self.connection.handle_shutdown(&request)? {
                        return Ok(());
                    }
                    // Requests are about the latest text.
                    self.check_changed()?;
                    let response = self.answer(request);
                    self.connection.sender.send(response.into())?;
                }
                Message::Notification(notification) => self.take(notification)?,
                Message::Response(_) => {}
            }
        }
    }

    fn take(&mut self, Notification { method, params }: Notification) -> Result<(), Box<dyn Error + Send + Sync>> {
        match method.as_str() {
            "textDocument/didOpen" => {
                if let Some(DidOpen { text_document }) = read(params) {
                    self.set_text(text_document.uri, text_document.text);
                }
            }
            "textDocument/didChange" => {
                if let Some(DidChange {
                    text_document,
                    mut content_changes,
                }) = read(params)
                    && let Some(change) = content_changes.pop()
                {
                    self.set_text(text_document.uri, change.text);
                }
            }
            "textDocument/didSave" => {
                // The project file or the settings may have changed.
                self.load_project();
                self.changed = self.documents.keys().cloned().collect();
            }
            "textDocument/didClose" => {
                if let Some(OfDocument { text_document }) = read(params) {
                    self.documents.remove(&text_document.uri);
                    self.publish(&text_document.uri, Vec::new())?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn answer(&self, Request { id, method, params }: Request) -> Response {
        let result = match method.as_str() {
            "textDocument/hover" => read(params).map(|at| json(&self.hover(&at))),
            "textDocument/completion" => read(params).map(|at| json(&self.completion(&at))),
            "textDocument/codeAction" => read(params).map(|range| json(&self.code_actions(&range))),
            _ => {
                let message = format!("`{method}` is not served");
                return Response::new_err(id, ErrorCode::MethodNotFound as i32, message);
            }
        };
        match result {
            Some(result) => Response::new_ok(id, result),
            None => Response::new_err(
                id,
                ErrorCode::InvalidParams as i32,
                format!("`{method}` has other parameters"),
            ),
        }
    }

    fn set_text(&mut self, uri: String, text: String) {
        let findings = Vec::new();
        self.documents.insert(uri.clone(), Document { text, findings });
        if !self.changed.contains(&uri) {
            self.changed.push(uri);
        }
    }

    fn load_project(&mut self) {
        let before = std::mem::take(&mut self.broken);
        match self.args.settings.load() {
            Ok(project) => self.project = Some(project),
            Err(failures) => {
                for failure in failures {
                    let file = failure.file.as_ref().map(|file| format!("{file}: "));
                    let message = plain(&format!("telewarden: {}{}", file.unwrap_or_default(), failure.message));
                    self.notify("window/showMessage", &ShowMessage { kind: 1, message });
                    if let Some(file) = failure.file.as_deref().and_then(absolute) {
                        let found = self.broken.entry(file).or_default();
                        found.push(of_failure(&failure));
                    }
                }
            }
        }
        let files: Vec<_> = before.keys().chain(self.broken.keys()).cloned().collect();
        // Open documents are checked again anyway.
        let is_open = |file: &PathBuf| self.documents.keys().any(|uri| path_of(uri).as_ref() == Some(file));
        for file in files.iter().filter(|file| !is_open(file)) {
            let diagnostics = Vec::new();
            self.notify_diagnostics(&uri_of(file), diagnostics);
        }
    }

    /// Publishes findings, and what is wrong with the file if it is the project file or holds the settings.
    fn notify_diagnostics(&self, uri: &str, mut diagnostics: Vec<Diagnostic>) {
        let of_file = path_of(uri).and_then(|path| self.broken.get(&path));
        diagnostics.extend(of_file.into_iter().flatten().cloned());
        let uri = uri.to_owned();
        self.notify(
            "textDocument/publishDiagnostics",
            &PublishDiagnostics { uri, diagnostics },
        );
    }

    fn notify(&self, method: &str, params: &impl Serialize) {
        let notification = Notification::new(method.to_owned(), params);
        // If the editor has exited, nobody reads the message.
        _ = self.connection.sender.send(notification.into());
    }

    fn publish(&self, uri: &str, diagnostics: Vec<Diagnostic>) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.notify_diagnostics(uri, diagnostics);
        Ok(())
    }

    fn check_changed(&mut self) -> Result<(), Box<dyn Error + Send + Sync>> {
        for uri in std::mem::take(&mut self.changed) {
            let Some(document) = self.documents.get(&uri) else {
                continue;
            };
            let (findings, mut diagnostics) = self.check(&uri, &document.text);
            let lines: Vec<_> = document.text.lines().collect();
            diagnostics.extend(findings.iter().map(|finding| diagnostic(finding, &lines)));
            self.publish(&uri, diagnostics)?;
            if let Some(document) = self.documents.get_mut(&uri) {
                document.findings = findings;
            }
        }
        Ok(())
    }

    /// The findings about a text, and its syntax error.
    fn check(&self, uri: &str, text: &str) -> (Vec<Finding>, Vec<Diagnostic>) {
        let Some(project) = &self.project else {
            return Default::default();
        };
        let name = uri.to_owned();
        let manifest = match Manifest::parse(text.to_owned()) {
            Ok(manifest) => manifest,
            Err((text, error)) => {
                // Syntax errors of other YAML files and of templates are not reported.
                let is_ours = PREFIXES.iter().any(|prefix| text.contains(prefix)) && !text.contains("{{");
                let lines: Vec<_> = text.lines().collect();
                let help = syntax_help(&text, &error).map(|help| format!("\nhelp: {}", plain(&help)));
                let syntax = error.position.filter(|_| is_ours).map(|(line, column)| {
                    let at = position(&lines, line, column);
                    Diagnostic {
                        range: Range { start: at, end: at },
                        severity: 1,
                        code: None,
                        source: "telewarden",
                        message: format!("not YAML: {}{}", plain(&error.message), help.unwrap_or_default()),
                    }
                });
                return (Vec::new(), syntax.into_iter().collect());
            }
        };
        let input = Input {
            texts: vec![Text {
                name: name.clone(),
                path: None,
                rendered: None,
                manifest,
            }],
            files: 1,
            ..Input::default()
        };
        let report = check::check_input(
            input,
            Task {
                project,
                module: &self.module,
                look: Look::ForFixes,
                expand: true,
                read: &ReadSettings::of(project),
                keep: Keep::Nothing,
            },
        );
        let Report { findings, .. } = report;
        let of_text = findings
            .into_iter()
            .filter(|finding| finding.file.as_ref() == Some(&name));
        (of_text.collect(), Vec::new())
    }

    fn hover(&self, at: &AtPosition) -> Option<Hover> {
        let document = self.documents.get(&at.text_document.uri)?;
        let lines: Vec<_> = document.text.lines().collect();
        let here = Range {
            start: at.position,
            end: at.position,
        };
        let line = Line::read(lines.get(at.position.line as usize)?);
        let column = characters(&lines, at.position);
        let of_key = line
            .key
            .as_ref()
            .filter(|_| (line.column..=line.value).contains(&column))
            .and_then(|key| {
                let mut path = outline::above(&lines, at.position.line as usize, line.column);
                path.push(key.clone());
                let (root, path) = self.schema_at(&at.text_document.uri, &document.text, &path)?;
                let number = at.position.line + 1;
                let range = Range {
                    start: position(&lines, number, count(line.column)),
                    end: position(&lines, number, count(line.value)),
                };
                let contents = Markup::markdown(schema::documentation(root, &path)?);
                Some(Hover { contents, range })
            });
        let of_finding = || {
            let finding = document
                .findings
                .iter()
                .find(|finding| range(finding, &lines).touches(&here))?;
            let contents = Markup::markdown(rule::document(rules::find(&finding.code)?));
            let range = range(finding, &lines);
            Some(Hover { contents, range })
        };
        of_key.or_else(of_finding)
    }

    fn completion(&self, at: &AtPosition) -> Vec<Completion> {
        let Some(document) = self.documents.get(&at.text_document.uri) else {
            return Vec::new();
        };
        let lines: Vec<_> = document.text.lines().collect();
        let number = at.position.line as usize;
        let text = lines.get(number).copied().unwrap_or_default();
        let column = characters(&lines, at.position);
        let typed: String = text.chars().take(column).collect();
        let line = Line::read(text);
        let edit = |start: usize, new_text: String| TextEdit {
            range: Range {
                start: position(&lines, at.position.line + 1, count(start)),
                end: at.position,
            },
            new_text,
        };

        let is_value = line.key.is_some() && column > line.value;
        // In an empty line, the cursor determines the indentation.
        let depth = if line.key.is_none() && text.trim().is_empty() {
            column
        } else {
            line.column
        };
        let mut path = outline::above(&lines, number, depth);
        if is_value {
            path.extend(line.key.clone());
            let start = typed.chars().count() - typed.chars().rev().take_while(|c| !c.is_whitespace()).count();
            let Some((root, path)) = self.schema_at(&at.text_document.uri, &document.text, &path) else {
                return Vec::new();
            };
            let values = schema::values(root, &path).into_iter().map(|label| Completion {
                text_edit: edit(start, label.clone()),
                label,
                kind: 12,
                detail: String::new(),
                documentation: None,
            });
            return values.collect();
        }
        if column < line.column {
            return Vec::new();
        }
        let colon = |nested: bool| match (line.key.is_some(), nested) {
            (true, _) => "",
            (false, true) => ":",
            (false, false) => ": ",
        };
        if path.last().is_some_and(|last| last == "annotations") {
            let names = annotation::names(self.annotation_name());
            let names = names.map(|label| Completion {
                text_edit: edit(depth, format!("{label}{}", colon(false))),
                label,
                kind: 10,
                detail: String::new(),
                documentation: None,
            });
            return names.collect();
        }
        let Some((root, path)) = self.schema_at(&at.text_document.uri, &document.text, &path) else {
            return Vec::new();
        };
        let keys = schema::keys(root, &path).into_iter().map(|key| Completion {
            text_edit: edit(depth, format!("{}{}", key.label, colon(key.is_nested))),
            label: key.label,
            kind: 10,
            detail: key.types,
            documentation: key.documentation.map(Markup::markdown),
        });
        keys.collect()
    }

    /// The annotation with the endpoints.
    fn annotation_name(&self) -> String {
        self.project.as_ref().map(Project::annotation).unwrap_or_default()
    }

    /// The schema that a path of a document leads into, and the rest of the path.
    fn schema_at(&self, uri: &str, text: &str, path: &[String]) -> Option<(&Value, Vec<String>)> {
        let name = self.annotation_name();
        if let Some(at) = path
            .windows(2)
            .position(|two| two[0] == "annotations" && is_endpoints(&two[1], &name))
        {
            return Some((&self.annotation, path[at + 2..].to_vec()));
        }
        let is_project_file = uri.rsplit('/').next() == Some(NAME);
        match path {
            [first, rest @ ..] if is_project_file && first == "settings" => Some((&self.settings, rest.to_vec())),
            [spec, settings, rest @ ..]
                if spec == "spec" && settings == "settings" && text.contains("policies.kubewarden.io/") =>
            {
                Some((&self.settings, rest.to_vec()))
            }
            _ => None,
        }
    }

    fn code_actions(&self, asked: &InRange) -> Vec<CodeAction> {
        let uri = &asked.text_document.uri;
        let Some(document) = self.documents.get(uri) else {
            return Vec::new();
        };
        let lines: Vec<_> = document.text.lines().collect();
        let actions = document.findings.iter().filter_map(|finding| {
            let fix = finding.fix.as_ref()?;
            let edit = TextEdit {
                range: Range {
                    start: position(&lines, fix.line, fix.column),
                    end: position(&lines, fix.end_line, fix.end_column),
                },
                new_text: fix.replacement.clone(),
            };
            range(finding, &lines).touches(&asked.range).then(|| CodeAction {
                title: format!("Write {}", plain(&fix.replacement)),
                kind: "quickfix",
                diagnostics: vec![diagnostic(finding, &lines)],
                is_preferred: true,
                edit: WorkspaceEdit {
                    changes: BTreeMap::from([(uri.clone(), vec![edit])]),
                },
            })
        });
        actions.collect()
    }
}

fn read<T: DeserializeOwned>(params: Value) -> Option<T> {
    serde_json::from_value(params).ok()
}

/// Serializing these types cannot fail.
fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn diagnostic(finding: &Finding, lines: &[&str]) -> Diagnostic {
    let help = finding.help.as_ref().map(|help| format!("\nhelp: {}", plain(help)));
    Diagnostic {
        range: range(finding, lines),
        severity: match finding.severity {
            Severity::Error => 1,
            Severity::Warning => 2,
        },
        code: Some(finding.code.clone()),
        source: "telewarden",
        message: format!("{}{}", plain(&finding.message), help.unwrap_or_default()),
    }
}

fn range(finding: &Finding, lines: &[&str]) -> Range {
    let start = position(lines, finding.line.unwrap_or(1), finding.column.unwrap_or(1));
    let end = finding.end_line.zip(finding.end_column);
    let end = end.map_or(start, |(line, column)| position(lines, line, column));
    Range { start, end }
}

fn count(column: usize) -> u32 {
    u32::try_from(column + 1).unwrap_or(u32::MAX)
}

/// A line and a column, both from 1, as a position of the protocol.
fn position(lines: &[&str], line: u32, column: u32) -> Position {
    let line = line.saturating_sub(1);
    let text = lines.get(line as usize).copied().unwrap_or_default();
    let before = text.chars().take((column as usize).saturating_sub(1));
    let units: usize = before.map(char::len_utf16).sum();
    Position {
        line,
        character: u32::try_from(units).unwrap_or(u32::MAX),
    }
}

/// How many characters are before a position in its line.
fn characters(lines: &[&str], position: Position) -> usize {
    let text = lines.get(position.line as usize).copied().unwrap_or_default();
    let mut units = 0;
    let before = text.chars().take_while(|c| {
        units += c.len_utf16();
        units <= position.character as usize
    });
    before.count()
}

/// A failure to read a file, at its place there.
fn of_failure(failure: &Failure) -> Diagnostic {
    let at = Position {
        line: failure.line.unwrap_or(1).saturating_sub(1),
        character: failure.column.unwrap_or(1).saturating_sub(1),
    };
    let help = failure.help.as_ref().map(|help| format!("\nhelp: {}", plain(help)));
    Diagnostic {
        range: Range { start: at, end: at },
        severity: 1,
        code: None,
        source: "telewarden",
        message: format!("{}{}", plain(&failure.message), help.unwrap_or_default()),
    }
}

/// The path of a file that is named relative to the editor's folder.
fn absolute(file: &str) -> Option<PathBuf> {
    std::env::current_dir().ok().map(|folder| folder.join(file))
}

/// The address of a file.
fn uri_of(path: &Path) -> String {
    // As editors write it: everything that has a meaning in an address is escaped, and the separators are not.
    const ESCAPED: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    let path = path.display().to_string();
    format!("file://{}", percent_encoding::utf8_percent_encode(&path, ESCAPED))
}

/// The file that an address names, if it names one.
fn path_of(uri: &str) -> Option<PathBuf> {
    let path = uri.strip_prefix("file://")?;
    let path = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
    // `file:///C:/x` is `C:/x`.
    let path = match path.strip_prefix('/') {
        Some(windows) if windows.get(1..2) == Some(":") => windows,
        _ => &path,
    };
    Some(PathBuf::from(path))
}
