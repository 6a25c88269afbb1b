package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"industrial-iot-monitor/internal/fleet"
	"industrial-iot-monitor/internal/telemetry"
)

// excursion is the kind of the labels of values beyond an alarm limit.
const excursion telemetry.AnomalyKind = "excursion"

// writeLabels writes what the fleet had between from and to (ms since 1970) as lines of JSON.
func writeLabels(name string, f *fleet.Fleet, from, to int64) error {
	labels := append(f.Anomalies(from, to), f.Stops(from, to)...)
	for _, l := range f.Labels(from, to) {
		labels = append(labels, fleet.AnomalyLabel{Device: l.Device, Sensor: l.Parameter, Kind: excursion, Onset: l.Onset, End: l.Recovery})
	}
	var out bytes.Buffer
	lines := json.NewEncoder(&out)
	for i := range labels {
		if err := lines.Encode(&labels[i]); err != nil {
			return fmt.Errorf("encoding the labels: %w", err)
		}
	}
	if err := os.WriteFile(name, out.Bytes(), 0o600); err != nil {
		return fmt.Errorf("writing the labels: %w", err)
	}
	return nil
}
