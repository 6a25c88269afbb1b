package devices

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"industrial-iot-monitor/internal/access"
	"industrial-iot-monitor/internal/wire"
)

// centreSuffix names the file with what the centre said, beside that of the gateway's own engineers.
const centreSuffix = ".centre"

// centre is what the centre said of this gateway's devices. It does not change.
type centre struct {
	have    wire.DeviceVersion
	devices map[string]central
}

// central is what the centre said of one device.
type central struct {
	// Topic and Version of the record, which tell a newer one of it.
	Topic   string         `json:"topic"`
	Version int64          `json:"version"`
	Device  *access.Device `json:"device"`
}

// stamp names this record of the device, and no other one.
func (c central) stamp() string { return fmt.Sprintf("%s/%d", c.Topic, c.Version) }

// centreHead is the first line of the file. Only the gateway writes it, whole.
type centreHead struct {
	Topic   string `json:"topic"`
	Version int64  `json:"version"`
	Sum     string `json:"sum"` // SHA-256 of the lines that follow, one central each
}

var (
	errDamaged = errors.New("it is damaged")
	// ErrGap is returned for records that do not follow those that the gateway has.
	ErrGap = errors.New("records of devices are missing before these")
	// errMany is returned for more devices than a gateway may have.
	errMany = fmt.Errorf("the centre has more than %d devices for this gateway", access.MaxDevices)
)

func sumOf(lines []byte) string {
	sum := sha256.Sum256(lines)
	return hex.EncodeToString(sum[:])
}

// readCentre returns what the file has, nothing if there is none.
func readCentre(path string) (*centre, []byte, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &centre{}, nil, nil
	}
	if err == nil {
		err = private(path)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading what the centre said of devices: %w", err)
	}
	c, err := parseCentre(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, data, nil
}

// parseCentre reads the content of the file; an empty one has nothing.
func parseCentre(data []byte) (*centre, error) {
	first, lines, _ := bytes.Cut(data, []byte("\n"))
	if len(data) == 0 {
		return &centre{}, nil
	}
	var head centreHead
	if err := json.Unmarshal(first, &head); err != nil || head.Sum != sumOf(lines) {
		return nil, errDamaged
	}
	c := &centre{have: wire.DeviceVersion{Topic: head.Topic, Version: head.Version}, devices: map[string]central{}}
	for line := range bytes.Lines(lines) {
		var d struct {
			central

			Device json.RawMessage `json:"device"`
		}
		if err := json.Unmarshal(line, &d); err != nil {
			return nil, fmt.Errorf("%w: %w", errDamaged, err)
		}
		device, err := access.DecodeDevice(d.Device)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errDamaged, err)
		}
		d.central.Device = device
		c.devices[device.ID] = d.central
	}
	return c, nil
}

// encode returns the content of the file.
func (c *centre) encode() ([]byte, error) {
	var lines bytes.Buffer
	for _, id := range slices.Sorted(maps.Keys(c.devices)) {
		line, err := json.Marshal(c.devices[id])
		if err != nil {
			return nil, fmt.Errorf("encoding what the centre said of a device: %w", err)
		}
		lines.Write(append(line, '\n'))
	}
	head, err := json.Marshal(centreHead{Topic: c.have.Topic, Version: c.have.Version, Sum: sumOf(lines.Bytes())})
	if err != nil {
		return nil, fmt.Errorf("encoding what the centre said of devices: %w", err)
	}
	return append(append(head, '\n'), lines.Bytes()...), nil
}

// merge returns what the centre says with these records of a gateway; c itself if it has them all. A device
// that a new topic does not mention stays as it is: a centre that lost its records shuts out no device, and
// lets none in.
func (c *centre) merge(gateway string, m *wire.DeviceRecords) (*centre, error) {
	last := c.have
	if m.Topic != last.Topic {
		last = wire.DeviceVersion{Topic: m.Topic}
	}
	if m.After > last.Version {
		return nil, ErrGap
	}
	next := &centre{have: last, devices: maps.Clone(c.devices)}
	if next.devices == nil {
		next.devices = map[string]central{}
	}
	for _, r := range m.Records {
		if r.Version <= next.have.Version {
			continue // it has it
		}
		d, err := access.DecodeDevice(r.Record)
		if err != nil {
			return nil, err
		}
		if d.Gateway != gateway {
			return nil, fmt.Errorf("%w: it is of gateway %s", access.ErrNoRecord, d.Gateway)
		}
		next.devices[d.ID] = central{Topic: m.Topic, Version: r.Version, Device: d}
		next.have.Version = r.Version
	}
	switch {
	case len(next.devices) > access.MaxDevices:
		return nil, errMany
	case next.have == c.have || next.have.Version == 0:
		return c, nil
	}
	return next, nil
}

// join returns what both files say together. What the centre says of a device counts, unless it was revoked
// here since: then until the centre says something new of it.
func (c *centre) join(local *Set) *Set {
	if len(c.devices) == 0 {
		return local
	}
	s := &Set{byID: map[string]*Credential{}, byKey: map[string]*Credential{}}
	for _, id := range slices.Sorted(maps.Keys(c.devices)) {
		s.put(c.devices[id].over(local.Of(id)))
	}
	for _, id := range local.IDs() {
		if s.byID[id] == nil {
			s.put(local.Of(id))
		}
	}
	return s
}

// over returns what counts of a device that has this credential in the gateway's own file, nil for none.
func (c central) over(local *Credential) *Credential {
	switch {
	case local == nil:
		return &c.Device.Credential
	case local.Revoked != 0 && local.Over == c.stamp():
		return local
	case c.Device.Kind == "":
		revoked := *local
		revoked.Revoked = c.Device.Revoked
		return &revoked
	}
	return &c.Device.Credential
}

// put adds a credential. Of two with one key the first has it.
func (s *Set) put(c *Credential) {
	s.byID[c.ID] = c
	if len(c.Publishes) > 0 && len(c.Subjects) > 0 {
		s.many = append(s.many, c)
	}
	if c.Public != "" && s.byKey[c.Public] == nil {
		s.byKey[c.Public] = c
	}
}
