//! The names of telewarden's annotations.
//!
//! Each has two: under `telewarden.io/`, and under `telegraf.influxdata.com/`, where the archived telegraf-operator and the
//! first clusters of telewarden have them. Both mean the same.

use crate::well_known::PREFIX;

/// The prefixes of the annotations. Documents show the first.
pub const PREFIXES: [&str; 2] = ["telewarden.io/", PREFIX];

/// The names of the annotation with the endpoints, unless the settings choose another.
pub const ENDPOINTS: [&str; 2] = [
    "telewarden.io/endpoints",
    "telegraf.influxdata.com/rubin-telegraf-operator",
];

/// The annotation with Telegraf's own TOML, without the prefix.
pub(crate) const INPUTS: &str = "inputs";

/// What an annotation of telewarden's contains.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Content<'a> {
    /// Endpoints.
    Endpoints,
    /// Inputs, in Telegraf's own TOML.
    Inputs,
    /// Something else, by the name without the prefix. Such an annotation may not exist.
    Other(&'a str),
}

impl<'a> Content<'a> {
    /// What an annotation contains. `None` if it is not one of telewarden's. `endpoints` is the name that the settings give
    /// to the annotation with the endpoints.
    pub(crate) fn of(name: &'a str, endpoints: &str) -> Option<Self> {
        if is_endpoints(name, endpoints) {
            return Some(Self::Endpoints);
        }
        Some(match without_prefix(name)? {
            INPUTS => Self::Inputs,
            other => Self::Other(other),
        })
    }

    /// True for endpoints and inputs.
    pub(crate) fn has_endpoints(self) -> bool {
        matches!(self, Self::Endpoints | Self::Inputs)
    }
}

/// True for the annotation with the endpoints. `endpoints` is its name in the settings.
pub fn is_endpoints(name: &str, endpoints: &str) -> bool {
    name == endpoints || (ENDPOINTS.contains(&name) && ENDPOINTS.contains(&endpoints))
}

/// Every name of the annotation with the endpoints, given the one in the settings.
pub fn names_of_endpoints(endpoints: &str) -> impl Iterator<Item = &str> {
    let is_default = ENDPOINTS.contains(&endpoints);
    let other = ENDPOINTS
        .into_iter()
        .filter(move |name| is_default && *name != endpoints);
    std::iter::once(endpoints).chain(other)
}

/// A name without its prefix. `None` if it has none of telewarden's.
pub fn without_prefix(name: &str) -> Option<&str> {
    PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix))
}

/// True for an annotation of telewarden's.
pub fn is_ours(name: &str, endpoints: &str) -> bool {
    name == endpoints || without_prefix(name).is_some()
}

/// The name under `telewarden.io/` of an annotation under `telegraf.influxdata.com/`.
pub(crate) fn newer_name(name: &str) -> Option<String> {
    let [newer, older] = ENDPOINTS;
    if name == older {
        return Some(newer.to_owned());
    }
    Some(format!("{}{}", PREFIXES[0], name.strip_prefix(PREFIX)?))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("telewarden.io/endpoints", Some(Content::Endpoints))]
    #[case("telegraf.influxdata.com/rubin-telegraf-operator", Some(Content::Endpoints))]
    #[case("telewarden.io/inputs", Some(Content::Inputs))]
    #[case("telegraf.influxdata.com/inputs", Some(Content::Inputs))]
    #[case("telewarden.io/interval", Some(Content::Other("interval")))]
    #[case(
        "telewarden.io/rubin-telegraf-operator",
        Some(Content::Other("rubin-telegraf-operator"))
    )]
    #[case("telegraf.influxdata.com/endpoints", Some(Content::Other("endpoints")))]
    #[case("telewarden.io", None)]
    #[case("endpoints", None)]
    #[case("example.com/endpoints", None)]
    fn both_prefixes_mean_the_same(#[case] name: &str, #[case] content: Option<Content<'_>>) {
        for default in ENDPOINTS {
            assert_eq!(Content::of(name, default), content);
        }
    }

    #[rstest]
    #[case("example.com/endpoints", Some(Content::Endpoints))]
    #[case("telewarden.io/endpoints", Some(Content::Other("endpoints")))]
    #[case("telewarden.io/inputs", Some(Content::Inputs))]
    fn settings_choose_another_name(#[case] name: &str, #[case] content: Option<Content<'_>>) {
        assert_eq!(Content::of(name, "example.com/endpoints"), content);
    }

    #[rstest]
    #[case("telegraf.influxdata.com/rubin-telegraf-operator", Some("telewarden.io/endpoints"))]
    #[case("telegraf.influxdata.com/interval", Some("telewarden.io/interval"))]
    #[case("telewarden.io/interval", None)]
    #[case("example.com/interval", None)]
    fn older_names_have_a_newer_one(#[case] name: &str, #[case] newer: Option<&str>) {
        assert_eq!(newer_name(name).as_deref(), newer);
    }
}
