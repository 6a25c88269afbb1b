package access

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/credential"
)

func device(id string) *Device {
	return &Device{
		Gateway: "gw-a", Changed: 7, By: "李工",
		Credential: credential.Credential{ID: id, Kind: credential.Secret, Hashes: [][]byte{credential.HashOf("s")}, Publishes: []string{"plc7_*"}, Added: 5},
	}
}

func TestDeviceRecordIsReadAsItWasWritten(t *testing.T) {
	d := device("d1")
	read, err := DecodeDeviceRecord(DeviceRecordKey("gw-a", "d1"), d.Encode())
	require.NoError(t, err)
	require.Equal(t, d, read)
	require.NotContains(t, string(d.Encode()), `"revoked"`)
	gateway, id, ok := OfDeviceRecordKey(DeviceRecordKey("gw-a", "d1"))
	require.True(t, ok)
	require.Equal(t, []string{"gw-a", "d1"}, []string{gateway, id})
	for _, key := range []string{"gateway/gw-a", "device/gw-a", "client/x"} {
		_, _, ok := OfDeviceRecordKey(key)
		require.False(t, ok, key)
	}
}

// TestRevocationNeedsNoCredential: the centre does not know those of the gateway's own file.
func TestRevocationNeedsNoCredential(t *testing.T) {
	d := &Device{Gateway: "gw-a", Credential: credential.Credential{ID: "d1", Revoked: 3}}
	_, err := DecodeDevice(d.Encode())
	require.NoError(t, err)
}

func TestBadDeviceRecordIsRefused(t *testing.T) {
	long := device("d1")
	long.By = strings.Repeat("x", MaxRecord)
	for want, data := range map[string][]byte{
		"want at most 16384":     long.Encode(),
		"unexpected end of JSON": []byte(`{"gateway":`),
		`gateway ""`:             []byte(`{"id":"d1","kind":"secret"}`),
		`gateway "../x"`:         []byte(`{"gateway":"../x","id":"d1","revoked":1}`),
		`id "../x"`:              []byte(`{"gateway":"gw-a","id":"../x","revoked":1}`),
		`has kind ""`:            []byte(`{"gateway":"gw-a","id":"d1"}`),
		"d1 has 0 hashes":        []byte(`{"gateway":"gw-a","id":"d1","kind":"secret","revoked":1}`),
	} {
		_, err := DecodeDevice(data)
		require.ErrorIs(t, err, ErrNoRecord, want)
		require.ErrorContains(t, err, want)
	}
	_, err := DecodeDeviceRecord(DeviceRecordKey("gw-b", "d1"), device("d1").Encode())
	require.ErrorIs(t, err, ErrNoRecord)
	_, err = DecodeDeviceRecord(DeviceRecordKey("gw-a", "d2"), device("d1").Encode())
	require.ErrorIs(t, err, ErrNoRecord)
}

func FuzzDevice(f *testing.F) {
	f.Add(device("d1").Encode())
	f.Add([]byte(`{"gateway":"gw-a","id":"d1","revoked":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := DecodeDevice(data)
		if err != nil {
			return
		}
		again, err := DecodeDevice(d.Encode())
		if len(d.Encode()) > MaxRecord {
			return
		}
		require.NoError(t, err)
		require.Equal(t, d.Encode(), again.Encode())
		require.True(t, d.Revoked != 0 || d.Check() == nil)
	})
}
