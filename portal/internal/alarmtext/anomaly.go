package alarmtext

import (
	"math"
	"strconv"
	"strings"
	"time"

	"industrial-iot-monitor/internal/telemetry"
)

// unusual says in what a sensor is unusual, "" if the anomaly does not have the figures of its kind.
func (w Writer) unusual(a *telemetry.Anomaly, s sensor, unit string, raised int64) string {
	key := "what.anomaly." + string(a.Kind)
	quantity := func(v float64) string { return withUnit(precise(v, s.decimals), unit) }
	switch a.Kind {
	case telemetry.AnomalySpike, telemetry.AnomalyPattern:
		if a.Sigma == 0 {
			return ""
		}
		key = choose(a.Seasonal, "what.anomaly.season", "what.anomaly.spike") + choose(a.Value < a.Expected, ".down", ".up")
		day, hour := w.hour(a.Since)
		return w.say(key, "name", s.name, "n", fixed(math.Abs(a.Sigma), 1), "day", day, "hour", hour)
	case telemetry.AnomalyLevel:
		return w.say(key, "name", s.name, "value", withUnit(fixed(a.Value, s.decimals), unit), "expected", withUnit(fixed(a.Expected, s.decimals), unit))
	case telemetry.AnomalyDrift:
		return w.say(key, "name", s.name, "n", quantity(a.PerHour))
	case telemetry.AnomalyStuck:
		return w.say(key, "name", s.name, "time", w.moment(a.Since, raised))
	case telemetry.AnomalyNoise:
		return w.say(key, "name", s.name, "n", short(a.Ratio, 0))
	case telemetry.AnomalyOscillation:
		return w.say(key, "name", s.name)
	case telemetry.AnomalyDropout:
		return w.say(key, "name", s.name, "n", withUnit(fixed(100*a.Missing, 0), "%"))
	case telemetry.AnomalyCorrelation:
		return w.say(key, "name", s.name, "with", w.sensor(a.With).name)
	case telemetry.AnomalyPeers:
		key += choose(a.Group == telemetry.PeersOfModel, ".model", "")
		return w.say(key, "name", s.name, "n", quantity(math.Abs(a.Value-a.Expected)))
	default:
		return ""
	}
}

// hour returns the day of the week and the hour of a time.
func (w Writer) hour(ms int64) (day, hour string) {
	zone := w.Zone
	if zone == nil {
		zone = time.UTC
	}
	at := time.UnixMilli(ms).In(zone)
	days, _ := w.words("week.days")
	return strings.Split(days, ",")[at.Weekday()], strconv.Itoa(at.Hour())
}
