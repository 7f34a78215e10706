//! Failures to read or run something.

use schemars::JsonSchema;
use serde::Serialize;
use telewarden_policy::diagnostic::{Problem, Rule, rules};
use telewarden_policy::manifest::{Excerpt, SyntaxError, syntax_help};

/// A failure to read or run something.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Failure {
    /// The rule, if it is about a file that is checked.
    #[serde(flatten)]
    pub(crate) rule: Option<Box<BrokenRule>>,
    /// The file, if the failure concerns one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    /// The line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u32>,
    /// The column, in characters from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<u32>,
    /// The message.
    pub(crate) message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) help: Option<String>,
    /// The excerpt of the line that is shown.
    #[serde(skip)]
    pub(crate) excerpt: Option<Box<Excerpt>>,
}

/// The rule about files that cannot be read.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(crate) struct BrokenRule {
    /// The rule.
    pub(crate) code: String,
    /// The address of the rule's page.
    pub(crate) url: String,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            rule: None,
            file: None,
            line: None,
            column: None,
            message: message.into(),
            help: None,
            excerpt: None,
        }
    }

    pub(crate) fn of_file(name: &str, message: impl Into<String>) -> Self {
        Self {
            file: Some(name.to_owned()),
            ..Self::new(message)
        }
    }

    pub(crate) fn code(&self) -> Option<&str> {
        self.rule.as_ref().map(|rule| rule.code.as_str())
    }

    pub(crate) fn url(&self) -> Option<&str> {
        self.rule.as_ref().map(|rule| rule.url.as_str())
    }

    /// A file that is to be checked and cannot be read.
    pub(crate) fn broken(self) -> Self {
        let error = self.message.clone();
        let code = Rule::BrokenFile.code().to_owned();
        let url = rules::page(&code);
        Self {
            message: Problem::BrokenFile { error }.diagnostic().message,
            rule: Some(Box::new(BrokenRule { code, url })),
            ..self
        }
    }

    pub(crate) fn of_syntax(name: &str, text: &str, error: SyntaxError) -> Self {
        let help = syntax_help(text, &error);
        let SyntaxError { message, position } = error;
        let (line, column) = position.unzip();
        let excerpt = position.and_then(|(line, column)| Excerpt::of_text(text, line, column));
        Self {
            line,
            column,
            help,
            excerpt: excerpt.map(Box::new),
            ..Self::of_file(name, message)
        }
    }
}
