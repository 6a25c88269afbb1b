package wire

import "industrial-iot-monitor/internal/telemetry"

// The methods below read a field's value. The field is named in two parts, group and
// name, which are joined only for a refusal. They return false when there is no
// value: it was refused, or it is null and optional.

// object reports whether the value at the position is an object, which the caller then
// reads.
func (d *decoder) object(group string, required bool) bool {
	return d.peek() == '{' || d.other(group, "", required, "an object")
}

func (d *decoder) text(group, name string, required bool) (string, bool) {
	if d.peek() != '"' {
		return "", d.other(group, name, required, "a string")
	}
	s := d.str()
	if d.err != nil {
		d.blame(group, name)
		return "", false
	}
	return s, true
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
	if !finite {
		d.refuse(group, name, "want a finite number, got %s", clip(n.lit))
		return 0, true
	}
	return f, true
}

func (d *decoder) boolean(group, name string) (value, ok bool) {
	switch d.peek() {
	case 't':
		value, ok = true, d.literal("true")
	case 'f':
		ok = d.literal("false")
	default:
		return false, d.other(group, name, true, "true or false")
	}
	if !ok {
		d.blame(group, name)
	}
	return value, ok
}

// other skips a value of an unexpected type and refuses it, unless it is null and the
// field optional. It returns false.
func (d *decoder) other(group, name string, required bool, want string) bool {
	b := d.peek()
	d.skipValue()
	if d.err != nil {
		d.blame(group, name)
	} else if b != 'n' || required {
		d.refuse(group, name, "want %s, got %s", want, kindOf(b))
	}
	return false
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
