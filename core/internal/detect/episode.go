package detect

import (
	"slices"

	"industrial-iot-monitor/internal/telemetry"
)

// kind is a telemetry.AnomalyKind in one byte.
type kind uint8

const (
	kindNone kind = iota
	kindSpike
	kindLevel
	kindDrift
	kindStuck
	kindNoise
	kindOscillation
	kindDropout
	kindPattern
	kindCorrelation
	kindPeers
)

var kindNames = [...]telemetry.AnomalyKind{
	"", telemetry.AnomalySpike, telemetry.AnomalyLevel, telemetry.AnomalyDrift, telemetry.AnomalyStuck, telemetry.AnomalyNoise,
	telemetry.AnomalyOscillation, telemetry.AnomalyDropout, telemetry.AnomalyPattern, telemetry.AnomalyCorrelation, telemetry.AnomalyPeers,
}

func (k kind) name() telemetry.AnomalyKind { return kindNames[k] }

// findings are the ways in which a stream is unusual, and how much: 1 is worth an alarm.
type findings [len(kindNames)]float32

// add keeps the stronger of two of one kind. Strengths may have a sign.
func (f *findings) add(k kind, strength float32) { f[k] = max(f[k], strength, -strength) }

func (f *findings) strongest() (most float32) {
	for _, s := range f {
		most = max(most, s)
	}
	return most
}

// own is the strongest of those that no other sensor has a part in.
func (f *findings) own() (most float32) {
	for k, s := range f {
		if kind(k) != kindCorrelation {
			most = max(most, s)
		}
	}
	return most
}

// specific are the kinds from the most telling to the least: noise, too, has values that are far out.
var specific = [...]kind{kindDropout, kindStuck, kindNoise, kindOscillation, kindDrift, kindLevel, kindPeers, kindSpike, kindCorrelation, kindPattern}

// kind returns the most telling kind that is worth an alarm, else the strongest.
func (f *findings) kind() kind {
	for _, k := range specific {
		if f[k] >= 1 {
			return k
		}
	}
	return kind(slices.Index(f[:], f.strongest()))
}

// episode is a time in which a stream is unusual without a pause.
type episode struct {
	Kind    kind
	Since   int64   // plant time in ms
	Stepped bool    // it began with a step, so it is no drift
	Peak    float32 // largest strength
	Told    float32 // strength that was told
}

// over is the strength below which an episode ends.
const over = 0.5

// verdict adds what was found in a reading to the episode.
func (e *episode) verdict(at int64, f *findings, learning bool) Verdict {
	strength := f.strongest()
	if strength < over {
		e.Told = 0
		return Verdict{Learning: learning, State: squash(strength), Score: squash(strength)}
	}
	if e.Told == 0 {
		*e = episode{Since: at, Stepped: f[kindSpike] >= over}
	}
	v := Verdict{State: squash(strength)}
	if e.Told < 1 || strength > 2*e.Told {
		v.Score = v.State
		e.Told = max(e.Told, strength)
	}
	e.Peak = max(e.Peak, strength)
	if now := f.kind(); e.Kind == kindNone || f[now] >= 1 {
		e.Kind = e.seen(at, now)
	}
	v.Kind = e.Kind.name()
	return v
}

// seen returns what a kind is in this episode: what began with a step is a spike, and a level if it stays.
func (e *episode) seen(at int64, k kind) kind {
	switch {
	case k != kindDrift && k != kindLevel || !e.Stepped:
		return k
	case at == e.Since:
		return kindSpike
	default:
		return kindLevel
	}
}

func (e *episode) score() float64 { return squash(e.Peak) }

// squash maps a strength to 0..1: 1 is 0.5.
func squash(strength float32) float64 { return float64(strength / (1 + strength)) }
