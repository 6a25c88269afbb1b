package devices

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/access"
	"industrial-iot-monitor/internal/credential"
	"industrial-iot-monitor/internal/wire"
)

// says is a record of the centre.
func says(version int64, c Credential) wire.DeviceRecord {
	d := access.Device{Gateway: "gw-a", Credential: c, Changed: 1, By: "李工"}
	return wire.DeviceRecord{Version: version, Record: d.Encode()}
}

func records(after int64, all ...wire.DeviceRecord) *wire.DeviceRecords {
	return &wire.DeviceRecords{Topic: "t1", After: after, Records: all}
}

// take has the gateway take records, which it must.
func take(tb testing.TB, s *Store, m *wire.DeviceRecords) {
	tb.Helper()
	have, err := s.Merge(m)
	require.NoError(tb, err)
	require.Equal(tb, have, s.Stored())
}

// admits tries a device's secret.
func admits(s *Store, id, secret string) error {
	_, err := s.Admit(Proof{ID: id, Secret: secret})
	return err
}

func reopened(t *testing.T, s *Store) *Store {
	t.Helper()
	again, err := Open(Options{File: s.o.File, Gateway: "gw-a", Mode: s.o.Mode, Log: discard(), Registry: registry()})
	require.NoError(t, err)
	return again
}

// TestWhatTheCentreSaysHoldsAfterARestart, without the hub, and counts before the gateway's own file.
func TestWhatTheCentreSaysHoldsAfterARestart(t *testing.T) {
	s, _ := open(t, Required, line(t, secretOf("own", "o"))+line(t, secretOf("both", "old"))+line(t, secretOf("gone", "g")))
	changed := s.Changed()
	take(t, s, records(0, says(1, secretOf("d1", "s")), says(2, secretOf("both", "new")), says(5, Credential{ID: "gone", Revoked: 3}), says(6, Credential{ID: "never", Revoked: 3})))
	<-changed
	for _, s := range []*Store{s, reopened(t, s)} {
		require.NoError(t, s.Ready())
		require.Equal(t, wire.DeviceVersion{Topic: "t1", Version: 6}, s.Stored())
		require.NoError(t, admits(s, "own", "o"))
		require.NoError(t, admits(s, "d1", "s"))
		require.NoError(t, admits(s, "both", "new"))
		require.ErrorIs(t, admits(s, "both", "old"), ErrWrong)
		require.ErrorIs(t, admits(s, "gone", "g"), ErrRevoked)
		require.ErrorIs(t, admits(s, "never", "x"), ErrRevoked)
	}
	info, err := os.Stat(s.o.File + centreSuffix)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

// TestRevokedByTheCentreIsCut: also a device that was connected, and with Observe.
func TestRevokedByTheCentreIsCut(t *testing.T) {
	s, _ := open(t, Observe, line(t, secretOf("own", "o")))
	pass, err := s.Admit(Proof{ID: "own", Secret: "o"})
	require.NoError(t, err)
	take(t, s, records(0, says(1, secretOf("d1", "s"))))
	central, err := s.Admit(Proof{ID: "d1", Secret: "s"})
	require.NoError(t, err)
	require.True(t, s.Holds(pass))
	require.True(t, s.Holds(central))
	gone := secretOf("d1", "s")
	gone.Revoked = 9
	take(t, s, records(1, says(2, gone), says(3, Credential{ID: "own", Revoked: 3})))
	require.False(t, s.Holds(pass))
	require.False(t, s.Holds(central))
	require.ErrorIs(t, admits(s, "d1", "s"), ErrRevoked)
	require.ErrorIs(t, admits(s, "own", "o"), ErrRevoked)
}

// TestRecordsComeInOrder: one that is missing is asked for, one that came already changes nothing.
func TestRecordsComeInOrder(t *testing.T) {
	s, _ := open(t, Required, "")
	take(t, s, records(0, says(3, secretOf("d1", "s"))))
	have, err := s.Merge(records(7, says(8, secretOf("d2", "s"))))
	require.ErrorIs(t, err, ErrGap)
	require.Equal(t, int64(3), have.Version)
	take(t, s, records(3, says(8, secretOf("d1", "new"))))
	take(t, s, records(0, says(3, secretOf("d1", "s"))))
	require.NoError(t, admits(s, "d1", "new"))
	require.Equal(t, int64(8), s.Stored().Version)
}

// TestForeignRecordsAreRefused, all those of their message.
func TestForeignRecordsAreRefused(t *testing.T) {
	s, _ := open(t, Required, "")
	foreign := access.Device{Gateway: "gw-b", Credential: secretOf("d2", "s")}
	for name, bad := range map[string]wire.DeviceRecord{
		"of another gateway": {Version: 2, Record: foreign.Encode()}, "no record": {Version: 2, Record: []byte(`{"id":"d2"}`)},
	} {
		_, err := s.Merge(records(0, says(1, secretOf("d1", "s")), bad))
		require.ErrorIs(t, err, access.ErrNoRecord, name)
		require.ErrorIs(t, admits(s, "d1", "s"), ErrUnknown, name)
		require.Zero(t, s.Stored().Version, name)
	}
}

// TestCentreThatLostItsRecordsLocksNobodyOut: its topic is another one then, and counts from the start.
func TestCentreThatLostItsRecordsLocksNobodyOut(t *testing.T) {
	s, _ := open(t, Required, "")
	take(t, s, records(0, says(70, secretOf("d1", "s")), says(80, secretOf("d2", "s"))))
	take(t, s, &wire.DeviceRecords{Topic: "t2", Records: []wire.DeviceRecord{says(1, secretOf("d2", "new"))}})
	require.NoError(t, admits(s, "d1", "s"))
	require.NoError(t, admits(s, "d2", "new"))
	require.Equal(t, wire.DeviceVersion{Topic: "t2", Version: 1}, s.Stored())
}

// TestDamagedFileOfTheCentreChangesNothing while the gateway runs; at its start it is as lost: the gateway
// says so until the centre has said everything again.
func TestDamagedFileOfTheCentreChangesNothing(t *testing.T) {
	s, _ := open(t, Required, line(t, secretOf("own", "o")))
	all := records(0, says(1, secretOf("d1", "s")), says(2, secretOf("d2", "s")))
	take(t, s, all)
	path := s.o.File + centreSuffix
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for name, damage := range map[string]func() error{
		"half":     func() error { return os.WriteFile(path, whole[:len(whole)-20], 0o600) },
		"emptied":  func() error { return os.Truncate(path, 0) },
		"removed":  func() error { return os.Remove(path) },
		"readable": func() error { return os.Chmod(path, 0o644) }, //nolint:gosec // that is the fault
	} {
		require.NoError(t, damage(), name)
		require.Error(t, s.look(path), name)
		require.Error(t, s.Ready(), name)
		require.NoError(t, admits(s, "d1", "s"), name)
		require.NoError(t, os.WriteFile(path, whole, 0o600), name)
		require.NoError(t, os.Chmod(path, 0o600), name)
		require.NoError(t, s.look(path), name)
		require.NoError(t, s.Ready(), name)
	}
	require.NoError(t, os.WriteFile(path, whole[:len(whole)-20], 0o600))
	again := reopened(t, s)
	require.ErrorContains(t, again.Ready(), "damaged")
	require.NoError(t, admits(again, "own", "o"))
	require.ErrorIs(t, admits(again, "d1", "s"), ErrUnknown)
	require.Zero(t, again.Stored())
	take(t, again, all)
	require.NoError(t, again.Ready())
	require.NoError(t, admits(again, "d1", "s"))
	require.NoError(t, os.Remove(path))
	require.Zero(t, reopened(t, again).Stored(), "it asks for everything")
}

// TestKeyOfTheCentreCountsBeforeTheSameOneHere, and two devices with one key are no reason to refuse both.
func TestKeyOfTheCentreCountsBeforeTheSameOneHere(t *testing.T) {
	key := newKey(t)
	s, _ := open(t, Required, line(t, Credential{ID: "own", Kind: Nkey, Public: key}))
	take(t, s, records(0, says(1, Credential{ID: "z", Kind: Nkey, Public: key}), says(2, Credential{ID: "y", Kind: Nkey, Public: key})))
	pass, err := s.Admit(Proof{Key: key})
	require.NoError(t, err)
	require.Equal(t, "y", pass.Device())
}

// TestSiteRevokesWhatTheCentreAdded, without the centre, until the centre gives the device another secret.
func TestSiteRevokesWhatTheCentreAdded(t *testing.T) {
	x := newTool(t)
	s, err := Open(Options{File: x.file, Gateway: "gw-a", Mode: Required, Log: discard(), Registry: registry()})
	require.NoError(t, err)
	x.ok("add", "own")
	take(t, s, records(0, says(1, secretOf("d1", "s")), says(2, Credential{ID: "gone", Revoked: 3})))
	s.file.Reread()
	for _, args := range [][]string{{"add", "d1"}, {"rotate", "d1"}} {
		x.fails(1, "d1 is the centre's", args...)
	}
	x.fails(1, "the centre has revoked gone: it has to be added on the portal", "add", "gone")
	require.Regexp(t, `d1 +secret +- +- +centre +in force`, x.ok("list"))
	require.Regexp(t, `gone +- +- +- +centre +revoked`, x.ok("list"))
	require.Regexp(t, `own +secret +- +\S+ +here +in force`, x.ok("list"))
	x.ok("revoke", "d1")
	s.file.Reread()
	require.ErrorIs(t, admits(s, "d1", "s"), ErrRevoked)
	require.Regexp(t, `d1 +secret +- +- +centre +revoked`, x.ok("list"))
	take(t, s, records(2, says(3, secretOf("d1", "new"))))
	require.NoError(t, admits(s, "d1", "new"))
}

func FuzzCentre(f *testing.F) {
	c := &centre{have: wire.DeviceVersion{Topic: "t1", Version: 1}, devices: map[string]central{
		"d1": {Topic: "t1", Version: 1, Device: &access.Device{Gateway: "gw-a", Credential: Credential{ID: "d1", Kind: Secret, Hashes: [][]byte{credential.HashOf("s")}}}},
	}}
	data, err := c.encode()
	require.NoError(f, err)
	f.Add(data)
	f.Add(data[:len(data)-9])
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseCentre(data)
		if err != nil {
			return
		}
		for id, d := range c.devices {
			require.Equal(t, id, d.Device.ID)
			require.True(t, d.Device.Revoked != 0 || d.Device.Check() == nil)
		}
	})
}
