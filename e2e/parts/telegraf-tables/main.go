// Writes Telegraf's plugins and their options as one text: names, types, since which version, and what is deprecated.
//
// It reads the source of the versions in the file `versions`, the newest last. Go's own type checker finds the struct that
// a plugin is read into; `toml` and `deprecated` tags are read as Telegraf's TOML library and Telegraf itself read them.
// Packages of other modules are not needed: a type of theirs becomes `any`.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "telegraf-tables:", err)
		os.Exit(1)
	}
}

func run() error {
	versions, err := readVersions("versions")
	if err != nil {
		return err
	}
	standard := newStandardLibrary()
	tables := make([]*table, 0, len(versions))
	for _, version := range versions {
		folder, err := version.folder()
		if err != nil {
			return err
		}
		table, err := readTable(folder, standard)
		if err != nil {
			return fmt.Errorf("%s: %w", version.name, err)
		}
		tables = append(tables, table)
	}
	return write(os.Stdout, versions, merge(versions, tables))
}

// A version of Telegraf, and the checksum of its module as in a go.sum.
type version struct{ name, sum string }

// The version without its patch number, as a reader of a changelog knows it.
func (v version) minor() string {
	name := strings.TrimPrefix(v.name, "v")
	return name[:strings.LastIndex(name, ".")]
}

// One go.mod cannot require several versions of a module, so they stand in a file of their own.
func readVersions(path string) ([]version, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var versions []version
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) == 2 {
			versions = append(versions, version{fields[0], fields[1]})
		}
	}
	if len(versions) == 0 {
		return nil, fmt.Errorf("%s names no version", path)
	}
	return versions, nil
}

// Where the module's source is. Go downloads it, and checks it against its checksum database.
func (v version) folder() (string, error) {
	var said bytes.Buffer
	command := exec.Command("go", "mod", "download", "-json", "github.com/influxdata/telegraf@"+v.name)
	command.Stderr = &said
	out, err := command.Output()
	var module struct{ Dir, Sum, Error string }
	if decoded := json.Unmarshal(out, &module); decoded == nil && module.Error != "" {
		return "", fmt.Errorf("%s: %s", v.name, module.Error)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", v.name, err, said.String())
	}
	if module.Sum != v.sum {
		return "", fmt.Errorf("%s has the checksum %s, and the file `versions` says %s", v.name, module.Sum, v.sum)
	}
	return module.Dir, nil
}
