package main

import (
	"bufio"
	"fmt"
	"io"
	"sort"
	"strings"
)

// Something of the text: a plugin or an option, and the versions that have it.
type entry struct {
	name, kind string
	deprecated *deprecation
	// Indexes of the first and the last version.
	first, last int
	inner       []*entry
}

// What the versions have together. Where they differ, the newest that has an entry describes it.
func merge(versions []version, tables []*table) []*entry {
	var lists [][]*option
	for _, table := range tables {
		var plugins []*option
		for _, plugin := range table.plugins {
			kind := ""
			if len(plugin.formats) > 0 {
				kind = "with " + strings.Join(plugin.formats, " ")
			}
			plugins = append(plugins, &option{plugin.name, kind, plugin.options, plugin.deprecated})
		}
		lists = append(lists, plugins)
	}
	entries := mergeOptions(lists, 0)
	newest := len(versions) - 1
	// A plugin that no version here has, but that an older one had.
	for name, info := range tables[newest].removed {
		if tables[0].plugins[name] == nil {
			entries = append(entries, &entry{name: name, deprecated: info, first: 0, last: -1})
		} else {
			for _, known := range entries {
				if known.name == name {
					known.deprecated = info
				}
			}
		}
	}
	sortEntries(entries)
	return entries
}

// `first` is the version of the first list.
func mergeOptions(lists [][]*option, first int) []*entry {
	var entries []*entry
	known := map[string]*entry{}
	inner := map[string][][]*option{}
	for number, options := range lists {
		version := first + number
		for _, option := range options {
			found := known[option.name]
			if found == nil {
				found = &entry{name: option.name, first: version}
				known[option.name] = found
				entries = append(entries, found)
			}
			if found.kind != "" && found.kind != option.kind {
				// Nothing is said of a type that depends on the version.
				option.kind = "any"
			}
			found.kind, found.deprecated, found.last = option.kind, option.deprecated, version
			// A version without the entry is left out, so that what is in it is not said to be newer.
			inner[option.name] = append(inner[option.name], option.inner)
		}
	}
	for _, found := range entries {
		if found.kind == "any" {
			continue
		}
		found.inner = mergeOptions(inner[found.name], found.first)
	}
	sortEntries(entries)
	return entries
}

func sortEntries(entries []*entry) {
	sort.Slice(entries, func(i, j int) bool { return entries[i].name < entries[j].name })
}

const head = `# Telegraf's plugins and their options, of the versions below. Made by e2e/parts/telegraf-tables: do not edit.
#
# A line at the margin is a plugin, [agent], or what all plugins of a kind have (*). Below it are its options, each with the
# type of its value, and below a table are the options in it. A plugin "with parsers" or "with serializers" has the options of
# the one that its data_format names, too. An entry without "since" is as old as the first version, or as what it is in.
# "until" is the last version that has an entry; "none" is before the first version. "deprecated A-B: TEXT" is as of version A,
# to be removed in B.
`

func write(to io.Writer, versions []version, entries []*entry) error {
	out := bufio.NewWriter(to)
	fmt.Fprint(out, head, "versions")
	for _, version := range versions {
		fmt.Fprint(out, " ", strings.TrimPrefix(version.name, "v"))
	}
	fmt.Fprintln(out)
	all := &entry{first: 0, last: len(versions) - 1}
	writeEntries(out, versions, all, entries, "")
	return out.Flush()
}

// Of an entry in another one, only what differs is said.
func writeEntries(out *bufio.Writer, versions []version, outer *entry, entries []*entry, indent string) {
	for _, entry := range entries {
		fmt.Fprint(out, indent, entry.name)
		if entry.kind != "" {
			fmt.Fprint(out, " ", entry.kind)
		}
		if entry.first > outer.first {
			fmt.Fprint(out, " since ", versions[entry.first].minor())
		}
		if entry.last < 0 {
			fmt.Fprint(out, " until none")
		} else if entry.last < outer.last {
			fmt.Fprint(out, " until ", versions[entry.last].minor())
		}
		if old := entry.deprecated; old != nil {
			fmt.Fprint(out, " deprecated ", minor(old.since))
			if old.removal != "" {
				fmt.Fprint(out, "-", minor(old.removal))
			}
			if notice := strings.Join(strings.Fields(old.notice), " "); notice != "" {
				fmt.Fprint(out, ": ", notice)
			}
		}
		fmt.Fprintln(out)
		writeEntries(out, versions, entry, entry.inner, indent+"  ")
	}
}

// `1.40` for `1.40.0`.
func minor(version string) string {
	parts := strings.Split(version, ".")
	return strings.Join(parts[:min(2, len(parts))], ".")
}
