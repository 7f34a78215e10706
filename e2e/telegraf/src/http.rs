//! A minimal HTTP server and client, so that tests can inject a fault at any byte.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// A request with its decoded body.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path with its query.
    pub target: String,
    /// The headers in order, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, without chunks and compression.
    pub body: Vec<u8>,
}

impl Request {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// A parameter of the query, not decoded.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    /// The whole request as text, to search in.
    pub fn text(&self) -> String {
        let headers: String = self
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\n"))
            .collect();
        let body = String::from_utf8_lossy(&self.body);
        format!("{} {}\n{headers}\n{body}", self.method, self.target)
    }
}

/// A response.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers, without those for the body's length.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
}

/// How a response's body is sent.
#[derive(Debug)]
pub enum Body {
    /// Immediately.
    Whole(Vec<u8>),
    /// A repeated text, up to the given number of bytes or until the client disconnects.
    Repeated(&'static str, u64),
    /// Never: the connection stays open and silent until the server stops.
    Never,
}

impl Reply {
    /// A response with a text.
    pub fn new(status: u16, content_type: &str, text: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("Content-Type", content_type.to_owned())],
            body: Body::Whole(text.into()),
        }
    }

    /// A response without a body.
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Whole(Vec::new()),
        }
    }

    /// The response with an additional header.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A server on loopback that records all requests.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    ends: Arc<AtomicBool>,
}

impl Server {
    /// Starts a server on a free port.
    ///
    /// # Panics
    /// If there is none.
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let ends = Arc::new(AtomicBool::new(false));
        let answer = Arc::new(answer);
        let (kept, over) = (Arc::clone(&requests), Arc::clone(&ends));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let (kept, over, answer) = (Arc::clone(&kept), Arc::clone(&over), Arc::clone(&answer));
                // A disconnected client is not an error of the server.
                thread::spawn(move || serve(stream, &kept, &over, &*answer));
            }
        });
        Self {
            address,
            requests,
            ends,
        }
    }

    /// `127.0.0.1:PORT`
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// A URL on this server.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sums a count over all requests so far, without copying them.
    pub fn sum(&self, count: impl Fn(&Request) -> usize) -> usize {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(count)
            .sum()
    }

    /// The number of requests so far.
    pub fn count(&self) -> usize {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts connections.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(
    stream: TcpStream,
    kept: &Mutex<Vec<Request>>,
    over: &AtomicBool,
    answer: &dyn Fn(&Request) -> Reply,
) -> io::Result<()> {
    let mut reader = BufReader::new(&stream);
    let (first, headers, body) = read_message(&mut reader)?;
    let mut words = first.split(' ');
    let request = Request {
        method: words.next().unwrap_or_default().to_owned(),
        target: words.next().unwrap_or_default().to_owned(),
        headers,
        body,
    };
    kept.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(request.clone());
    write_reply(&stream, answer(&request), over)?;
    stream.shutdown(Shutdown::Both)
}

fn write_reply(mut stream: &TcpStream, reply: Reply, over: &AtomicBool) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {} -\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    match reply.body {
        Body::Whole(body) => {
            if reply.status != 204 {
                head += &format!("Content-Length: {}\r\n", body.len());
            }
            stream.write_all(format!("{head}\r\n").as_bytes())?;
            stream.write_all(&body)
        }
        Body::Repeated(text, bytes) => {
            stream.write_all(format!("{head}\r\n").as_bytes())?;
            let block = text.repeat((1 << 16) / text.len());
            for _ in 0..bytes / block.len() as u64 {
                stream.write_all(block.as_bytes())?;
            }
            Ok(())
        }
        Body::Never => {
            stream.write_all(format!("{head}Content-Length: 1000\r\n\r\n").as_bytes())?;
            stream.set_read_timeout(Some(Duration::from_millis(200)))?;
            while !over.load(Ordering::Relaxed) {
                match stream.read(&mut [0]) {
                    Ok(0) => return Ok(()),
                    _ => continue,
                }
            }
            Ok(())
        }
    }
}

/// Reads the first line, the headers and the decoded body of a request or response.
type Message = (String, Vec<(String, String)>, Vec<u8>);

fn read_message(reader: &mut impl BufRead) -> io::Result<Message> {
    let first = read_line(reader)?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let mut body = Vec::new();
    if header(&headers, "transfer-encoding") == Some("chunked") {
        loop {
            let size = read_line(reader)?;
            let size = u64::from_str_radix(&size, 16).map_err(io::Error::other)?;
            reader.by_ref().take(size).read_to_end(&mut body)?;
            read_line(reader)?;
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = header(&headers, "content-length") {
        let length = length.parse().map_err(io::Error::other)?;
        reader.by_ref().take(length).read_to_end(&mut body)?;
    } else if first.starts_with("HTTP/") {
        reader.read_to_end(&mut body)?;
    }
    if header(&headers, "content-encoding") == Some("gzip") {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(body.as_slice()).read_to_end(&mut plain)?;
        body = plain;
    }
    Ok((first, headers, body))
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
}

/// Sends a GET request. Returns the status code and the body.
///
/// # Errors
/// If there is no response.
pub fn get(address: &str, target: &str) -> io::Result<(u16, String)> {
    send(address, "GET", target, &[])
}

/// Sends a request. Returns the status code and the body.
pub(crate) fn send(address: &str, method: &str, target: &str, body: &[u8]) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let length = body.len();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let (first, _, body) = read_message(&mut BufReader::new(stream))?;
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("not an answer: {first}")))?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
