//! Records Telegraf's writes, in place of a database.

use std::collections::BTreeMap;

use crate::http::{Reply, Request, Server};
use crate::line_protocol::{Point, parse};

/// A write request.
#[derive(Clone, Debug)]
pub struct Write {
    /// The path.
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

/// A server that records writes.
#[derive(Debug)]
pub struct Recorder(Server);

impl Recorder {
    /// A server that accepts everything, or sends the given responses.
    pub fn answering(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self(Server::start(answer))
    }

    /// The URL.
    pub fn url(&self) -> String {
        self.0.url("")
    }

    /// The recorded requests.
    pub fn requests(&self) -> Vec<Request> {
        self.0.requests()
    }

    /// All writes so far.
    ///
    /// # Panics
    /// If a request is not a write of InfluxDB v2, or a line is invalid.
    pub fn writes(&self) -> Vec<Write> {
        self.0.requests().iter().map(write).collect()
    }

    /// The number of lines with a prefix, counted quickly.
    pub fn lines(&self, beginning: &str) -> usize {
        let beginning = beginning.as_bytes();
        let of = |body: &[u8]| {
            body.split(|byte| *byte == b'\n')
                .filter(|line| line.starts_with(beginning))
                .count()
        };
        self.0.sum(|request| of(&request.body))
    }

    /// The number of requests so far.
    pub fn count(&self) -> usize {
        self.0.count()
    }

    /// All points so far, by bucket.
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
        // The only encoded character in the buckets' names.
        bucket: parameter("bucket").replace("%3A", ":"),
        authorization: request.header("authorization").unwrap_or_default().to_owned(),
        points: body.lines().map(point).collect(),
    }
}
