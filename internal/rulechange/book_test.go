package rulechange

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// written is a record as it is in the topic.
type written struct {
	key    string
	value  []byte
	offset int64
}

// topic writes records with keys of their own.
type topic struct {
	tb      testing.TB
	records []written
	book    *Book
}

func newTopic(tb testing.TB) *topic {
	tb.Helper()
	return &topic{tb: tb, book: NewBook()}
}

func (t *topic) write(r *Record) {
	t.tb.Helper()
	value, err := json.Marshal(r)
	require.NoError(t.tb, err)
	w := written{NewKey(r.Change), value, int64(len(t.records))}
	t.records = append(t.records, w)
	require.NoError(t.tb, t.book.Apply(w.key, w.value, w.offset))
	require.True(t.tb, t.book.Has(w.key))
}

func (t *topic) propose(id, by, rule, after string) {
	t.tb.Helper()
	t.write(&Record{Act: Propose, Change: id, By: by, At: 1, Proposal: &Proposal{
		Rule: rule, YAML: "- id: " + rule + "\n", After: after, Reason: "too many alarms",
	}})
}

func (t *topic) decide(act Act, id, by string) {
	t.tb.Helper()
	t.write(&Record{Act: act, Change: id, By: by, At: 2, Note: "seen"})
}

func (t *topic) state(id string) State {
	t.tb.Helper()
	c, ok := t.book.Change(id)
	require.True(t.tb, ok, id)
	return c.State
}

func TestAChangeIsApprovedByASecondPersonOnce(t *testing.T) {
	b := newTopic(t)
	b.propose("c1", "李工", "hot", "")
	b.decide(Approve, "c1", " 李工 ")
	require.Equal(t, Proposed, b.state("c1"), "not by its author")
	require.Empty(t, b.book.Approved())
	b.decide(Approve, "c1", "王工")
	b.decide(Approve, "c1", "张工")
	b.decide(Withdraw, "c1", "李工")
	c, _ := b.book.Change("c1")
	require.Equal(t, Approved, c.State)
	require.Equal(t, "王工", c.ApprovedBy, "the first one counts")
	require.Equal(t, int64(2), c.ApprovedAt)
	require.Equal(t, "seen", c.Note)
	require.Equal(t, "c1", b.book.Newest("hot"))
	require.Len(t, b.book.Approved(), 1)
	b.decide(Approve, "unknown", "王工")
	require.Len(t, b.book.Approved(), 1)
}

func TestAWithdrawnChangeIsOver(t *testing.T) {
	b := newTopic(t)
	b.propose("c1", "a", "hot", "")
	b.decide(Withdraw, "c1", "b")
	b.decide(Approve, "c1", "b")
	require.Equal(t, Withdrawn, b.state("c1"))
	require.Empty(t, b.book.Newest("hot"))
	c, _ := b.book.Change("c1")
	require.Equal(t, "b", c.WithdrawnBy)
	require.Empty(t, c.ApprovedBy)
}

func TestAChangeOfARuleThatChangedSinceIsStale(t *testing.T) {
	b := newTopic(t)
	b.propose("c1", "a", "hot", "")
	b.propose("c2", "a", "hot", "")
	b.propose("other", "a", "cold", "")
	b.decide(Approve, "c2", "b")
	require.Equal(t, Refused, b.state("c1"))
	require.Equal(t, Proposed, b.state("other"), "another rule")
	b.decide(Approve, "c1", "b")
	require.Equal(t, "c2", b.book.Newest("hot"))
	b.propose("late", "a", "hot", "")
	late, _ := b.book.Change("late")
	require.Equal(t, Refused, late.State, "its author had not seen c2")
	require.Equal(t, Stale, late.Why)
	b.propose("next", "a", "hot", "c2")
	b.decide(Approve, "next", "b")
	require.Equal(t, "next", b.book.Newest("hot"))
	var order []string
	for _, c := range b.book.Approved() {
		order = append(order, c.ID)
	}
	require.Equal(t, []string{"c2", "next"}, order)
	newest := b.book.Changes(func(c *Change) bool { return c.Rule == "hot" })
	require.Equal(t, "next", newest[0].ID)
	require.Equal(t, 4, b.book.Count(func(c *Change) bool { return c.Rule == "hot" }))
}

func TestAnIDIsUsedOnce(t *testing.T) {
	b := newTopic(t)
	b.propose("c1", "a", "hot", "")
	b.propose("c1", "b", "cold", "")
	c, _ := b.book.Change("c1")
	require.Equal(t, "hot", c.Rule)
	again := &Record{By: "A", Proposal: &c.Proposal}
	require.True(t, c.Repeats(again))
	other := c.Proposal
	other.YAML = "- id: hot\n  limit: 1\n"
	require.False(t, c.Repeats(&Record{By: "a", Proposal: &other}))
	require.False(t, c.Repeats(&Record{By: "b", Proposal: &c.Proposal}))
}

func TestSamePersonHoweverWritten(t *testing.T) {
	for _, pair := range [][2]string{{"Li Wei", " li  wei "}, {"ÄNNE", "änne"}, {"李工", "李工 "}} {
		require.True(t, SamePerson(pair[0], pair[1]), pair)
	}
	require.False(t, SamePerson("李工", "王工"))
}

func TestMalformedRecordsCountAsNothing(t *testing.T) {
	b := newTopic(t)
	b.propose("c1", "a", "hot", "")
	for i, c := range []struct{ key, value string }{
		{"c1/x", `{`},
		{"c1/x", `{"act":"approve","change":"c1","at":1}`},
		{"c1/x", `{"act":"approve","change":"c1","by":"` + strings.Repeat("b", MaxBy+1) + `","at":1}`},
		{"c1/x", `{"act":"approve","change":"c1","by":"b","at":0}`},
		{"c2/x", `{"act":"approve","change":"c1","by":"b","at":1}`},
		{"c1", `{"act":"approve","change":"c1","by":"b","at":1}`},
		{"c1/x", `{"act":"delete","change":"c1","by":"b","at":1}`},
		{"c1/x", `{"act":"approve","change":"c1","by":"b","at":1,"proposal":{"rule":"hot"}}`},
		{"c3/x", `{"act":"propose","change":"c3","by":"b","at":1}`},
		{"c3/x", `{"act":"propose","change":"c3","by":"b","at":1,"proposal":{"rule":"hot","reason":"r"}}`},
		{"c3/x", `{"act":"propose","change":"c3","by":"b","at":1,"proposal":{"rule":"hot","yaml":"x","remove":true,"reason":"r"}}`},
		{"c3/x", `{"act":"propose","change":"c3","by":"b","at":1,"proposal":{"rule":"hot","yaml":"x","reason":" "}}`},
		{"c3/x", `{"act":"propose","change":"c3","by":"b","at":1,"proposal":{"rule":"h t","yaml":"x","reason":"r"}}`},
		{"c3/x", `{"act":"propose","change":"c3","by":"b","at":1,"proposal":{"rule":"hot","yaml":"x","reason":"r","trial":{"hours":0}}}`},
		{"\x00fence", `x`},
	} {
		require.ErrorIs(t, b.book.Apply(c.key, []byte(c.value), int64(10+i)), ErrInvalid, c.value)
		require.Equal(t, int64(11+i), b.book.Position(), "it has its place")
	}
	require.Equal(t, Proposed, b.state("c1"))
	require.Equal(t, 1, b.book.Count(func(*Change) bool { return true }))
	require.NoError(t, b.book.Apply(b.records[0].key, nil, 99))
	require.Zero(t, b.book.Count(func(*Change) bool { return true }), "an administrator deleted it")
}

// TestCompactionChangesNothing folds random topics before and after they were compacted at a
// random place, as Kafka does: of the records before it, those whose key has a newer record go.
// Some keys are there several times, which no portal does.
func TestCompactionChangesNothing(t *testing.T) {
	for seed := range uint64(400) {
		all := randomTopic(rand.New(rand.NewPCG(seed, 14)))
		head := all[:1+int(seed)%len(all)]
		var compacted []written
		for i, w := range head {
			if !hasKey(head[i+1:], w.key) && w.value != nil {
				compacted = append(compacted, w)
			}
		}
		require.Equal(t, fold(all), fold(append(compacted, all[len(head):]...)), "seed %d", seed)
	}
}

// TestNothingIsCompactedAway holds for records as portals write them: the history is kept.
func TestNothingIsCompactedAway(t *testing.T) {
	b := newTopic(t)
	for range 2 {
		b.propose("c1", "a", "hot", "")
		b.decide(Approve, "c1", "b")
	}
	for i, w := range b.records {
		require.False(t, hasKey(b.records[i+1:], w.key))
	}
}

func hasKey(records []written, key string) bool {
	for _, w := range records {
		if w.key == key {
			return true
		}
	}
	return false
}

func fold(records []written) folded {
	b := NewBook()
	for _, w := range records {
		_ = b.Apply(w.key, w.value, w.offset)
	}
	return b.folded
}

// randomTopic returns records of few changes, rules and people, so that they meet.
func randomTopic(r *rand.Rand) []written {
	out := make([]written, 0, 60)
	known := []string{""}
	for i := range cap(out) {
		id := fmt.Sprint("c", r.IntN(8))
		m := Record{Change: id, By: fmt.Sprint("p", r.IntN(3)), At: int64(i + 1), Act: Approve}
		switch r.IntN(6) {
		case 0:
			m.Act = Withdraw
		case 1, 2, 3:
			m.Act = Propose
			m.Proposal = &Proposal{Rule: fmt.Sprint("r", r.IntN(2)), YAML: fmt.Sprint("y", r.IntN(3)), Reason: "r", After: known[r.IntN(len(known))]}
			known = append(known, id)
		}
		value, _ := json.Marshal(m)
		key := fmt.Sprint(id, "/", i)
		if len(out) > 0 && r.IntN(4) == 0 { // again, or another under its key
			before := out[r.IntN(len(out))]
			key = before.key
			switch r.IntN(3) {
			case 0:
				value = before.value
			case 1:
				value = nil
			}
		}
		out = append(out, written{key, value, int64(i)})
	}
	return out
}

func FuzzParse(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, w := range randomTopic(r) {
		f.Add(w.key, w.value)
	}
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		r, err := Parse(key, value)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			return
		}
		require.NoError(t, r.Check())
		again, err := json.Marshal(r)
		require.NoError(t, err)
		same, err := Parse(key, again)
		require.NoError(t, err)
		require.Equal(t, r, same)
	})
}
