package rig

import (
	"context"
	"fmt"
	"time"

	"industrial-iot-monitor/test/oracle"
)

// judge settles the tally of a fault and checks everything else that must be true after it.
func (s *Scene) judge(ctx context.Context, r *Round, a *tally, l *load) error {
	res := r.result
	names, err := s.ended(ctx)
	for _, name := range names {
		res.fail("%s ended by itself", name)
	}
	if err != nil {
		return err
	}
	s.tallies.pause()
	v, err := s.tallies.settle(ctx, a, l.ledgers, r.allowLoss != nil)
	res.Acked, res.InKafka, res.Lost, res.Duplicated, res.OutOfOrder = v.Acked, v.InKafka, v.Lost, v.Duplicated, v.OutOfOrder
	if err != nil {
		return err
	}
	for _, check := range r.atEnd {
		if err := check(ctx); err != nil {
			return err
		}
	}
	s.checkVerdict(r, a, &v)
	s.checkRate(r, l, v.Acked)
	for _, line := range s.panics() {
		res.fail("crash: %s", line)
	}
	return s.checkLedgers(ctx, r)
}

func (s *Scene) checkVerdict(r *Round, a *tally, v *oracle.Verdict) {
	res := r.result
	lost := v.Lost
	if r.allowLoss != nil {
		if err := r.allowLoss(a.oracle.Lost()); err != nil {
			res.fail("%v", err)
		}
		lost = 0
	}
	if lost+v.Duplicated+v.OutOfOrder+v.Strayed == 0 {
		return
	}
	for _, sample := range v.Samples {
		if r.allowLoss == nil || len(sample) < 4 || sample[:4] != "lost" {
			res.fail("%s", sample)
		}
	}
}

// checkRate checks that there was enough load.
func (s *Scene) checkRate(r *Round, l *load, acked int) {
	res := r.result
	res.Rate = float64(acked) / l.sent.Seconds()
	counted, err := l.acked()
	r.Check(err == nil, "the devices' totals: %v", err)
	r.Check(err != nil || counted == uint64(acked), "the devices counted %d acknowledged readings, their ledgers have %d", counted, acked)
	want := float64(min(PromisedRate, s.Site.Load.Rate))
	if res.Rate < want {
		text := fmt.Sprintf("the load was %.0f readings/s, expected %.0f", res.Rate, want)
		r.Check(r.Quick, "%s", text)
		r.Note("%s", text)
	}
}

// checkLedgers waits until every ledger balances, and keeps them for the report.
func (s *Scene) checkLedgers(ctx context.Context, r *Round) error {
	var wrong []string
	limit := time.Now().Add(10 * time.Second)
	for {
		wrong = nil
		r.result.Ledgers = s.ledgers()
		for _, l := range r.result.Ledgers {
			if text := l.balanced(); text != "" {
				wrong = append(wrong, text)
			}
		}
		if len(wrong) == 0 || time.Now().After(limit) {
			break
		}
		if err := Sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	for _, text := range wrong {
		r.result.fail("%s", text)
	}
	if len(r.result.Ledgers) == 0 {
		r.Note("no gateway published a ledger")
	}
	return nil
}
