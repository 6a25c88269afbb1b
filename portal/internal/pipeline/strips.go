package pipeline

import (
	"cmp"
	"slices"
)

// Kinds of strips.
const (
	StripPartition = "partition" // of device-data: records that core has not committed
	StripLane      = "lane"      // of the bridges: readings that wait in the gateways
)

// maxStrips bounds how many are known. Further ones are not shown.
const maxStrips = 96

// Strip is a lane or a partition with its last hours.
type Strip struct {
	Kind   string   `json:"kind"` // partition or lane
	Number int32    `json:"number"`
	Rate   *float64 `json:"rate"` // records or readings a second
	Lag    *float64 `json:"lag"`  // those that wait before it
	// Course has a value a step: the mean rate, and the most that waited.
	Course StripCourse `json:"course"`
}

// StripCourse is the last hours of a strip.
type StripCourse struct {
	Rate []*float64 `json:"rate"`
	Lag  []*float64 `json:"lag"`
}

// Partition is one of device-data as the portal sees it.
type Partition struct {
	Number int32
	Rate   *float64 // records written a second; nil: unknown
	Lag    int64
}

type stripName struct {
	kind   string
	number int32
}

// strip is what is known of a lane or partition.
type strip struct {
	track

	last int64 // when it was sampled last, ms
}

// sampleStrips takes the figures of lanes and partitions, and drops those that are gone.
func (b *Board) sampleStrips(own *Own, now int64) {
	for _, p := range own.Partitions {
		b.strip(stripName{StripPartition, p.Number}, sample{rate: p.Rate, lag: new(float64(p.Lag))}, now)
	}
	for _, p := range b.processes {
		if now-p.heard > silentMS {
			continue
		}
		for _, l := range p.last.Lanes {
			b.strip(stripName{StripLane, l.Lane}, sample{rate: rounded(l.Rate), lag: new(float64(l.Backlog))}, now)
		}
	}
	for n, s := range b.strips {
		if now-s.last > kept*WideMS {
			delete(b.strips, n)
		}
	}
}

func (b *Board) strip(n stripName, v sample, now int64) {
	s := b.strips[n]
	if s == nil {
		if len(b.strips) >= maxStrips {
			return
		}
		s = &strip{}
		b.strips[n] = s
	}
	s.last = now
	s.add(v, now)
}

// showStrips returns the courses, lanes first.
func (b *Board) showStrips(r Range, first, newest, now int64) []Strip {
	out := make([]Strip, 0, len(b.strips))
	for n, s := range b.strips {
		v := Strip{Kind: n.kind, Number: n.number}
		for i := first; i <= newest; i++ {
			c := s.at(r, i)
			v.Course.Rate, v.Course.Lag = append(v.Course.Rate, c.rate), append(v.Course.Lag, c.lag)
		}
		if now-s.last <= silentMS {
			c := s.at(Hour, s.last/StepMS)
			v.Rate, v.Lag = c.rate, c.lag
		}
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, c Strip) int { return cmp.Or(cmp.Compare(a.Kind, c.Kind), cmp.Compare(a.Number, c.Number)) })
	return out
}
