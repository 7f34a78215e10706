//! Checks of settings for hosts that check files. They would make the module too large, and a request does not need them.

use serde_json::Value as Json;

use super::path::Path;
use super::{CheckPlugins, clashes, read_document, tables, variables};
use crate::diagnostic::{Diagnostic, Findings, Rule};

/// All findings about settings. `findings` are those of [`read`](super::read), or of a module's.
pub fn thorough(document: Option<&Json>, mut findings: Vec<Diagnostic>) -> Vec<Diagnostic> {
    // What is wrong with the settings has been said. What could be read is checked all the same.
    let Some(settings) = read_document(document, CheckPlugins::No, &mut Findings::default()) else {
        return findings;
    };
    let (document, root) = (document.unwrap_or(&Json::Null), &Path::ROOT);
    let mut found = Findings::default();
    tables::check(document, &settings, &mut found);
    variables::check(&settings, root, &mut found);
    clashes::check(&settings, root, &mut found);
    // An output that is wrong may be the one that was meant to use it.
    if !found.has_error() && !findings.iter().any(Diagnostic::is_error) {
        variables::check_default(document, &settings, root, &mut found);
    }
    let found = found.into_vec();
    // The module knows only the names of plugins and options, so the tables say more about the same place.
    let of_names = [Rule::UnknownPlugin, Rule::UnknownPluginOption];
    findings.retain(|finding| {
        let is_of_names = of_names.iter().any(|rule| finding.is(*rule));
        !(is_of_names && found.iter().any(|found| found.place == finding.place))
    });
    findings.extend(found);
    findings
}
