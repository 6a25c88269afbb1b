package devices

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"industrial-iot-monitor/internal/credential"
)

const (
	// maxCredentials bounds the file.
	maxCredentials = 100_000
	// maxLine bounds a line of it.
	maxLine = 64 << 10
)

// Set is the credentials in force. It does not change.
type Set struct {
	byID  map[string]*Credential
	byKey map[string]*Credential
	many  []*Credential // those that publish for further devices in other formats
}

// errTwice is returned for a second credential of a device or with a key.
var errTwice = errors.New("has a credential already")

// Parse reads a file of credentials, one JSON object a line. The error names the line.
func Parse(data []byte) (*Set, error) {
	s := &Set{byID: map[string]*Credential{}, byKey: map[string]*Credential{}}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if err := s.add(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("after %d credentials: %w", len(s.byID), err)
	}
	return s, nil
}

func (s *Set) add(line []byte) error {
	c := &Credential{}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return fmt.Errorf("%w: %w", credential.ErrCredential, err)
	}
	if d.More() {
		return fmt.Errorf("%w: something follows it on its line", credential.ErrCredential)
	}
	if err := c.Check(); err != nil {
		return err
	}
	if len(s.byID) >= maxCredentials {
		return fmt.Errorf("%w: more than %d", credential.ErrCredential, maxCredentials)
	}
	if s.byID[c.ID] != nil {
		return fmt.Errorf("%s %w", c.ID, errTwice)
	}
	if c.Public != "" && s.byKey[c.Public] != nil {
		return fmt.Errorf("the key of %s: %s %w", c.ID, s.byKey[c.Public].ID, errTwice)
	}
	s.put(c)
	return nil
}

// Len returns the number of credentials.
func (s *Set) Len() int { return len(s.byID) }

// IDs returns the ids of all devices, sorted.
func (s *Set) IDs() []string { return slices.Sorted(maps.Keys(s.byID)) }

// Of returns the credential of a device, nil if it has none.
func (s *Set) Of(id string) *Credential { return s.byID[id] }

// mayMap reports whether a device's reading may come from a NATS subject of another format: the
// device, or one that publishes for it, has the subject.
func (s *Set) mayMap(subject, device string) bool {
	if c := s.byID[device]; c != nil && c.Revoked == 0 && c.Sends(subject) {
		return true
	}
	return slices.ContainsFunc(s.many, func(c *Credential) bool {
		return c.Revoked == 0 && c.Sends(subject) && c.MayPublish(device)
	})
}
