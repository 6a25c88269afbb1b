package wire

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

func cutPack(counter uint64) []byte {
	var b PackBuilder
	b.Reset(7, counter)
	b.Follow(PackTotals{Readings: 10, Refused: 20})
	b.Add(PackEntry{Device: "d", Payload: []byte("IOTP in a payload"), Received: 5})
	b.Add(PackEntry{Device: "d", Payload: []byte("{"), Received: 5, Refusal: &telemetry.Refusal{Reason: "r", Field: "f", Message: "m"}})
	return slices.Clone(b.Finish())
}

func TestFindPackFindsWhateverStandsAround(t *testing.T) {
	one, two := cutPack(1), cutPack(2)
	data := slices.Concat([]byte("rubbish IOTP\x02IOTPIOTP"), one, []byte("IOT"), two, []byte("IOTP"))
	for _, want := range [][]byte{one, two} {
		start, end, ok := FindPack(data)
		require.True(t, ok)
		require.Equal(t, want, data[start:end])
		data = data[end:]
	}
	_, _, ok := FindPack(data)
	require.False(t, ok)
	one[len(one)-1] ^= 1
	_, _, ok = FindPack(one)
	require.False(t, ok)
}

func TestTotalsAfterCountTheEntries(t *testing.T) {
	sum, h, err := TotalsAfter(cutPack(3))
	require.NoError(t, err)
	require.Equal(t, PackTotals{Readings: 11, Refused: 21}, sum)
	require.EqualValues(t, 3, h.Counter)
	_, _, err = TotalsAfter([]byte("no pack"))
	require.ErrorIs(t, err, ErrDamagedPack)
}

func FuzzFindPack(f *testing.F) {
	f.Add(cutPack(1))
	f.Add(append([]byte("x"), cutPack(1)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		start, end, ok := FindPack(data)
		if !ok {
			return
		}
		_, err := OpenPack(data[start:end])
		require.NoError(t, err)
	})
}
