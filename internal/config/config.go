// Package config fills a program's env-tagged struct from the environment and a .env
// file, and prints --help from the same tags, so that no setting is written twice.
// It reads files and the environment once, at start, and blocks on nothing else. It
// never changes the environment of the process.
package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/joho/godotenv"
)

// ErrHelp is returned by Load after it printed the requested help.
var ErrHelp = errors.New("help printed")

// Program describes a program for its help.
type Program struct {
	Name    string
	Summary string
	Args    []string  // command line without the program's name
	Out     io.Writer // where help goes
}

// Load fills cfg, a pointer to an env-tagged struct: defaults, then .env in the working
// directory, then the environment, later ones winning. A text may be set to the empty
// string; for other settings an empty value means the default. With -h, -help or --help
// among the arguments it prints every variable and returns ErrHelp; any other argument
// is an error. An unusable value gives an error that names the variable.
func Load(p Program, cfg any) error {
	for _, a := range p.Args {
		switch a {
		case "-h", "-help", "--help":
			WriteHelp(p, cfg)
			return ErrHelp
		}
	}
	if len(p.Args) > 0 {
		return fmt.Errorf("%s takes no argument %q; it is configured by environment variables, see %s --help", p.Name, p.Args[0], p.Name)
	}
	return FromEnvironment(cfg)
}

// Defaults fills cfg with what an empty environment without a .env gives. It reads neither,
// so that tests in one process can run at the same time. A variable that is required and has
// no default is an error.
func Defaults(cfg any) error { return parse(cfg, map[string]string{}) }

// FromEnvironment is Load without a command line, for programs that own their flags.
func FromEnvironment(cfg any) error { return FromFile(cfg, "") }

// FromFile is FromEnvironment with the variables of one more file, over which .env and the environment win;
// "" for none. Its form is that of .env, and of EnvironmentFile= of systemd as long as values with a space,
// a # or a $ are in single quotes.
func FromFile(cfg any, file string) error {
	environ, err := environment(file)
	if err != nil {
		return err
	}
	return parse(cfg, environ)
}

// IsSet reports whether .env or the environment sets a variable.
func IsSet(variable string) (bool, error) {
	environ, err := environment("")
	_, set := environ[variable]
	return set, err
}

// environment returns the variables of a file, "" for none, of .env and of the process, later ones winning.
func environment(file string) (map[string]string, error) {
	environ := map[string]string{}
	if file != "" {
		of, err := godotenv.Read(file)
		if err != nil {
			return nil, fmt.Errorf("reading settings from %s: %w", file, err)
		}
		maps.Copy(environ, of)
	}
	local, err := godotenv.Read()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading .env: %w", err)
	}
	maps.Copy(environ, local)
	maps.Copy(environ, env.ToMap(os.Environ()))
	return environ, nil
}

func parse(cfg any, environ map[string]string) error {
	if err := readSecrets(cfg, environ); err != nil {
		return err
	}
	err := env.ParseWithOptions(cfg, env.Options{Environment: environ})
	if err != nil {
		return explain(err, cfg, environ)
	}
	keepEmpty(reflect.ValueOf(cfg).Elem(), "", environ)
	return nil
}

// keepEmpty sets texts whose variable is set and empty to ""; the env library would use
// the default, and an empty address would not switch its listener off.
func keepEmpty(v reflect.Value, prefix string, environ map[string]string) {
	for f, field := range v.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("env"), ",")
		if name == "" { // "-" names no variable either
			if f.Type.Kind() == reflect.Struct {
				keepEmpty(field, prefix+f.Tag.Get("envPrefix"), environ)
			}
			continue
		}
		if value, set := environ[prefix+name]; set && value == "" && f.Type.Kind() == reflect.String {
			field.SetString("")
		}
	}
}

// explain names the variables with unusable values. The env library names the struct's
// field, which two parts of a configuration may share, so each variable is parsed again
// alone.
func explain(err error, cfg any, environ map[string]string) error {
	var out []error
	for _, l := range variables(cfg) {
		one := reflect.New(reflect.StructOf([]reflect.StructField{l.field})).Interface()
		bad := env.ParseWithOptions(one, env.Options{Environment: environ, Prefix: l.prefix})
		if bad == nil {
			continue
		}
		if value, set := environ[l.v.Name]; set {
			out = append(out, fmt.Errorf("%s=%q: want %s: %w", l.v.Name, value, wanted(l.field.Type), cause(bad)))
		} else {
			out = append(out, fmt.Errorf("%s: %w", l.v.Name, cause(bad)))
		}
	}
	if len(out) == 0 {
		return err
	}
	return errors.Join(out...)
}

// cause strips the wrappers of the env library and strconv.
func cause(err error) error {
	if pe, ok := errors.AsType[env.ParseError](err); ok {
		err = pe.Err
	} else if all, ok := errors.AsType[env.AggregateError](err); ok && len(all.Errors) == 1 {
		err = all.Errors[0]
	}
	if ne, ok := errors.AsType[*strconv.NumError](err); ok {
		err = ne.Err
	}
	return err
}

// wanted describes the values of a type in plain words.
func wanted(t reflect.Type) string {
	if t == reflect.TypeFor[time.Duration]() {
		return "a duration such as 300ms, 5s or 1m"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number, not negative"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list: each " + strings.TrimPrefix(wanted(t.Elem()), "a ")
	case reflect.Pointer:
		return wanted(t.Elem())
	default:
		return "a " + t.String()
	}
}
