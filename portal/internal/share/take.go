package share

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// errGate is returned to requests that do not ask: Redis failed a moment ago.
var errGate = errors.New("redis failed a moment ago")

// Take implements quota.Shared. It takes quickWithin at most, and after a failure nothing for some seconds.
func (s *Share) Take(ctx context.Context, key string, rate, burst, cost float64) (wait time.Duration, err error) {
	if !s.gate.open(time.Now()) {
		return 0, errGate
	}
	ctx, cancel := context.WithTimeout(ctx, quickWithin)
	defer cancel()
	ms, err := takeScript.Run(ctx, s.quick, []string{s.keys.limits + key}, rate, burst, cost).Int64()
	s.gate.result(time.Now(), err)
	if err != nil {
		s.metrics.unlimited.Inc()
		return 0, fmt.Errorf("asking redis for a token: %w", err)
	}
	return time.Duration(ms) * time.Millisecond, nil
}
