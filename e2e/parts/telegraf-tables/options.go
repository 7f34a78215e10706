package main

import (
	"go/types"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"unicode"
)

// An option of a plugin, or of a table in it.
type option struct {
	name string
	kind string
	// The options of a table; nil if the kind is none.
	inner      []*option
	deprecated *deprecation
}

// What Telegraf says of something deprecated.
type deprecation struct{ since, removal, notice string }

// The options of a struct, as https://github.com/influxdata/toml finds its fields (makeFieldCache).
func (s *source) options(structure *types.Struct, above []types.Type) []*option {
	var options []*option
	known := map[string]bool{}
	var descend func(*types.Struct)
	descend = func(structure *types.Struct) {
		for i := range structure.NumFields() {
			field := structure.Field(i)
			if !field.Exported() && !field.Anonymous() {
				continue
			}
			tag := reflect.StructTag(structure.Tag(i))
			name, _, _ := strings.Cut(tag.Get("toml"), ",")
			name = strings.TrimSpace(name)
			if embedded, ok := field.Type().Underlying().(*types.Struct); ok && field.Anonymous() && name == "" {
				descend(embedded)
				continue
			}
			if name == "-" {
				continue
			}
			if name == "" {
				name = s.nameOfField(field.Name())
			}
			if known[name] {
				continue
			}
			known[name] = true
			kind, inner := s.kind(field.Type(), above)
			if kind != "" {
				options = append(options, &option{name, kind, inner, readDeprecation(tag.Get("deprecated"))})
			}
		}
	}
	descend(structure)
	return options
}

// The kind of a type, and its options if it is a table. Empty if it cannot be set.
func (s *source) kind(typ types.Type, above []types.Type) (string, []*option) {
	typ = types.Unalias(typ)
	if pointer, ok := typ.(*types.Pointer); ok {
		return s.kind(pointer.Elem(), above)
	}
	if named, ok := typ.(*types.Named); ok {
		switch named.Obj().Pkg().Path() + "." + named.Obj().Name() {
		case telegraf + "/config.Duration":
			return "duration", nil
		case telegraf + "/config.Size":
			return "size", nil
		case telegraf + "/config.Secret":
			return "secret", nil
		case "time.Time":
			return "any", nil
		}
		methods := types.NewMethodSet(types.NewPointer(typ))
		if methods.Lookup(nil, "UnmarshalTOML") != nil {
			return "any", nil
		}
		if methods.Lookup(nil, "UnmarshalText") != nil {
			return "scalar", nil
		}
		for _, outer := range above {
			if types.Identical(outer, typ) {
				return "any", nil
			}
		}
		above = append(above[:len(above):len(above)], typ)
	}
	switch under := typ.Underlying().(type) {
	case *types.Basic:
		return basic(under), nil
	case *types.Interface:
		if under.NumMethods() == 0 {
			return "any", nil
		}
	case *types.Slice:
		kind, inner := s.kind(under.Elem(), above)
		if kind == "table" {
			return "tables", inner
		}
		if kind != "" {
			return "list of " + kind, inner
		}
	case *types.Map:
		kind, inner := s.kind(under.Elem(), above)
		if kind != "" {
			return "map of " + kind, inner
		}
	case *types.Struct:
		return "table", s.options(under, above)
	}
	return "", nil
}

func basic(typ *types.Basic) string {
	switch kind := typ.Kind(); {
	case kind == types.Bool:
		return "boolean"
	case kind == types.String:
		return "text"
	case kind == types.Invalid:
		return "any"
	case typ.Info()&types.IsUnsigned != 0:
		return "unsigned" + bits(kind)
	case typ.Info()&types.IsInteger != 0:
		return "integer" + bits(kind)
	case typ.Info()&types.IsFloat != 0:
		return "float"
	}
	return ""
}

func bits(kind types.BasicKind) string {
	switch kind {
	case types.Int8, types.Uint8:
		return "8"
	case types.Int16, types.Uint16:
		return "16"
	case types.Int32, types.Uint32:
		return "32"
	}
	return ""
}

// The tag is `since;removal;notice` or `since;notice`.
func readDeprecation(tag string) *deprecation {
	parts := strings.SplitN(tag, ";", 3)
	if parts[0] == "" {
		return nil
	}
	found := &deprecation{since: parts[0]}
	if len(parts) > 1 {
		found.notice = parts[len(parts)-1]
	}
	if len(parts) > 2 {
		found.removal = parts[1]
	}
	return found
}

var keys = regexp.MustCompile(`(?m)^[\s#]*\[*([A-Za-z0-9_.]+)\]*\s*(?:=|$)`)

// How people write a field without a tag. The TOML library takes any spelling that is equal without `_` and case; the
// plugin's sample configuration shows the usual one.
func (s *source) nameOfField(field string) string {
	normal := func(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }
	samples, _ := filepath.Glob(filepath.Join(s.folder, "*.conf*"))
	if strings.HasSuffix(s.folder, "/config") {
		samples = append(samples, filepath.Join(s.folder, "../cmd/telegraf/agent.conf"))
	}
	for _, sample := range samples {
		text, _ := os.ReadFile(sample)
		for _, match := range keys.FindAllStringSubmatch(string(text), -1) {
			name := match[1][strings.LastIndex(match[1], ".")+1:]
			if normal(name) == normal(field) {
				return name
			}
		}
	}
	return snakeCase(field)
}

// `ReadTimeout` is `read_timeout`, and `URLsOfAPI` is `urls_of_api`.
func snakeCase(field string) string {
	var out strings.Builder
	letters := []rune(field)
	for i, letter := range letters {
		if unicode.IsUpper(letter) && i > 0 {
			starts := i+1 < len(letters) && unicode.IsLower(letters[i+1])
			if unicode.IsLower(letters[i-1]) || unicode.IsDigit(letters[i-1]) || starts {
				out.WriteRune('_')
			}
		}
		out.WriteRune(unicode.ToLower(letter))
	}
	return out.String()
}
