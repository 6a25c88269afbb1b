package vitals

import (
	"encoding/json"
	"strings"
	"time"

	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/wire"
)

// AnswerLevel executes a wire.LogLevelRequest; it returns nil for one to another process.
func (r *Reporter) AnswerLevel(request []byte) []byte {
	var q wire.LogLevelRequest
	if json.Unmarshal(request, &q) != nil || q.Instance != r.o.Instance {
		return nil
	}
	until, problem := r.SetLevel(q.Level, q.By)
	data, err := json.Marshal(wire.LogLevelAnswer{Error: problem, Until: until})
	if err != nil {
		return nil
	}
	return data
}

// SetLevel changes the level of the process's log for wire.LogLevelFor. It returns when the usual
// one is back, in ms, or what is wrong.
func (r *Reporter) SetLevel(level, by string) (until int64, problem string) {
	l, err := ops.ParseLevel(level)
	switch {
	case r.level == nil:
		return 0, "the level of this log cannot be changed"
	case err != nil:
		return 0, err.Error()
	case by == "" || len(by) > maxName:
		return 0, "want the operator's name"
	}
	end := time.Now().Add(wire.LogLevelFor * time.Millisecond)
	r.level.Set(ops.LevelChange{Level: l, By: by, Until: end})
	r.o.Log.Info("log level changed", "component", "vitals", "log_level", level, "by", by, "until", end)
	select {
	case r.soon <- struct{}{}:
	default:
	}
	return end.UnixMilli(), ""
}

// maxName bounds an operator's name, in bytes.
const maxName = 128

// reportLevel puts the level of the log into a report.
func (r *Reporter) reportLevel(v *wire.Vitals) {
	if r.level == nil {
		return
	}
	v.LogLevel = strings.ToLower(r.level.Level().String())
	if c := r.level.Changed(); c != nil {
		v.LogLevelBy, v.LogLevelUntil = c.By, c.Until.UnixMilli()
	}
}
