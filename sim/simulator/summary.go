package simulator

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"industrial-iot-monitor/sim/publisher"
)

// Summary is the JSON of the final totals, for measuring programs.
type Summary struct {
	publisher.Stats
	AckMeanMS float64
	AckP50MS  float64
	AckP99MS  float64
	AckMaxMS  float64
}

func writeSummary(name string, s *publisher.Stats, acks *publisher.Latency) error {
	const ms = float64(time.Millisecond)
	b, err := json.MarshalIndent(Summary{
		Stats: *s, AckMeanMS: acks.Mean() / ms, AckP50MS: float64(acks.ValueAtQuantile(50)) / ms,
		AckP99MS: float64(acks.ValueAtQuantile(99)) / ms, AckMaxMS: float64(acks.Max()) / ms,
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(name, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the summary: %w", err)
	}
	return nil
}
