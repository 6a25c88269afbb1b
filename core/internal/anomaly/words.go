package anomaly

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"industrial-iot-monitor/internal/telemetry"
)

// Words says in English why a sensor is unusual. Times of day are in UTC.
func Words(a telemetry.Anomaly, unit string) string {
	switch a.Kind {
	case telemetry.AnomalyLevel:
		return fmt.Sprintf("level moved from %s to %s", number(a.Expected), quantity(a.Value, unit))
	case telemetry.AnomalyDrift:
		return fmt.Sprintf("drifts %s/h", quantity(a.PerHour, unit))
	case telemetry.AnomalyStuck:
		return "flat since " + clock(a.Since)
	case telemetry.AnomalyNoise:
		return fmt.Sprintf("variance ×%s since %s", number(a.Ratio), clock(a.Since))
	case telemetry.AnomalyOscillation:
		return "steps between two levels"
	case telemetry.AnomalyDropout:
		return fmt.Sprintf("%.0f %% of values missing", 100*a.Missing)
	case telemetry.AnomalyCorrelation:
		return "no longer moves with " + a.With
	case telemetry.AnomalyPeers:
		return "differs from " + others(a.Group) + " by " + quantity(math.Abs(a.Value-a.Expected), unit)
	case telemetry.AnomalySpike, telemetry.AnomalyPattern:
		return distance(a, unit)
	default:
		return "is unusual: " + quantity(a.Value, unit)
	}
}

func others(g telemetry.PeerGroup) string {
	if g == telemetry.PeersOfModel {
		return "others of its model"
	}
	return "its room neighbours"
}

// distance says how far a value is from what is usual.
func distance(a telemetry.Anomaly, unit string) string {
	side := "above"
	if a.Value < a.Expected {
		side = "below"
	}
	size := quantity(math.Abs(a.Value-a.Expected), unit)
	if a.Sigma != 0 {
		size = strconv.FormatFloat(math.Abs(a.Sigma), 'f', 1, 64) + " σ"
	}
	text := size + " " + side + " what is usual"
	if a.Seasonal {
		at := time.UnixMilli(a.Since).UTC()
		text += fmt.Sprintf(" on %ss at %02d:00", at.Weekday(), at.Hour())
	}
	return text
}

func clock(ms int64) string { return time.UnixMilli(ms).UTC().Format("15:04") }

// number returns v with three digits.
func number(v float64) string {
	if a := math.Abs(v); a >= 1000 && a < 1e9 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 3, 64), 64)
	if err != nil {
		rounded = v
	}
	return strconv.FormatFloat(rounded, 'g', -1, 64)
}

func quantity(v float64, unit string) string {
	if unit == "" {
		return number(v)
	}
	return number(v) + " " + unit
}
