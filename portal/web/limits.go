package web

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"industrial-iot-monitor/internal/wire"
)

// ruleLimits are the limits of core's rules, by the name of the sensor. They are asked for again and
// again, and when core reports another version of its rules.
type ruleLimits struct {
	version atomic.Value  // string, as core last reported it
	wake    chan struct{} // has room for one
	ask     func(ctx context.Context, subject string, question []byte) ([]byte, error)
	by      atomic.Pointer[map[string][]limit]
}

const (
	limitsEvery = 30 * time.Second
	// limitsRetry is the pause after a failure: core may not be up yet.
	limitsRetry  = 2 * time.Second
	limitsWithin = 2 * time.Second
)

// of returns the limits on a sensor, an empty list without any, or before core has answered.
func (l *ruleLimits) of(name string) []limit {
	if by := l.by.Load(); by != nil && (*by)[name] != nil {
		return (*by)[name]
	}
	return []limit{}
}

// heard notes the version of the rules that a core has in force.
func (l *ruleLimits) heard(version string) {
	if before := l.version.Swap(version); before != version {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// run keeps the limits until ctx ends. While core is unreachable the last ones stay.
func (l *ruleLimits) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-l.wake:
		}
		next := limitsEvery
		if l.load(ctx) != nil {
			next = limitsRetry
		}
		timer.Reset(next)
	}
}

func (l *ruleLimits) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, limitsWithin)
	defer cancel()
	data, err := l.ask(ctx, wire.LimitsSubject, nil)
	if err != nil {
		return err
	}
	var all []wire.RuleLimit
	if err := json.Unmarshal(data, &all); err != nil {
		return fmt.Errorf("reading the limits of rules: %w", err)
	}
	by := make(map[string][]limit)
	for _, x := range all {
		by[x.Parameter] = append(by[x.Parameter], limit{x.Operator, x.Value, x.Severity, x.Rule, x.Everywhere})
	}
	l.by.Store(&by)
	return nil
}
