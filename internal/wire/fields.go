package wire

import "industrial-iot-monitor/internal/telemetry"

// The methods below read a field's value. The field is named in two parts, group and
// name, which are joined only for a refusal. They return false when there is no
// value: it was refused, or the field is optional and null or of a wrong type, which is a
// flaw.

// object reports whether the value at the position is an object, which the caller then
// reads.
func (d *decoder) object(group string, required bool) bool {
	return d.peek() == '{' || d.other(group, "", required, "an object")
}

func (d *decoder) text(group, name string, required bool) (string, bool) {
	if d.peek() != '"' {
		return "", d.other(group, name, required, "a string")
	}
	d.broken = false
	s := d.str()
	if d.err != nil || d.broken {
		return d.badText(group, name), false
	}
	return s, true
}

// badText names the field of a string that was just read in vain. It returns "".
func (d *decoder) badText(group, name string) string {
	if d.err != nil {
		d.blame(group, name)
	} else {
		d.refuse(group, name, `want no \u0000 and no half of a surrogate pair`)
	}
	return ""
}

func (d *decoder) num(group, name string, required bool, n *number) bool {
	if b := d.peek(); b != '-' && (b < '0' || b > '9') {
		return d.other(group, name, required, "a number")
	}
	if !d.number(n) {
		d.blame(group, name)
		return false
	}
	return true
}

func (d *decoder) float(group, name string, required bool) (float64, bool) {
	var n number
	if !d.num(group, name, required, &n) {
		return 0, false
	}
	f, finite := n.float()
	switch {
	case finite:
		return f, true
	case required:
		d.refuse(group, name, "want a finite number, got %s", clip(n.lit))
		return 0, true
	}
	d.flaw(group, name)
	return 0, false
}

// other skips a value of an unexpected type. It refuses that of a required field; in an
// optional field a value other than null is a flaw. It returns false.
func (d *decoder) other(group, name string, required bool, want string) bool {
	b := d.peek()
	d.skipValue()
	switch {
	case d.err != nil:
		d.blame(group, name)
	case required:
		d.refuse(group, name, "want %s, got %s", want, kindOf(b))
	case b != 'n':
		d.flaw(group, name)
	}
	d.keepTwice(group, name)
	return false
}

// flaw lists an ignored field.
func (d *decoder) flaw(group, name string) {
	if len(d.r.Flaws) < telemetry.MaxFlaws {
		d.r.Flaws = append(d.r.Flaws, join(group, name))
	}
}

// refuse keeps a refusal of the field.
func (d *decoder) refuse(group, name, format string, args ...any) {
	if d.refusal == nil {
		d.keep(refuse(telemetry.ReasonInvalidReading, join(group, name), format, args...))
	}
}

// keep keeps r if it is the first refusal.
func (d *decoder) keep(r *telemetry.Refusal) {
	if d.refusal == nil {
		d.refusal = r
	}
}

// blame names the field in which the scanner has failed.
func (d *decoder) blame(group, name string) {
	if d.err.Field == "" {
		d.err.Field = join(group, name)
	}
}

// join returns the dotted path of a field.
func join(group, name string) string {
	if group == "" || name == "" {
		return group + name
	}
	return group + "." + name
}
