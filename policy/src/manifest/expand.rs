//! The Applications of an ApplicationSet, as far as they are known without a cluster: those of `list` generators, and of
//! `matrix` and `merge` generators of lists (<https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/Generators/>).

use serde_json::{Map, Value, json};

use super::generators;
use super::placeholders::{FilledText, MAX_TEXT, Parameters, Unfilled, Why, fill};
use super::yaml::documents;
use crate::annotation_name::is_ours;
use crate::diagnostic::{Diagnostic, Place, Problem, escape_pointer};
use crate::sorted_map::SmallMap;

/// The most Applications that one ApplicationSet is expanded to.
const MAX_APPLICATIONS: usize = 1000;
/// The most bytes of text that the parameters of a `matrix` generator can have. A few lines can make very long ones, because
/// each generator's texts may repeat the parameters of the one before.
const MAX_PARAMETERS: usize = 4 * 1024 * 1024;

/// The most bytes of text in the Applications of one ApplicationSet. Each of them repeats the parameters as often as the template does.
const MAX_TEXTS: usize = 4 * 1024 * 1024;

/// What an ApplicationSet comes to.
#[derive(Debug, Default)]
pub struct Expansion {
    /// The Applications, without those parts that nobody reads.
    pub applications: Vec<Generated>,
    /// What cannot be expanded, and why, at its place in the ApplicationSet.
    pub findings: Vec<Diagnostic>,
}

/// An Application of an ApplicationSet.
#[derive(Debug)]
pub struct Generated {
    /// The Application.
    pub application: Value,
    /// The texts with placeholders, by their pointers in the Application.
    texts: SmallMap<String, FilledText>,
    /// The pointers of annotations whose names have placeholders: that in the Application, and that in the template.
    renamed: SmallMap<String, String>,
}

impl Generated {
    /// A finding about the Application at its place in the ApplicationSet.
    pub fn in_set(&self, finding: &Diagnostic) -> Diagnostic {
        let place = finding.place.clone().map(|place| self.place_in_set(place));
        let text = finding.place.as_ref().and_then(|place| {
            let text = self.texts.get(&place.pointer)?;
            Some((text, place.range?))
        });
        let help = finding.help.as_ref().map(|help| match text {
            Some((text, range)) => text.with_placeholders(help, range),
            None => help.clone(),
        });
        Diagnostic {
            place,
            help,
            ..finding.clone()
        }
    }

    /// A place in the Application as the place in the ApplicationSet that it comes from.
    pub fn place_in_set(&self, mut place: Place) -> Place {
        if let (Some(text), Some(range)) = (self.texts.get(&place.pointer), place.range) {
            place.range = Some(text.in_template(range));
        }
        if let Some(pointer) = self.renamed.get(&place.pointer) {
            place.pointer.clone_from(pointer);
        }
        if place.pointer != "/metadata/namespace" {
            place.pointer.insert_str(0, "/spec/template");
        }
        place
    }
}

/// Expands an ApplicationSet. Answers `None` for another object, and for one whose Applications get none of our annotations.
pub(super) fn expand(object: &Value, annotation: &str) -> Option<Expansion> {
    let is_set = object["apiVersion"] == "argoproj.io/v1alpha1" && object["kind"] == "ApplicationSet";
    let template = &object["spec"]["template"];
    let annotations = template["metadata"]["annotations"].as_object()?;
    let is_ours = |name: &str| is_ours(name, annotation);
    if !is_set || !annotations.keys().any(|name| is_ours(name)) {
        return None;
    }
    let mut expansion = Expansion::default();
    if object["spec"]["templatePatch"].is_string() {
        let why = "its patch is applied by the ApplicationSet controller".to_owned();
        expansion.findings.push(*not_expanded(why, "/spec/templatePatch"));
        return Some(expansion);
    }
    let set = Set {
        object,
        annotations: annotations.iter().filter(|(name, _)| is_ours(name)).collect(),
        go: object["spec"]["goTemplate"] == true,
    };
    let generators = match generators::of(&object["spec"]) {
        Ok(generators) => generators,
        Err(finding) => {
            expansion.findings.push(*finding);
            return Some(expansion);
        }
    };
    let mut size = 0;
    for (index, generator) in generators.iter().enumerate() {
        #[cfg(feature = "files")]
        {
            let refused = generators::check(generator, &format!("/spec/generators/{index}"));
            if !refused.is_empty() {
                expansion.findings.extend(refused);
                continue;
            }
        }
        match set.parameters(generator, &format!("/spec/generators/{index}")) {
            Ok(all) if expansion.applications.len() + all.len() > MAX_APPLICATIONS => {
                let why = format!("it makes more than {MAX_APPLICATIONS} Applications");
                expansion
                    .findings
                    .push(*not_expanded(why, &format!("/spec/generators/{index}")));
            }
            Ok(all) => {
                for parameters in &all {
                    match set.application(parameters) {
                        Ok(generated) => {
                            size += text_size(&generated.application);
                            if size > MAX_TEXTS {
                                let why = format!("its Applications take more than {} MiB", MAX_TEXTS >> 20);
                                let pointer = format!("/spec/generators/{index}");
                                expansion.findings.push(*not_expanded(why, &pointer));
                                return Some(expansion);
                            }
                            expansion.applications.push(generated);
                        }
                        Err(finding) if expansion.findings.contains(&*finding) => {}
                        Err(finding) => expansion.findings.push(*finding),
                    }
                }
            }
            Err(finding) => expansion.findings.push(*finding),
        }
    }
    if expansion.applications.is_empty() && expansion.findings.is_empty() {
        let place = Place {
            key: true,
            ..Place::pointer("/spec/generators")
        };
        expansion.findings.push(Problem::NoApplication {}.at(place));
    }
    Some(expansion)
}

fn not_expanded(why: String, pointer: &str) -> Box<Diagnostic> {
    Box::new(Problem::NotExpanded { why }.at(Place::pointer(pointer)))
}

struct Set<'a> {
    object: &'a Value,
    /// Those of the template that are read.
    annotations: Vec<(&'a String, &'a Value)>,
    /// True if texts are Go templates.
    go: bool,
}

impl Set<'_> {
    /// What a generator yields, or what of it is not known.
    fn parameters(&self, generator: &Value, pointer: &str) -> Result<Vec<Parameters>, Box<Diagnostic>> {
        let Some(map) = generator.as_object() else {
            return Err(not_expanded("it has no generator".to_owned(), pointer));
        };
        if map.contains_key("selector") {
            let why = "its selector is applied by the ApplicationSet controller".to_owned();
            return Err(not_expanded(why, &format!("{pointer}/selector")));
        }
        let Some((kind, body)) = map.iter().next() else {
            return Err(not_expanded("it has no generator".to_owned(), pointer));
        };
        let pointer = format!("{pointer}/{}", escape_pointer(kind));
        if body["template"]
            .as_object()
            .is_some_and(|template| !template.is_empty())
        {
            let why = "its own template is merged by the ApplicationSet controller".to_owned();
            return Err(not_expanded(why, &format!("{pointer}/template")));
        }
        match kind.as_str() {
            "list" => self.list(body, &pointer),
            "matrix" => self.matrix(body, &pointer),
            "merge" => self.merge(body, &pointer),
            kind => {
                let why = format!("what a `{kind}` generator yields is known only in the cluster");
                Err(not_expanded(why, &pointer))
            }
        }
    }

    fn list(&self, body: &Value, pointer: &str) -> Result<Vec<Parameters>, Box<Diagnostic>> {
        let mut elements = body["elements"].as_array().cloned().unwrap_or_default();
        if let Some(text) = body["elementsYaml"].as_str().filter(|text| !text.is_empty()) {
            match documents(text).map(|mut documents| documents.remove(0)) {
                Ok(Value::Array(more)) if !text.contains("{{") => elements.extend(more),
                _ => {
                    let why = "its `elementsYaml` is made by the ApplicationSet controller".to_owned();
                    return Err(not_expanded(why, &format!("{pointer}/elementsYaml")));
                }
            }
        }
        let mut all = Vec::new();
        for (index, element) in elements.into_iter().enumerate() {
            let pointer = format!("{pointer}/elements/{index}");
            let Value::Object(element) = element else {
                return Err(not_expanded("an element is no map".to_owned(), &pointer));
            };
            all.push(match self.go {
                true => element,
                false => flat(element).map_err(|(name, within)| no_text(&name, &format!("{pointer}/{within}")))?,
            });
        }
        Ok(all)
    }

    /// Each of the first with each of the second, whose texts may use the first's parameters.
    fn matrix(&self, body: &Value, pointer: &str) -> Result<Vec<Parameters>, Box<Diagnostic>> {
        let mut all = vec![Parameters::new()];
        for (index, generator) in children(body).iter().enumerate() {
            let pointer = format!("{pointer}/generators/{index}");
            let (mut next, mut size) = (Vec::new(), 0);
            for before in &all {
                let filled = if before.is_empty() {
                    generator.clone()
                } else {
                    self.fill_all(generator, before)
                        .map_err(|placeholder| self.unfilled(placeholder, &pointer))?
                };
                for parameters in self.parameters(&filled, &pointer)? {
                    let both = match self.go {
                        true => merged(before.clone(), parameters),
                        false => distinct(before.clone(), parameters).ok_or_else(|| {
                            let why = "its generators yield different values for one parameter".to_owned();
                            not_expanded(why, &pointer)
                        })?,
                    };
                    size += both.values().map(text_size).sum::<usize>();
                    if size > MAX_PARAMETERS {
                        let why = format!("its parameters take more than {} MiB", MAX_PARAMETERS >> 20);
                        return Err(not_expanded(why, &pointer));
                    }
                    next.push(both);
                    if next.len() > MAX_APPLICATIONS {
                        let why = format!("it makes more than {MAX_APPLICATIONS} Applications");
                        return Err(not_expanded(why, &pointer));
                    }
                }
            }
            all = next;
        }
        Ok(all)
    }

    /// The first's, each with what the others yield for the same keys.
    fn merge(&self, body: &Value, pointer: &str) -> Result<Vec<Parameters>, Box<Diagnostic>> {
        let keys: Vec<_> = body["mergeKeys"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let key_of = |parameters: &Parameters| -> Vec<Value> {
            let value = |key: &&str| parameters.get(*key).cloned().unwrap_or_default();
            keys.iter().map(value).collect()
        };
        let mut all = Vec::new();
        for (index, generator) in children(body).iter().enumerate() {
            let more = self.parameters(generator, &format!("{pointer}/generators/{index}"))?;
            if index == 0 {
                all = more;
                continue;
            }
            for base in &mut all {
                let key = key_of(base);
                if let Some(over) = more.iter().find(|over| key_of(over) == key) {
                    *base = match self.go {
                        true => merged(over.clone(), std::mem::take(base)),
                        false => std::mem::take(base).into_iter().chain(over.clone()).collect(),
                    };
                }
            }
        }
        Ok(all)
    }

    /// A value in which every text is filled.
    fn fill_all(&self, value: &Value, parameters: &Parameters) -> Result<Value, Unfilled> {
        Ok(match value {
            Value::String(text) => fill(text, parameters, self.go)?.text.into(),
            Value::Array(items) => items
                .iter()
                .map(|item| self.fill_all(item, parameters))
                .collect::<Result<Vec<_>, _>>()?
                .into(),
            Value::Object(map) => map
                .iter()
                .map(|(key, value)| Ok((key.clone(), self.fill_all(value, parameters)?)))
                .collect::<Result<Map<_, _>, _>>()?
                .into(),
            other => other.clone(),
        })
    }

    /// The Application that is made with these parameters.
    fn application(&self, parameters: &Parameters) -> Result<Generated, Box<Diagnostic>> {
        let mut texts = SmallMap::default();
        let mut renamed = SmallMap::default();
        let mut text = |pointer: String| -> Result<Value, Box<Diagnostic>> {
            match self.object["spec"]["template"].pointer(&pointer) {
                Some(Value::String(template)) if !parameters.is_empty() => {
                    let filled = fill(template, parameters, self.go).map_err(|unfilled| {
                        let range = Some(unfilled.range);
                        let mut finding = self.unfilled(unfilled, &format!("/spec/template{pointer}"));
                        if let Some(place) = &mut finding.place {
                            place.range = range;
                        }
                        finding
                    })?;
                    let value = filled.text.clone().into();
                    texts.insert(pointer, filled);
                    Ok(value)
                }
                value => Ok(value.cloned().unwrap_or_default()),
            }
        };
        let mut annotations = Map::new();
        for (name, _) in &self.annotations {
            let pointer = format!("/metadata/annotations/{}", escape_pointer(name));
            let value = text(pointer.clone())?;
            let filled = self.name(name, &pointer, parameters)?;
            if filled != **name {
                renamed.insert(format!("/metadata/annotations/{}", escape_pointer(&filled)), pointer);
            }
            annotations.insert(filled, value);
        }
        let mut destination = Map::new();
        for name in ["namespace", "server", "name"] {
            let value = text(format!("/spec/destination/{name}"))?;
            if !value.is_null() {
                destination.insert(name.to_owned(), value);
            }
        }
        let project = text("/spec/project".to_owned())?;
        let mut application = json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": text("/metadata/name".to_owned())?, "annotations": annotations},
            "spec": {"destination": destination},
        });
        // The controller makes Applications in the ApplicationSet's own namespace.
        for (pointer, name, value) in [
            ("/metadata", "namespace", &self.object["metadata"]["namespace"]),
            ("/spec", "project", &project),
        ] {
            if let Some(Value::Object(map)) = application.pointer_mut(pointer)
                && !value.is_null()
            {
                map.insert(name.to_owned(), value.clone());
            }
        }
        // The findings about an annotation are at its pointer in the Application.
        for (filled, pointer) in renamed.iter() {
            if let Some(text) = texts.get(pointer).cloned() {
                texts.remove(pointer);
                texts.insert(filled.clone(), text);
            }
        }
        Ok(Generated {
            application,
            texts,
            renamed,
        })
    }

    /// The name of an annotation, in which the controller fills placeholders too.
    fn name(&self, name: &str, pointer: &str, parameters: &Parameters) -> Result<String, Box<Diagnostic>> {
        if parameters.is_empty() {
            return Ok(name.to_owned());
        }
        let filled = fill(name, parameters, self.go).map_err(|unfilled| {
            let mut finding = self.unfilled(unfilled, &format!("/spec/template{pointer}"));
            if let Some(place) = &mut finding.place {
                place.key = true;
            }
            finding
        })?;
        Ok(filled.text)
    }

    fn unfilled(&self, unfilled: Unfilled, pointer: &str) -> Box<Diagnostic> {
        let placeholder = unfilled.placeholder;
        let place = Place::pointer(pointer);
        let name = placeholder.trim_start_matches("{{").trim_end_matches("}}").trim();
        Box::new(match (unfilled.why, self.go) {
            (Why::Unknown, false) if name.starts_with('.') => Problem::UnknownParameter {
                error: "without `goTemplate: true` a parameter begins without a dot".to_owned(),
                instead: format!(
                    "write `{{{{{}}}}}`, or set `goTemplate: true`",
                    name.trim_start_matches('.')
                ),
            }
            .at(place),
            (Why::Unknown, _) => Problem::UnknownParameter {
                error: format!("no parameter is called `{placeholder}`"),
                instead: "write the name of a parameter that every element has".to_owned(),
            }
            .at(place),
            (Why::Controller, true) if lacks_a_dot(name) => Problem::UnknownParameter {
                error: "with `goTemplate: true` a parameter begins with a dot".to_owned(),
                instead: format!("write `{{{{ .{name} }}}}`"),
            }
            .at(place),
            (Why::NotClosed, _) => Problem::UnknownParameter {
                error: format!("the placeholder `{}` is not closed", placeholder.trim_end()),
                instead: "write `}}` at its end".to_owned(),
            }
            .at(place),
            (Why::Controller, _) => Problem::NotExpanded {
                why: format!("the ApplicationSet controller computes `{placeholder}`"),
            }
            .at(place),
            (Why::TooLong, _) => Problem::NotExpanded {
                why: format!("with `{placeholder}` a text is longer than {} KiB", MAX_TEXT / 1024),
            }
            .at(place),
        })
    }
}

/// The bytes of text in a value.
fn text_size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(text_size).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + text_size(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// The functions that Go templates and Sprig call without an argument, and Go's keywords
/// (<https://masterminds.github.io/sprig/>).
const WITHOUT_ARGUMENT: &[&str] = &[
    "break", "continue", "dict", "else", "end", "false", "hello", "list", "nil", "now", "true", "tuple", "uuidv4",
];

/// True for the path of a parameter in a Go template, but without its dot: a function of that name is called instead.
fn lacks_a_dot(name: &str) -> bool {
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    name.split('.').all(is_name) && !WITHOUT_ARGUMENT.contains(&name)
}

fn children(body: &Value) -> &[Value] {
    body["generators"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Without `goTemplate` all parameters are texts, and those below `values` are called `values.NAME`. An error is the name of one that
/// is no text, and its place in the element.
fn flat(element: Map<String, Value>) -> Result<Parameters, (String, String)> {
    let mut parameters = Parameters::new();
    for (name, value) in element {
        match value {
            Value::String(_) => _ = parameters.insert(name, value),
            Value::Object(values) if name == "values" => {
                for (name, value) in values {
                    let full = format!("values.{name}");
                    if !value.is_string() {
                        return Err((full, format!("values/{}", escape_pointer(&name))));
                    }
                    parameters.insert(full, value);
                }
            }
            _ => {
                let within = escape_pointer(&name).into_owned();
                return Err((name, within));
            }
        }
    }
    Ok(parameters)
}

/// Argo CD makes no Application of a generator with such an element
/// (<https://github.com/argoproj/argo-cd/blob/master/applicationset/generators/list.go>).
fn no_text(name: &str, pointer: &str) -> Box<Diagnostic> {
    let error = format!("without `goTemplate: true` a parameter is text, and `{name}` is not");
    let instead = Some("write it in quotes, or set `goTemplate: true`".to_owned());
    Box::new(Problem::Generator { error, instead }.at(Place::pointer(pointer)))
}

/// Both, where no name has two values.
fn distinct(mut one: Parameters, other: Parameters) -> Option<Parameters> {
    for (name, value) in other {
        if one.get(&name).is_some_and(|known| *known != value) {
            return None;
        }
        one.insert(name, value);
    }
    Some(one)
}

/// Merges both; the first takes precedence, also within maps.
fn merged(mut one: Parameters, other: Parameters) -> Parameters {
    for (name, value) in other {
        match (one.remove(&name), value) {
            (Some(Value::Object(first)), Value::Object(second)) => {
                one.insert(name, merged(first, second).into());
            }
            (Some(first), _) if !first.is_null() && first != "" => _ = one.insert(name, first),
            (_, second) => _ = one.insert(name, second),
        }
    }
    one
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const KEY: &str = "telegraf.influxdata.com/rubin-telegraf-operator";

    fn set(generators: Value, go: bool, annotation: &str) -> Value {
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "ApplicationSet",
            "metadata": {"name": "set", "namespace": "argocd"},
            "spec": {
                "goTemplate": go,
                "generators": generators,
                "template": {
                    "metadata": {"name": if go { "{{.name}}" } else { "{{name}}" }, "annotations": {KEY: annotation}},
                    "spec": {"project": "default", "destination": {"server": "https://kubernetes.default.svc", "namespace": "shop"}},
                },
            },
        })
    }

    #[test]
    fn nested_matrices_that_multiply_their_texts_are_not_expanded() {
        let mut generators = json!({"list": {"elements": [{"p0": "xxxxxxxxxx"}]}});
        for level in 1..=8 {
            let text = format!("{{{{p{}}}}}", level - 1).repeat(10);
            let list = json!({"list": {"elements": [{format!("p{level}"): text}]}});
            generators = json!({"matrix": {"generators": [generators, list]}});
        }
        let expansion =
            expand(&set(json!([generators]), false, "web: http://web.shop.svc/"), KEY).expect("it is a set");
        assert!(expansion.applications.is_empty());
        let said = &expansion.findings[0].message;
        assert!(said.contains("a text is longer than 256 KiB"), "{said}");
    }

    #[test]
    fn applications_that_repeat_long_parameters_are_not_all_made() {
        let elements: Vec<_> = (0..1000)
            .map(|n| json!({"name": format!("a{n}"), "v": "y".repeat(1000)}))
            .collect();
        let annotation = format!("#{}", "{{v}}".repeat(80));
        let expansion =
            expand(&set(json!([{"list": {"elements": elements}}]), false, &annotation), KEY).expect("it is a set");
        assert_eq!(expansion.findings[0].code, "TW603");
        assert!(
            (10..100).contains(&expansion.applications.len()),
            "{}",
            expansion.applications.len()
        );
    }

    fn names(expansion: &Expansion) -> Vec<&str> {
        let applications = expansion.applications.iter();
        applications
            .filter_map(|generated| generated.application["metadata"]["name"].as_str())
            .collect()
    }

    #[rstest]
    #[case::list(json!([{"list": {"elements": [{"name": "a"}, {"name": "b"}]}}]), false, &["a", "b"])]
    #[case::go(json!([{"list": {"elements": [{"name": "a", "port": 80}]}}]), true, &["a"])]
    #[case::elements_yaml(json!([{"list": {"elements": [], "elementsYaml": "- name: a\n- name: b\n"}}]), true, &["a", "b"])]
    #[case::two_generators(json!([{"list": {"elements": [{"name": "a"}]}}, {"list": {"elements": [{"name": "b"}]}}]), false, &["a", "b"])]
    #[case::matrix(
        json!([{"matrix": {"generators": [{"list": {"elements": [{"x": "a"}, {"x": "b"}]}}, {"list": {"elements": [{"name": "{{x}}-1"}, {"name": "{{x}}-2"}]}}]}}]),
        false, &["a-1", "a-2", "b-1", "b-2"]
    )]
    #[case::the_first_goes_before(
        json!([{"matrix": {"generators": [{"list": {"elements": [{"name": "a"}]}}, {"list": {"elements": [{"name": "b"}]}}]}}]),
        true, &["a"]
    )]
    #[case::merge(
        json!([{"merge": {"mergeKeys": ["id"], "generators": [
            {"list": {"elements": [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}]}},
            {"list": {"elements": [{"id": "2", "name": "c"}, {"id": "3", "name": "d"}]}},
        ]}}]),
        true, &["a", "c"]
    )]
    fn known_generators_are_expanded(#[case] generators: Value, #[case] go: bool, #[case] expected: &[&str]) {
        let expansion = expand(&set(generators, go, "web: http://web.shop.svc:80/"), KEY).expect("a set");
        assert_eq!(expansion.findings, []);
        assert_eq!(names(&expansion), expected);
        assert_eq!(expansion.applications[0].application["metadata"]["namespace"], "argocd");
    }

    #[rstest]
    #[case::git(json!([{"git": {"repoURL": "x"}}]), "web: a", "/spec/generators/0/git", "TW603")]
    #[case::git_in_matrix(
        json!([{"matrix": {"generators": [{"list": {"elements": [{"a": "b"}]}}, {"clusters": {}}]}}]),
        "web: a", "/spec/generators/0/matrix/generators/1/clusters", "TW603"
    )]
    #[case::selector(json!([{"list": {"elements": []}, "selector": {}}]), "web: a", "/spec/generators/0/selector", "TW603")]
    #[case::own_template(
        json!([{"list": {"elements": [], "template": {"metadata": {}}}}]), "web: a", "/spec/generators/0/list/template", "TW603"
    )]
    #[case::function(
        json!([{"list": {"elements": [{"name": "a"}]}}]), "web: {{ .name | upper }}",
        "/spec/template/metadata/annotations/telegraf.influxdata.com~1rubin-telegraf-operator", "TW603"
    )]
    #[case::unknown(
        json!([{"list": {"elements": [{"name": "a"}]}}]), "web: {{ .nmae }}",
        "/spec/template/metadata/annotations/telegraf.influxdata.com~1rubin-telegraf-operator", "TW604"
    )]
    #[case::no_dot(
        json!([{"list": {"elements": [{"name": "a"}]}}]), "web: {{ name }}",
        "/spec/template/metadata/annotations/telegraf.influxdata.com~1rubin-telegraf-operator", "TW604"
    )]
    #[case::function_without_argument(
        json!([{"list": {"elements": [{"name": "a"}]}}]), "web: {{ now }}",
        "/spec/template/metadata/annotations/telegraf.influxdata.com~1rubin-telegraf-operator", "TW603"
    )]
    #[case::no_element(json!([{"list": {"elements": []}}]), "web: a", "/spec/generators", "TW607")]
    #[case::no_generator(json!([]), "web: a", "/spec/generators", "TW607")]
    #[case::refused(json!([{"cluster": {}}]), "web: a", "/spec/generators/0/cluster", "TW606")]
    fn the_rest_is_said(
        #[case] generators: Value,
        #[case] annotation: &str,
        #[case] pointer: &str,
        #[case] code: &str,
    ) {
        let expansion = expand(&set(generators, true, annotation), KEY).expect("a set");
        assert_eq!(expansion.applications.len(), 0);
        let [finding] = expansion.findings.as_slice() else {
            panic!("{:?}", expansion.findings)
        };
        assert_eq!(
            (
                finding.code.as_ref(),
                finding.place.as_ref().map(|place| place.pointer.as_str())
            ),
            (code, Some(pointer))
        );
    }

    #[test]
    fn names_of_annotations_are_filled_too() {
        let generators = json!([{"list": {"elements": [{"name": "shop"}]}}]);
        let mut set = set(generators, true, "web: http://web.shop.svc:80/");
        let name = "telewarden.io/global-tag-literal-{{ .name }}";
        set["spec"]["template"]["metadata"]["annotations"][name] = json!("{{ .name }}-x");
        let expansion = expand(&set, KEY).expect("a set");
        assert_eq!(expansion.findings, []);
        let filled = "telewarden.io/global-tag-literal-shop";
        let [generated] = expansion.applications.as_slice() else {
            panic!("{expansion:?}")
        };
        assert_eq!(generated.application["metadata"]["annotations"][filled], "shop-x");
        let finding = Problem::UncheckedPlaceholder {}.at(Place::annotation_name(filled));
        let place = generated.in_set(&finding).place.expect("a place");
        assert_eq!(
            place.pointer,
            format!("/spec/template/metadata/annotations/{}", escape_pointer(name))
        );
    }

    #[test]
    fn others_are_not_expanded() {
        assert!(expand(&json!({"kind": "Application"}), KEY).is_none());
        let mut set = set(json!([]), true, "a");
        set["spec"]["template"]["metadata"]["annotations"] = json!({"a": "b"});
        assert!(expand(&set, KEY).is_none());
    }

    #[test]
    fn a_finding_is_placed_in_the_template() {
        let generators = json!([{"list": {"elements": [{"name": "shop-with-a-long-name"}]}}]);
        let expansion = expand(&set(generators, true, "{{.name}}: nonsense"), KEY).expect("a set");
        let place = Place {
            range: Some(crate::diagnostic::Range {
                start: crate::diagnostic::Position { line: 1, column: 24 },
                end: crate::diagnostic::Position { line: 1, column: 32 },
            }),
            ..Place::annotation(KEY, None)
        };
        let finding = expansion.applications[0].in_set(&Problem::UncheckedPlaceholder {}.at(place));
        let place = finding.place.expect("a place");
        assert!(place.pointer.starts_with("/spec/template/metadata/annotations/"));
        assert_eq!(
            place.range.map(|range| (range.start.column, range.end.column)),
            Some((12, 20))
        );
    }
}
