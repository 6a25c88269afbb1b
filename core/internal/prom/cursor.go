package prom

import (
	"context"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"industrial-iot-monitor/core/internal/archive"
)

// cursor is a chunkenc.Iterator over the values of an entry. It holds those of one day.
type cursor struct {
	ctx      context.Context //nolint:containedctx // the interface has no other way
	source   Source
	entry    *archive.Entry
	next, to int64 // ms: what is to be read
	times    []int64
	values   []float64
	at       int // index of the current value, -1 before the first
	err      error
}

// Next implements chunkenc.Iterator.
func (c *cursor) Next() chunkenc.ValueType {
	c.at++
	return c.here()
}

// Seek implements chunkenc.Iterator.
//
//nolint:govet // it is not io.Seeker's
func (c *cursor) Seek(t int64) chunkenc.ValueType {
	c.at = max(c.at, 0)
	if c.at < len(c.times) && c.times[c.at] < t {
		n, _ := slices.BinarySearch(c.times[c.at:], t)
		c.at += n
	}
	if c.at >= len(c.times) {
		c.next = max(c.next, t)
	}
	return c.here()
}

// here reads on if the current value is behind those that were read.
func (c *cursor) here() chunkenc.ValueType {
	if c.at < len(c.times) {
		return chunkenc.ValFloat
	}
	c.times, c.values, c.at = nil, nil, 0
	if c.err != nil || c.next > c.to {
		return chunkenc.ValNone
	}
	c.times, c.values, c.next, c.err = c.source.Values(c.ctx, c.entry, c.next, c.to)
	if c.err != nil {
		c.err = sourceError{c.err}
	}
	if len(c.times) == 0 {
		c.next = c.to + 1
		return chunkenc.ValNone
	}
	return chunkenc.ValFloat
}

// At implements chunkenc.Iterator.
func (c *cursor) At() (int64, float64) { return c.times[c.at], c.values[c.at] }

// AtT implements chunkenc.Iterator.
func (c *cursor) AtT() int64 { return c.times[c.at] }

// AtST implements chunkenc.Iterator: a sensor does not count from a start.
func (c *cursor) AtST() int64 { return 0 }

// Err implements chunkenc.Iterator.
func (c *cursor) Err() error { return c.err }

// AtHistogram implements chunkenc.Iterator. There are no histograms, so it is not called.
func (c *cursor) AtHistogram(*histogram.Histogram) (int64, *histogram.Histogram) { return 0, nil }

// AtFloatHistogram implements chunkenc.Iterator. There are no histograms, so it is not called.
func (c *cursor) AtFloatHistogram(*histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	return 0, nil
}
