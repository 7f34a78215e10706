//! A proxy that keeps what Telegraf writes, and a database's stand-in where only that is asked.

use std::collections::BTreeMap;

use crate::http::{Reply, Request, Server, send};
use crate::line_protocol::{Point, parse};

/// A write as Telegraf sent it.
#[derive(Clone, Debug)]
pub struct Write {
    /// The path, which InfluxDB v2 fixes.
    pub path: String,
    /// The organization.
    pub organization: String,
    /// The bucket.
    pub bucket: String,
    /// The Authorization header.
    pub authorization: String,
    /// The lines.
    pub points: Vec<Point>,
}

/// Records every write, and passes it on.
#[derive(Debug)]
pub struct Recorder(Server);

impl Recorder {
    /// A proxy in front of a database.
    pub fn before(database: &str) -> Self {
        let database = database.to_owned();
        Self(Server::start(move |request| {
            match send(&database, &request.method, &request.target, &request.body) {
                Ok((204, _)) => Reply::empty(204),
                Ok((status, text)) => Reply::new(status, "text/plain", text),
                Err(error) => Reply::new(502, "text/plain", error.to_string()),
            }
        }))
    }

    /// A server that takes everything, or answers as it is told.
    pub fn answering(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self(Server::start(answer))
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.0.url("")
    }

    /// The requests themselves.
    pub fn requests(&self) -> Vec<Request> {
        self.0.requests()
    }

    /// Every write until now.
    ///
    /// # Panics
    /// When a request is not a write of InfluxDB v2's, or a line of it cannot be read.
    pub fn writes(&self) -> Vec<Write> {
        self.0.requests().iter().map(write).collect()
    }

    /// How many lines begin like this: quick, where there are many.
    pub fn lines(&self, beginning: &str) -> usize {
        let beginning = beginning.as_bytes();
        let of = |body: &[u8]| {
            body.split(|byte| *byte == b'\n')
                .filter(|line| line.starts_with(beginning))
                .count()
        };
        self.0.sum(|request| of(&request.body))
    }

    /// How many requests there were until now.
    pub fn count(&self) -> usize {
        self.0.count()
    }

    /// Every point until now, by bucket.
    pub fn points(&self) -> BTreeMap<String, Vec<Point>> {
        let mut points: BTreeMap<String, Vec<Point>> = BTreeMap::new();
        for write in self.writes() {
            points.entry(write.bucket).or_default().extend(write.points);
        }
        points
    }
}

fn write(request: &Request) -> Write {
    let parameter = |name| request.parameter(name).unwrap_or_default().to_owned();
    let body = String::from_utf8_lossy(&request.body);
    let point = |line| parse(line).unwrap_or_else(|| panic!("not a line: {line}"));
    Write {
        path: request.target.split('?').next().unwrap_or_default().to_owned(),
        organization: parameter("org"),
        // The one character of a bucket's name that is encoded.
        bucket: parameter("bucket").replace("%3A", ":"),
        authorization: request.header("authorization").unwrap_or_default().to_owned(),
        points: body.lines().map(point).collect(),
    }
}
