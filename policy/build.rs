//! Where the module's data lies in its memory, and the names of Telegraf's plugins and options that it contains.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::{env, fs};

/// How many bytes of stack the module has; its data follow.
///
/// An engine that gives each request an instance of its own, as policy-server and our hosts do, pays for the pages that are
/// touched, and Linux maps the 64 KiB around a page that is read. From 0xe8c00 on, most of what a request without an
/// annotation reads lies in one such block, 0xf0000 to 0xfffff, and what it writes in one page of it. `make bench` tells when the
/// data have outgrown the place: `docs/decisions/0002-what-the-module-weighs.md` says how it was found.
const STACK: u32 = 0xe_8c00;

/// Telegraf's plugins and their options.
const TABLES: &str = "src/telegraf/tables/telegraf.txt";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_FAMILY").as_deref() == Ok("wasm") {
        println!("cargo:rustc-link-arg-cdylib=-zstack-size={STACK}");
    }
    println!("cargo:rerun-if-changed={TABLES}");
    if env::var_os("CARGO_FEATURE_PLUGINS").is_some() {
        let tables = fs::read_to_string(TABLES).expect("the tables");
        let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
        fs::write(folder.join("plugins.rs"), pack(&plugins(&tables))).expect("a folder to write into");
    }
}

/// The kinds of plugins in a class, and what outputs and some processors write with.
const KINDS: [&str; 4] = ["aggregators", "outputs", "processors", "serializers"];

/// A plugin, or what several have in common, and the names of its options.
type Plugin<'t> = (String, Vec<&'t str>);

/// The plugins that the settings of a class may name. The options of parsers are left out, because they weigh as much as those
/// of a third of the outputs, and two processors have them.
fn plugins(tables: &str) -> Vec<Plugin<'_>> {
    let mut plugins: Vec<Plugin<'_>> = Vec::new();
    let mut is_wanted = false;
    for line in tables.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let name = line.split_whitespace().next().unwrap_or_default();
        if !line.starts_with(' ') {
            let kind = name.split('.').next().unwrap_or_default();
            is_wanted = (KINDS.contains(&kind) || kind == "agent") && !line.contains(" until none");
            if is_wanted {
                let formats = [
                    ("parsers", "influx_parser_type"),
                    ("serializers", "data_format"),
                    ("parsers", "data_format"),
                ];
                let formats = formats
                    .iter()
                    .filter(|(format, _)| line.contains(" with ") && line.contains(format));
                let mut options: Vec<_> = formats.map(|(_, option)| *option).collect();
                options.dedup();
                plugins.push((name.to_owned(), options));
            }
        } else if is_wanted
            && !line.starts_with("   ")
            && let Some((_, options)) = plugins.last_mut()
        {
            options.push(name);
        }
    }
    in_common(&mut plugins);
    plugins
}

/// Moves the options that the plugins of all three kinds of a class have to a line of their own.
fn in_common(plugins: &mut Vec<Plugin<'_>>) {
    let is_of_kind = |name: &str| name.ends_with(".*");
    let of_kinds: Vec<_> = plugins.iter().filter(|(name, _)| is_of_kind(name)).collect();
    let (_, first) = of_kinds[0];
    let is_common = |option: &&&str| of_kinds.iter().all(|(_, options)| options.contains(option));
    let common: Vec<_> = first.iter().filter(is_common).copied().collect();
    for (_, options) in plugins.iter_mut().filter(|(name, _)| is_of_kind(name)) {
        options.retain(|option| !common.contains(option));
    }
    plugins.push(("*".to_owned(), common));
}

/// Two packed texts. In the first, line 0 has the options that several plugins have, and each other line a plugin and the
/// options that it alone has. The second has a line for each of these, with the numbers of its options in line 0, from 1.
fn pack(plugins: &[Plugin<'_>]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for option in plugins.iter().flat_map(|(_, options)| options) {
        *counts.entry(option).or_default() += 1;
    }
    let shared: Vec<_> = counts
        .iter()
        .filter(|(_, count)| **count > 1)
        .map(|(option, _)| *option)
        .collect();
    let number = |option: &&str| shared.binary_search(option).ok().map(|index| index + 1);
    assert!(shared.len() < 250, "the numbers do not fit into a byte");

    let mut text = shared.join(" ");
    let mut numbers = Vec::new();
    for (name, options) in plugins {
        let own = options.iter().filter(|option| number(option).is_none());
        let line: Vec<_> = std::iter::once(name.as_str()).chain(own.copied()).collect();
        text += &format!("\n{}", line.join(" "));
        let mut shared: Vec<_> = options.iter().filter_map(number).map(|number| number as u8).collect();
        shared.sort_unstable();
        numbers.extend(shared);
        numbers.push(0);
    }

    let characters: Vec<u8> = BTreeSet::from_iter(text.bytes()).into_iter().collect();
    assert!(characters.starts_with(b"\n ") && characters.iter().all(u8::is_ascii));
    let index = |character: u8| characters.binary_search(&character).expect("it is known") as u8;
    let text = in_pairs(text.bytes().map(index).collect(), characters.len());
    let numbers = in_pairs(numbers, shared.len() + 1);

    format!(
        "static CHARACTERS: &[u8] = &{characters:?};\n\
         static PAIRS: &[[u8; 2]] = &{:?};\n\
         static TEXT: &[u8] = &{:?};\n\
         const NUMBERED: usize = {};\n\
         static PAIRS_OF_NUMBERS: &[[u8; 2]] = &{:?};\n\
         static NUMBERS: &[u8] = &{:?};\n",
        text.0,
        text.1,
        shared.len(),
        numbers.0,
        numbers.1
    )
}

/// Makes a text shorter: bytes from `first` on stand for two bytes that are often neighbours (byte pair encoding). 0, the end of
/// a line, is in no pair, so that lines can be told apart.
fn in_pairs(mut text: Vec<u8>, first: usize) -> (Vec<[u8; 2]>, Vec<u8>) {
    let mut pairs = Vec::new();
    while first + pairs.len() < 256 && pairs.len() < 255 {
        let mut counts: BTreeMap<[u8; 2], usize> = BTreeMap::new();
        for pair in text.windows(2).filter(|pair| !pair.contains(&0)) {
            *counts.entry([pair[0], pair[1]]).or_default() += 1;
        }
        // The last of the most frequent pairs: any will do, but always the same. A pair itself takes two bytes.
        let Some((&pair, _)) = counts
            .iter()
            .max_by_key(|(_, count)| **count)
            .filter(|(_, count)| **count > 3)
        else {
            break;
        };
        let byte = (first + pairs.len()) as u8;
        let mut shorter = Vec::with_capacity(text.len());
        let mut rest = text.as_slice();
        while let [next, tail @ ..] = rest {
            let is_pair = rest.starts_with(&pair);
            shorter.push(if is_pair { byte } else { *next });
            rest = if is_pair { &tail[1..] } else { tail };
        }
        text = shorter;
        pairs.push(pair);
    }
    (pairs, text)
}
