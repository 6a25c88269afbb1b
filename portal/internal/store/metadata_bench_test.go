package store

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/portal/internal/metadata"
)

// plantDevices are as many as a large plant has.
const plantDevices = 100_000

func benchMetadata(b *testing.B, o Options) {
	b.Helper()
	s, _ := open(b, o)
	_, err := s.Positions(b.Context(), kept)
	require.NoError(b, err)
	b.Run("change", func(b *testing.B) { // as a new database reads them from Kafka
		base := int64(b.N) << 32 // of this run
		var records []Record
		for i := range int64(b.N) {
			c, err := metadata.New(fmt.Sprintf("n%d-%d", base, i), shiftNote(fmt.Sprintf("note %d of a shift, as long as such a note is: pump 3 is noisy and was slowed down", i), ""))
			require.NoError(b, err)
			c.ID, c.Version, c.By, c.At = c.Document, 1, "李工", i
			records = append(records, Record{Offset: base + i, Change: c})
		}
		b.ResetTimer()
		for part := range slices.Chunk(records, 500) {
			require.NoError(b, s.Write(b.Context(), kept, part))
		}
	})
	require.NoError(b, s.LoadRegistry(b.Context()))
	devices := make([]Device, plantDevices)
	for i := range devices {
		devices[i] = Device{
			ID: fmt.Sprintf("device_%06d", i), Name: "pump", Tags: []string{"pump", "east"}, Building: fmt.Sprint("B", i%10), Room: fmt.Sprint(i % 700), Model: "IOT-SENSOR-V2",
			Firmware: "1.2.3", Gateway: fmt.Sprint("gw-", i%10), FirstSeen: 1, SeenAt: 2, DescribedAt: 3, DescribedBy: "李工",
		}
	}
	b.Run("register", func(b *testing.B) { // a device
		for done := 0; done < b.N; done += registerStep {
			at := done % plantDevices
			require.NoError(b, s.Register(b.Context(), devices[at:min(at+registerStep, at+b.N-done)]))
		}
	})
	for part := range slices.Chunk(devices, registerStep) {
		require.NoError(b, s.Register(b.Context(), part))
	}
	b.Run("compare", func(b *testing.B) { // a device that is as it was
		for n := range b.N {
			require.True(b, s.Registered(&devices[n%plantDevices]))
		}
	})
	b.Run("find", func(b *testing.B) { // a text in the registry
		for range b.N {
			_, err := s.Devices(b.Context(), &RegistryQuery{Text: "device_09"}, Page{Limit: 100})
			require.NoError(b, err)
		}
	})
}

// registerStep is how many devices are written at once.
const registerStep = 500

func BenchmarkMetadataSQLite(b *testing.B) {
	benchMetadata(b, Options{Path: filepath.Join(b.TempDir(), "portal.db")})
}
