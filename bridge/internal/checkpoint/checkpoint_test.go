package checkpoint

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	epochA = 0xa
	epochB = 0xb
)

// withoutLedger is the position alone.
func withoutLedger(c Checkpoint) Checkpoint {
	c.Ledger = Ledger{}
	return c
}

func TestReadInOrderLosesNothing(t *testing.T) {
	c := Checkpoint{Gateway: "gw"}
	for i := range uint64(5) {
		s := c.Read(Pack{Seq: i + 1, Epoch: epochA, Counter: i + 1, At: int64(i)}, nil)
		require.False(t, s.Known)
		require.Zero(t, s.Lost)
		c = s.Next
	}
	require.Equal(t, Checkpoint{Gateway: "gw", Seq: 5, Epoch: epochA, Counter: 5, At: 4}, withoutLedger(c))

	s := c.Read(Pack{Seq: 6, Epoch: epochB, Counter: 1, At: 9}, nil)
	require.False(t, s.Known)
	require.Zero(t, s.Lost)
	require.Equal(t, []HighWater{{epochA, 5}}, s.Next.Seen)
	require.Empty(t, c.Seen, "a step must not change the checkpoint it started from")
}

func TestReadReportsWhatIsMissing(t *testing.T) {
	at := Checkpoint{Seq: 10, Epoch: epochA, Counter: 4, At: 1}
	for name, tc := range map[string]struct {
		from Checkpoint
		pack Pack
		lost uint64
	}{
		"next":                          {at, Pack{Seq: 11, Epoch: epochA, Counter: 5}, 0},
		"counter jumps":                 {at, Pack{Seq: 11, Epoch: epochA, Counter: 8}, 3},
		"sequence jumps":                {at, Pack{Seq: 13, Epoch: epochA, Counter: 5}, 2},
		"both jump":                     {at, Pack{Seq: 13, Epoch: epochA, Counter: 7}, 2},
		"new epoch":                     {at, Pack{Seq: 11, Epoch: epochB, Counter: 1}, 0},
		"new epoch without its start":   {at, Pack{Seq: 11, Epoch: epochB, Counter: 3}, 2},
		"new epoch after a hole":        {at, Pack{Seq: 14, Epoch: epochB, Counter: 1}, 3},
		"first pack of all":             {Checkpoint{}, Pack{Seq: 1, Epoch: epochA, Counter: 1}, 0},
		"first pack after a known trim": {Checkpoint{}.Trim(50).Next, Pack{Seq: 50, Epoch: epochA, Counter: 50}, 0},
		"after a damaged one":           {at.ReadDamaged(11).Next, Pack{Seq: 12, Epoch: epochA, Counter: 6}, 0},
		"after a damaged one, one more": {at.ReadDamaged(11).Next, Pack{Seq: 12, Epoch: epochA, Counter: 7}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := tc.from.Read(tc.pack, nil)
			require.False(t, s.Known)
			require.Equal(t, tc.lost, s.Lost)
			require.Zero(t, s.Next.Missing)
			require.Equal(t, tc.pack.Seq, s.Next.Seq)
		})
	}
}

func TestDamagedPackIsOneLoss(t *testing.T) {
	c := Checkpoint{Seq: 10, Epoch: epochA, Counter: 4}
	s := c.ReadDamaged(11)
	require.Equal(t, uint64(1), s.Lost)
	require.Equal(t, Checkpoint{Seq: 11, Missing: 1, Seen: []HighWater{{epochA, 4}}}, withoutLedger(s.Next))

	s = s.Next.ReadDamaged(14)
	require.Equal(t, uint64(3), s.Lost)
	require.Equal(t, uint64(4), s.Next.Missing)
}

// After a disk lost its tail the stream is read again from its beginning: what was
// bridged is known by name, whatever sequence it has now.
func TestRestartBridgesNothingTwice(t *testing.T) {
	c := Checkpoint{Seq: 100, Epoch: epochA, Counter: 7, Seen: []HighWater{{0xf, 93}}}
	c = c.Restart(90)
	require.Equal(t, uint64(89), c.Seq)

	feed := []struct {
		pack  Pack
		known bool
	}{
		{Pack{Seq: 90, Epoch: 0xf, Counter: 92}, true},
		{Pack{Seq: 91, Epoch: 0xf, Counter: 93}, true},
		{Pack{Seq: 92, Epoch: epochA, Counter: 1}, true},
		{Pack{Seq: 93, Epoch: epochA, Counter: 2}, true}, // 3 to 7 are gone from the disk but in Kafka
		{Pack{Seq: 94, Epoch: epochB, Counter: 1}, false},
		{Pack{Seq: 95, Epoch: epochB, Counter: 2}, false},
	}
	for _, f := range feed {
		s := c.Read(f.pack, nil)
		require.Equal(t, f.known, s.Known, "pack %+v", f.pack)
		require.Zero(t, s.Lost)
		c = s.Next
	}
	require.Equal(t, Checkpoint{Seq: 95, Epoch: epochB, Counter: 2, Seen: []HighWater{{0xf, 93}, {epochA, 7}}}, withoutLedger(c))

	c = c.Restart(1)
	require.True(t, c.Read(Pack{Seq: 1, Epoch: epochA, Counter: 7}, nil).Known)
	require.False(t, c.Read(Pack{Seq: 1, Epoch: epochA, Counter: 8}, nil).Known)
}

func TestSeenIsBounded(t *testing.T) {
	var c Checkpoint
	for i := range uint64(100) {
		c = c.Read(Pack{Seq: i + 1, Epoch: i + 1, Counter: 1}, nil).Next
	}
	require.Len(t, c.Seen, maxSeen)
	require.True(t, c.Read(Pack{Seq: 101, Epoch: 99, Counter: 1}, nil).Known)
}

func TestCompare(t *testing.T) {
	c := Checkpoint{Seq: 10, Epoch: epochA, Counter: 4}
	same := Anchor{Readable: true, Epoch: epochA, Counter: 4}
	damaged := c.ReadDamaged(11).Next
	for name, tc := range map[string]struct {
		c    Checkpoint
		v    View
		want Verdict
	}{
		"nothing recorded":              {Checkpoint{}, View{First: 5, Last: 9}, Same},
		"the recorded pack":             {c, View{First: 1, Last: 10, Anchor: same}, Same},
		"another epoch":                 {c, View{First: 1, Last: 12, Anchor: Anchor{Readable: true, Epoch: epochB, Counter: 4}}, Changed},
		"another counter":               {c, View{First: 1, Last: 12, Anchor: Anchor{Readable: true, Epoch: epochA, Counter: 5}}, Changed},
		"damaged since":                 {c, View{First: 1, Last: 12}, Changed},
		"stream ends before":            {c, View{First: 1, Last: 9}, Changed},
		"empty stream":                  {c, View{}, Changed},
		"purged up to the checkpoint":   {c, View{First: 11, Last: 10}, Gone},
		"purged beyond the checkpoint":  {c, View{First: 20, Last: 30}, Gone},
		"damaged then and now":          {damaged, View{First: 1, Last: 12}, Same},
		"damaged then, readable now":    {damaged, View{First: 1, Last: 12, Anchor: same}, Changed},
		"restarted before the first":    {c.Restart(8), View{First: 8, Last: 9}, Gone},
		"restarted in an empty stream":  {c.Restart(0), View{}, Same},
		"restarted, stream recreated":   {c.Restart(8), View{First: 1, Last: 3}, Changed},
		"restarted, stream grew beyond": {c.Restart(8), View{First: 1, Last: 9, Anchor: same}, Changed},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want.String(), tc.c.Compare(tc.v).String())
		})
	}
}

func TestTrimWithinReachChangesNothing(t *testing.T) {
	c := Checkpoint{Seq: 10, Epoch: epochA, Counter: 4}
	require.Equal(t, Step{Next: c}, c.Trim(11))
	require.Equal(t, Step{Next: c}, c.Trim(0))
}
