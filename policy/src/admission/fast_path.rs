//! Fast path: detects requests about objects without our annotations by scanning the raw JSON. Anything unusual falls back to
//! full decoding.
//!
//! Without `matchConditions` in front of the policy, nearly every request is about an object without our annotations, and
//! decoding it is the most expensive step. The scan reads the keys that lead to `metadata.annotations`, and skips all other
//! values without checking that they are valid JSON: the engine wrote them as JSON. A key with an escape in it counts as
//! unusual.

/// The first bytes of the prefixes of our annotations' names. They are compared as one number, so the comparison does not read
/// another page of the module's data.
const OURS: [u8; 4] = *b"tele";

/// True if the payload is certainly an AdmissionRequest about an object without our annotations.
pub(super) fn is_certainly_unannotated(payload: &[u8]) -> bool {
    Text(payload).payload().is_some()
}

/// The unread bytes. Every reading method answers `None` for anything unusual.
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    fn payload(&mut self) -> Option<()> {
        let mut request = Once::default();
        self.take(b'{')?;
        while let Some(name) = self.member()? {
            match name {
                b"request" => request.is(self.request())?,
                b"settings" => self.settings()?,
                _ => self.skip()?,
            }
        }
        request.was()
    }

    fn request(&mut self) -> Option<()> {
        let (mut uid, mut operation, mut object) = (Once::default(), Once::default(), Once::default());
        self.take(b'{')?;
        while let Some(name) = self.member()? {
            match name {
                b"uid" => uid.is(self.string().map(drop))?,
                b"operation" => operation.is(self.string().map(drop))?,
                b"object" => object.is(self.admitted())?,
                _ => self.skip()?,
            }
        }
        uid.was().and(operation.was()).and(object.was())
    }

    fn admitted(&mut self) -> Option<()> {
        let (mut version, mut kind, mut metadata) = (Once::default(), Once::default(), Once::default());
        self.take(b'{')?;
        while let Some(name) = self.member()? {
            match name {
                b"apiVersion" => version.is(self.string().map(drop))?,
                // An ApplicationSet's annotations are in its template.
                b"kind" => kind.is(self.string().filter(|kind| *kind != b"ApplicationSet").map(drop))?,
                b"metadata" => metadata.is(self.metadata())?,
                _ => self.skip()?,
            }
        }
        version.was().and(kind.was()).and(metadata.was())
    }

    fn metadata(&mut self) -> Option<()> {
        self.take(b'{')?;
        while let Some(name) = self.member()? {
            match name {
                b"annotations" => self.annotations()?,
                b"name" | b"namespace" => drop(self.string()?),
                _ => self.skip()?,
            }
        }
        Some(())
    }

    /// Annotations, none of which starts as ours do.
    fn annotations(&mut self) -> Option<()> {
        self.take(b'{')?;
        while let Some(name) = self.member()? {
            if name.first_chunk() == Some(&OURS) {
                return None;
            }
            self.skip()?;
        }
        Some(())
    }

    /// Settings that do not change the annotation's name.
    fn settings(&mut self) -> Option<()> {
        self.take(b'{')?;
        while let Some(name) = self.member()? {
            if name == b"annotation" {
                return None;
            }
            self.skip()?;
        }
        Some(())
    }

    /// The name of an object's next member, or the end of the object. The caller then reads the member's value.
    fn member(&mut self) -> Option<Option<&'a [u8]>> {
        match self.peek()? {
            b'}' => return self.take(b'}').map(|()| None),
            b',' => self.take(b',')?,
            _ => {}
        }
        let name = self.string()?;
        self.take(b':')?;
        Some(Some(name))
    }

    /// Reads a text that has no escape in it.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let end = self.0.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        let (text, rest) = self.0.split_at(end);
        self.0 = rest;
        self.take(b'"').map(|()| text)
    }

    /// Skips any value.
    fn skip(&mut self) -> Option<()> {
        let first = self.peek()?;
        let mut depth = 0_usize;
        let mut bytes = self.0.iter();
        if !matches!(first, b'"' | b'{' | b'[') {
            let end = self.0.iter().position(|byte| matches!(byte, b',' | b'}'))?;
            self.0 = &self.0[end..];
            return Some(());
        }
        loop {
            match bytes.next()? {
                b'"' => loop {
                    match bytes.next()? {
                        b'"' => break,
                        b'\\' => drop(bytes.next()?),
                        _ => {}
                    }
                },
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.0 = bytes.as_slice();
                return Some(());
            }
        }
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.0 = &self.0[1..])
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.0 {
            self.0 = rest;
        }
        self.0.first().copied()
    }
}

/// A member that must occur exactly once: of two, a decoder may use the first or the last.
#[derive(Default)]
struct Once(bool);

impl Once {
    fn is(&mut self, read: Option<()>) -> Option<()> {
        let again = std::mem::replace(&mut self.0, true);
        read.filter(|()| !again)
    }

    fn was(&self) -> Option<()> {
        self.0.then_some(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::admission::answer;

    const OTHERS: &str = "argocd.argoproj.io/sync-wave";
    const KEY: &str = "telegraf.influxdata.com/rubin-telegraf-operator";

    fn payload(annotations: &Value) -> Value {
        json!({
            "request": {
                "uid": "1", "operation": "CREATE", "dryRun": false, "options": {"a": [1, -2.5e3, "}", "\\\"]"]},
                "object": {
                    "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
                    "metadata": {"name": "argocd", "annotations": annotations, "generation": 3},
                    "spec": {"source": {"helm": {"values": "{\"a\": [\n"}}},
                },
                "oldObject": null,
            },
            "settings": {"topology": "endpoint", "inputs": {"annotation": "nested"}},
        })
    }

    #[rstest]
    #[case::other_annotations(json!({OTHERS: "1", "a": "{\"telegraf.influxdata.com/class\": 1"}))]
    #[case::none(json!({}))]
    fn what_is_certainly_unannotated_passes(#[case] annotations: Value) {
        let payload = payload(&annotations);
        assert!(is_certainly_unannotated(payload.to_string().as_bytes()));
        assert!(is_certainly_unannotated(
            serde_json::to_string_pretty(&payload).unwrap().as_bytes()
        ));
    }

    #[rstest]
    #[case::ours("/request/object/metadata/annotations", json!({OTHERS: "1", KEY: "text"}))]
    #[case::ours_by_the_newer_name("/request/object/metadata/annotations", json!({"telewarden.io/class": "text"}))]
    #[case::annotations_that_are_none("/request/object/metadata/annotations", json!([KEY]))]
    #[case::odd_metadata("/request/object/metadata", json!("argocd"))]
    #[case::a_template("/request/object/kind", json!("ApplicationSet"))]
    #[case::an_odd_kind("/request/object/kind", json!({}))]
    #[case::no_object("/request/object", Value::Null)]
    #[case::an_odd_operation("/request/operation", json!(5))]
    #[case::a_raw_request("/request", json!({"kind": "Application", "metadata": {"annotations": {}}}))]
    #[case::an_annotation_of_the_settings("/settings", json!({"annotation": OTHERS}))]
    #[case::odd_settings("/settings", json!(5))]
    fn what_may_say_something_is_decoded(#[case] pointer: &str, #[case] value: Value) {
        let mut payload = payload(&json!({OTHERS: "1"}));
        *payload.pointer_mut(pointer).unwrap() = value;
        assert!(!is_certainly_unannotated(payload.to_string().as_bytes()));
    }

    #[rstest]
    #[case::an_escaped_name(r#""argocd.argoproj.io/sync-wave""#, r#""\u0074elegraf.influxdata.com/inputs""#)]
    #[case::annotations_twice(r#""generation":3"#, r#""annotations":{"telegraf.influxdata.com/inputs":""}"#)]
    #[case::metadata_twice(r#""spec":"#, r#""metadata":{},"spec":"#)]
    #[case::an_object_twice(r#""oldObject":"#, r#""object":"#)]
    #[case::another_request(r#""settings":"#, r#""request":{},"settings":"#)]
    #[case::cut_off(r#""settings":{"topology":"endpoint","inputs":{"annotation":"nested"}}}"#, "")]
    fn text_out_of_the_ordinary_is_decoded(#[case] from: &str, #[case] to: &str) {
        let text = payload(&json!({OTHERS: "1"})).to_string();
        assert!(text.contains(from), "{text}");
        assert!(!is_certainly_unannotated(text.replacen(from, to, 1).as_bytes()));
    }

    /// Any JSON. The names and texts that matter here occur more often than others.
    fn any_json() -> impl Strategy<Value = Value> {
        let text = || {
            prop_oneof![
                Just(KEY.to_owned()),
                Just("telegraf.influxdata.com/class".to_owned()),
                Just("telewarden.io/endpoints".to_owned()),
                Just("ApplicationSet".to_owned()),
                Just("annotation".to_owned()),
                Just("\\\"{".to_owned()),
                ".{0,4}",
            ]
        };
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f32>().prop_map(Value::from),
            text().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec((text(), inner), 0..3).prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        /// A request that the fast path accepts is also accepted after full decoding.
        #[test]
        fn decoding_comes_to_the_same_answer(
            annotations in prop_oneof![Just(json!({OTHERS: "1"})), any_json()],
            put in prop::collection::vec((prop::sample::select(vec![
                "/request", "/request/uid", "/request/operation", "/request/options", "/request/object",
                "/request/object/apiVersion", "/request/object/kind", "/request/object/metadata",
                "/request/object/metadata/name", "/request/object/spec", "/request/oldObject", "/settings",
            ]), any_json()), 0..2),
            pretty in any::<bool>(),
        ) {
            let mut payload = payload(&annotations);
            for (pointer, value) in put {
                if let Some(place) = payload.pointer_mut(pointer) {
                    *place = value;
                }
            }
            let text = if pretty { serde_json::to_string_pretty(&payload).unwrap() } else { payload.to_string() };
            if is_certainly_unannotated(text.as_bytes()) {
                prop_assert_eq!(json!(answer(text.as_bytes(), &|_: &[u8]| None)), json!({"accepted": true}));
            }
        }

        #[test]
        fn no_bytes_are_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            is_certainly_unannotated(&bytes);
        }
    }
}
