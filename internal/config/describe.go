package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"
)

// Var is one environment variable of a program.
type Var struct {
	Name, Default, Help string
	Field               string // name of the struct field
}

// Describe lists the variables of an env-tagged struct, or a pointer to one, in the
// order of its fields, nested structs and their envPrefix included, each variable once.
func Describe(cfg any) []Var {
	var vars []Var
	for _, l := range variables(cfg) {
		vars = append(vars, l.v)
	}
	return vars
}

// variables lists each variable once, also when two parts of a configuration read it.
func variables(cfg any) []leaf {
	seen := map[string]bool{}
	return slices.DeleteFunc(leaves(reflect.TypeOf(cfg), ""), func(l leaf) bool {
		again := seen[l.v.Name]
		seen[l.v.Name] = true
		return again
	})
}

// leaf is a tagged field somewhere in a configuration.
type leaf struct {
	v      Var
	field  reflect.StructField
	prefix string
	twin   bool // names the file of the secret before it
}

func leaves(t reflect.Type, prefix string) []leaf {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var out []leaf
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("env"), ",")
		switch {
		case name == "-": // not from the environment
		case name != "":
			out = append(out, leaf{
				v: Var{Name: prefix + name, Default: f.Tag.Get("envDefault"), Help: f.Tag.Get("help"), Field: f.Name},
				// A field of a struct made by reflection: its parent does not matter.
				field:  reflect.StructField{Name: f.Name, Type: f.Type, Tag: f.Tag},
				prefix: prefix,
			})
			if f.Type == secretType {
				out = append(out, twin(f.Name, prefix, name))
			}
		case f.Type.Kind() == reflect.Struct:
			out = append(out, leaves(f.Type, prefix+f.Tag.Get("envPrefix"))...)
		}
	}
	return out
}

// twin describes the variable that names the file of a secret.
func twin(field, prefix, name string) leaf {
	name += fileSuffix
	return leaf{
		v: Var{Name: prefix + name, Help: "file that holds " + prefix + strings.TrimSuffix(name, fileSuffix) + ", in place of it; read at start", Field: field},
		field: reflect.StructField{
			Name: field, Type: reflect.TypeFor[string](), Tag: reflect.StructTag(fmt.Sprintf("env:%q", name)),
		},
		prefix: prefix, twin: true,
	}
}

// WriteHelp prints the program's summary and every variable with default and meaning.
func WriteHelp(p Program, cfg any) {
	fmt.Fprintf(p.Out, "%s: %s\n\nEnvironment (a .env file in the working directory is read too):\n", p.Name, p.Summary)
	w := tabwriter.NewWriter(p.Out, 0, 4, 2, ' ', 0)
	for _, v := range Describe(cfg) {
		def := v.Default
		if def == "" {
			def = "-"
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\n", v.Name, def, v.Help)
	}
	_ = w.Flush() // a failed write of the help has no other reader
}
