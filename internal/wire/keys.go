package wire

import (
	"cmp"
	"slices"
	"strconv"

	"industrial-iot-monitor/internal/telemetry"
)

// keySet holds the known keys met so far in one object, a bit each.
type keySet uint8

// once notes that a known key was met and refuses the reading when it was met before
// in the same object.
func (d *decoder) once(seen *keySet, key keySet, group, name string) {
	if *seen&key != 0 {
		d.refuseTwice(group, name)
	}
	*seen |= key
}

// member is an unknown field of a known object. No known object occurs twice, so that
// its path identifies it.
type member struct{ group, name string }

// members holds unknown fields, the first few of them without an allocation.
type members struct {
	few  [4]member
	n    int // used of few
	more []member
}

func (m *members) add(field member) {
	if m.n == len(m.few) {
		m.more = append(m.more, field)
		return
	}
	m.few[m.n] = field
	m.n++
}

// skipMember reads the value of an unknown field.
func (d *decoder) skipMember(group, name string) {
	d.unknown.add(member{group, name})
	d.skipValue()
	d.keepTwice(group, name)
}

// keepTwice keeps the refusal of a key found twice in the value of a field that was just
// skipped.
func (d *decoder) keepTwice(group, name string) {
	if d.twice != nil {
		d.twice.Field = join(group, printable(name))
		d.keep(d.twice)
		d.twice = nil
	}
}

// checkUnknown refuses a reading with an unknown field that occurs twice, or a sensor that
// occurs once well and once malformed. Sorting keeps a message of thousands of keys cheap.
func (d *decoder) checkUnknown() {
	all := d.unknown.few[:d.unknown.n]
	if len(all) == 0 {
		return
	}
	if len(d.unknown.more) > 0 {
		all = append(d.unknown.more, all...)
	}
	slices.SortFunc(all, func(a, b member) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.name, b.name))
	})
	for i, m := range all {
		if i > 0 && m == all[i-1] || m.group == sensorGroup && d.r.Sensors.Find(m.name) != nil {
			d.refuseTwice(m.group, printable(m.name))
			return
		}
	}
}

func (d *decoder) refuseTwice(group, name string) {
	d.keep(refuse(telemetry.ReasonDuplicateKey, join(group, name), "the key occurs twice in one object"))
}

// skipObject reads an unknown object.
func (c *scanner) skipObject() {
	var few [8]string // on the stack
	keys := few[:0]
	for more := c.openObject(); more; more = c.nextMember() {
		keys = append(keys, c.key())
		c.skipValue()
	}
	slices.Sort(keys)
	for i := 1; i < len(keys) && c.twice == nil; i++ {
		if keys[i] == keys[i-1] {
			c.twice = refuse(telemetry.ReasonDuplicateKey, "", "the key %s occurs twice in one object", quote(keys[i]))
		}
	}
}

// printable returns a device's key as it may be part of a field's path: printable and
// not long.
func printable(key string) string {
	q := strconv.Quote(key[:min(len(key), maxEcho)])
	return clip(q[1 : len(q)-1])
}
