//! A parser for InfluxDB's line protocol, as Telegraf writes it
//! (<https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/>).

use std::collections::BTreeMap;

/// A parsed line.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The measurement.
    pub measurement: String,
    /// The tags.
    pub tags: BTreeMap<String, String>,
    /// The fields as text.
    pub fields: BTreeMap<String, String>,
}

/// Parses a line.
pub fn parse(line: &str) -> Option<Point> {
    let head = split(line, ' ', Quotes::Plain).into_iter().next()?;
    let fields = split(line.get(head.len() + 1..)?, ' ', Quotes::Quote)
        .into_iter()
        .next()?;
    let mut head = split(&head, ',', Quotes::Plain).into_iter();
    let pair = |quotes| {
        move |text: String| {
            let (name, value) = <[String; 2]>::try_from(split(&text, '=', quotes)).ok()?.into();
            Some((plain(&name), plain(&value)))
        }
    };
    let fields = split(&fields, ',', Quotes::Quote).into_iter();
    Some(Point {
        measurement: plain(&head.next()?),
        tags: head.map(pair(Quotes::Plain)).collect::<Option<_>>()?,
        fields: fields.map(pair(Quotes::Quote)).collect::<Option<_>>()?,
    })
}

/// The meaning of a quotation mark. In a measurement's name and in tags it is an ordinary character.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Quotes {
    Plain,
    Quote,
}

/// Splits at a character that is neither escaped nor in quotes.
fn split(text: &str, at: char, quotes: Quotes) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut escaped, mut quoted) = (false, false);
    for c in text.chars() {
        if c == at && !escaped && !quoted {
            parts.push(String::new());
            continue;
        }
        quoted ^= quotes == Quotes::Quote && c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(',' | ' ' | '=' | '"' | '\\') if c == '\\' => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_with_its_escapes() {
        let point = parse(r#"m\ a,t\,x=a\=b,u=c f=1,g="x, y=\"z\"" 1700000000000000000"#).expect("a line");
        assert_eq!(point.measurement, "m a");
        assert_eq!(
            point.tags,
            BTreeMap::from([("t,x".into(), "a=b".into()), ("u".into(), "c".into())])
        );
        assert_eq!(point.fields["f"], "1");
        assert_eq!(point.fields["g"], r#""x, y="z"""#);
        let point = parse(r#"m,t=a"b f=1 1"#).expect("a line");
        assert_eq!(point.tags["t"], r#"a"b"#);
        assert_eq!(parse("m"), None);
    }
}
