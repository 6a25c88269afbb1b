package devices

import (
	"bytes"
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/reload"
	"industrial-iot-monitor/internal/wire"
)

// openCentre reads what the centre said, from the file that is made if it is missing. A damaged one counts
// as lost: the gateway goes on with its own credentials, says so, and the centre sends everything again.
func (s *Store) openCentre(failed prometheus.Counter) (err error) {
	path := s.o.File + centreSuffix
	if err := create(path); err != nil {
		return err
	}
	first := true
	s.said, err = reload.Open(reload.Options{
		Path: path, Var: "EDGE_DATA_DIR", Name: "devices of the centre", Log: s.o.Log, Failed: failed.Inc,
		Use: func([]byte) error {
			err := s.look(path)
			if err == nil || !first {
				return err
			}
			failed.Inc()
			s.o.Log.Error("what the centre said of devices is lost, its devices stay out until it says it again", "file", path, "err", err)
			return nil
		},
	})
	first = false
	return err
}

// look reads the file the first time, and compares it later: only the gateway writes it.
func (s *Store) look(path string) (err error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	defer func() { s.noteCentre(s.centre.have, err) }()
	if s.centre == nil {
		s.centre = &centre{}
		c, data, err := readCentre(path)
		if err != nil {
			return err
		}
		s.centre, s.written = c, data
		return nil
	}
	if err := private(path); err != nil {
		return err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading what the centre said of devices: %w", err)
	}
	if !bytes.Equal(data, s.written) {
		return fmt.Errorf("%w: another program has written it", errDamaged)
	}
	return nil
}

// noteCentre keeps what others ask for, who must not wait for the disk.
func (s *Store) noteCentre(stored wire.DeviceVersion, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored, s.unsaid = stored, err
}

// Merge takes records of the centre and returns what is on disk then, with an error that says why it did not
// take them all. It blocks until they are synced. ErrGap asks for those from that version on.
func (s *Store) Merge(m *wire.DeviceRecords) (wire.DeviceVersion, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	next, err := s.centre.merge(s.o.Gateway, m)
	if err != nil || next == s.centre {
		return s.centre.have, err
	}
	data, err := next.encode()
	if err != nil {
		return s.centre.have, err
	}
	path := s.o.File + centreSuffix
	if err := create(path); err != nil { // it may have been removed
		return s.centre.have, err
	}
	if err := replace(path, data); err != nil {
		return s.centre.have, err
	}
	s.centre, s.written = next, data
	s.noteCentre(next.have, nil)
	s.install()
	s.o.Log.Info("the centre has changed credentials of devices", "devices", len(m.Records), "version", next.have.Version)
	return next.have, nil
}

// Stored returns what the gateway has stored of the centre's records.
func (s *Store) Stored() wire.DeviceVersion {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stored
}
