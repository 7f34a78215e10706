//! The macros that declare settings. `document.rs`, which uses them, shows their syntax.

/// Declares the sections of the settings. Each line declares one setting completely:
///
/// ```text
/// /// The most endpoints that a source may have.
/// max: Count = 64,
/// ```
///
/// - The comment is its documentation: in the JSON Schema, in docs/settings.md, and in the code.
/// - The name is written `snake_case` here and `camelCase` in the document.
/// - The [`Kind`](super::kind::Kind) says what may be written, and what it becomes.
/// - The default is JSON. A section has those of its settings, and needs none of its own.
///
/// Fields after `@derived` are not settings; `check.rs` computes them.
macro_rules! settings {
    ($(
        $(#[$attribute:meta])*
        $visibility:vis struct $section:ident {
            $(
                $(#[$documentation:meta])*
                $setting:ident : $kind:ty $(= $default:tt)?,
            )*
            $(
                @derived
                $(
                    $(#[$derived_attribute:meta])*
                    $derived:ident : $type:ty,
                )*
            )?
        }
    )*) => {$(
        $(#[$attribute])*
        #[derive(Clone, Debug)]
        $visibility struct $section {
            $(
                $(#[$documentation])*
                pub(crate) $setting: <$kind as $crate::settings::kind::Kind>::Value,
            )*
            $($(
                $(#[$derived_attribute])*
                pub(crate) $derived: $type,
            )*)?
        }

        impl $crate::settings::kind::Kind for $section {
            type Value = Self;

            const DEFAULT: $crate::settings::constant::Constant = $crate::settings::constant::Constant::Map(&[$(
                (camel_case!($setting), default!($kind $(, $default)?)),
            )*]);

            fn read(
                written: $crate::settings::written::Written<'_>,
                default: &'static $crate::settings::constant::Constant,
                path: &$crate::settings::path::Path<'_>,
                reader: &mut $crate::settings::reader::Reader<'_>,
            ) -> Option<Self> {
                let section = reader.map(written, path)?;
                let mut defaults = default.entries().iter();
                let read = Self {
                    $($setting: $crate::settings::kind::read_setting::<$kind>(
                        section,
                        camel_case!($setting),
                        defaults.next(),
                        path,
                        reader,
                    ),)*
                    $($($derived: Default::default(),)*)?
                };
                reader.report_unknown(section, &Self::DEFAULT, path);
                Some(read)
            }
        }

        /// The schema describes the document; the struct above holds the parsed settings.
        #[cfg(feature = "schema")]
        const _: () = {
            $(#[$attribute])*
            #[derive(schemars::JsonSchema)]
            #[schemars(rename_all = "camelCase", deny_unknown_fields)]
            #[allow(dead_code)]
            struct $section {
                $(
                    $(#[$documentation])*
                    $setting: $kind,
                )*
            }

            $crate::settings::kind::schema_of!(self::$section: $section);
        };
    )*};
}

/// The default of a setting: the declared default, or that of its kind.
macro_rules! default {
    ($kind:ty) => {
        <$kind as $crate::settings::kind::Kind>::DEFAULT
    };
    ($kind:ty, $default:tt) => {
        constant!($default)
    };
}

/// Declares a setting that has one of several values: the names of the variants, in `camelCase`.
macro_rules! choices {
    ($(
        $(#[$attribute:meta])*
        $visibility:vis enum $choice:ident {
            $(
                $(#[$documentation:meta])*
                $variant:ident,
            )*
        }
    )*) => {$(
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename_all = "camelCase"))]
        $visibility enum $choice {
            $(
                $(#[$documentation])*
                $variant,
            )*
        }

        impl $choice {
            const ALL: &'static [(&'static str, Self)] = &[$((camel_case!($variant), Self::$variant)),*];

            /// The variant with a name.
            #[allow(dead_code)]
            pub(super) fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, choice)| *choice)
            }
        }

        impl $crate::settings::kind::Kind for $choice {
            type Value = Self;

            fn read(
                written: $crate::settings::written::Written<'_>,
                _: &'static $crate::settings::constant::Constant,
                path: &$crate::settings::path::Path<'_>,
                reader: &mut $crate::settings::reader::Reader<'_>,
            ) -> Option<Self> {
                let index = reader.choice(written, &[$(camel_case!($variant)),*], path)?;
                Some(Self::ALL[index].1)
            }
        }
    )*};
}

/// The name of a setting in the document: `minInterval` for `min_interval`.
macro_rules! camel_case {
    ($name:ident) => {{
        const RUST: &str = stringify!($name);
        const DOCUMENT: [u8; $crate::settings::declare::camel_case_length(RUST)] =
            $crate::settings::declare::camel_case_bytes(RUST);
        const NAME: &str = match std::str::from_utf8(&DOCUMENT) {
            Ok(name) => name,
            Err(_) => panic!("a name is ASCII"),
        };
        NAME
    }};
}

pub(super) const fn camel_case_length(name: &str) -> usize {
    let (bytes, mut length, mut at) = (name.as_bytes(), 0, 0);
    while at < bytes.len() {
        length += (bytes[at] != b'_') as usize;
        at += 1;
    }
    length
}

pub(super) const fn camel_case_bytes<const LENGTH: usize>(name: &str) -> [u8; LENGTH] {
    let (bytes, mut camel, mut length, mut at) = (name.as_bytes(), [0; LENGTH], 0, 0);
    while at < bytes.len() {
        if bytes[at] != b'_' {
            camel[length] = match at {
                0 => bytes[at].to_ascii_lowercase(),
                _ if bytes[at - 1] == b'_' => bytes[at].to_ascii_uppercase(),
                _ => bytes[at],
            };
            length += 1;
        }
        at += 1;
    }
    camel
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_those_of_the_document() {
        let names = [
            camel_case!(max),
            camel_case!(min_interval),
            camel_case!(secret_env_prefix),
            camel_case!(Application),
        ];
        assert_eq!(names, ["max", "minInterval", "secretEnvPrefix", "application"]);
    }
}
