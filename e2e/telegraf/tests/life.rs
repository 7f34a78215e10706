//! A configuration's life: the kubelet changes files under a Telegraf that runs, and it never ends of it.

use serde_json::{Value, json};
use telewarden_e2e_telegraf::{
    Exporter, Recorder, Reply, Telegraf, application, eventually, merged, on_loopback, outputs_to, render, whole,
};
use telewarden_policy::protocol::Rendered;

fn settings(recorder: &Recorder) -> Value {
    merged(on_loopback(), outputs_to(&recorder.url()))
}

fn of(settings: &Value, endpoints: &[(&str, &Exporter)]) -> Rendered {
    let endpoints: serde_json::Map<_, _> = endpoints
        .iter()
        .map(|(name, exporter)| ((*name).to_owned(), exporter.url().into()))
        .collect();
    whole(render(
        settings,
        &[application("argocd", &json!(endpoints).to_string())],
    ))
}

/// Waits until Telegraf has read its configuration again and works with it.
fn await_reload(telegraf: &mut Telegraf, loads: usize) {
    eventually("a reload", || {
        telegraf.process().assert_runs();
        (telegraf.loads() > loads).then_some(()).ok_or_else(|| telegraf.log())
    });
    eventually("the health output after a reload", || {
        telegraf.process().assert_runs();
        telegraf.health()
    });
}

/// Waits until the one is scraped twice, during which the other must not be.
fn assert_scraped_alone(alone: &Exporter, not: &Exporter) {
    // What began before the reload may still come.
    alone.await_scrape();
    let before = not.scrapes();
    alone.await_scrape();
    alone.await_scrape();
    assert_eq!(not.scrapes(), before, "what was removed is still scraped");
}

#[test]
fn ten_changes_in_a_row_without_a_restart() {
    let database = Recorder::answering(|_| Reply::empty(204));
    let settings = settings(&database);
    let (stays, comes) = (Exporter::of("x 1\n"), Exporter::of("y 1\n"));
    let without = of(&settings, &[("stays", &stays)]);
    let with = of(&settings, &[("stays", &stays), ("comes", &comes)]);
    let mut telegraf = Telegraf::start(&without);
    let id = telegraf.process().id();
    stays.await_scrape();
    for round in 0..10 {
        let loads = telegraf.loads();
        let added = round % 2 == 0;
        telegraf.reconfigure(if added { &with } else { &without });
        await_reload(&mut telegraf, loads);
        if added {
            comes.await_scrape();
            stays.await_scrape();
        } else {
            assert_scraped_alone(&stays, &comes);
        }
    }
    assert_eq!(telegraf.process().id(), id);
    println!("10 changes, {} reloads", telegraf.loads() - 1);
}

#[test]
fn a_change_while_the_database_is_down() {
    let database = Recorder::answering(|_| Reply::empty(503));
    let settings = settings(&database);
    let (one, two) = (Exporter::of("x 1\n"), Exporter::of("y 1\n"));
    let mut telegraf = Telegraf::start(&of(&settings, &[("one", &one)]));
    one.await_scrape();
    let loads = telegraf.loads();
    telegraf.reconfigure(&of(&settings, &[("two", &two)]));
    await_reload(&mut telegraf, loads);
    assert_scraped_alone(&two, &one);
}

#[test]
fn sources_come_and_go_in_one_telegraf_for_all() {
    let database = Recorder::answering(|_| Reply::empty(204));
    let settings = merged(settings(&database), json!({"topology": "standalone"}));
    let (stays, comes) = (Exporter::of("x 1\n"), Exporter::of("y 1\n"));
    let one = application("stays", &format!("x: {}", stays.url()));
    let two = application("comes", &format!("y: {}", comes.url()));
    let shared = |sources: &[Value]| render(&settings, sources).shared.expect("a shared Telegraf");
    let mut telegraf = Telegraf::start(&shared(std::slice::from_ref(&one)));
    stays.await_scrape();
    for _ in 0..2 {
        let loads = telegraf.loads();
        telegraf.reconfigure(&shared(&[one.clone(), two.clone()]));
        await_reload(&mut telegraf, loads);
        comes.await_scrape();
        stays.await_scrape();
        let loads = telegraf.loads();
        telegraf.reconfigure(&shared(std::slice::from_ref(&one)));
        await_reload(&mut telegraf, loads);
        assert_scraped_alone(&stays, &comes);
    }
    // Without any source it goes on, with its own metrics alone.
    let loads = telegraf.loads();
    telegraf.reconfigure(&shared(&[]));
    await_reload(&mut telegraf, loads);
    telegraf.process().assert_runs();
    let buckets: Vec<_> = database.points().into_keys().collect();
    assert_eq!(buckets, ["comes", "stays"]);
}

#[test]
fn new_pods_exactly_when_the_configuration_changes() {
    let exporter = Exporter::of("x 1\n");
    let template = |rendered: &Rendered| {
        let deployment = rendered.objects.iter().find(|object| object["kind"] == "Deployment");
        deployment.expect("a Deployment")["spec"]["template"].clone()
    };
    let render = |reload: &str, name: &str, resync: &str| {
        let settings = merged(on_loopback(), json!({"reload": reload}));
        let mut source = application("argocd", &format!("{name}: {}", exporter.url()));
        source["status"] = json!({"reconciledAt": resync});
        template(&whole(telewarden_e2e_telegraf::render(&settings, &[source])))
    };
    assert_eq!(render("rollout", "a", "now"), render("rollout", "a", "later"));
    assert_ne!(render("rollout", "a", "now"), render("rollout", "b", "now"));
    assert_eq!(render("watch", "a", "now"), render("watch", "b", "now"));
}
