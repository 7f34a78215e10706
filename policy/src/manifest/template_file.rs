//! Files that are not YAML because they are templates, such as Helm's.

use super::yaml::{SyntaxError, documents};

/// True if a text that is not YAML is a template: it has actions, `{{ }}`, and the first error is in one of them or comes from
/// one. A file with another mistake is broken, also where it has placeholders, as an ApplicationSet does.
pub fn is_template(text: &str, error: &SyntaxError) -> bool {
    text.contains("{{") && documents(&without_actions(text)).err().as_ref() != Some(error)
}

/// The text with each action replaced by as many characters, so that everything else keeps its place. An action alone on a
/// line is replaced by spaces, because it stands for no text or for lines of its own.
fn without_actions(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        let end = rest[at..].find("}}").map_or(rest.len(), |end| at + end + 2);
        out.push_str(&rest[..at]);
        let before = out.rsplit('\n').next().unwrap_or_default();
        let after = rest[end..].split('\n').next().unwrap_or_default();
        let alone = before.trim().is_empty() && after.trim().is_empty();
        let filling = if alone { ' ' } else { 'x' };
        out.extend(rest[at..end].chars().map(|c| if c == '\n' { c } else { filling }));
        rest = &rest[end..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::value("a: {{ .Values.a }}\n", true)]
    #[case::branch("{{- if .a }}\na: 1\n{{- else }}\na: 2\n{{- end }}\n", true)]
    #[case::comment("{{/*\na: [\n*/}}\na: {{ .b }}\n", true)]
    #[case::tab("kind: ApplicationSet\nspec:\n\ta: '{{ .b }}'\n", false)]
    #[case::tab_after_a_placeholder("a: '{{ .b }}'\nspec:\n\tc: d\n", false)]
    #[case::no_action("a: [\n", false)]
    fn a_template_is_no_broken_file(#[case] text: &str, #[case] expected: bool) {
        let error = documents(text).expect_err("it is not YAML");
        assert_eq!(is_template(text, &error), expected);
    }
}
