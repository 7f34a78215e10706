//! `telewarden explain`

use std::collections::BTreeMap;
use std::fmt::Write;

use clap::ValueEnum;
use telewarden::{Configuration, EndpointAnswer, Outcome, RenderAnswer, Rendered, SourceAnswer};
use toml::{Table, Value};

use super::Status;
use super::check::{self, Checked};
use super::output;
use super::report::human;
use super::validate::no_source;

/// Say what will be scraped, how often, where it goes, and which objects will exist
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    selection: check::Selection,
    /// How it is said
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// In words
    Human,
    /// As a picture: a Mermaid flowchart
    Mermaid,
}

pub(crate) fn run(args: &Args) -> Status {
    let Checked { report, answer } = check::check(&args.selection);
    let printed = match args.format {
        Format::Human => output::print(&output::plain(&words(&answer))),
        Format::Mermaid => output::print(&picture(&answer)),
    };
    let findings = human::findings(&report);
    if !findings.is_empty() {
        output::say_styled(findings.trim_end());
    }
    report
        .failures
        .iter()
        .for_each(|failure| output::say_styled(human::failure(failure)));
    if report.is_empty() {
        output::say(no_source(&report));
    }
    printed.max(report.status(false))
}

fn words(answer: &RenderAnswer) -> String {
    let mut text = String::new();
    let outcomes = answer.sources.iter().filter(|source| source.outcome != Outcome::Idle);
    for source in outcomes {
        if !text.is_empty() {
            text.push('\n');
        }
        text += &format!("{}\n", source.source);
        match source.outcome {
            Outcome::Refused => text += "  is refused: what runs for it goes on as it is\n",
            Outcome::Skipped => text += "  is not rendered here\n",
            Outcome::Rendered | Outcome::Idle => {}
        }
        if !source.endpoints.is_empty() {
            text += "  scrapes\n";
        }
        for endpoint in &source.endpoints {
            text += &format!("    {}\n", scraped(endpoint));
        }
        text += &of_rendered(&source.rendered);
    }
    if let Some(shared) = &answer.shared {
        text += "\nOne Telegraf for all of them\n";
        text += &of_rendered(shared);
    }
    text
}

fn scraped(endpoint: &EndpointAnswer) -> String {
    let EndpointAnswer {
        name,
        plugin,
        urls,
        interval,
        measurement,
    } = endpoint;
    let mut text = match urls.as_slice() {
        [] => format!("{name}: the plugin {plugin}"),
        urls => format!("{name}: {}", urls.join(", ")),
    };
    if let Some(interval) = interval {
        text += &format!(", every {interval}");
    }
    match measurement {
        Some(measurement) => text += &format!(", as {measurement}"),
        None => text += ", under the metrics' own names",
    }
    text
}

fn of_rendered(rendered: &Rendered) -> String {
    let mut text = String::new();
    let mut outputs: Vec<_> = rendered.configurations.iter().flat_map(outputs_of).collect();
    outputs.dedup();
    if !outputs.is_empty() {
        text += "  sends to\n";
    }
    for output in outputs {
        text += &format!("    {}\n", output.join(", "));
    }
    if !rendered.objects.is_empty() {
        let namespace = rendered.namespace.as_deref().unwrap_or_default();
        text += &format!("  exists in namespace {namespace} as\n");
    }
    for object in &rendered.objects {
        let part = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        text += &format!("    {} {}\n", part(&object["kind"]), part(&object["metadata"]["name"]));
    }
    text
}

/// The configuration as it is written, all of its files as one. What cannot be read explains nothing.
fn tables(configuration: &Configuration, section: &str) -> Vec<(String, Table)> {
    let files = configuration
        .files
        .values()
        .filter_map(|text| text.parse::<Table>().ok());
    let sections = files.filter_map(|mut file| match file.remove(section) {
        Some(Value::Table(plugins)) => Some(plugins),
        _ => None,
    });
    let plugins = sections.flatten().filter_map(|(plugin, instances)| match instances {
        Value::Array(instances) => Some((plugin, instances)),
        _ => None,
    });
    let instances = plugins.flat_map(|(plugin, instances)| {
        let tables = instances.into_iter().filter_map(|instance| match instance {
            Value::Table(table) => Some(table),
            _ => None,
        });
        tables.map(move |table| (plugin.clone(), table)).collect::<Vec<_>>()
    });
    instances.collect()
}

/// Where metrics go: for each output its plugin and what tells it from others. The one that answers the probes sends
/// nothing.
fn outputs_of(configuration: &Configuration) -> Vec<Vec<String>> {
    let outputs = tables(configuration, "outputs")
        .into_iter()
        .filter(|(plugin, _)| plugin != "health");
    outputs
        .map(|(plugin, table)| {
            let told = ["urls", "organization", "bucket", "database", "files"]
                .into_iter()
                .filter_map(|name| {
                    let text = plain_text(table.get(name)?)?;
                    Some(if name == "urls" { text } else { format!("{name} {text}") })
                });
            std::iter::once(plugin).chain(told).collect()
        })
        .collect()
}

fn plain_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => Some(items.iter().filter_map(plain_text).collect::<Vec<_>>().join(" ")),
        _ => None,
    }
}

/// <https://mermaid.js.org/syntax/flowchart.html>
fn picture(answer: &RenderAnswer) -> String {
    let mut text = "flowchart LR\n".to_owned();
    let mut outputs = BTreeMap::new();
    let shared = answer.shared.iter().flat_map(|shared| &shared.configurations);
    let shared: Vec<_> = shared
        .map(|configuration| (configuration, "shared".to_owned()))
        .collect();
    for (number, source) in answer.sources.iter().enumerate() {
        let SourceAnswer {
            endpoints, rendered, ..
        } = source;
        if endpoints.is_empty() {
            continue;
        }
        let own = rendered.configurations.iter().enumerate();
        let own: Vec<_> = own
            .map(|(index, configuration)| (configuration, format!("t{number}_{index}")))
            .collect();
        let _ = writeln!(text, "  subgraph s{number}[\"{}\"]", label(&[&source.source]));
        for (index, endpoint) in endpoints.iter().enumerate() {
            let urls = endpoint.urls.join(" ");
            let every = endpoint
                .interval
                .as_ref()
                .map(|interval| format!("every {interval}"))
                .unwrap_or_default();
            let _ = writeln!(
                text,
                "    e{number}_{index}[\"{}\"]",
                label(&[&endpoint.name, &urls, &every])
            );
        }
        text += "  end\n";
        for (configuration, id) in &own {
            draw_telegraf(&mut text, configuration, id, &mut outputs);
        }
        for (index, endpoint) in endpoints.iter().enumerate() {
            let reads = |configuration: &Configuration| {
                let inputs = tables(configuration, "inputs");
                inputs
                    .iter()
                    .any(|(_, input)| input.get("alias").and_then(Value::as_str) == Some(&endpoint.name))
            };
            let telegraf = own
                .iter()
                .chain(&shared)
                .find(|(configuration, _)| reads(configuration));
            if let Some((_, id)) = telegraf {
                let _ = writeln!(text, "  e{number}_{index} --> {id}");
            }
        }
    }
    for (configuration, id) in &shared {
        draw_telegraf(&mut text, configuration, id, &mut outputs);
    }
    text
}

fn draw_telegraf(
    text: &mut String,
    configuration: &Configuration,
    id: &str,
    outputs: &mut BTreeMap<Vec<String>, usize>,
) {
    let _ = writeln!(text, "  {id}([\"{}\"])", label(&["Telegraf", &configuration.name]));
    for output in outputs_of(configuration) {
        let next = outputs.len();
        let number = *outputs.entry(output.clone()).or_insert(next);
        if number == next {
            let parts: Vec<_> = output.iter().map(String::as_str).collect();
            let _ = writeln!(text, "  o{number}[(\"{}\")]", label(&parts));
        }
        let _ = writeln!(text, "  {id} --> o{number}");
    }
}

/// Lines of a label, in which nothing is Mermaid's or HTML's: names may be anybody's.
fn label(lines: &[&str]) -> String {
    let escaped = lines.iter().filter(|line| !line.is_empty()).map(|line| {
        let escape = |c: char| match c {
            '"' | '<' | '>' | '&' | '#' | ';' | '`' | '\\' => format!("#{};", c as u32),
            c if c.is_control() => " ".to_owned(),
            c => c.to_string(),
        };
        line.chars().map(escape).collect::<String>()
    });
    escaped.collect::<Vec<_>>().join("<br>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> RenderAnswer {
        let conf = "[[inputs.prometheus]]\nalias = \"redis\"\n[[outputs.health]]\nservice_address = \"http://:8888\"\n\
                    [[outputs.influxdb_v2]]\nbucket = \"argocd\"\norganization = \"square\"\nurls = [\"http://db:8086\"]\n";
        let endpoint = serde_json::json!({
            "name": "redis", "plugin": "prometheus", "urls": ["http://redis.argocd.svc:9121/metrics"],
            "interval": "60s", "measurement": "prometheus_redis",
        });
        serde_json::from_value(serde_json::json!({
            "protocol": 1, "diagnostics": [],
            "sources": [{
                "index": 0, "source": "argoproj.io/Application/argocd/argo\"cd", "outcome": "rendered",
                "endpoints": [endpoint], "namespace": "argocd",
                "configurations": [{"name": "telegraf-argocd", "files": {"telegraf.conf": conf}}],
                "objects": [{"kind": "ConfigMap", "metadata": {"name": "telegraf-argocd"}}],
            }],
        }))
        .expect("an answer")
    }

    #[test]
    fn it_is_said_in_words() {
        let expected = "argoproj.io/Application/argocd/argo\"cd\n  scrapes\n    redis: \
            http://redis.argocd.svc:9121/metrics, every 60s, as prometheus_redis\n  sends to\n    \
            influxdb_v2, http://db:8086, organization square, bucket argocd\n  exists in namespace argocd as\n    \
            ConfigMap telegraf-argocd\n";
        assert_eq!(words(&answer()), expected);
    }

    #[test]
    fn it_is_drawn_and_names_stay_text() {
        let expected = "flowchart LR\n  subgraph s0[\"argoproj.io/Application/argocd/argo#34;cd\"]\n    \
            e0_0[\"redis<br>http://redis.argocd.svc:9121/metrics<br>every 60s\"]\n  end\n  \
            t0_0([\"Telegraf<br>telegraf-argocd\"])\n  \
            o0[(\"influxdb_v2<br>http://db:8086<br>organization square<br>bucket argocd\")]\n  t0_0 --> o0\n  \
            e0_0 --> t0_0\n";
        assert_eq!(picture(&answer()), expected);
    }
}
