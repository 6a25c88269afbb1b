package checkpoint

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/wire"
)

func TestWrittenForm(t *testing.T) {
	c := Checkpoint{
		Gateway: "gw-a", Seq: 12, Epoch: 0xab, Counter: 5, At: 1640995200000, Missing: 2, Again: true, Seen: []HighWater{{0xcd, 9}},
		Ledger: Ledger{
			Epochs: []EpochLedger{
				{Epoch: 0xcd, Counter: 9, Through: totals(90, 3), Counts: Counts{Committed: 80, Refused: 3, Damaged: 10, DamagedPacks: 1, Late: 7, Duplicates: 2}},
				{Epoch: 0xab, Counter: 5, Through: totals(50, 0), Counts: Counts{Committed: 50}},
			},
			Folded: Counts{Committed: 1000, Late: 1},
		},
	}
	data, err := c.Encode()
	require.NoError(t, err)
	// Checkpoints in Kafka outlive this program: their form must not drift.
	want, err := os.ReadFile("testdata/checkpoint.golden")
	require.NoError(t, err)
	require.Equal(t, string(want), string(data)+"\n")
	back, err := Decode(data)
	require.NoError(t, err)
	require.Equal(t, c, back)
}

// After an upgrade the checkpoints of version 1 are still readable.
func TestFirstWrittenFormIsRead(t *testing.T) {
	data, err := os.ReadFile("testdata/checkpoint-v1.golden")
	require.NoError(t, err)
	c, err := Decode(data)
	require.NoError(t, err)
	require.Equal(t, Checkpoint{Gateway: "gw-a", Seq: 12, Epoch: 0xab, Counter: 5, At: 1640995200000, Missing: 2, Seen: []HighWater{{0xcd, 9}}}, c)
}

func totals(readings, refused uint64) wire.PackTotals {
	return wire.PackTotals{Readings: readings, Refused: refused}
}

func TestDecodeRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":            ``,
		"not JSON":           `seq 5`,
		"unknown version":    `{"v":3,"gateway":"gw","seq":1,"epoch":"00000000000000ab","counter":1}`,
		"no version":         `{"gateway":"gw","seq":1,"epoch":"00000000000000ab","counter":1}`,
		"short epoch":        `{"v":1,"gateway":"gw","seq":1,"epoch":"ab","counter":1}`,
		"negative seq":       `{"v":1,"gateway":"gw","seq":-1,"epoch":"00000000000000ab","counter":1}`,
		"bad ledger epochs":  `{"v":2,"gateway":"gw","seq":1,"epoch":"00000000000000ab","counter":1,"accounts":[{"epoch":"x"}]}`,
		"many ledger epochs": `{"v":2,"gateway":"gw","seq":1,"epoch":"00000000000000ab","counter":1,"accounts":[{},{},{},{},{}]}`,
		"bad seen epoch":     `{"v":1,"gateway":"gw","seq":1,"epoch":"00000000000000ab","counter":1,"seen":[{"epoch":"x"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode([]byte(in))
			require.ErrorIs(t, err, ErrUnreadable)
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"v":1,"gateway":"gw-a","seq":12,"epoch":"00000000000000ab","counter":5,"at":1,"seen":[{"epoch":"00000000000000cd","counter":9}]}`))
	f.Add([]byte(`{"v":2,"gateway":"gw-a","seq":12,"epoch":"00000000000000ab","counter":5,"at":1,"again":true,` +
		`"accounts":[{"epoch":"00000000000000cd","counter":9,"readings":90,"rejected":3,"committed":80,"damaged":10}],"folded":{"late":1}}`))
	f.Add([]byte(`{"v":1}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Decode(data)
		if err != nil {
			require.ErrorIs(t, err, ErrUnreadable)
			return
		}
		again, err := c.Encode()
		require.NoError(t, err)
		back, err := Decode(again)
		require.NoError(t, err)
		require.Equal(t, c, back)
	})
}

// FuzzRead holds the rules against any sequence of packs: a pack is bridged at most
// once however the stream is rewound, and nothing panics.
func FuzzRead(f *testing.F) {
	f.Add([]byte{1, 2, 3, 0x80, 1, 2, 3, 4, 0x11, 0x12, 0xc0, 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		var c Checkpoint
		bridged := map[HighWater]bool{}
		for _, b := range script {
			switch {
			case b >= 0xc0:
				c = c.ReadDamaged(c.Seq + 1).Next
			case b >= 0x80:
				c = c.Restart(uint64(b & 0x3f))
			default:
				name := HighWater{Epoch: uint64(b >> 4), Counter: uint64(b&0xf) + 1}
				s := c.Read(Pack{Seq: c.Seq + 1, Epoch: name.Epoch, Counter: name.Counter}, nil)
				if !s.Known {
					require.False(t, bridged[name], "pack %+v bridged twice", name)
					bridged[name] = true
				}
				c = s.Next
			}
		}
	})
}
