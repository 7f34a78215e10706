//! Why a scrape failed, from Telegraf's log. Its own metrics say that it failed, and not why.

use super::words::{Explanation, short};

/// Limits for reading a log: lines, bytes, and age in seconds.
pub(super) const LINES: i64 = 200;
pub(super) const BYTES: i64 = 128 * 1024;
pub(super) const SECONDS: i64 = 900;

/// What a log says of an input, from its newest line.
pub(super) fn reason(log: &str, alias: &str) -> Option<Explanation> {
    let of_input = format!("[inputs.prometheus::{alias}] ");
    let message = |line: &str| {
        // A line begins with its time, its level and its plugin. An exporter can have all of that repeated later in the line.
        let (level, message) = line.split_once(&of_input).filter(|(level, _)| !level.contains('['))?;
        // Telegraf does not count an answer that is too large as an error.
        let counts = level.ends_with("E! ") || message.starts_with("skipping ");
        counts.then(|| explain(message.trim_start_matches("Error in plugin: ")))
    };
    log.lines().rev().find_map(message)
}

/// A message of `inputs.prometheus`
/// (<https://github.com/influxdata/telegraf/blob/v1.40.1/plugins/inputs/prometheus/prometheus.go>), which repeats what Go's
/// HTTP client says.
fn explain(message: &str) -> Explanation {
    let is_reached = "Look whether this path has Prometheus metrics: `curl` the URL from a pod of the namespace.";
    let says = |text: &str| message.contains(text);
    if let Some((_, status)) = message.split_once("returned HTTP status ") {
        let what = match status.trim_matches(['"', ' ']).get(..3) {
            Some("401" | "403") => {
                "The endpoint refuses Telegraf: look at the credentials in its options, such as `bearerTokenSecret`."
            }
            Some("404") => "The path is wrong: look at the URL.",
            _ => "Look at the service's own log.",
        };
        return Explanation::new(
            format!("it answers with HTTP status {}", short(status.trim_matches('"'))),
            what,
        );
    }
    let (why, what) = if says("no such host") {
        (
            "the host's name is not known to the cluster's DNS",
            "Look at the names of the Service and of the namespace in the URL.",
        )
    } else if says("connection refused") {
        (
            "the connection is refused",
            "Nothing listens at this port: look at the port, and whether the service runs.",
        )
    } else if says("Client.Timeout") || says("context deadline exceeded") || says("i/o timeout") {
        (
            "it does not answer in time",
            "A NetworkPolicy may be in the way, or the service is slow: see the option `timeout`.",
        )
    } else if says("no route to host") || says("network is unreachable") {
        (
            "there is no way to the host",
            "Look whether its pods run, and at NetworkPolicies.",
        )
    } else if says("certificate") {
        (
            "its TLS certificate is not accepted",
            "See the options `tls_server_name` and `insecure_skip_verify`.",
        )
    } else if says("HTTP response to HTTPS client") || says("does not look like a TLS handshake") {
        ("it speaks HTTP, not HTTPS", "Write `http://` in the URL.")
    } else if says("malformed HTTP response") {
        (
            "it does not speak HTTP; perhaps HTTPS",
            "Look at the URL's scheme and port.",
        )
    } else if says("content length exceeded") {
        (
            "its answer is larger than `content_length_limit`",
            "Raise this option, up to what the settings allow.",
        )
    } else if says("error reading metrics") {
        ("its answer is no Prometheus metrics", is_reached)
    } else {
        return Explanation::new(format!("Telegraf says: {}", short(message)), is_reached);
    };
    Explanation::new(why, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines that Telegraf 1.40.1 has written.
    const LOG: &str = r#"2026-11-30T00:21:39Z E! [inputs.prometheus::e3] Error in plugin: error making HTTP request to "http://127.0.0.1:18999/404": Get "http://127.0.0.1:18999/404": dial tcp 127.0.0.1:18999: connect: connection refused
2026-11-30T00:21:42Z E! [inputs.prometheus::e2] Error in plugin: error making HTTP request to "http://nosuch.a.svc/metrics": Get "http://nosuch.a.svc/metrics": dial tcp: lookup nosuch.a.svc on 10.255.255.53:53: no such host
2026-11-30T00:21:42Z E! [inputs.prometheus::e1] Error in plugin: error making HTTP request to "http://127.0.0.1:1/metrics": Get "http://127.0.0.1:1/metrics": dial tcp 127.0.0.1:1: connect: connection refused
2026-11-30T00:21:42Z E! [inputs.prometheus::e7] Error in plugin: error making HTTP request to "https://127.0.0.1:18999/tls": Get "https://127.0.0.1:18999/tls": tls: first record does not look like a TLS handshake
2026-11-30T00:21:42Z E! [inputs.prometheus::e3] Error in plugin: "http://127.0.0.1:18999/404" returned HTTP status "404 Not Found"
2026-11-30T00:21:42Z I! [inputs.prometheus::e6] skipping http://127.0.0.1:18999/large: content length exceeded maximum body size (1000)
2026-11-30T00:21:42Z E! [inputs.prometheus::e5] Error in plugin: error reading metrics for "http://127.0.0.1:18999/html": decoding response failed: text format parsing error in line 1: invalid metric name
2026-11-30T00:21:43Z E! [inputs.prometheus::e4] Error in plugin: error making HTTP request to "http://127.0.0.1:18999/slow": Get "http://127.0.0.1:18999/slow": context deadline exceeded (Client.Timeout exceeded while awaiting headers)
2026-11-30T00:21:43Z I! [inputs.prometheus::e8] Some other line
2026-11-30T00:21:43Z E! [inputs.prometheus::e9] Error in plugin: something new
"#;

    #[test]
    fn the_newest_line_of_the_input_says_why() {
        for (alias, expected) in [
            ("e1", Some("the connection is refused")),
            ("e2", Some("the host's name is not known to the cluster's DNS")),
            ("e3", Some("it answers with HTTP status 404 Not Found")),
            ("e4", Some("it does not answer in time")),
            ("e5", Some("its answer is no Prometheus metrics")),
            ("e6", Some("its answer is larger than `content_length_limit`")),
            ("e7", Some("it speaks HTTP, not HTTPS")),
            ("e8", None),
            ("e9", Some("Telegraf says: something new")),
            ("e", None),
        ] {
            let told = reason(LOG, alias).map(|told| told.why);
            assert_eq!(told.as_deref(), expected, "{alias}");
        }
    }

    #[test]
    fn an_exporter_cannot_speak_for_another_endpoint() {
        let line = "2026-11-30T00:21:42Z E! [inputs.prometheus::a/web] Error in plugin: \"http://a.svc/\" returned HTTP status \"404 X\" \
                    E! [inputs.prometheus::b/web] Error in plugin: connection refused\"";
        assert!(reason(line, "a/web").is_some_and(|why| why.why.contains("HTTP status 404")));
        assert_eq!(reason(line, "b/web"), None);
    }
}
