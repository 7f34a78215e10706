//! The databases behind the outputs `influxdb_v2`, and what `influxdb.provide` asks of these outputs.
//!
//! The operator sends an administrator's token to an output's URL. So the URL and the organization are the same for all
//! sources. With `bucketsAndTokens` each source gets a token that can write its bucket. So no two sources may have the same
//! bucket, unless the settings name one bucket for all of them.

use fluent_uri::Uri;

use super::document::{Class, Provide, Settings};
use super::path::Path;
use super::reader::Reader;
use super::template::{self, Names, Template, TemplateTable, TemplateValue};
use crate::diagnostic::Problem;
use crate::telegraf::key;

/// The plugin whose database is provided.
pub(crate) const PLUGIN: &str = "influxdb_v2";

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
    /// Reads an output `influxdb_v2`. `None` if the operator provides nothing for it.
    pub(crate) fn of(output: &'a TemplateTable, settings: &Settings) -> Option<Self> {
        let provide = settings.influxdb.provide;
        match provide != Provide::Nothing {
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
            plain.then(|| filled.into_owned())
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

/// The outputs `influxdb_v2` of a class.
pub(crate) fn outputs(class: &Class) -> &[TemplateTable] {
    class.outputs.get(&key(PLUGIN)).map_or(&[], Vec::as_slice)
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
    let mut all: Vec<DatabaseOutput<'_>> = Vec::new();
    let mut found = false;
    for (name, class) in settings.classes.iter() {
        let path = classes.name(name);
        let outputs_path = path.name("outputs");
        let instances_path = outputs_path.name(PLUGIN);
        let retention = class.retention.as_ref();
        if retention.is_some_and(|retention| retention.seconds() < SHORTEST) {
            reader.report(&path.name("retention"), Problem::Provide { why: TOO_SHORT });
        }
        // Outputs of one class that share a variable share a token.
        let of_class = all.len();
        for (index, instance) in outputs(class).iter().enumerate() {
            found = true;
            let path = instances_path.index(index);
            let refused = DatabaseOutput::read(instance, with_tokens).and_then(|output| {
                if with_tokens {
                    is_own(output.bucket)?;
                    for (index, other) in all.iter().enumerate() {
                        // Two URLs can be names of one database, so only the organization counts.
                        let same_organization = output.organization == other.organization;
                        let same = same_organization && output.url == other.url;
                        if same_organization && output.bucket != other.bucket {
                            let why = "another output in this organization has other buckets, so two sources could have the same one";
                            return Err(("bucket", why));
                        }
                        if index >= of_class && output.variable == other.variable && !same {
                            return Err(("token", "outputs of one class have the same token, and not the same database"));
                        }
                    }
                    all.push(output);
                }
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
    let lifetime = settings.influxdb.token_lifetime.as_ref();
    if lifetime.is_some_and(|lifetime| lifetime.seconds() < SHORTEST_LIFETIME) {
        let why = "pods are replaced with their tokens, so a token lives for 1 hour or more";
        reader.report(&section.name("tokenLifetime"), Problem::Provide { why });
    }
    if with_tokens && settings.sources.shared_buckets {
        let why = "`sources.sharedBuckets` gives several sources the same bucket";
        reader.report(&root.name("sources").name("sharedBuckets"), Problem::Provide { why });
    }
}

/// InfluxDB keeps data for an hour or more.
const SHORTEST: u64 = 3600;
const SHORTEST_LIFETIME: u64 = 3600;
const TOO_SHORT: &str = "InfluxDB keeps data for 1 hour or more";

/// # Errors
/// If the names of two sources could make the same bucket: `{bucket}` is unique, and each other placeholder is not.
fn is_own(bucket: &Template) -> Result<(), Refusal> {
    let filled = bucket.fill(&Names {
        bucket: OWN,
        ..template::ANY
    });
    match filled.contains(template::ANY.bucket) || filled.matches(OWN).count() > 1 {
        true => Err((
            "bucket",
            "the output's bucket has other placeholders than one `{bucket}`, so two sources could have the same one",
        )),
        false => Ok(()),
    }
}

/// Stands for `{bucket}`.
const OWN: &str = "\u{1}";

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::settings::Scope;

    fn template(text: &str) -> Template {
        Template::parse(text, Scope::Endpoint).unwrap()
    }

    #[rstest]
    #[case("{bucket}", true)]
    #[case("metrics", true)]
    #[case("eu/{bucket}", true)]
    #[case("{application}", false)]
    #[case("{namespace}_{bucket}", false)]
    #[case("{bucket}{bucket}", false)]
    #[case("{bucket}_{endpoint}", false)]
    fn only_bucket_is_a_sources_own(#[case] bucket: &str, #[case] own: bool) {
        assert_eq!(is_own(&template(bucket)).is_ok(), own);
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
