package processor

import (
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// filled returns a batch with one of each kind, named by s.
func filled(s string, next int64) *batch {
	b := newBatch()
	b.next, b.nextCommand, b.moved = next, next+1, true
	b.alerts = append(b.alerts, alertRecord{device: s})
	b.audits = append(b.audits, auditRecord{device: s})
	b.letters = append(b.letters, deadLetter{reason: telemetry.Reason(s)})
	b.windows = append(b.windows, telemetry.Window{ID: s})
	b.alarms["both"], b.alarms[s] = []byte(s), nil
	b.devices["both"], b.devices[s] = []byte(s), []byte(s)
	b.metas["both"], b.metas[s] = []byte(s), []byte(s)
	b.detect["both"], b.detect[s] = []byte(s), []byte(s)
	b.removed = append(b.removed, removed{s + "-removed", byCommand})
	return b
}

func TestBatchAbsorbsTheLaterOne(t *testing.T) {
	b, later := filled("a", 10), filled("b", 20)
	require.Equal(t, 1+1+1+2+2+2+2+4, b.size())
	later.moved = false
	b.absorb(later)
	require.Equal(t, &batch{
		next: 20, nextCommand: 21, moved: true,
		alerts:  []alertRecord{{device: "a"}, {device: "b"}},
		audits:  []auditRecord{{device: "a"}, {device: "b"}},
		letters: []deadLetter{{reason: "a"}, {reason: "b"}},
		windows: []telemetry.Window{{ID: "a"}, {ID: "b"}},
		alarms:  map[string][]byte{"both": []byte("b"), "a": nil, "b": nil},
		devices: map[string][]byte{"both": []byte("b"), "a": []byte("a"), "b": []byte("b")},
		metas:   map[string][]byte{"both": []byte("b"), "a": []byte("a"), "b": []byte("b")},
		detect:  map[string][]byte{"both": []byte("b"), "a": []byte("a"), "b": []byte("b")},
		removed: []removed{{"a-removed", byCommand}, {"b-removed", byCommand}},
	}, b)
	idle := newBatch()
	idle.absorb(filled("a", 10))
	require.True(t, idle.moved)
	require.Equal(t, 15, idle.size())
}

// TestNothingFromBeforeARemovalIsWritten checks that records are deleted before later ones are
// written, and that earlier ones are not.
func TestNothingFromBeforeARemovalIsWritten(t *testing.T) {
	b, later := filled("a", 10), newBatch()
	later.remove("both", byCommand)
	later.remove("a", forgotten)
	later.devices["a"] = []byte("again")
	b.absorb(later)
	require.Equal(t, []removed{{"a-removed", byCommand}, {"both", byCommand}, {"a", forgotten}}, b.removed)
	require.Empty(t, b.alarms)
	require.Empty(t, b.metas)
	require.Equal(t, map[string][]byte{"a": []byte("again")}, b.devices)
}

func TestEmptyBatch(t *testing.T) {
	require.True(t, newBatch().empty())
	require.EqualValues(t, -1, newBatch().next, "no offset to commit")
	require.EqualValues(t, -1, newBatch().nextCommand)
	for name, f := range map[string]func(*batch){
		"moved":   func(b *batch) { b.moved = true },
		"windows": func(b *batch) { b.windows = make([]telemetry.Window, 1) },
		"alert":   func(b *batch) { b.alerts = make([]alertRecord, 1) },
		"removal": func(b *batch) { b.alarms["d1"] = nil },
	} {
		b := newBatch()
		f(b)
		require.False(t, b.empty(), name)
	}
	b := filled("a", 10)
	alerts, audits, letters, gone := b.alerts, b.audits, b.letters, b.removed
	b.reset()
	require.True(t, b.empty())
	require.Zero(t, alerts[0], "the records can be forgotten")
	require.Zero(t, audits[0])
	require.Zero(t, letters[0])
	require.Zero(t, gone[0])
}
