//! Asks each Telegraf in turn how it is.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use telewarden::Causes;
use telewarden_policy::needs::ServicePort;
use telewarden_policy::well_known::STATUS_PORT;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::board::{Board, Task};
use super::expected::TelegrafId;
use super::followed::Question;
use super::log;
use super::pods::{NAME_LABEL, ReadPod};
use super::published::AGAIN;
use super::services::{Fault, fault_of};
use super::telegraf::Answer;
use super::telegraf_report::{Reader, TelegrafReport};
use super::words::{Explanation, short};
use crate::cluster_state::ClusterState;
use crate::events::Events;
use crate::retry::Backoff;
use crate::writer::bounded;

/// The number of Telegrafs that are asked at the same time.
const AT_ONCE: usize = 64;
/// The reasons of so many endpoints are looked for in one round of a Telegraf.
const QUESTIONS: usize = 16;
/// The time for a connection to a Telegraf, and for its whole answer.
const CONNECT: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that is read. That of a Telegraf with all the endpoints that fit in a ConfigMap is shorter.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// The bytes that are kept of an answer, and so many more for each name and each URL of the endpoints that its Telegraf has.
const KEPT: usize = 64 * 1024;
const KEPT_OF_NAME: usize = 3 * 1024;
/// The page size of the list of pods. Anybody can create large ones with Telegraf's label.
const PAGE: u32 = 5;

/// Asks Telegrafs how they are.
#[derive(Clone)]
pub(crate) struct Rounds {
    http: reqwest::Client,
    means: Means,
}

/// What [`Rounds`] needs.
#[derive(Clone)]
pub(crate) struct Means {
    pub(crate) client: Client,
    pub(crate) board: Arc<Board>,
    pub(crate) events: Events,
    /// How often each Telegraf is asked.
    pub(crate) interval: Duration,
    /// The cluster's DNS domain.
    pub(crate) cluster_domain: String,
    /// Whose sources are queued when their Report changes. `None` if there are no Reports.
    pub(crate) reports: Option<ClusterState>,
}

impl Rounds {
    /// Asks each Telegraf once in an interval.
    ///
    /// # Errors
    /// If there is no TLS, though none is used.
    pub(crate) fn new(means: Means) -> Result<Self, reqwest::Error> {
        let http = client(CONNECT, TIMEOUT)?;
        Ok(Self { http, means })
    }

    /// Asks for ever. One that does not answer holds up nobody else, as long as fewer than [`AT_ONCE`] do not.
    pub(crate) async fn run(self) {
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        let mut running = JoinSet::new();
        let mut ticks =
            tokio::time::interval((self.means.interval / 20).clamp(Duration::from_millis(50), Duration::from_secs(1)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut next_all = Instant::now();
        loop {
            ticks.tick().await;
            self.publish(&mut next_all);
            for id in self.means.board.due(Instant::now(), self.means.interval) {
                // The semaphore is never closed.
                let Ok(permit) = permits.clone().acquire_owned().await else {
                    return;
                };
                let rounds = self.clone();
                running.spawn(async move {
                    rounds.visit(&id).await;
                    drop(permit);
                });
            }
            while running.try_join_next().is_some() {}
        }
    }

    /// Has the Reports of sources written whose results have changed. `next_all` is when they can be written next where one
    /// attempt is about all sources.
    fn publish(&self, next_all: &mut Instant) {
        let Some(state) = &self.means.reports else { return };
        let now = Instant::now();
        if state.is_standalone() && now < *next_all {
            return;
        }
        let published = self.means.board.publish(now);
        if !published.is_empty() {
            *next_all = now + AGAIN;
        }
        published.iter().for_each(|source| state.touch(source));
    }

    async fn visit(&self, id: &TelegrafId) {
        let Some(task) = self.means.board.task(id) else { return };
        let answer = match &task.pod {
            Some((_, address)) if task.tells => match self.ask(*address, &task).await {
                Ok(report) => Answer::Report(report),
                Err(why) => Answer::Silence(why),
            },
            _ => Answer::Nobody,
        };
        let (told, questions) = self.means.board.observe(id, &answer);
        told.into_iter().for_each(|told| self.means.events.send(told));
        let mut of_log = None;
        let pod = task.pod.as_ref().map(|(name, _)| name.as_str());
        for (number, question) in questions.iter().enumerate() {
            match number < QUESTIONS {
                true => self.answer(id, question, pod, &mut of_log).await,
                false => self.explain(question, &unexplained(id), false),
            }
        }
        if self.means.reports.is_some() {
            self.means.board.note_results(id);
        }
    }

    fn explain(&self, question: &Question, explanation: &Explanation, is_service_missing: bool) {
        let told = self.means.board.explain(question, explanation, is_service_missing);
        told.into_iter().for_each(|told| self.means.events.send(told));
    }

    /// Reads a Telegraf's report.
    async fn ask(&self, address: IpAddr, task: &Task) -> Result<TelegrafReport, String> {
        if !is_pods(address) {
            return Err(format!("{address} is no pod's address"));
        }
        let url = format!("http://{}/metrics", SocketAddr::from((address, STATUS_PORT)));
        let kept = KEPT + KEPT_OF_NAME * task.names;
        report_at(&self.http, &url, &task.prefixes, kept).await
    }

    /// Looks for the reason why an endpoint fails, and tells it.
    async fn answer(&self, id: &TelegrafId, question: &Question, pod: Option<&str>, of_log: &mut Option<String>) {
        let service = ServicePort::of_url(&question.url, &self.means.cluster_domain);
        let fault = match &service {
            Some(service) => fault_of(service, &self.means.client, &question.namespace)
                .await
                .unwrap_or_else(|error| {
                    tracing::debug!(error = %error.chain(), "a Service was not looked up");
                    None
                }),
            None => None,
        };
        let explanation = match (&service, &fault) {
            (Some(service), Some(fault)) => fault.explain(service),
            _ => {
                if let (None, Some(pod)) = (&of_log, pod) {
                    *of_log = Some(self.log(id, pod).await);
                }
                let log = of_log.as_deref().unwrap_or_default();
                log::reason(log, &question.alias).unwrap_or_else(|| unexplained(id))
            }
        };
        let is_missing = matches!(fault, Some(Fault::Missing { .. }));
        self.explain(question, &explanation, is_missing);
    }

    /// The end of a Telegraf's log; empty if it cannot be read.
    async fn log(&self, id: &TelegrafId, pod: &str) -> String {
        let params = LogParams {
            container: Some("telegraf".to_owned()),
            tail_lines: Some(log::LINES),
            limit_bytes: Some(log::BYTES),
            since_seconds: Some(log::SECONDS),
            ..LogParams::default()
        };
        let api = Api::<Pod>::namespaced(self.means.client.clone(), &id.namespace);
        let request = bounded(api.logs(pod, &params), || {
            format!("read the log of {}/{pod}", id.namespace)
        });
        request.await.unwrap_or_else(|error| {
            tracing::debug!(error = %error.chain(), "a log was not read");
            String::new()
        })
    }
}

/// A client that follows no redirect, uses no proxy, and has a time limit.
fn client(connect: Duration, whole: Duration) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .connect_timeout(connect)
        .timeout(whole)
        // Over HTTP alone: no certificates are kept in memory, and an image needs none.
        .tls_certs_only([])
        // A pod is asked at its own address, and nowhere else.
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .user_agent(concat!("telewarden-operator/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Reads the report at a URL. An answer that is longer than the longest report is refused.
async fn report_at(
    http: &reqwest::Client,
    url: &str,
    prefixes: &std::collections::BTreeSet<String>,
    kept: usize,
) -> Result<TelegrafReport, String> {
    let in_words = |error: reqwest::Error| short(&Causes(&error).to_string());
    let mut answer = http.get(url).send().await.map_err(in_words)?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(format!("it answers {}", answer.status()));
    }
    let is_known = |alias: &str| {
        let is_shared =
            |prefix: &String| prefix.is_empty() || alias.starts_with(prefix.as_str()) || !alias.contains('/');
        alias != "status" && prefixes.iter().any(is_shared)
    };
    let mut reader = Reader::new(is_known, kept);
    let mut left = MAX_ANSWER;
    while let Some(piece) = answer.chunk().await.map_err(in_words)? {
        left = left.checked_sub(piece.len()).ok_or("its answer is too long")?;
        reader.read(&piece);
    }
    reader
        .finish()
        .ok_or_else(|| "its answer is not Telegraf's state".to_owned())
}

fn unexplained(id: &TelegrafId) -> Explanation {
    let what = format!(
        "Telegraf's log says why: `kubectl logs --namespace {} deployment/{}`.",
        id.namespace, id.name
    );
    Explanation::new("the scrape fails", what)
}

/// False for addresses that no pod has.
fn is_pods(address: IpAddr) -> bool {
    // `::ffff:a.b.c.d` reaches a.b.c.d.
    let address = address.to_canonical();
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !is_link_local && !address.is_unspecified() && !address.is_multicast()
}

/// Follows the pods of all Telegrafs.
pub(crate) async fn follow_pods(client: Client, board: Arc<Board>) {
    let pods = watcher(
        Api::<ReadPod>::all(client),
        watcher::Config::default().labels(NAME_LABEL).page_size(PAGE),
    );
    let mut pods = pin!(pods);
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(60));
    while let Some(event) = pods.next().await {
        match event {
            Ok(Event::Init) => board.clear_pods(),
            Ok(Event::InitApply(pod) | Event::Apply(pod)) => board.put_pod(&pod),
            Ok(Event::Delete(pod)) => board.remove_pod(&pod),
            Ok(Event::InitDone) => backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(60)),
            Err(error) => {
                tracing::warn!(error = %Causes(&error), "Telegraf's pods cannot be watched; their state is not known");
                tokio::time::sleep(backoff.next()).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// What a server sends after its head, again and again.
    #[derive(Clone, Copy)]
    enum Then {
        Close,
        /// This line, as fast as it is taken.
        Flood(&'static str),
        /// A byte, and a pause.
        Drip,
    }

    /// Serves bytes as they are. Returns the URL, and how many bytes were sent.
    async fn serve(head: String, then: Then) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/metrics", listener.local_addr().unwrap());
        let sent = Arc::new(AtomicUsize::new(0));
        let count = sent.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(head.as_bytes()).await;
                count.fetch_add(head.len(), Ordering::Relaxed);
                loop {
                    let piece = match then {
                        Then::Close => break,
                        Then::Flood(line) => line.repeat(4096),
                        Then::Drip => {
                            tokio::time::sleep(Duration::from_millis(20)).await;
                            "a".to_owned()
                        }
                    };
                    if stream.write_all(piece.as_bytes()).await.is_err() {
                        break;
                    }
                    count.fetch_add(piece.len(), Ordering::Relaxed);
                }
            }
        });
        (url, sent)
    }

    async fn ask(url: &str) -> String {
        ask_for(url, CONNECT * 20).await
    }

    async fn ask_for(url: &str, whole: Duration) -> String {
        let http = client(CONNECT, whole).unwrap();
        let answer = report_at(&http, url, &[String::new()].into(), KEPT).await;
        answer.expect_err("a report")
    }

    const HEAD: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";

    #[tokio::test]
    async fn what_is_no_report_is_named() {
        let page = |head: &str| head.to_owned() + "<html>hello</html>";
        for (answer, expected) in [
            (page(HEAD), "its answer is not Telegraf's state"),
            (
                format!("{HEAD}\u{0}}}{{\n\u{7f}\n{{}}{{"),
                "its answer is not Telegraf's state",
            ),
            (page("HTTP/1.1 500 Oh\r\nConnection: close\r\n\r\n"), "it answers 500"),
            ("SSH-2.0-OpenSSH\r\n".to_owned(), "HTTP"),
            (String::new(), "connection closed"),
        ] {
            let (url, _) = serve(answer.clone(), Then::Close).await;
            let why = ask(&url).await;
            assert!(why.contains(expected), "{answer:?}: {why}");
        }
    }

    #[tokio::test]
    async fn an_answer_without_end_is_given_up() {
        let (url, sent) = serve(HEAD.to_owned(), Then::Flood("internal_write_x{alias=\"a\"} 1\n")).await;
        assert_eq!(ask(&url).await, "its answer is too long");
        // What is on its way is bounded by the buffers of the connection.
        let sent = sent.load(Ordering::Relaxed);
        assert!((MAX_ANSWER..2 * MAX_ANSWER).contains(&sent), "{sent} bytes");
    }

    #[tokio::test]
    async fn an_answer_that_drips_is_given_up() {
        let (url, _) = serve(HEAD.to_owned(), Then::Drip).await;
        let why = ask_for(&url, Duration::from_secs(1)).await;
        assert!(why.contains("timed out"), "{why}");
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let (elsewhere, asked) = serve(HEAD.to_owned(), Then::Close).await;
        let head = format!("HTTP/1.1 302 Found\r\nLocation: {elsewhere}\r\nConnection: close\r\n\r\n");
        let (url, _) = serve(head, Then::Close).await;
        assert!(ask(&url).await.starts_with("it answers 302"));
        assert_eq!(asked.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn only_addresses_of_pods_are_asked() {
        for (address, expected) in [
            ("10.1.2.3", true),
            ("fd00::2", true),
            ("169.254.169.254", false),
            ("::ffff:10.1.2.3", true),
            ("::ffff:169.254.169.254", false),
            ("fe80::1", false),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
        ] {
            assert_eq!(is_pods(address.parse().unwrap()), expected, "{address}");
        }
    }
}
