//! An operator that is killed.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::ResourceExt;
use kube::api::ListParams;
use telewarden_e2e_operator::{Application, Cluster, InfluxDb, Random, annotation};

use crate::provided::{arguments, as_texts, cluster, has_tokens, settings};

/// The namespaces and the names of the Applications that are edited at random.
const RANDOM: [&str; 4] = ["a", "b", "c", "d"];

async fn edit_at_random(cluster: &Cluster, random: &mut Random) {
    let name = RANDOM[random.below(4) as usize];
    let to = RANDOM[random.below(4) as usize];
    let application = Application::named(name).to(to);
    match random.below(4) {
        0 => cluster.application(&application.annotated("")).await,
        1 => {
            let api = cluster.of("argocd", "argoproj.io", "v1alpha1", "Application");
            let _ = api.delete(name, &Default::default()).await;
        }
        _ => {
            cluster
                .application(&application.annotated(&annotation(to, &["one"])))
                .await
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_point_of_many_edits_the_authorizations_are_those_of_the_sources() {
    let (cluster, database) = (cluster().await, InfluxDb::start().await);
    for name in RANDOM {
        cluster.namespace(name).await;
    }
    let settings = settings(&database, "bucketsAndTokens");
    let mut arguments = arguments(&cluster, &database, &settings);
    // A killed operator holds the lease until it expires.
    arguments.push("--no-leader-election".to_owned());
    let arguments = as_texts(&arguments);
    let mut random = Random::new();
    let mut operator = cluster.unready_operator(&arguments);
    for edit in 0..100 {
        edit_at_random(&cluster, &mut random).await;
        if random.below(4) == 0 {
            tokio::time::sleep(Duration::from_millis(random.below(600))).await;
            operator.kill();
            operator = cluster.unready_operator(&arguments);
        }
        if edit % 25 == 24 {
            operator.is_ready().await;
            let api = cluster.of("argocd", "argoproj.io", "v1alpha1", "Application");
            let list = api.list(&ListParams::default()).await.expect("list").items;
            let annotated = list.iter().filter(|of| !of.annotations().is_empty());
            let names = annotated.map(|of| format!("argoproj.io/Application/argocd/{}", of.name_any()));
            let names: BTreeSet<String> = names.collect();
            has_tokens(
                &cluster,
                &database,
                &names.iter().map(String::as_str).collect::<Vec<_>>(),
            )
            .await;
        }
    }
}
