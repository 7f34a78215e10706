//! The databases behind the outputs `influxdb_v2`, and what `influxdb.provide` asks of these outputs.
//!
//! The operator sends an administrator's token to an output's URL. So the URL and the organization are the same for all
//! sources. With `bucketsAndTokens` each source gets a token that can write its bucket. So no two sources may have the same
//! bucket, unless the settings name one bucket for all of them.

use fluent_uri::Uri;

use super::document::{Provide, Settings};
use super::path::Path;
use super::reader::Reader;
use super::template::{Names, Template, TemplateTable, TemplateValue};
use crate::diagnostic::Problem;
use crate::telegraf::key;

/// The plugin whose database is provided.
const PLUGIN: &str = "influxdb_v2";

/// An output `influxdb_v2` whose bucket the operator can provide.
#[derive(Debug)]
pub(crate) struct DatabaseOutput<'a> {
    pub(crate) url: String,
    pub(crate) organization: String,
    pub(crate) bucket: &'a Template,
    /// The environment variable with the token; empty if no token is provided.
    pub(crate) variable: String,
}

/// Why nothing can be provided for an output, and the option to change.
type Refusal = (&'static str, &'static str);

impl<'a> DatabaseOutput<'a> {
    /// Reads an instance of a plugin. `None` if the operator provides nothing for it.
    pub(crate) fn of(plugin: &str, output: &'a TemplateTable, settings: &Settings) -> Option<Self> {
        let provide = settings.influxdb.provide;
        match plugin == PLUGIN && provide != Provide::Nothing {
            true => Self::read(output, provide == Provide::BucketsAndTokens).ok(),
            false => None,
        }
    }

    fn read(output: &'a TemplateTable, with_token: bool) -> Result<Self, Refusal> {
        let text = |option| match output.get(&key(option)) {
            Some(TemplateValue::Text(text)) => Some(text),
            _ => None,
        };
        let plain = |text: &Template| {
            let filled = text.literal_text();
            let plain = !text.has_placeholder() && !is_replaced(&filled) && !filled.is_empty();
            plain.then_some(filled)
        };
        let url = match output.get(&key("urls")) {
            Some(TemplateValue::List(urls)) => match urls.as_slice() {
                [TemplateValue::Text(url)] => plain(url).filter(|url| is_address(url)),
                _ => None,
            },
            _ => None,
        };
        let url = url.ok_or((
            "urls",
            "the output does not have exactly one URL, `http` or `https`, without placeholders, variables and credentials",
        ))?;
        let organization = text("organization").and_then(plain).ok_or((
            "organization",
            "the output has no organization, or one with a placeholder or variable",
        ))?;
        let bucket = text("bucket").filter(|bucket| {
            let filled = bucket.literal_text();
            !is_replaced(&filled) && (bucket.has_placeholder() || !filled.is_empty())
        });
        let bucket = bucket.ok_or(("bucket", "the output has no bucket, or one with a variable"))?;
        if output.contains_key(&key("bucket_tag")) {
            return Err((
                "bucket_tag",
                "the output selects buckets by a tag, so its buckets are not known",
            ));
        }
        let variable = match with_token {
            true => text("token").and_then(variable).ok_or((
                "token",
                "the output's token is not a variable such as `${INFLUX_TOKEN}`, so the pod cannot get one of its own",
            ))?,
            false => String::new(),
        };
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            organization,
            bucket,
            variable,
        })
    }
}

/// True if Telegraf would replace a part of the text.
fn is_replaced(text: &str) -> bool {
    text.contains('$') || text.contains("@{")
}

fn is_address(url: &str) -> bool {
    let Ok(uri) = Uri::parse(url) else { return false };
    let Some(authority) = uri.authority() else { return false };
    matches!(uri.scheme().as_str(), "http" | "https")
        && !authority.host().is_empty()
        && !authority.has_userinfo()
        && !uri.has_query()
        && !uri.has_fragment()
}

/// The name in a text that is `$NAME` or `${NAME}`.
fn variable(text: &Template) -> Option<String> {
    let filled = text.literal_text();
    let name = filled.strip_prefix('$')?;
    let name = name
        .strip_prefix('{')
        .and_then(|name| name.strip_suffix('}'))
        .unwrap_or(name);
    let known = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_name = name.starts_with(|c: char| known(c) && !c.is_ascii_digit()) && name.chars().all(known);
    (is_name && !text.has_placeholder()).then(|| name.to_owned())
}

/// Reports what cannot be provided.
pub(super) fn check(settings: &Settings, root: &Path<'_>, reader: &mut Reader<'_>) {
    let provide = settings.influxdb.provide;
    if provide == Provide::Nothing {
        return;
    }
    let with_tokens = provide == Provide::BucketsAndTokens;
    let (classes, section) = (root.name("classes"), root.name("influxdb"));
    let mut all: Vec<(DatabaseOutput<'_>, Shape)> = Vec::new();
    let mut found = false;
    for (name, class) in &settings.classes {
        let path = classes.name(name);
        let outputs = path.name("outputs");
        let instances_path = outputs.name(PLUGIN);
        let retention = class.retention.as_ref();
        if retention.is_some_and(|retention| retention.seconds() < SHORTEST) {
            reader.report(&path.name("retention"), Problem::Provide { why: TOO_SHORT });
        }
        // Outputs of one class that share a variable share a token.
        let of_class = all.len();
        for (index, instance) in class.outputs.get(&key(PLUGIN)).into_iter().flatten().enumerate() {
            found = true;
            let path = instances_path.index(index);
            let refused = DatabaseOutput::read(instance, with_tokens).and_then(|output| {
                if !with_tokens {
                    return Ok(());
                }
                let shape = Shape::of(output.bucket)
                    .ok_or(("bucket", "the output's bucket has other placeholders than one `{bucket}`, so two sources could have the same one"))?;
                for (index, (other, its)) in all.iter().enumerate() {
                    let same = (&output.url, &output.organization) == (&other.url, &other.organization);
                    if same && shape != *its && shape.meets(its) {
                        return Err(("bucket", "a source of one class could have the bucket of another output"));
                    }
                    if index >= of_class && output.variable == other.variable && !(same && shape == *its) {
                        return Err(("token", "outputs of one class have the same token, and not the same bucket"));
                    }
                }
                all.push((output, shape));
                Ok(())
            });
            if let Err((option, why)) = refused {
                let at = match instance.contains_key(&key(option)) {
                    true => path.name(option),
                    false => path,
                };
                reader.report(&at, Problem::Provide { why });
            }
        }
    }
    if !found {
        let why = "no class has an output `influxdb_v2`";
        reader.report(&section.name("provide"), Problem::Provide { why });
    }
    if settings.influxdb.retention.seconds() < SHORTEST {
        reader.report(&section.name("retention"), Problem::Provide { why: TOO_SHORT });
    }
    if with_tokens && settings.sources.shared_buckets {
        let why = "`sources.sharedBuckets` gives several sources the same bucket";
        reader.report(&root.name("sources").name("sharedBuckets"), Problem::Provide { why });
    }
}

/// InfluxDB keeps data for an hour or more.
const SHORTEST: u64 = 3600;
const TOO_SHORT: &str = "InfluxDB keeps data for 1 hour or more";

/// The text of a bucket around `{bucket}`, or one bucket for all sources.
#[derive(Debug, Eq, PartialEq)]
enum Shape {
    One(String),
    Around(String, String),
}

impl Shape {
    /// `None` if the names of two sources could make the same text.
    fn of(bucket: &Template) -> Option<Self> {
        let text = bucket.fill(&Names {
            application: OTHER,
            namespace: OTHER,
            bucket: BUCKET,
            endpoint: OTHER,
            cluster_domain: OTHER,
        });
        if text.contains(OTHER) {
            return None;
        }
        match text.split_once(BUCKET) {
            None => Some(Self::One(text)),
            Some((_, after)) if after.contains(BUCKET) => None,
            Some((before, after)) => Some(Self::Around(before.to_owned(), after.to_owned())),
        }
    }

    /// True if different sources could have the same bucket. Both are different shapes.
    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::One(one), Self::One(other)) => one == other,
            (Self::One(one), Self::Around(before, after)) | (Self::Around(before, after), Self::One(one)) => {
                let inner = one
                    .strip_prefix(before.as_str())
                    .and_then(|rest| rest.strip_suffix(after.as_str()));
                inner.is_some_and(|inner| !inner.is_empty() && is_in_bucket(inner))
            }
            (Self::Around(before, after), Self::Around(its_before, its_after)) => {
                let rest = |one: &str, other: &str| {
                    let rest = one.strip_prefix(other).or_else(|| other.strip_prefix(one));
                    rest.is_some_and(is_in_bucket)
                };
                let end = |one: &str, other: &str| {
                    let rest = one.strip_suffix(other).or_else(|| other.strip_suffix(one));
                    rest.is_some_and(is_in_bucket)
                };
                rest(before, its_before) && end(after, its_after)
            }
        }
    }
}

/// Stands for `{bucket}`.
const BUCKET: &str = "\0";
/// Stands for every other placeholder.
const OTHER: &str = "\u{1}";

/// True if `{bucket}` can contain the text: `team_a:shop`, `Namespace:web`.
fn is_in_bucket(text: &str) -> bool {
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.' | ':' | 'N');
    text.chars().all(known)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::settings::Scope;

    fn template(text: &str) -> Template {
        Template::parse(text, Scope::Endpoint).unwrap()
    }

    #[rstest]
    #[case("{bucket}", "metrics", true)]
    #[case("{bucket}", "Metrics", false)]
    #[case("{bucket}", "a/b", false)]
    #[case("one", "other", false)]
    #[case("{bucket}", "gold_{bucket}", true)]
    #[case("{bucket}", "gold/{bucket}", false)]
    #[case("{bucket}_gold", "{bucket}", true)]
    #[case("{bucket}-gold", "{bucket}", false)]
    #[case("gold_{bucket}", "{bucket}_gold", true)]
    #[case("gold_{bucket}", "silver_{bucket}", false)]
    #[case("gold_{bucket}", "gold_", false)]
    #[case("gold_{bucket}", "gold_x", true)]
    fn buckets_that_two_sources_could_have_are_found(#[case] one: &str, #[case] other: &str, #[case] meets: bool) {
        let (one, other) = (Shape::of(&template(one)).unwrap(), Shape::of(&template(other)).unwrap());
        assert_eq!((one.meets(&other), other.meets(&one)), (meets, meets));
    }

    #[rstest]
    #[case("{application}")]
    #[case("{namespace}_{bucket}")]
    #[case("{bucket}{bucket}")]
    #[case("{bucket}_{endpoint}")]
    fn other_placeholders_are_not_a_sources_own(#[case] bucket: &str) {
        assert_eq!(Shape::of(&template(bucket)), None);
    }

    #[rstest]
    #[case("${INFLUX_TOKEN}", Some("INFLUX_TOKEN"))]
    #[case("$INFLUX_TOKEN", Some("INFLUX_TOKEN"))]
    #[case("${INFLUX_TOKEN:-x}", None)]
    #[case("secret", None)]
    #[case("Token ${A}", None)]
    #[case("@{store:key}", None)]
    #[case("$", None)]
    fn a_token_is_a_variable(#[case] text: &str, #[case] name: Option<&str>) {
        assert_eq!(variable(&template(text)).as_deref(), name);
    }

    #[rstest]
    #[case("http://influxdb.influxdb.svc:8086", true)]
    #[case("https://influx.example.com/base", true)]
    #[case("http://user:pass@influx:8086", false)]
    #[case("unix:///run/influx", false)]
    #[case("influxdb:8086", false)]
    #[case("http://influx:8086/?a=b", false)]
    fn an_address_has_no_credentials(#[case] url: &str, #[case] good: bool) {
        assert_eq!(is_address(url), good);
    }
}
