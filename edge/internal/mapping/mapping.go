// Package mapping turns the messages of devices that do not speak the contract into
// readings of the contract: by topic filters with captures, paths into JSON, bare values,
// and Eclipse Sparkplug B. A Set is one mappings file; a Mapper keeps the file in force and
// the aliases of Sparkplug nodes. It neither receives nor stores messages: package ingest
// does. Nothing here blocks.
package mapping

import (
	"unsafe"

	"industrial-iot-monitor/internal/telemetry"
)

// Limits of a file and of a message. What exceeds those of a message is refused, the rest
// is mapped.
const (
	MaxFileBytes = 1 << 20
	MaxMappings  = 256
	MaxTopics    = 64 // of a mapping
	MaxSpecs     = telemetry.MaxSensors
	MaxReadings  = 1000 // of a message
	MaxBytes     = 512 << 10
	maxEach      = 3 // lists in lists
	maxDepth     = 64
)

// Format is how a mapping reads payloads.
type Format string

// Formats.
const (
	JSON      Format = "json"
	Value     Format = "value"
	Sparkplug Format = "sparkplug_b"
	Ignore    Format = "ignore"
)

// Mapping turns messages of some topics into readings.
type Mapping struct {
	ID     string
	format Format
	empty  bool // a message without any sensor is ignored, not refused
	device template
	node   template // of Sparkplug, the device id of the edge node itself
	place  place
	clock  clock
	info   info
	each   []each
	online *presence
	specs  []spec // those for many sensors behind the others

	// Of Sparkplug.
	byMetric map[string]*spec
	others   *spec // for metrics that byMetric lacks; nil: they are left out
}

// place is a location; a text left empty stands for the default.
type place struct {
	building, floor, room template
}

// info is where the fields of device_info come from.
type info struct {
	model, firmware template
	battery, signal []path
}

// each is a list whose entries give one reading each. With key a member of an object is an
// entry too, and its name a capture.
type each struct {
	path path
	key  string
}

// presence is where a message says whether its device is online.
type presence struct {
	paths []path
	conversion
}

// spec is where a sensor comes from: a path, a constant, or every member of an object.
type spec struct {
	name     template
	fixed    string // the name, if it is a constant
	paths    []path
	constant *value
	unit     string
	unitPath []path
	conversion

	all    bool // every number, boolean and short text of an object, or every metric
	except map[string]bool
	units  map[string]string // of all, by the resulting name
}

// Set is the mappings of a file. It is immutable.
type Set struct {
	Mappings []*Mapping
	routes   []route
	topics   *node // with levels between slashes
	subjects *node // with tokens between dots
	tokens   []filter
	building string
}

// Levels is how the levels of a topic are separated.
type Levels byte

// Separators of levels.
const (
	Topics   Levels = '/' // of MQTT
	Subjects Levels = '.' // of NATS
)

// match returns the route of a topic, nil when there is none, and its captures in s.
func (set *Set) match(levels Levels, topic string, s *scratch) *route {
	if topic == "" || topic[0] == '$' || len(set.routes) == 0 {
		return nil
	}
	s.levels = splitTopic(s.levels[:0], topic, string(rune(levels)))
	if len(s.levels) > maxLevels {
		return nil
	}
	tree := set.topics
	if levels == Subjects {
		tree = set.subjects
	}
	rank := tree.find(s.levels, -1)
	if rank < 0 {
		return nil
	}
	r := &set.routes[rank]
	f := &r.filter
	if levels == Subjects {
		f = &set.tokens[rank]
	}
	s.names = s.names[:0]
	for i, l := range f.levels {
		if l.capture != "" {
			text := s.levels[i]
			s.names = append(s.names, named{l.capture, text[len(l.prefix) : len(text)-len(l.suffix)]})
		}
	}
	return r
}

// Subjects returns the NATS subjects of all mappings, none twice.
func (set *Set) Subjects() []string {
	var out []string
	seen := map[string]bool{}
	for i := range set.tokens {
		for _, s := range set.tokens[i].subjects() {
			if !seen[s] {
				seen[s] = true
				out = append(out, s)
			}
		}
	}
	return out
}

// str returns b as a string that shares its bytes.
func str(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
