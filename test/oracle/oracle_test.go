package oracle

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// at is a record of device d at timestamp ts that came in pack seq.
func at(ts int64, seq uint64) Record {
	return Record{Device: "d", Timestamp: ts, Offset: int64(seq), Origin: Origin{Gateway: "g", Epoch: "e", Seq: seq}}
}

func in(partition int32, r Record) Record { r.Partition = partition; return r }

func epoch(e string, r Record) Record { r.Origin.Epoch = e; return r }

func TestVerdict(t *testing.T) {
	for name, c := range map[string]struct {
		ledger  string
		records []Record
		want    Verdict
	}{
		"nothing": {},
		"all stored once, in order": {
			ledger:  "d,1,1\nd,2,1\n",
			records: []Record{at(1, 1), at(2, 2)},
			want:    Verdict{Acked: 2, Records: 2, InKafka: 2},
		},
		"lost": {
			ledger:  "d,1,1\nd,2,1\nd,3,2\nx,9,1\n",
			records: []Record{at(2, 2)},
			want:    Verdict{Acked: 4, Records: 1, InKafka: 1, Lost: 3},
		},
		"stored but not acknowledged is allowed": {
			ledger:  "d,1,1\n",
			records: []Record{at(1, 1), at(2, 2)},
			want:    Verdict{Acked: 1, Records: 2, InKafka: 1, Foreign: 1},
		},
		"sent once, stored twice": {
			ledger:  "d,1,1\n",
			records: []Record{at(1, 1), at(1, 2)},
			want:    Verdict{Acked: 1, Records: 2, InKafka: 1, Duplicated: 1},
		},
		"sent twice, stored twice": {
			ledger:  "d,1,2\nd,2,1\n",
			records: []Record{at(1, 1), at(1, 2), at(2, 3)},
			want:    Verdict{Acked: 2, Records: 3, InKafka: 2, Duplicated: 1},
		},
		"sent twice, but one pack was written twice": {
			ledger:  "d,1,2\n",
			records: []Record{at(1, 1), at(1, 2), at(1, 2)},
			want:    Verdict{Acked: 1, Records: 3, InKafka: 1, Duplicated: 2},
		},
		"the same sequence in another epoch is another origin": {
			ledger:  "d,1,2\n",
			records: []Record{at(1, 1), epoch("f", at(1, 1))},
			want:    Verdict{Acked: 1, Records: 2, InKafka: 1, Duplicated: 1},
		},
		"not acknowledged, stored twice from two packs": {
			records: []Record{at(1, 1), at(1, 2)},
			want:    Verdict{Records: 2, Foreign: 1, Duplicated: 1},
		},
		"not acknowledged, one pack written twice": {
			records: []Record{at(1, 1), at(1, 1)},
			want:    Verdict{Records: 2, Foreign: 1, Duplicated: 1},
		},
		"out of order": {
			ledger:  "d,1,1\nd,2,1\nd,3,1\n",
			records: []Record{at(2, 2), at(1, 1), at(3, 3)},
			want:    Verdict{Acked: 3, Records: 3, InKafka: 3, OutOfOrder: 1},
		},
		"a late copy of a reading is a duplicate, not out of order": {
			ledger:  "d,1,2\nd,2,1\n",
			records: []Record{at(1, 1), at(2, 2), at(1, 3)},
			want:    Verdict{Acked: 2, Records: 3, InKafka: 2, Duplicated: 1},
		},
		"a replay from the start": {
			ledger:  "d,1,1\nd,2,1\n",
			records: []Record{at(1, 1), at(2, 2), at(1, 1), at(2, 2)},
			want:    Verdict{Acked: 2, Records: 4, InKafka: 2, Duplicated: 2},
		},
		"two partitions": {
			ledger:  "d,1,1\nd,2,1\n",
			records: []Record{at(1, 1), in(3, at(2, 2))},
			want:    Verdict{Acked: 2, Records: 2, InKafka: 2, Strayed: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := New()
			require.NoError(t, o.ReadLedger(strings.NewReader(c.ledger)))
			for _, r := range c.records {
				o.Stored(r)
			}
			got := o.Verdict()
			faults := got.Lost + got.Duplicated + got.OutOfOrder + got.Strayed
			require.Len(t, got.Samples, faults)
			require.Equal(t, faults == 0, got.OK())
			if faults == 0 {
				require.NoError(t, got.Err())
			} else {
				require.ErrorContains(t, got.Err(), got.Samples[0])
			}
			require.Equal(t, c.want.Lost, o.Missing())
			got.Samples = nil
			require.Equal(t, c.want, got)
			require.Contains(t, got.String(), "lost")
		})
	}
}

func TestSamplesAreFew(t *testing.T) {
	o := New()
	for ts := range int64(100) {
		o.Acked("d", ts)
	}
	v := o.Verdict()
	require.Equal(t, 100, v.Lost)
	require.Len(t, v.Samples, maxSamples)
}

func TestReadLedgerRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"words":       "hello\n",
		"no attempts": "d,1\n",
		"no number":   "d,x,1\n",
		"merged":      "d,1,1e,2,1\n",
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, New().ReadLedger(strings.NewReader(text)), "line 1")
		})
	}
	require.NoError(t, New().ReadLedgerFile("no such file"))
	require.Error(t, New().ReadLedgerFile("no such file\x00"))
}

func TestLedgerIsRead(t *testing.T) {
	o := New()
	require.NoError(t, o.ReadLedger(strings.NewReader("d,12,1\n")))
	require.Equal(t, []Reading{{"d", 12}}, o.Lost())
}

func TestLostNamesWhatVerdictCounts(t *testing.T) {
	o := New()
	require.NoError(t, o.ReadLedger(strings.NewReader("d,1,1\nd,2,1\nd,2,2\nd,3,2\nx,9,1\n")))
	o.Stored(at(1, 1))
	require.ElementsMatch(t, []Reading{{"d", 2}, {"d", 3}, {"x", 9}}, o.Lost())
	require.Len(t, o.Lost(), o.Missing())
	o.Stored(at(2, 2))
	require.ElementsMatch(t, []Reading{{"d", 3}, {"x", 9}}, o.Lost())
}
