package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// A plugin, or the agent, or what all plugins of a kind have in common.
type plugin struct {
	// `outputs.file`, `agent`, `outputs.*`.
	name string
	// What its data format chooses: `parsers`, `serializers`, both or nothing.
	formats    []string
	options    []*option
	deprecated *deprecation
}

// Everything in one version of Telegraf, by name.
type table struct {
	plugins map[string]*plugin
	// Plugins that were removed, and why.
	removed map[string]*deprecation
}

func readTable(folder string, standard types.Importer) (*table, error) {
	module := newModule(folder, standard)
	found := &table{map[string]*plugin{}, map[string]*deprecation{}}
	if err := module.agentAndCommon(found); err != nil {
		return nil, err
	}
	for _, kind := range []string{"outputs", "processors", "aggregators", "serializers", "parsers"} {
		if err := module.pluginsOf(kind, found); err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
	}
	if err := module.namesOf("inputs", found); err != nil {
		return nil, err
	}
	for _, kind := range []string{"inputs", "outputs", "processors", "aggregators"} {
		if err := module.deprecationsOf(kind, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// The options of `[agent]`, and those that Telegraf itself reads of each plugin of a kind (buildOutput and the like).
func (m *module) agentAndCommon(found *table) error {
	config, err := m.load("config")
	if err != nil {
		return err
	}
	agent, ok := config.types.Scope().Lookup("AgentConfig").Type().Underlying().(*types.Struct)
	if !ok {
		return fmt.Errorf("AgentConfig is no struct")
	}
	found.plugins["agent"] = &plugin{name: "agent", options: config.options(agent, nil)}
	for kind, function := range map[string]string{
		"outputs": "buildOutput", "processors": "buildProcessor", "aggregators": "buildAggregator",
	} {
		known := map[string]*option{}
		for _, name := range []string{function, "buildFilter", "matchesLabelSelection"} {
			declaration := config.method(name)
			if declaration == nil {
				return fmt.Errorf("config has no method %s", name)
			}
			readCommon(declaration, known)
		}
		if len(known) < 15 {
			return fmt.Errorf("only %d options of all %s", len(known), kind)
		}
		all := &plugin{name: kind + ".*"}
		for _, option := range known {
			all.options = append(all.options, option)
		}
		found.plugins[all.name] = all
	}
	return nil
}

var readers = map[string]string{
	"getFieldString":      "text",
	"getFieldDuration":    "goduration",
	"getFieldBool":        "boolean",
	"getFieldInt":         "integer",
	"getFieldInt64":       "integer",
	"getFieldStringSlice": "list of text",
	"getFieldTagFilter":   "map of list of text",
	"getFieldMap":         "map of text",
}

func readCommon(function *ast.FuncDecl, known map[string]*option) {
	ast.Inspect(function, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.CallExpr:
			called, ok := node.Fun.(*ast.SelectorExpr)
			name := ""
			if ok {
				name = called.Sel.Name
			} else if ident, ok := node.Fun.(*ast.Ident); ok {
				name = ident.Name
			}
			if kind := readers[name]; kind != "" && len(node.Args) == 2 {
				option := optionOf(known, text(node.Args[1]))
				option.kind = kind
			}
			if name == "PrintOptionDeprecationNotice" && len(node.Args) == 3 {
				optionOf(known, text(node.Args[1])).deprecated = readDeprecationInfo(node.Args[2])
			}
		case *ast.IndexExpr:
			// `tbl.Fields["tags"]`, a table of texts.
			if fields, ok := node.X.(*ast.SelectorExpr); ok && fields.Sel.Name == "Fields" {
				if name := text(node.Index); name != "" {
					optionOf(known, name).kind = "map of text"
				}
			}
		}
		return true
	})
}

func optionOf(known map[string]*option, name string) *option {
	if known[name] == nil {
		known[name] = &option{name: name}
	}
	return known[name]
}

// The text of a literal.
func text(node ast.Expr) string {
	literal, ok := node.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return ""
	}
	text, _ := strconv.Unquote(literal.Value)
	return text
}

// A literal of telegraf.DeprecationInfo.
func readDeprecationInfo(node ast.Expr) *deprecation {
	literal, ok := node.(*ast.CompositeLit)
	if !ok {
		return nil
	}
	found := &deprecation{}
	for _, element := range literal.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		switch pair.Key.(*ast.Ident).Name {
		case "Since":
			found.since = text(pair.Value)
		case "RemovalIn":
			found.removal = text(pair.Value)
		case "Notice":
			found.notice = text(pair.Value)
		}
	}
	return found
}

// The packages of a kind of plugins: those that `all` imports.
func (m *module) packagesOf(kind string) ([]string, error) {
	syntax, err := parseFolder(filepath.Join(m.folder, "plugins", kind, "all"))
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, file := range syntax {
		for _, imported := range file.Imports {
			paths = append(paths, strings.TrimPrefix(text(imported.Path), telegraf+"/"))
		}
	}
	sort.Strings(paths)
	return paths, nil
}

// Plugins with their options.
func (m *module) pluginsOf(kind string, found *table) error {
	paths, err := m.packagesOf(kind)
	if err != nil {
		return err
	}
	for _, path := range paths {
		source, err := m.load(path)
		if err != nil {
			return err
		}
		for _, call := range source.registrations(kind) {
			value := source.info.Types[call.Args[0]].Value
			if value == nil || value.Kind() != constant.String {
				return fmt.Errorf("%s: the name of a plugin is no constant", files.Position(call.Pos()))
			}
			name := kind + "." + constant.StringVal(value)
			read := m.read(source, call.Args[1], 0)
			if read == nil {
				return fmt.Errorf("%s: no struct is found", name)
			}
			structure := read.typ.Underlying().(*types.Struct)
			methods := types.NewMethodSet(types.NewPointer(read.typ))
			has := func(method string) bool { return methods.Lookup(nil, method) != nil }
			var formats []string
			if has("SetParser") || has("SetParserFunc") {
				formats = append(formats, "parsers")
			}
			if has("SetSerializer") || has("SetSerializerFunc") {
				formats = append(formats, "serializers")
			}
			found.plugins[name] = &plugin{
				name: name, formats: formats, options: read.source.options(structure, []types.Type{read.typ}),
			}
		}
	}
	return nil
}

// Calls such as `outputs.Add("file", …)`.
func (s *source) registrations(kind string) []*ast.CallExpr {
	var calls []*ast.CallExpr
	for _, file := range s.syntax {
		ast.Inspect(file, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok || len(call.Args) < 2 {
				return true
			}
			called, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || (called.Sel.Name != "Add" && called.Sel.Name != "AddStreaming") {
				return true
			}
			if in, ok := called.X.(*ast.Ident); ok && in.Name == kind {
				calls = append(calls, call)
			}
			return true
		})
	}
	return calls
}

// The struct of a plugin, and the package that it is in.
type read struct {
	typ    types.Type
	source *source
}

// The struct that an expression makes: of a function, what it returns.
func (m *module) read(in *source, node ast.Expr, depth int) *read {
	if depth > 8 {
		return nil
	}
	switch node := node.(type) {
	case *ast.FuncLit:
		return m.returned(in, node.Body, depth)
	case *ast.Ident, *ast.SelectorExpr:
		if found := m.structOf(in.info.TypeOf(node)); found != nil {
			return found
		}
		if source, function := m.declaration(in, node); function != nil {
			return m.returned(source, function.Body, depth)
		}
	case *ast.CallExpr:
		if found := m.structOf(in.info.TypeOf(node)); found != nil {
			return found
		}
		if source, function := m.declaration(in, node.Fun); function != nil {
			return m.returned(source, function.Body, depth)
		}
	default:
		return m.structOf(in.info.TypeOf(node))
	}
	return nil
}

func (m *module) returned(in *source, body *ast.BlockStmt, depth int) *read {
	var found *read
	ast.Inspect(body, func(node ast.Node) bool {
		statement, ok := node.(*ast.ReturnStmt)
		if ok && found == nil && len(statement.Results) > 0 {
			found = m.read(in, statement.Results[0], depth+1)
		}
		return true
	})
	return found
}

// The struct of a type, or of a pointer to it.
func (m *module) structOf(typ types.Type) *read {
	if typ == nil {
		return nil
	}
	if pointer, ok := types.Unalias(typ).(*types.Pointer); ok {
		typ = pointer.Elem()
	}
	named, ok := types.Unalias(typ).(*types.Named)
	if !ok {
		return nil
	}
	if _, ok := named.Underlying().(*types.Struct); !ok {
		return nil
	}
	source, err := m.load(strings.TrimPrefix(named.Obj().Pkg().Path(), telegraf+"/"))
	if err != nil {
		return nil
	}
	return &read{named, source}
}

// The declaration of a function, in this package or another one of the module.
func (m *module) declaration(in *source, node ast.Expr) (*source, *ast.FuncDecl) {
	ident, ok := node.(*ast.Ident)
	if selector, is := node.(*ast.SelectorExpr); is {
		ident, ok = selector.Sel, true
	}
	if !ok {
		return nil, nil
	}
	object := in.info.Uses[ident]
	if object == nil || object.Pkg() == nil || !strings.HasPrefix(object.Pkg().Path(), telegraf) {
		return nil, nil
	}
	source, err := m.load(strings.TrimPrefix(object.Pkg().Path(), telegraf+"/"))
	if err != nil {
		return nil, nil
	}
	return source, source.function(ident.Name)
}

// Plugins by name alone.
func (m *module) namesOf(kind string, found *table) error {
	paths, err := m.packagesOf(kind)
	if err != nil {
		return err
	}
	for _, path := range paths {
		syntax, err := parseFolder(filepath.Join(m.folder, path))
		if err != nil {
			return err
		}
		source := &source{syntax: syntax}
		for _, call := range source.registrations(kind) {
			name := text(call.Args[0])
			if ident, ok := call.Args[0].(*ast.Ident); ok {
				name = source.constant(ident.Name)
			}
			if name == "" {
				return fmt.Errorf("%s: the name of a plugin is no text", files.Position(call.Pos()))
			}
			found.plugins[kind+"."+name] = &plugin{name: kind + "." + name}
		}
	}
	return nil
}

// The text of a constant of the package.
func (s *source) constant(name string) string {
	found := ""
	for _, file := range s.syntax {
		ast.Inspect(file, func(node ast.Node) bool {
			if values, ok := node.(*ast.ValueSpec); ok {
				for i, ident := range values.Names {
					if ident.Name == name && i < len(values.Values) {
						found = text(values.Values[i])
					}
				}
			}
			return true
		})
	}
	return found
}

// `plugins/<kind>/deprecations.go`, which holds removed plugins too.
func (m *module) deprecationsOf(kind string, found *table) error {
	syntax, err := parseFolder(filepath.Join(m.folder, "plugins", kind))
	if err != nil {
		return err
	}
	for _, file := range syntax {
		ast.Inspect(file, func(node ast.Node) bool {
			values, ok := node.(*ast.ValueSpec)
			if !ok || values.Names[0].Name != "Deprecations" || len(values.Values) == 0 {
				return true
			}
			// `make(…)` where there are none.
			literal, ok := values.Values[0].(*ast.CompositeLit)
			if !ok {
				return false
			}
			for _, element := range literal.Elts {
				pair := element.(*ast.KeyValueExpr)
				name := kind + "." + text(pair.Key)
				info := readDeprecationInfo(pair.Value)
				if plugin := found.plugins[name]; plugin != nil {
					plugin.deprecated = info
				} else {
					found.removed[name] = info
				}
			}
			return false
		})
	}
	return nil
}
