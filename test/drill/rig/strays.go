package rig

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// strayRules lets the alarms of the detector clear within the second.
const strayRules = `rules:
  - {id: anomalies, kind: anomaly, parameter: "*", off_delay: 300ms}
`

const (
	// A stray first publishes what it would have measured in more than a day, one reading every
	// strayPast: then the detector knows what is usual.
	strayPast = 10 * time.Minute
	strayDay  = 26 * time.Hour
	// Then it publishes one reading every strayInterval. One of strayEvery is far off: its alarm
	// clears after about 25 others, so that there is one or the other every second.
	strayInterval = 25 * time.Millisecond
	strayEvery    = 80
	// strayLater is how much later each one begins than the one before it: some learn while things
	// break.
	strayLater = time.Second
)

// Stray is a device that goes astray now and then: core, with DETECT_MODE=on, raises an alarm.
type Stray struct {
	Device string

	name, building string
	client         *meterClient
	sent           int   // readings acknowledged
	last           int64 // ms, timestamp of the newest
	pauses         chan pause
}

// pause asks a stray to wait.
type pause struct {
	last   chan int64    // receives the timestamp of the newest reading
	resume chan struct{} // closed when it may go on
}

// Pause waits until the device has gone astray once more and holds it then. It returns the
// timestamp (ms) of its newest reading, and resume, which lets it go on: further astray than before,
// since what it showed may have become usual.
func (s *Stray) Pause(ctx context.Context) (last int64, resume func(), err error) {
	limit, cancel := context.WithTimeout(ctx, WaitTimeout)
	defer cancel()
	p := pause{last: make(chan int64, 1), resume: make(chan struct{})}
	select {
	case s.pauses <- p:
		return <-p.last, sync.OnceFunc(func() { close(p.resume) }), nil
	case <-limit.Done():
		return 0, nil, fmt.Errorf("%s does not go astray: %w", s.Device, limit.Err())
	}
}

// strays are those of a load.
type strays struct {
	*ackFile
	all  []*Stray
	stop func() // may be called again
	done sync.WaitGroup
}

// startStrays starts n devices at the MQTT addresses. number makes their ids unique. Every other one is
// in a building of its own, whose budget of alarms is small.
func startStrays(file string, addresses []string, number, n int) (*strays, error) {
	out, err := createAckFile(file)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &strays{ackFile: out}
	for i := range n {
		name := fmt.Sprintf("%d_%d", number, i)
		d := &Stray{
			Device: "stray_" + name, name: name, client: &meterClient{addr: addresses[i%len(addresses)], name: "stray-" + name}, pauses: make(chan pause),
		}
		if i%2 == 1 {
			d.building = "S" + name
		}
		s.all = append(s.all, d)
		s.done.Go(func() { d.run(ctx, s.ackFile, time.Duration(i)*strayLater) })
	}
	s.stop = sync.OnceFunc(func() {
		cancel()
		s.done.Wait()
		s.close()
	})
	return s, nil
}

// run publishes until ctx ends.
func (s *Stray) run(ctx context.Context, l *ackFile, after time.Duration) {
	defer s.client.close()
	if Sleep(ctx, after) != nil {
		return
	}
	start := time.Now()
	for at := start.Add(-strayDay); at.Before(start); at = at.Add(strayPast) {
		if s.publish(ctx, l, at.UnixMilli(), 1) != nil {
			return
		}
	}
	far := 5.0
	for i := 1; ; i++ {
		factor := 1.0
		if i%strayEvery == strayEvery/4 {
			factor = far
		}
		if s.publish(ctx, l, time.Now().UnixMilli(), factor) != nil {
			return
		}
		if factor != 1 && s.waitIfAsked(ctx) {
			far *= 4
		}
		if Sleep(ctx, strayInterval) != nil {
			return
		}
	}
}

// waitIfAsked waits for the end of a pause, and reports whether there was one.
func (s *Stray) waitIfAsked(ctx context.Context) bool {
	select {
	case p := <-s.pauses:
		p.last <- s.last
		select {
		case <-p.resume:
		case <-ctx.Done():
		}
		return true
	default:
		return false
	}
}

// publish sends a reading whose power is factor times what it usually is.
func (s *Stray) publish(ctx context.Context, l *ackFile, at int64, factor float64) error {
	payload := fmt.Sprintf(`{"at":%d,"building":%q,"load":{"w":%g},"flow":%d}`, at, s.building, factor*float64(1000+s.sent*37%101), 10+s.sent*5%7)
	if err := s.client.insist(ctx, "strays/"+s.name+"/state", payload); err != nil {
		return err
	}
	s.sent, s.last = s.sent+1, at
	l.note(s.Device, at)
	return nil
}
