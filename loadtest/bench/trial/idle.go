package trial

import (
	"context"
	"errors"
	"time"

	"industrial-iot-monitor/loadtest/bench/report"
)

// runIdle measures what the programs need while no device sends.
func runIdle(ctx context.Context, o Options, load report.Load, w workshop, name string) (_ report.Sample, _ []string, err error) {
	p, err := newPlant(ctx, &o, load, w, name)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, p.remove(o.Keep)) }()
	ready, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := errors.Join(p.start(ready), sleep(ctx, o.Warmup)); err != nil {
		return nil, nil, err
	}
	before, err := p.counters(ctx)
	if err := errors.Join(err, sleep(ctx, o.Duration)); err != nil {
		return nil, nil, err
	}
	after, err := p.counters(ctx)
	if err != nil {
		return nil, nil, err
	}
	found := report.Sample{report.Devices: 0}
	fillUsage(found, before, after)
	found[report.Txns] = (after.totals[report.BridgeTxns] - before.totals[report.BridgeTxns] +
		after.totals[report.CoreTxns] - before.totals[report.CoreTxns]) / after.at.Sub(before.at).Seconds()
	return found, strangers(found), nil
}
