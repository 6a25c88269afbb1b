package pipeline

import "industrial-iot-monitor/internal/wire"

// Stages between a device and a screen, in order, and the two of the record path beside them.
const (
	gateway = iota // from a message to its acknowledgement
	line           // from the gateway's receipt to core: bridge and lines
	core           // in core's live stage
	portal         // from core into the portal
	screen         // from the portal to the sockets of its screens
	painted        // from the portal to what their browsers have painted, as they measure it
	kafka          // the bridge's transaction
	commit         // core's transaction
)

var stageNames = [...]string{gateway: "gateway", line: "line", core: "core", portal: "portal", screen: "screen", painted: "painted", kafka: "kafka", commit: "commit"}

// Own is what the portal measures itself, over the last ten seconds. Ages are since the gateway's
// receipt, in ms; nil if there were none.
type Own struct {
	Received, Sent float64 // readings from core, messages to screens, a second
	ToPortal       *float64
	ToSocket       *float64
	Lag            *int64 // records that core has not committed yet
	Partitions     []Partition
	// Painted is what browsers report of themselves: frames a second, and the mean and 99th
	// percentile of the time from the portal to the screen, in ms. Nil: none reports.
	Painted, PaintedMS, PaintedP99 *float64
	// Buffers are how full those of the gateways are, 0 to 1.
	Buffers map[string]float64
}

// Stage is a stage of the pipeline with its last hours. Values that are unknown are null.
type Stage struct {
	Stage string `json:"stage"`
	// Path is "live" for the stages on the way to screens, "record" for those to Kafka and alarms.
	Path string `json:"path"`
	// Rate is what goes through a second: readings, or messages to screens.
	Rate *float64 `json:"rate"`
	MS   *float64 `json:"ms"` // the mean time that the stage itself takes
	P99  *float64 `json:"p99_ms"`
	Lag  *float64 `json:"lag"` // records that wait before it
	// Course has a value a step: means of rate and time, the most of the backlog.
	Course StageCourse `json:"course"`
}

// StageCourse is the last hours of a stage.
type StageCourse struct {
	Rate []*float64 `json:"rate"`
	MS   []*float64 `json:"ms"`
	Lag  []*float64 `json:"lag"`
}

// Slowest is the stage that takes longest of the last samples, apart from painted.
type Slowest struct {
	Stage string  `json:"stage"`
	MS    float64 `json:"ms"`
	Share float64 `json:"share"` // of all stages' time up to the sockets, 0 to 1
}

// Pipeline is all stages. Course i is of the time From + i·StepMS.
type Pipeline struct {
	Time    int64    `json:"time"`
	From    int64    `json:"from"`
	StepMS  int64    `json:"step_ms"`
	Stages  []Stage  `json:"stages"`
	Slowest *Slowest `json:"slowest"` // null if no stage's time is known
	// Strips are the lanes of the bridges and the partitions of device-data, on the same time axis.
	Strips []Strip `json:"strips"`
}

// Sample takes the figures of the stages now, a time in ms. It is to be called once a step.
func (b *Board) Sample(own Own, now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.silence(now)
	for gateway, used := range own.Buffers {
		if p := b.processes[name{"edge", gateway}]; p != nil {
			p.buffer(used, now)
		}
	}
	for i, s := range b.figures(own, now) {
		b.stages[i].add(s, now)
	}
	b.sampleStrips(&own, now)
}

// figures of all stages by the newest reports.
func (b *Board) figures(own Own, now int64) [len(stageNames)]sample {
	reported := b.reported(now)
	var out [len(stageNames)]sample
	ack, arrived, sent := reported[wire.StageGateway], reported[wire.StageLiveArrived], reported[wire.StageLiveSent]
	out[gateway] = ack.sample()
	out[line] = arrived.sample()
	out[core] = sample{rate: arrived.rateOrNil(), ms: minus(sent.mean(), arrived.mean())}
	out[portal] = sample{rate: rounded(own.Received), ms: minus(own.ToPortal, sent.mean())}
	out[screen] = sample{rate: rounded(own.Sent), ms: minus(own.ToSocket, own.ToPortal)}
	out[painted] = sample{rate: own.Painted, ms: own.PaintedMS, p99: own.PaintedP99}
	out[kafka] = reported[wire.StageKafka].sample()
	out[commit] = reported[wire.StageCommit].sample()
	if own.Lag != nil {
		out[commit].lag = new(float64(*own.Lag))
	}
	return out
}

// sums are a stage's figures of all processes that run it.
type sums struct {
	known bool
	rate  float64
	count float64
	total float64 // ms
	p99   float64 // the worst
}

// reported adds up what processes that are not silent reported last.
func (b *Board) reported(now int64) map[string]sums {
	by := make(map[string]sums)
	for _, p := range b.processes {
		if now-p.heard > silentMS {
			continue
		}
		for _, v := range p.last.Stages {
			s := by[v.Stage]
			s.known = true
			s.rate += v.Rate
			s.count += float64(v.Count)
			s.total += v.Mean * float64(v.Count)
			s.p99 = max(s.p99, v.P99)
			by[v.Stage] = s
		}
	}
	return by
}

func (s sums) rateOrNil() *float64 {
	if !s.known {
		return nil
	}
	return rounded(s.rate)
}

func (s sums) mean() *float64 {
	if s.count == 0 {
		return nil
	}
	return rounded(s.total / s.count)
}

func (s sums) sample() sample {
	out := sample{rate: s.rateOrNil(), ms: s.mean()}
	if s.count > 0 {
		out.p99 = rounded(s.p99)
	}
	return out
}

// minus is the time between two ages, nil if one is unknown. By clocks of two machines and by
// different readings it can come out below zero.
func minus(a, b *float64) *float64 {
	if a == nil || b == nil {
		return nil
	}
	return rounded(max(*a-*b, 0))
}

// Pipeline returns the stages and their courses since from, the range at most; times in ms.
func (b *Board) Pipeline(r Range, from, now int64) Pipeline {
	b.mu.Lock()
	defer b.mu.Unlock()
	newest := now / r.Step()
	first := min(max(newest-kept+1, from/r.Step()), newest-1)
	out := Pipeline{Time: now, From: first * r.Step(), StepMS: r.Step(), Strips: b.showStrips(r, first, newest, now)}
	for i := range b.stages {
		out.Stages = append(out.Stages, b.stages[i].show(r, i, first, newest))
		b.stages[i].now(&out.Stages[i], now)
	}
	out.Slowest = slowest(out.Stages)
	return out
}

// stageTrack is the last hours of a stage.
type stageTrack struct{ track }

// now sets the newest figures of a stage, whatever the range: the step at hand may have no sample yet.
func (c *stageTrack) now(s *Stage, at int64) {
	for n := at/StepMS - 1; n <= at/StepMS; n++ {
		if v := c.at(Hour, n); v.rate != nil || v.ms != nil || v.lag != nil {
			s.Rate, s.MS, s.P99, s.Lag = v.rate, v.ms, v.p99, v.lag
		}
	}
}

func (c *stageTrack) show(r Range, stage int, first, newest int64) Stage {
	s := Stage{Stage: stageNames[stage], Path: "live"}
	if stage >= kafka {
		s.Path = "record"
	}
	for n := first; n <= newest; n++ {
		v := c.at(r, n)
		s.Course.Rate, s.Course.MS, s.Course.Lag = append(s.Course.Rate, v.rate), append(s.Course.MS, v.ms), append(s.Course.Lag, v.lag)
	}
	return s
}

// slowest compares the newest times, apart from that to the painting: a page draws four times a
// second at most, so it takes longer than the others in a plant that is well.
func slowest(stages []Stage) *Slowest {
	var worst *Slowest
	sum := 0.0
	for _, s := range stages {
		if s.MS == nil || s.Stage == stageNames[painted] {
			continue
		}
		sum += *s.MS
		if worst == nil || *s.MS > worst.MS {
			worst = &Slowest{Stage: s.Stage, MS: *s.MS}
		}
	}
	if worst != nil && sum > 0 {
		worst.Share = *rounded(worst.MS / sum)
	}
	return worst
}
