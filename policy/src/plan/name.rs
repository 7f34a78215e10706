//! Names of objects and files, and values of labels.

use crate::digest::sha256;
use crate::settings::Settings;
use crate::source::Identity;

/// The maximum length of a name. It is also a label's value, which has at most 63 characters.
const MAX: usize = 63;

/// The name of the ConfigMap and the Deployment of a source, or of one of its endpoints.
pub(super) fn object_name(identity: &Identity, endpoint: Option<&str>, settings: &Settings) -> String {
    let (plain, ambiguous) = match (identity, endpoint) {
        (Identity::Namespace { .. }, None) => ("telegraf".to_owned(), false),
        // An Application in another namespace can have the same name and destination.
        (Identity::Application { namespace, name }, None) => (
            format!("telegraf-{name}"),
            *namespace != settings.sources.argocd_namespace,
        ),
        // An Application with the Namespace's name can have an endpoint with the same name.
        (Identity::Namespace { name }, Some(endpoint)) => (format!("telegraf-{name}-{endpoint}"), true),
        (Identity::Application { namespace, name }, Some(endpoint)) => {
            let two_readings = name.contains('-') || endpoint.contains('-');
            let foreign = *namespace != settings.sources.argocd_namespace;
            (format!("telegraf-{name}-{endpoint}"), two_readings || foreign)
        }
    };
    let whole = format!("{identity} {}", endpoint.unwrap_or_default());
    usable(&plain, &whole, ambiguous, |c| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
    })
}

/// The name of a source's file in `standalone`. A ConfigMap's keys have at most 253 characters.
pub(super) fn file_name(identity: &Identity) -> String {
    let plain = match identity {
        Identity::Application { namespace, name } => format!("application.{namespace}.{name}"),
        Identity::Namespace { name } => format!("namespace.{name}"),
    };
    match plain.len() {
        // Names can contain dots, so two sources could have the same file name.
        0..=200 if plain.matches('.').count() <= 2 => format!("{plain}.conf"),
        _ => {
            let cut: String = plain.chars().take(200).collect();
            format!("{cut}.{}.conf", short(&identity.to_string()))
        }
    }
}

/// A text as a label's value: <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/>.
pub(crate) fn label_value(text: &str) -> String {
    usable(text, text, false, |c| {
        c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
    })
}

/// Converts a text to at most 63 allowed characters. A changed or ambiguous text ends in a hash of the original.
fn usable(plain: &str, whole: &str, ambiguous: bool, known: fn(char) -> bool) -> String {
    let replaced: String = plain.chars().map(|c| if known(c) { c } else { '-' }).collect();
    let unchanged = replaced == plain && plain.len() <= MAX && !plain.ends_with(['-', '_', '.']);
    if unchanged && !ambiguous && !ends_like_a_hash(plain) {
        return replaced;
    }
    let hash = short(whole);
    let cut: String = replaced.chars().take(MAX - hash.len() - 1).collect();
    format!("{}-{hash}", cut.trim_end_matches(['-', '_', '.']))
}

/// The number of hexadecimal digits of a hash in a name: 80 bits, so that nobody can find a name with the same hash.
const HASH: usize = 20;

/// The first digits of a hash.
pub(super) fn short(whole: &str) -> String {
    sha256(whole)[..HASH].to_owned()
}

/// True for a text that [`usable`] could have made from another one.
fn ends_like_a_hash(text: &str) -> bool {
    let Some((_, end)) = text.rsplit_once('-') else {
        return false;
    };
    end.len() == HASH && end.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn application(name: &str) -> Identity {
        Identity::Application {
            namespace: "argocd".into(),
            name: name.into(),
        }
    }

    fn settings() -> Settings {
        crate::settings::read(None).0.unwrap()
    }

    #[test]
    fn an_application_gives_its_name() {
        assert_eq!(
            object_name(&application("argocd"), None, &settings()),
            "telegraf-argocd"
        );
        assert_eq!(
            object_name(&application("argocd"), Some("redis"), &settings()),
            "telegraf-argocd-redis"
        );
    }

    #[rstest]
    #[case("a-b", "c", "a", "b-c")]
    #[case("a", "b_c", "a", "b-c")]
    #[case("a", "B", "a", "b")]
    #[case("a.b", "c", "a-b", "c")]
    fn names_that_could_be_read_two_ways_differ(
        #[case] name: &str,
        #[case] endpoint: &str,
        #[case] other: &str,
        #[case] other_endpoint: &str,
    ) {
        let settings = settings();
        assert_ne!(
            object_name(&application(name), Some(endpoint), &settings),
            object_name(&application(other), Some(other_endpoint), &settings),
        );
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let (a, b) = (format!("{}a", "x".repeat(252)), format!("{}b", "x".repeat(252)));
        let (a, b) = (
            object_name(&application(&a), None, &settings()),
            object_name(&application(&b), None, &settings()),
        );
        assert_ne!(a, b);
        assert!(a.len() <= 63 && b.len() <= 63);
        assert!(label_value(&"x".repeat(253)).len() <= 63);
    }

    #[test]
    fn a_name_that_ends_like_a_hash_is_hashed() {
        let foreign = Identity::Application {
            namespace: "team-a".into(),
            name: "shop".into(),
        };
        let settings = settings();
        let hashed = object_name(&foreign, None, &settings);
        let forged = application(hashed.strip_prefix("telegraf-").unwrap());
        assert_ne!(object_name(&forged, None, &settings), hashed);
        assert_eq!(hashed.len(), "telegraf-shop-".len() + 20);
    }

    #[test]
    fn files_with_dots_in_their_names_stay_apart() {
        let of = |namespace: &str, name: &str| {
            file_name(&Identity::Application {
                namespace: namespace.into(),
                name: name.into(),
            })
        };
        assert_ne!(of("a", "b.c"), of("a.b", "c"));
        assert_eq!(of("argocd", "nublado"), "application.argocd.nublado.conf");
    }
}
