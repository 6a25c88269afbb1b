package alarm

import "industrial-iot-monitor/internal/telemetry"

// AnySensor is the parameter of a rule of kind anomaly for all sensors.
const AnySensor = "*"

// sensitivities are the factors of the score that raises an alarm.
var sensitivities = map[Sensitivity]float64{SensitivityLow: 1.3, SensitivityMedium: 1, SensitivityHigh: 0.8}

// AnomalyLimits are what rules say about the alarms of a sensor that is not as usual.
type AnomalyLimits struct {
	Rule              string  // id of the rule, empty for none
	Base              float64 // score from which on it is worth an alarm
	OnDelay, OffDelay int64   // ms
	Grave             bool    // it may become of medium severity
	Off               bool    // no alarm
}

// Anomaly returns the limits for a sensor of a device: those of the first rule of kind anomaly that
// matches, else the defaults, with the score base at ordinary sensitivity.
func (rs *Rules) Anomaly(base float64, sensor, device, model string, at telemetry.Location) AnomalyLimits {
	for _, r := range rs.anomalies {
		c := &r.If
		if (c.Parameter == AnySensor || c.Parameter == sensor) && (r.anywhere || r.Where.fits(device, model, at)) {
			return AnomalyLimits{
				Rule: r.ID, Base: base * sensitivities[c.Sensitivity], OnDelay: r.onDelay, OffDelay: r.offDelay,
				Grave: r.Severity == telemetry.SeverityMedium, Off: c.Off,
			}
		}
	}
	return AnomalyLimits{Base: base, OffDelay: defaultQuiet.Milliseconds(), Grave: true}
}

// Anomalies returns the types of the alarms about anomalies whose condition holds.
func (s State) Anomalies() (types []string) {
	if s.mem == nil {
		return nil
	}
	for i := range s.mem.Alarms {
		if a := &s.mem.Alarms[i]; a.Source == telemetry.SourceAnomaly && a.holds() {
			types = append(types, a.AlertType)
		}
	}
	return types
}
