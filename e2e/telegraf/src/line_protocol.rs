//! InfluxDB's line protocol, as Telegraf writes it
//! (<https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/>).

use std::collections::BTreeMap;

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The measurement.
    pub measurement: String,
    /// The tags.
    pub tags: BTreeMap<String, String>,
    /// The fields, as they are written.
    pub fields: BTreeMap<String, String>,
}

/// Reads a line.
pub fn parse(line: &str) -> Option<Point> {
    let [head, fields] = <[String; 2]>::try_from(split(line, ' ').into_iter().take(2).collect::<Vec<_>>()).ok()?;
    let mut head = split(&head, ',').into_iter();
    let pair = |text: String| {
        let (name, value) = <[String; 2]>::try_from(split(&text, '=')).ok()?.into();
        Some((plain(&name), plain(&value)))
    };
    Some(Point {
        measurement: plain(&head.next()?),
        tags: head.map(pair).collect::<Option<_>>()?,
        fields: split(&fields, ',').into_iter().map(pair).collect::<Option<_>>()?,
    })
}

/// Splits where the character is neither escaped nor within quotes.
fn split(text: &str, at: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut escaped, mut quoted) = (false, false);
    for c in text.chars() {
        if c == at && !escaped && !quoted {
            parts.push(String::new());
            continue;
        }
        quoted ^= c == '"' && !escaped;
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
        assert_eq!(parse("m"), None);
    }
}
