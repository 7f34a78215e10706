//! Environment variables of the pods.

use std::fmt;

use k8s_openapi::api::core::v1::EnvVar;

use super::constant::Constant;
use super::kind::{Kind, Kubernetes};
use super::path::Path;
use super::reader::Reader;
use super::written::Written;

/// An environment variable, as in a container.
pub(crate) struct Variable;

/// What a [`Variable`] becomes.
#[derive(Clone)]
pub(crate) enum PodVariable {
    /// A default, which becomes a variable when it is rendered.
    Default(&'static Constant),
    Written(Box<EnvVar>),
}

impl PodVariable {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Default(default) => default.text(&["name"]).unwrap_or_default(),
            Self::Written(variable) => &variable.name,
        }
    }

    /// The name of the Secret that has its value, if one has.
    pub(crate) fn secret(&self) -> Option<&str> {
        match self {
            Self::Default(default) => default.text(&["valueFrom", "secretKeyRef", "name"]),
            Self::Written(variable) => Some(&variable.value_from.as_ref()?.secret_key_ref.as_ref()?.name),
        }
    }

    /// The variable of a container.
    pub(crate) fn to_env_var(&self) -> EnvVar {
        match self {
            Self::Default(default) => serde_json::from_value((*default).into()).expect("a default is right"),
            Self::Written(variable) => (**variable).clone(),
        }
    }
}

/// A default looks like the same variable that somebody wrote.
impl fmt::Debug for PodVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_env_var().fmt(f)
    }
}

impl Kind for Variable {
    type Value = PodVariable;

    fn read(
        written: Written<'_>,
        default: &'static Constant,
        path: &Path<'_>,
        reader: &mut Reader<'_>,
    ) -> Option<PodVariable> {
        match written {
            Written::Default(default) => Some(PodVariable::Default(default)),
            _ => Kubernetes::<EnvVar>::read(written, default, path, reader)
                .map(|variable| PodVariable::Written(Box::new(variable))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: Constant =
        constant!({"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "telegraf", "key": "token"}}});

    #[test]
    fn a_default_is_the_variable_that_it_becomes() {
        let default = PodVariable::Default(&DEFAULT);
        let written = PodVariable::Written(Box::new(default.to_env_var()));
        assert_eq!((default.name(), default.secret()), ("TOKEN", Some("telegraf")));
        assert_eq!((written.name(), written.secret()), ("TOKEN", Some("telegraf")));
    }
}
