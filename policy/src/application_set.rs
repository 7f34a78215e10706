//! Checks an ApplicationSet before its Applications are created.
//!
//! Its template is an Application with placeholders, `{{ }}`, that only the ApplicationSet controller can fill. A placeholder
//! stands for some text: everything around it is checked as in an Application. A finding that depends on what it stands
//! for is left out, and one warning says that the annotation has placeholders.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::annotation;
use crate::annotation_name::{PREFIXES, is_ours};
use crate::decode::without_place;
use crate::diagnostic::{Diagnostic, Findings, Place, Problem, Rule};
use crate::project::{no_cluster, other_cluster};
use crate::settings::Settings;
use crate::source::{Annotations, ApplicationSpec, Identity, Metadata, Object, Source, check_namespace};

/// The template that Applications are created from.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Template<'a> {
    #[serde(borrow)]
    pub(crate) metadata: Metadata<'a>,
    #[serde(borrow)]
    pub(crate) spec: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec<'a> {
    #[serde(borrow)]
    template: Template<'a>,
    /// Text that becomes a patch of the template after its placeholders are filled.
    template_patch: Option<String>,
}

/// The template of an ApplicationSet.
pub(crate) fn template<'a>(object: &Object<'a>) -> Result<Template<'a>, serde_json::Error> {
    spec(object).map(|spec| spec.template)
}

fn spec<'a>(object: &Object<'a>) -> Result<Spec<'a>, serde_json::Error> {
    serde_json::from_str(object.spec.map_or("{}", RawValue::get))
}

/// Reports the errors of an ApplicationSet, and what cannot be checked yet. Answers `None` if no Application of it will be
/// annotated, or if Applications are no sources.
pub(crate) fn check(object: &Object<'_>, settings: &Settings) -> Option<Vec<Diagnostic>> {
    let unreadable = |what, pointer, error: serde_json::Error| {
        let error = without_place(&error);
        Some(vec![Problem::Unreadable { what, error }.at(Place::pointer(pointer))])
    };
    if !settings.sources.applications {
        return None;
    }
    let Spec {
        template,
        template_patch,
    } = match spec(object) {
        Ok(spec) => spec,
        Err(error) => return unreadable("the ApplicationSet's template", "/spec/template", error),
    };
    let application: ApplicationSpec<'_> = match serde_json::from_str(template.spec.map_or("{}", RawValue::get)) {
        Ok(spec) => spec,
        Err(error) => return unreadable("the template's `spec`", "/spec/template/spec", error),
    };

    let mut undecided = BTreeSet::new();
    let mut filled = Vec::new();
    let mut annotations = Vec::new();
    for (name, value) in template.metadata.annotations.unwrap_or_default().0 {
        // A value that is not text has no placeholders, and is reported as usual.
        let text = serde_json::from_str::<Cow<'_, str>>(value.get()).unwrap_or_default();
        if !is_ours(&name, &settings.annotation) || !(has_hole(&name) || has_hole(&text)) {
            annotations.push((name, Cow::Borrowed(value)));
            continue;
        }
        undecided.insert(name.clone().into_owned());
        let text = Filled::new(&text);
        if !has_hole(&name)
            && !text.filled.trim().is_empty()
            && let Ok(value) = to_raw_value(&text.filled)
        {
            filled.push((name.clone().into_owned(), text));
            annotations.push((name, Cow::Owned(value)));
        }
    }
    let is_annotated = !undecided.is_empty() || annotations.iter().any(|(name, _)| is_ours(name, &settings.annotation));

    let patched = template_patch.is_some();
    let name = template.metadata.name.into_owned();
    let namespace = application.destination.namespace.to_string();
    // The patterns for allowed hosts and classes contain the names.
    let names_are_open = patched || has_hole(&name) || has_hole(&namespace);
    let cluster_is_open = patched
        || [&application.destination.server, &application.destination.name]
            .into_iter()
            .any(|text| has_hole(text));
    let of_argocd = &settings.sources.argocd_namespace;
    let identity = Identity::Application {
        namespace: object.metadata.namespace.as_deref().unwrap_or(of_argocd).to_owned(),
        name,
    };
    let source = Source {
        bucket: identity.bucket(&settings.sources),
        identity,
        namespace,
        annotations: Annotations(
            annotations
                .iter()
                .map(|(name, value)| (Cow::Borrowed(&**name), &**value))
                .collect(),
        ),
        application: Some((application.project.into_owned(), application.destination)),
    };
    let mut decided = Findings::default();
    let mut named = true;
    if is_annotated && annotation::read(&source, settings, &mut decided).is_some() && !names_are_open {
        named = check_namespace(&source, &mut decided);
    }
    if is_annotated
        && !cluster_is_open
        && let Some((_, destination)) = &source.application
    {
        decided.extend(other_cluster(destination).or_else(|| no_cluster(destination)));
    }
    let mut findings = Vec::new();
    for finding in decided.into_vec() {
        let annotation = finding.place.as_ref().and_then(Place::annotation_key);
        let depends_on_names = DEPEND_ON_NAMES.iter().any(|rule| finding.is(*rule));
        if depends_on_names && names_are_open {
            undecided.extend(annotation);
            continue;
        }
        let text = filled.iter().find(|(name, _)| annotation.as_ref() == Some(name));
        let is_open = text.is_some_and(|(_, text)| text.concerns(&finding));
        // Without a namespace no host is allowed, and that is one mistake.
        if !is_open && (named || !depends_on_names) {
            findings.push(finding);
        }
    }
    findings.extend(
        undecided
            .iter()
            .map(|name| Problem::UncheckedPlaceholder {}.at(Place::annotation(name, None))),
    );
    for place in findings.iter_mut().filter_map(|finding| finding.place.as_mut()) {
        place.pointer.insert_str(0, "/spec/template");
    }
    let is_patched = template_patch.is_some_and(|patch| {
        patch.contains(&*settings.annotation) || PREFIXES.iter().any(|prefix| patch.contains(prefix))
    });
    if is_patched {
        findings.push(Problem::UncheckedPlaceholder {}.at(Place::pointer("/spec/templatePatch")));
    }
    (is_annotated || is_patched).then_some(findings)
}

/// A text with a digit in the place of each character of a placeholder, so that every other character keeps its place.
/// Lines of placeholders alone are blank: they may stand for nothing, or for many lines.
struct Filled {
    text: String,
    filled: String,
    /// True if a line is blank.
    has_blank_line: bool,
    /// What placeholders are filled with.
    fillings: BTreeSet<String>,
}

impl Filled {
    fn new(text: &str) -> Self {
        let mut this = Self {
            text: text.to_owned(),
            filled: String::with_capacity(text.len()),
            has_blank_line: false,
            fillings: BTreeSet::new(),
        };
        for line in text.split_inclusive('\n') {
            let start = this.filled.len();
            let mut is_blank = true;
            let mut has_hole = false;
            let mut rest = line;
            while let Some(at) = rest.find("{{") {
                let end = rest[at..].find("}}").map_or(rest.trim_end().len(), |end| at + end + 2);
                let filling = "1".repeat(rest[at..end].chars().count());
                this.filled += &rest[..at];
                this.filled += &filling;
                this.fillings.insert(filling);
                is_blank &= rest[..at].trim().is_empty();
                has_hole = true;
                rest = &rest[end..];
            }
            this.filled += rest;
            if has_hole && is_blank && rest.trim().is_empty() {
                let blank = this.filled[start..].replace('1', " ");
                this.filled.truncate(start);
                this.filled += &blank;
                this.has_blank_line = true;
            }
        }
        this
    }

    /// True for a finding that depends on what a placeholder stands for.
    fn concerns(&self, finding: &Diagnostic) -> bool {
        let Some(range) = finding.place.as_ref().and_then(|place| place.range) else {
            return true;
        };
        let (first, last) = (range.start.line as usize, range.end.line as usize);
        let mut lines = self.text.lines().skip(first.saturating_sub(1));
        if range.start == range.end || first != last {
            return self.has_blank_line || lines.take(last.saturating_sub(first) + 1).any(has_hole);
        }
        let from = range.start.column.saturating_sub(1) as usize;
        let count = range.end.column.saturating_sub(range.start.column) as usize;
        let part: String = lines
            .next()
            .unwrap_or_default()
            .chars()
            .skip(from)
            .take(count)
            .collect();
        // The scheme stands before the placeholder.
        if finding.is(Rule::Scheme) && part.find("://") < part.find("{{") {
            return false;
        }
        let said = |text: &str| self.fillings.iter().any(|filling| text.contains(filling.as_str()));
        has_hole(&part) || said(&finding.message) || finding.is(Rule::NoUrl) && self.has_blank_line
    }
}

/// The rules that compare with the name or the namespace of an Application: hosts and classes.
const DEPEND_ON_NAMES: &[Rule] = &[
    Rule::HostNotAllowed,
    Rule::OtherNamespace,
    Rule::NameInHostPattern,
    Rule::ClassNotAllowed,
];

/// True for text with placeholders, in either of the ApplicationSet controller's template languages.
fn has_hole(text: &str) -> bool {
    text.contains("{{")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::diagnostic::{Position, Range};

    #[rstest]
    #[case::none("a: b\n", "a: b\n")]
    #[case::in_a_line("a: {{ .b }}-c\nd: {{e}}", "a: 11111111-c\nd: 11111")]
    #[case::alone("{{- if .a }}\nb: c\n  {{ end }}\n", "            \nb: c\n           \n")]
    #[case::wide("ä: {{ .ö }}x", "ä: 11111111x")]
    #[case::not_closed("a: {{ b\nc: d", "a: 1111\nc: d")]
    fn characters_keep_their_places(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(Filled::new(text).filled, expected);
        assert_eq!(text.chars().count(), expected.chars().count());
    }

    #[rstest]
    #[case::beside((1, 1), (1, 2), false)]
    #[case::in_it((1, 4), (1, 12), true)]
    #[case::after((2, 4), (2, 5), false)]
    #[case::over_lines((1, 2), (2, 1), true)]
    #[case::over_other_lines((2, 1), (3, 1), false)]
    #[case::a_point_in_its_line((1, 1), (1, 1), true)]
    #[case::a_point_elsewhere((2, 1), (2, 1), false)]
    #[case::behind_the_text((9, 9), (9, 10), false)]
    fn a_finding_concerns_a_placeholder(#[case] start: (u32, u32), #[case] end: (u32, u32), #[case] expected: bool) {
        let filled = Filled::new("a: {{ .b }}\nc: d\ne: f\n");
        let at = |(line, column)| Position { line, column };
        let range = Range {
            start: at(start),
            end: at(end),
        };
        let finding = Problem::NoHost {}.at(Place::annotation("a", Some(range)));
        assert_eq!(filled.concerns(&finding), expected);
    }
}
