package wire

import "industrial-iot-monitor/internal/telemetry"

// Layout locates the parts of the raw JSON that a stage may rewrite. It is filled by
// DecodeReading and used by AppendWithStatus.
type Layout struct {
	status [telemetry.NumAnalog]span
}

// span is the place of a sensor's status in the raw JSON: the bytes of its value, or
// where there is none an empty span at the end of another member's value, behind
// which the status can be inserted. The zero span is that of an absent sensor.
type span struct{ start, end int32 }

func (s span) absent() bool { return s.end == 0 }
func (s span) insert() bool { return s.start == s.end }

// AppendWithStatus appends raw to dst with the status of each analog sensor that is
// present replaced by status[p] (inserted where the device sent none; left alone
// where status[p] is empty). Every other byte of raw is kept. The result may thus be
// a few bytes longer than MaxReadingBytes. The layout must be that of raw.
func AppendWithStatus(dst, raw []byte, l *Layout, status *[telemetry.NumAnalog]string) []byte {
	done := int32(0)
	for range telemetry.NumAnalog {
		p, ok := l.nextAfter(done, status)
		if !ok {
			break
		}
		at := l.status[p]
		dst = append(dst, raw[done:at.start]...)
		if at.insert() {
			dst = append(dst, `,"status":`...)
		}
		dst = appendString(dst, status[p])
		done = at.end
	}
	return append(dst, raw[done:]...)
}

// nextAfter returns the first status to write at or after position i.
// Two never share a position: each is inside its sensor's braces.
func (l *Layout) nextAfter(i int32, status *[telemetry.NumAnalog]string) (next telemetry.Parameter, ok bool) {
	for p := range telemetry.NumAnalog {
		at := l.status[p]
		if at.absent() || status[p] == "" || at.start < i || at.start == i && i > 0 {
			continue
		}
		if !ok || at.start < l.status[next].start {
			next, ok = p, true
		}
	}
	return next, ok
}
