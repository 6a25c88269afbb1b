package sparkplug

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

const samples = "../../../../deploy/mappings/samples/sparkplug-"

// sample is a payload that the JavaScript implementation of the Sparkplug working group
// has encoded (npm sparkplug-payload 1.0.3).
func sample(tb testing.TB, name string) *Payload {
	tb.Helper()
	data, err := os.ReadFile(samples + name + ".bin")
	require.NoError(tb, err)
	var p Payload
	require.NoError(tb, Decode(data, &p))
	return &p
}

func varint(dst []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.VarintType), v)
}

func bytesField(dst []byte, field protowire.Number, v string) []byte {
	return protowire.AppendString(protowire.AppendTag(dst, field, protowire.BytesType), v)
}

// payload encodes a payload with a sequence number and metrics.
func payload(seq uint64, metrics ...[]byte) []byte {
	b := varint(nil, 1, 1764149400000)
	for _, m := range metrics {
		b = bytesField(b, 2, string(m))
	}
	return varint(b, 3, seq)
}

// number encodes a metric; name "" or alias 0 are left out.
func number(name string, alias uint64, v float64) []byte {
	var m []byte
	if name != "" {
		m = bytesField(m, 1, name)
	}
	if alias != 0 {
		m = varint(m, 2, alias)
	}
	m = varint(m, 4, uint64(Double))
	return protowire.AppendFixed64(protowire.AppendTag(m, 13, protowire.Fixed64Type), math.Float64bits(v))
}

func decode(tb testing.TB, data []byte) *Payload {
	tb.Helper()
	var p Payload
	require.NoError(tb, Decode(data, &p))
	return &p
}

func TestPayloadsOfAnotherImplementation(t *testing.T) {
	p := sample(t, "nbirth")
	require.EqualValues(t, 1764149400000, p.Timestamp)
	require.True(t, p.HasSeq)
	require.Len(t, p.Metrics, 4)
	require.Equal(t, "bdSeq", p.Metrics[0].Name)
	require.InDelta(t, 7, p.Metrics[0].Num, 0)
	require.Equal(t, "Acme", p.Metrics[2].Str)
	load := p.Metrics[3]
	require.Equal(t, Number, load.Form)
	require.InDelta(t, 21.7, load.Num, 0, "the shortest text of the float")
	require.Equal(t, "%", load.Unit)
	require.EqualValues(t, 1, load.Alias)

	p = sample(t, "dbirth")
	require.InDelta(t, -5, p.Metrics[1].Num, 0)
	require.True(t, p.Metrics[2].On)
	require.InDelta(t, -300, p.Metrics[3].Num, 0)
	require.False(t, p.Metrics[3].Bad)

	p = sample(t, "ddata")
	require.EqualValues(t, 2, p.Seq)
	require.Empty(t, p.Metrics[0].Name)
	require.Equal(t, Present, p.Metrics[0].Past())
	require.EqualValues(t, 1764149340000, p.Metrics[2].Past())
}

func TestValuesOfEveryType(t *testing.T) {
	fixed32 := func(v uint32) []byte {
		return protowire.AppendFixed32(protowire.AppendTag(nil, 12, protowire.Fixed32Type), v)
	}
	for name, tt := range map[string]struct {
		kind  DataType
		value []byte
		want  Metric
	}{
		"int8":         {Int8, varint(nil, 10, uint64(uint32(1<<32-3))), Metric{Form: Number, Num: -3}},
		"int32 as 64":  {Int32, varint(nil, 10, 1<<64-3), Metric{Form: Number, Num: -3}},
		"int64":        {Int64, varint(nil, 11, 1<<64-3), Metric{Form: Number, Num: -3}},
		"uint32":       {UInt32, varint(nil, 10, 1<<32-3), Metric{Form: Number, Num: 1<<32 - 3}},
		"uint64":       {UInt64, varint(nil, 11, 1<<63), Metric{Form: Number, Num: 1 << 63}},
		"float":        {Float, fixed32(math.Float32bits(0.1)), Metric{Form: Number, Num: 0.1}},
		"not a number": {Float, fixed32(math.Float32bits(float32(math.NaN()))), Metric{}},
		"infinite":     {Float, fixed32(math.Float32bits(float32(math.Inf(1)))), Metric{}},
		"bool":         {Boolean, varint(nil, 14, 1), Metric{Form: Bool, On: true}},
		"bool as int":  {Boolean, varint(nil, 10, 1), Metric{Form: Bool, On: true}},
		"text":         {Text, bytesField(nil, 15, "a"), Metric{Form: Words, Str: "a"}},
		"time":         {DateTime, varint(nil, 11, 1764149400000), Metric{Form: Number, Num: 1764149400000}},
		"null":         {Text, varint(nil, 7, 1), Metric{}},
		"null and set": {Int8, varint(varint(nil, 10, 3), 7, 1), Metric{}},
		"bytes":        {17, bytesField(nil, 16, "abc"), Metric{}},
		"template":     {19, bytesField(nil, 18, "abc"), Metric{}},
	} {
		t.Run(name, func(t *testing.T) {
			m := append(varint(bytesField(nil, 1, "m"), 4, uint64(tt.kind)), tt.value...)
			got := decode(t, payload(0, m)).Metrics[0]
			require.Equal(t, tt.want, Metric{Form: got.Form, Num: got.Num, On: got.On, Str: got.Str})
		})
	}
}

func TestProperties(t *testing.T) {
	property := func(field protowire.Number, v string) string { return string(bytesField(nil, field, v)) }
	set := bytesField(bytesField(nil, 1, "engUnit"), 1, "Quality")
	set = bytesField(set, 2, property(8, "bar"))
	set = bytesField(set, 2, string(varint(nil, 3, 500)))
	m := decode(t, payload(0, bytesField(number("p", 0, 1), 9, string(set)))).Metrics[0]
	require.Equal(t, "bar", m.Unit)
	require.True(t, m.Bad, "stale")
}

func TestWhatIsNoPayloadIsRefused(t *testing.T) {
	whole := payload(1, number("a", 1, 2))
	for name, data := range map[string][]byte{
		"JSON":          []byte(`{"a":1}`),
		"cut short":     whole[:len(whole)-1],
		"not UTF-8":     payload(0, bytesField(nil, 1, "\xff")),
		"metric no sub": varint(nil, 2, 1),
		"too many":      []byte(strings.Repeat("\x12\x00", MaxMetrics+1)),
	} {
		var p Payload
		require.ErrorIs(t, Decode(data, &p), ErrPayload, name)
	}
}

func apply(t *testing.T, n *Nodes, kind, device string, p *Payload) (Outcome, error) {
	t.Helper()
	return n.Apply(Message{Group: "g", Type: kind, Node: "n", Device: device}, p, time.Unix(1764149400, 0))
}

func mustApply(t *testing.T, n *Nodes, kind, device string, p *Payload) Outcome {
	t.Helper()
	out, err := apply(t, n, kind, device, p)
	require.NoError(t, err)
	return out
}

// TestDataBeforeItsBirthIsRefused has a node's death and rebirth: the aliases of its
// devices are void until they are announced again.
func TestDataBeforeItsBirthIsRefused(t *testing.T) {
	n := New()
	data := func() *Payload { return sample(t, "ddata") }
	_, err := apply(t, n, "DDATA", "d", data())
	require.ErrorIs(t, err, ErrBeforeBirth)
	mustApply(t, n, "NBIRTH", "", sample(t, "nbirth"))
	_, err = apply(t, n, "DDATA", "d", data())
	require.ErrorIs(t, err, ErrBeforeBirth, "of another device")
	mustApply(t, n, "DBIRTH", "d", sample(t, "dbirth"))
	p := data()
	out := mustApply(t, n, "DDATA", "d", p)
	require.True(t, out.Values)
	require.Zero(t, out.Unknown)
	require.Equal(t, []string{"Inputs/Temperature", "Level"}, []string{p.Metrics[0].Name, p.Metrics[1].Name})
	require.InDelta(t, -301, p.Metrics[1].Num, 0, "its type is that of the birth")
	require.Equal(t, "mm", p.Metrics[1].Unit)

	mustApply(t, n, "NBIRTH", "", sample(t, "nbirth"))
	_, err = apply(t, n, "DDATA", "d", data())
	require.ErrorIs(t, err, ErrBeforeBirth, "the node was born again")
	mustApply(t, n, "DBIRTH", "d", sample(t, "dbirth"))
	require.Equal(t, []string{"d"}, mustApply(t, n, "DDEATH", "d", decode(t, payload(9))).Gone)
	_, err = apply(t, n, "DDATA", "d", data())
	require.ErrorIs(t, err, ErrBeforeBirth, "it is dead")
}

func TestDataWithoutATypeHasThatOfTheBirth(t *testing.T) {
	n := New()
	birth := varint(varint(varint(bytesField(nil, 1, "level"), 2, 5), 4, uint64(Int32)), 10, 1)
	mustApply(t, n, "NBIRTH", "", decode(t, payload(0, birth)))
	p := decode(t, payload(1, varint(varint(nil, 2, 5), 10, 1<<32-7), number("new", 0, 3), number("", 99, 1)))
	out := mustApply(t, n, "NDATA", "", p)
	require.InDelta(t, -7, p.Metrics[0].Num, 0)
	require.Equal(t, "new", p.Metrics[1].Name)
	require.Equal(t, 1, out.Unknown)
	require.Empty(t, p.Metrics[2].Name)
}

func TestADeathTakesTheNodeAndItsDevices(t *testing.T) {
	n := New()
	mustApply(t, n, "NBIRTH", "", sample(t, "nbirth"))
	mustApply(t, n, "DBIRTH", "d", sample(t, "dbirth"))
	late := payload(0, number("bdSeq", 0, 6))
	require.Empty(t, mustApply(t, n, "NDEATH", "", decode(t, late)).Gone, "the death of the session before")
	tables, metrics := n.Size()
	require.Equal(t, 2, tables)
	require.Equal(t, 9, metrics)
	require.ElementsMatch(t, []string{"", "d"}, mustApply(t, n, "NDEATH", "", sample(t, "ndeath")).Gone)
	tables, metrics = n.Size()
	require.Zero(t, tables+metrics)
	require.Equal(t, []string{""}, mustApply(t, n, "NDEATH", "", sample(t, "ndeath")).Gone, "of an unknown node")
	require.Equal(t, []string{"d"}, mustApply(t, n, "DDEATH", "d", decode(t, payload(1))).Gone)
}

func TestGapsInTheSequenceAreSeen(t *testing.T) {
	n := New()
	mustApply(t, n, "NBIRTH", "", decode(t, payload(254, number("a", 1, 1))))
	for i, step := range []struct {
		seq uint64
		gap bool
	}{{255, false}, {0, false}, {1, false}, {1, false}, {3, true}, {4, false}, {2, true}} {
		out := mustApply(t, n, "NDATA", "", decode(t, payload(step.seq, number("", 1, 1))))
		require.Equal(t, step.gap, out.Gap, "step %d", i)
	}
	require.False(t, mustApply(t, n, "NBIRTH", "", decode(t, payload(0, number("a", 1, 1)))).Gap, "a birth starts again")
}

// TestTheNewcomerLosesWhenAllTablesAreTaken unless a node has been silent for long.
func TestTheNewcomerLosesWhenAllTablesAreTaken(t *testing.T) {
	n := New()
	at := time.Unix(1764149400, 0)
	birth := make([][]byte, MaxMetrics)
	for i := range birth {
		birth[i] = number(fmt.Sprint("m", i), 0, 1)
	}
	data := payload(0, birth...)
	born := func(node string, at time.Time) error {
		_, err := n.Apply(Message{Group: "g", Type: "NBIRTH", Node: node}, decode(t, data), at)
		return err
	}
	for i := range MaxAnnounced / MaxMetrics {
		require.NoError(t, born(fmt.Sprint(i), at.Add(time.Duration(i)*time.Second)))
	}
	_, metrics := n.Size()
	require.Equal(t, MaxAnnounced, metrics)
	require.ErrorIs(t, born("new", at.Add(idleAfter-time.Second)), ErrFull)
	require.NoError(t, born("7", at.Add(idleAfter-time.Second)), "one that is known may be born again")
	require.NoError(t, born("new", at.Add(idleAfter)), "the first was silent for an hour")
	_, known := n.nodes["g/0"]
	require.False(t, known)
	_, known = n.nodes["g/1"]
	require.True(t, known)
	_, metrics = n.Size()
	require.Equal(t, MaxAnnounced, metrics)
}

func TestTopicsThatAreNone(t *testing.T) {
	n := New()
	for _, m := range []Message{{Type: "XDATA", Node: "n"}, {Type: "NDATA", Node: "n", Device: "d"}, {Type: "DDATA", Node: "n"}, {Node: "n"}} {
		_, err := n.Apply(m, &Payload{}, time.Now())
		require.ErrorIs(t, err, ErrType, "%+v", m)
	}
	_, ok := ParseTopic([]string{"g", "NDATA"})
	require.False(t, ok)
	m, ok := ParseTopic([]string{"g", "DDATA", "n", "d"})
	require.True(t, ok)
	require.Equal(t, Message{Group: "g", Type: "DDATA", Node: "n", Device: "d"}, m)
	_, err := apply(t, n, "NBIRTH", "", decode(t, payload(0, number("", 1, 1))))
	require.ErrorIs(t, err, ErrPayload, "a birth names its metrics")
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"nbirth", "dbirth", "ddata", "ndeath"} {
		data, err := os.ReadFile(samples + name + ".bin")
		require.NoError(f, err)
		f.Add(data, data)
	}
	f.Fuzz(func(t *testing.T, birth, data []byte) {
		n := New()
		var p Payload
		if Decode(birth, &p) == nil {
			_, _ = n.Apply(Message{Group: "g", Type: "NBIRTH", Node: "n"}, &p, time.Now())
		}
		tables, metrics := n.Size()
		require.LessOrEqual(t, tables, 1)
		require.LessOrEqual(t, metrics, len(birth))
		if Decode(data, &p) != nil {
			return
		}
		require.LessOrEqual(t, len(p.Metrics), len(data))
		out, err := n.Apply(Message{Group: "g", Type: "NDATA", Node: "n"}, &p, time.Now())
		if err != nil {
			return
		}
		unnamed := 0
		for _, m := range p.Metrics {
			require.False(t, math.IsNaN(m.Num) || math.IsInf(m.Num, 0))
			if m.Name == "" {
				unnamed++
			}
		}
		require.Equal(t, out.Unknown, unnamed)
		_, err = n.Apply(Message{Group: "g", Type: "NDEATH", Node: "n"}, &p, time.Now())
		require.NoError(t, err)
	})
}
