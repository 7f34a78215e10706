//! Addresses of outputs that differ by source.
//!
//! With `http://influxdb.{namespace}.svc:8086`, an administrator expects one label of a host. Names that would change the
//! host, port or path in another way are refused.

use fluent_uri::Uri;

use super::Accepted;
use crate::diagnostic::{Findings, Place, Problem};
use crate::settings::{Names, Settings, Template, texts};

/// Names that do not change the parts of an address.
const NEUTRAL: Names<'static> = Names {
    application: "a",
    namespace: "a",
    bucket: "a",
    endpoint: "a",
    cluster_domain: "a",
};

/// Reports outputs whose address is changed by the names of the source.
pub(crate) fn check_output_addresses(accepted: &Accepted<'_>, settings: &Settings, findings: &mut Findings) {
    let names = accepted.names(settings);
    let outputs = accepted.class_settings.outputs.values().flatten();
    for template in outputs.flat_map(texts).filter(|text| text.has_placeholder()) {
        if let Some(address) = changed(template, &names) {
            let source = accepted.source.identity.qualified_name();
            findings.report(
                Problem::OutputAddress { source, address },
                Place::annotation(accepted.source.endpoints_annotation(settings), None),
            );
            return;
        }
    }
}

/// The address with the names, if they change it.
fn changed(template: &Template, names: &Names<'_>) -> Option<String> {
    let neutral = template.fill(&NEUTRAL);
    // A text that is not an address, or contains a variable of Telegraf, is not checked.
    let neutral = Shape::of(&neutral)?;
    let filled = template.fill(names);
    (Shape::of(&filled).as_ref() != Some(&neutral)).then_some(filled)
}

/// The parts of an address without the names.
#[derive(Debug, Eq, PartialEq)]
struct Shape {
    scheme: String,
    has_user: bool,
    labels: usize,
    port: Option<String>,
    segments: usize,
    has_query: bool,
    has_fragment: bool,
}

impl Shape {
    fn of(text: &str) -> Option<Self> {
        let uri = Uri::parse(text).ok()?;
        let authority = uri.authority()?;
        Some(Self {
            scheme: uri.scheme().as_str().to_owned(),
            has_user: authority.has_userinfo(),
            labels: authority.host().split('.').count(),
            port: authority.port().map(|port| port.as_str().to_owned()),
            segments: uri.path().as_str().split('/').count(),
            has_query: uri.has_query(),
            has_fragment: uri.has_fragment(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Scope;
    use rstest::rstest;

    fn changed_by(template: &str, application: &str, bucket: &str) -> bool {
        let names = Names {
            application,
            namespace: "shop",
            bucket,
            ..NEUTRAL
        };
        changed(&Template::parse(template, Scope::Source).unwrap(), &names).is_some()
    }

    #[rstest]
    #[case("http://influxdb.{namespace}.svc:8086", "a.b", "a.b", false)]
    #[case("http://{application}.influx.svc:8086", "shop", "shop", false)]
    #[case("http://{application}.influx.svc:8086", "evil.example", "x", true)]
    #[case("http://influxdb.svc/{bucket}", "shop", "team_a:shop", false)]
    #[case("http://{bucket}.influx.svc", "shop", "team_a:shop", true)]
    #[case("http://influxdb.svc:8086/write?db={bucket}", "shop", "team_a:shop", false)]
    #[case("{bucket}", "a.b", "team_a:shop", false)]
    #[case("${INFLUX_URL}/{application}", "a.b", "a", false)]
    fn a_name_keeps_the_address(
        #[case] template: &str,
        #[case] application: &str,
        #[case] bucket: &str,
        #[case] changed: bool,
    ) {
        assert_eq!(changed_by(template, application, bucket), changed);
    }
}
