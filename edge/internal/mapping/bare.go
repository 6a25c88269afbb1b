package mapping

import (
	"strings"
	"unicode/utf8"

	"industrial-iot-monitor/internal/telemetry"
)

// bare maps a payload that is one value.
func (r *Result) bare(payload []byte) {
	m := r.mapping
	s := strings.TrimSpace(str(payload))
	switch {
	case s == "":
		r.refuse(telemetry.ReasonEmpty, "", "the message is empty; mapping %s wants a value", m.ID)
		return
	case !utf8.ValidString(s):
		r.refuse(telemetry.ReasonInvalidUTF8, "", "the message is not UTF-8")
		return
	}
	if n := len(s); n >= 2 && s[0] == '"' && s[n-1] == '"' {
		s = s[1 : n-1]
	}
	if !r.begin(&m.device, r.received.UnixMilli()) {
		return
	}
	v := fromText(s)
	if r.offline(v) {
		r.finish()
		return
	}
	for i := range m.specs {
		x := &m.specs[i]
		name := r.nameOf(x)
		r.sensor(x, name, v, x.unitOf(name))
	}
	if len(r.reading.Sensors) > 0 {
		r.finish()
	}
}
