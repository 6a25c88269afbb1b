// Package oracle judges whether readings were lost, duplicated or reordered: it compares the
// readings that gateways acknowledged with the records of device-data. Every failure test
// (the bridge's, end to end, the outage drill) and the benchmark use it, so that "nothing
// lost" means the same in all of them. Alarms does the same for the alerts topic. Judging is
// pure; Read blocks while it reads a topic.
package oracle

import (
	"errors"
	"fmt"
	"slices"
)

// Origin identifies an entry of a pack by the record's headers. Two records with the same
// origin are one reading that the product wrote twice.
type Origin struct {
	Gateway string
	Epoch   string
	Seq     uint64
	Index   uint32
}

// Record is a record of device-data as far as the oracle needs it.
type Record struct {
	Device    string
	Timestamp int64 // ms since 1970, from the reading
	Partition int32
	Offset    int64
	Origin    Origin
}

// Verdict is the oracle's result. A reading is identified by device and timestamp.
type Verdict struct {
	Acked   int // readings acknowledged
	Records int // records in the topic
	InKafka int // acknowledged readings in the topic, each counted once

	Lost       int // acknowledged readings that are not in the topic
	Duplicated int // surplus records of a reading, however often its device sent it
	OutOfOrder int // records after a newer reading of their device
	Strayed    int // devices with records in more than one partition

	Foreign int // readings in the topic that were not acknowledged: allowed

	Samples []string // descriptions of the first faults of each kind
}

// OK reports whether nothing was lost, duplicated, reordered or strayed.
func (v *Verdict) OK() bool {
	return v.Lost == 0 && v.Duplicated == 0 && v.OutOfOrder == 0 && v.Strayed == 0
}

// Err returns nil when OK, else an error with the counts and samples.
func (v *Verdict) Err() error {
	if v.OK() {
		return nil
	}
	err := fmt.Errorf("of %d acknowledged readings %d lost, %d duplicated, %d out of order; %d devices in several partitions",
		v.Acked, v.Lost, v.Duplicated, v.OutOfOrder, v.Strayed)
	for _, s := range v.Samples {
		err = errors.Join(err, errors.New(s))
	}
	return err
}

// String is the verdict in one line.
func (v *Verdict) String() string {
	return fmt.Sprintf("acked %d, in Kafka %d, lost %d, duplicated %d, out of order %d, strayed %d, foreign %d",
		v.Acked, v.InKafka, v.Lost, v.Duplicated, v.OutOfOrder, v.Strayed, v.Foreign)
}

// maxSamples of each kind of fault.
const maxSamples = 5

// stored is one record of a device.
type stored struct {
	timestamp int64
	partition int32
	source    uint32 // number of gateway and epoch
	index     uint32
	seq       uint64
	offset    int64
}

// origin is equal for two records of the same entry.
func (s stored) origin() [3]uint64 { return [3]uint64{uint64(s.source), s.seq, uint64(s.index)} }

// Oracle collects both sides. Make it with New. It is not safe for concurrent use.
type Oracle struct {
	acks    map[string][]int64 // timestamps of the acknowledged readings, by device
	records map[string][]stored
	sources map[[2]string]uint32
	total   int
}

// New returns an empty oracle.
func New() *Oracle {
	return &Oracle{acks: map[string][]int64{}, records: map[string][]stored{}, sources: map[[2]string]uint32{}}
}

// Acked records an acknowledgement. Acknowledging a reading twice counts once.
func (o *Oracle) Acked(device string, timestamp int64) {
	o.acks[device] = append(o.acks[device], timestamp)
}

// Stored adds a record of the topic. The records of a partition must come in the order of
// their offsets.
func (o *Oracle) Stored(r Record) {
	key := [2]string{r.Origin.Gateway, r.Origin.Epoch}
	source, ok := o.sources[key]
	if !ok {
		source = uint32(len(o.sources))
		o.sources[key] = source
	}
	o.records[r.Device] = append(o.records[r.Device], stored{
		timestamp: r.Timestamp, partition: r.Partition, offset: r.Offset,
		source: source, seq: r.Origin.Seq, index: r.Origin.Index,
	})
	o.total++
}

// Missing returns how many acknowledged readings are not in the topic yet.
func (o *Oracle) Missing() int { v := o.Verdict(); return v.Lost }

// Reading identifies a reading.
type Reading struct {
	Device    string
	Timestamp int64
}

// Lost returns the acknowledged readings that are not in the topic yet, in no order, each
// once.
func (o *Oracle) Lost() []Reading {
	var out []Reading
	for device, acks := range o.acks {
		missing := make(map[int64]bool, len(acks))
		for _, ts := range acks {
			missing[ts] = true
		}
		for _, r := range o.records[device] {
			delete(missing, r.timestamp)
		}
		for ts := range missing {
			out = append(out, Reading{device, ts})
		}
	}
	return out
}

// Verdict compares what was added so far. It can be called again.
func (o *Oracle) Verdict() Verdict {
	v := Verdict{Records: o.total}
	j := judge{v: &v, samples: map[string]int{}}
	for _, device := range sortedKeys(o.acks, o.records) {
		j.device(device, o.acks[device], o.records[device])
	}
	return v
}

// judge compares device by device.
type judge struct {
	v       *Verdict
	samples map[string]int
}

func (j *judge) sample(kind, format string, args ...any) {
	if j.samples[kind]++; j.samples[kind] <= maxSamples {
		j.v.Samples = append(j.v.Samples, kind+": "+fmt.Sprintf(format, args...))
	}
}

func (j *judge) device(device string, acks []int64, records []stored) {
	acked := make(map[int64]bool, len(acks))
	for _, ts := range acks {
		acked[ts] = true
	}
	j.v.Acked += len(acked)
	copies := j.walk(device, records)
	for ts := range acked {
		if copies[ts] > 0 {
			j.v.InKafka++
		} else {
			j.v.Lost++
			j.sample("lost", "%s %d", device, ts)
		}
	}
	j.v.Foreign += len(copies)
	for ts := range acked {
		if copies[ts] > 0 {
			j.v.Foreign--
		}
	}
}

// walk checks a device's records in order and returns the number of records of each reading.
func (j *judge) walk(device string, records []stored) map[int64]int {
	copies := make(map[int64]int, len(records))
	var newest stored
	strayed := false
	for i, r := range records {
		strayed = strayed || r.partition != records[0].partition
		copies[r.timestamp]++
		switch {
		case copies[r.timestamp] > 1:
			j.surplus(device, r, records[:i])
		case r.timestamp < newest.timestamp:
			j.v.OutOfOrder++
			j.sample("out of order", "%s %d at %d/%d after %d at %d/%d", device,
				r.timestamp, r.partition, r.offset, newest.timestamp, newest.partition, newest.offset)
		default:
			newest = r
		}
	}
	if strayed {
		j.v.Strayed++
		j.sample("strayed", "%s has records in several partitions", device)
	}
	return copies
}

// surplus counts one more record of a reading.
func (j *judge) surplus(device string, r stored, before []stored) {
	again := slices.ContainsFunc(before, func(b stored) bool {
		return b.timestamp == r.timestamp && b.origin() == r.origin()
	})
	why := "the gateway stored it twice"
	if again {
		why = "one pack was written twice"
	}
	j.v.Duplicated++
	j.sample("duplicated", "%s %d at %d/%d: %s", device, r.timestamp, r.partition, r.offset, why)
}

func sortedKeys(a map[string][]int64, b map[string][]stored) []string {
	keys := make([]string, 0, max(len(a), len(b)))
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}
