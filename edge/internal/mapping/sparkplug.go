package mapping

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"industrial-iot-monitor/edge/internal/mapping/sparkplug"
	"industrial-iot-monitor/internal/telemetry"
)

// sparkplug maps a Sparkplug B payload. levels are those of the topic.
func (r *Result) sparkplug(levels []string, payload []byte) {
	m := r.mapping
	for len(levels) > 0 && (levels[0] == "spBv1.0" || levels[0] == "spBv1" || levels[0] == "0") {
		levels = levels[1:] // with dots for separators it is two levels
	}
	msg, ok := sparkplug.ParseTopic(levels)
	if !ok || msg.Type == "NCMD" || msg.Type == "DCMD" || msg.Group == "STATE" {
		r.ignored = true // commands and states of host applications
		return
	}
	if err := sparkplug.Decode(payload, &r.payload); err != nil {
		r.refuse(telemetry.ReasonInvalidMapping, "", "mapping %s: %s", m.ID, err)
		return
	}
	out, err := r.mapper.nodes.Apply(msg, &r.payload, r.received)
	if out.Gap {
		r.mapper.metrics.gaps.Inc()
	}
	if err != nil {
		reason := telemetry.ReasonInvalidMapping
		if errors.Is(err, sparkplug.ErrBeforeBirth) {
			reason = telemetry.ReasonBeforeBirth
		}
		r.refuse(reason, "", "mapping %s: %s", m.ID, err)
		return
	}
	r.names = append(r.names, named{"group", msg.Group}, named{"node", msg.Node}, named{"device", msg.Device})
	if out.Unknown > 0 {
		r.refuse(telemetry.ReasonBeforeBirth, "metrics", "mapping %s: %d of %d metrics have an alias that no birth announced; the rest is stored",
			m.ID, out.Unknown, len(r.payload.Metrics))
	}
	for _, device := range out.Gone {
		r.names[len(r.names)-1].text = device
		if r.next() && r.begin(r.deviceOf(device), r.received.UnixMilli()) {
			r.reading.Offline = true
			r.finish()
		}
	}
	if out.Values {
		r.metrics(msg.Device)
	}
	r.ignored = r.Refusal == nil // a message without values, as of a birth with controls alone
}

func (r *Result) deviceOf(device string) *template {
	if device == "" {
		return &r.mapping.node
	}
	return &r.mapping.device
}

// metrics maps the metrics to readings: historic ones to one for each time, then those of
// the present to one.
func (r *Result) metrics(device string) {
	at := r.received.UnixMilli()
	if r.Timed = r.payload.Timestamp != 0; r.Timed {
		at = int64(r.payload.Timestamp)
	}
	slices.SortStableFunc(r.payload.Metrics, func(a, b sparkplug.Metric) int { return cmp.Compare(a.Past(), b.Past()) })
	for rest := r.payload.Metrics; len(rest) > 0; {
		past, time, n := rest[0].Past(), at, 0
		if past != sparkplug.Present {
			time = int64(past)
		}
		if !r.next() || !r.begin(r.deviceOf(device), time) {
			return
		}
		for n < len(rest) && rest[n].Past() == past {
			r.metric(&rest[n])
			n++
		}
		rest = rest[n:]
		if len(r.reading.Sensors) > 0 {
			r.finish()
		}
	}
}

// metric adds a metric's value, if it is one and the mapping wants it.
func (r *Result) metric(x *sparkplug.Metric) {
	if x.Name == "" || x.Form == sparkplug.None || x.Bad {
		return
	}
	s, name := r.mapping.specOf(x.Name)
	if s == nil {
		return
	}
	v := value{form: number, num: x.Num}
	switch x.Form {
	case sparkplug.Bool:
		v = value{form: boolean, on: x.On, text: map[bool]string{true: "true", false: "false"}[x.On]}
	case sparkplug.Words:
		v = value{form: text, text: x.Str}
	default:
		if len(s.values) > 0 {
			v.text = strconv.FormatFloat(x.Num, 'f', -1, 64)
		}
	}
	unit := s.unitOf(name)
	if unit == "" {
		unit = x.Unit
	}
	r.sensor(s, name, v, unit)
}

// specOf returns the spec of a metric and the sensor's name, nil if the mapping leaves it
// out.
func (m *Mapping) specOf(metric string) (*spec, string) {
	if s := m.byMetric[metric]; s != nil {
		return s, s.fixed
	}
	if m.others == nil || metric == "bdSeq" || m.others.except[metric] ||
		strings.HasPrefix(metric, "Node Control/") || strings.HasPrefix(metric, "Device Control/") {
		return nil, ""
	}
	return m.others, sensorName(metric)
}
