package config

import (
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strings"
)

// Secret is a password or token of the environment. It prints, logs and marshals as ***, so
// that no log, error or dump of a configuration shows it; string(s) is the text itself. The
// variable of a field of this type has a twin, its name with _FILE, which names a file to read
// the secret from.
type Secret string

const hidden = "***"

// String implements fmt.Stringer.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// Format implements fmt.Formatter: no verb prints the text, neither %q nor %#v nor %x.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler, which JSON uses too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// fileSuffix makes the name of the variable that names a secret's file.
const fileSuffix = "_FILE"

var secretType = reflect.TypeFor[Secret]()

// readSecrets puts the content of the files of secrets into the variables of the secrets.
func readSecrets(cfg any, environ map[string]string) error {
	for _, l := range variables(cfg) {
		name, isFile := strings.CutSuffix(l.v.Name, fileSuffix)
		path := environ[l.v.Name]
		if !isFile || !l.twin || path == "" {
			continue
		}
		if environ[name] != "" {
			return fmt.Errorf("%s and %s are both set: want one of them", name, l.v.Name)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("%s: %w", l.v.Name, err)
		}
		text := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
		if text == "" {
			return fmt.Errorf("%s: %s is empty", l.v.Name, path)
		}
		environ[name] = text
	}
	return nil
}
