package main

import (
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strings"
)

const telegraf = "github.com/influxdata/telegraf"

// One set of files for all versions, because the standard library is checked once for all of them.
var files = token.NewFileSet()

// The official image is Linux, and built without cgo.
var platform = func() build.Context {
	context := build.Default
	context.GOOS, context.GOARCH, context.CgoEnabled = "linux", "amd64", false
	return context
}()

func newStandardLibrary() types.Importer {
	build.Default.CgoEnabled = false
	return importer.ForCompiler(files, "source", nil)
}

// A package with its syntax, types and the type of each expression.
type source struct {
	folder string
	syntax []*ast.File
	types  *types.Package
	info   *types.Info
}

// The packages of one version of Telegraf.
type module struct {
	folder   string
	standard types.Importer
	packages map[string]*source
	foreign  map[string]*types.Package
}

func newModule(folder string, standard types.Importer) *module {
	return &module{folder, standard, map[string]*source{}, map[string]*types.Package{}}
}

// Import implements types.Importer. A package of another module is empty; what is named in it has no type.
func (m *module) Import(path string) (*types.Package, error) {
	if inside, ok := strings.CutPrefix(path, telegraf); ok && (inside == "" || inside[0] == '/') {
		source, err := m.load(strings.TrimPrefix(inside, "/"))
		if err != nil {
			return nil, err
		}
		return source.types, nil
	}
	if first, _, _ := strings.Cut(path, "/"); !strings.Contains(first, ".") {
		return m.standard.Import(path)
	}
	if m.foreign[path] == nil {
		m.foreign[path] = types.NewPackage(path, nameOf(path))
		m.foreign[path].MarkComplete()
	}
	return m.foreign[path], nil
}

// The probable name of a package: the last part of its path that is not a version.
func nameOf(path string) string {
	parts := strings.Split(path, "/")
	name := parts[len(parts)-1]
	if len(parts) > 1 && len(name) > 1 && name[0] == 'v' && strings.Trim(name[1:], "0123456789") == "" {
		name = parts[len(parts)-2]
	}
	name, _, _ = strings.Cut(name, ".")
	return strings.ReplaceAll(strings.TrimPrefix(name, "go-"), "-", "_")
}

// Parses and checks a package. Errors are expected, because other modules are empty.
func (m *module) load(path string) (*source, error) {
	if loaded := m.packages[path]; loaded != nil {
		return loaded, nil
	}
	folder := filepath.Join(m.folder, path)
	syntax, err := parseFolder(folder)
	if err != nil {
		return nil, err
	}
	loaded := &source{folder: folder, syntax: syntax, info: &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{},
		Uses:  map[*ast.Ident]types.Object{},
		Defs:  map[*ast.Ident]types.Object{},
	}}
	m.packages[path] = loaded
	config := types.Config{
		Importer: m,
		Error:    func(error) {},
		// What a function does counts only where plugins are made.
		IgnoreFuncBodies: !strings.HasPrefix(path, "plugins/"),
		FakeImportC:      true,
	}
	name := telegraf
	if path != "" {
		name += "/" + path
	}
	loaded.types, _ = config.Check(name, files, syntax, loaded.info)
	return loaded, nil
}

// The files of a folder that are compiled for the official image.
func parseFolder(folder string) ([]*ast.File, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var syntax []*ast.File
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		if matches, err := platform.MatchFile(folder, name); err != nil || !matches {
			continue
		}
		file, err := parser.ParseFile(files, filepath.Join(folder, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		syntax = append(syntax, file)
	}
	return syntax, nil
}

// The package-level function of a name.
func (s *source) function(name string) *ast.FuncDecl {
	for _, file := range s.syntax {
		for _, declaration := range file.Decls {
			if function, ok := declaration.(*ast.FuncDecl); ok && function.Name.Name == name && function.Recv == nil {
				return function
			}
		}
	}
	return nil
}

// The method of a name, whatever its receiver.
func (s *source) method(name string) *ast.FuncDecl {
	for _, file := range s.syntax {
		for _, declaration := range file.Decls {
			if function, ok := declaration.(*ast.FuncDecl); ok && function.Name.Name == name && function.Recv != nil {
				return function
			}
		}
	}
	return nil
}
