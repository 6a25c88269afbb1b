package devices

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/credential"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/reload"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// Mode is how strict the gateway is with devices.
type Mode string

// Modes. Observe is for buildings that exist: a connection without a right proof is let in and counted.
const (
	Off      Mode = "off"
	Observe  Mode = "observe"
	Required Mode = "required"
)

// Modes lists all modes.
func Modes() []Mode { return []Mode{Off, Observe, Required} }

// Reasons why a device is refused.
var (
	ErrUnknown = errors.New("the device has no credential")
	ErrWrong   = errors.New("the secret or key is not the device's")
	ErrRevoked = errors.New("the device was revoked")
	ErrNothing = errors.New("it proves nothing: want the device's id as the user and its secret as the password, its nkey, or its certificate")
	ErrBusy    = errors.New("too many passwords are being checked")
)

// reasons are the labels of those errors in metrics.
var reasons = map[error]string{
	ErrUnknown: "unknown", ErrWrong: "wrong", ErrRevoked: "revoked", ErrNothing: "nothing", ErrBusy: "busy",
}

// Imported passwords cost a slow hash each: few are checked at once, and those that were right are
// remembered until the file changes.
const (
	maxChecks     = 2
	maxRemembered = maxCredentials
)

// Options of a Store. File, Gateway, Log and Registry are required.
type Options struct {
	File     string // see File
	Gateway  string // whose devices they are
	Mode     Mode   // Observe or Required
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Store is the credentials in force: those of the file, and what the centre said. It is safe for concurrent
// use.
type Store struct {
	o        Options
	file     *reload.File
	said     *reload.File // by the centre
	set      atomic.Pointer[Set]
	refused  *prometheus.CounterVec
	unproved *prometheus.CounterVec
	limit    ops.LogLimit

	mu         sync.Mutex
	changed    chan struct{} // closed with the next change
	remembered map[string]struct{}
	certified  map[string]struct{} // devices that a certificate alone has let in
	checks     chan struct{}       // has room for one check each
	failed     error               // why the file was not usable at the last look
	unsaid     error               // why the file with what the centre said is not
	stored     wire.DeviceVersion

	changing sync.Mutex // held while one of these is replaced
	local    *Set       // of the file
	centre   *centre    // nil before its file was read
	written  []byte     // what its file has
}

// File returns where the credentials of a gateway's devices are.
func File(dataDir, gateway string) string {
	return filepath.Join(dataDir, gateway, "security", "devices")
}

// Open reads the file, which is made if it is missing.
func Open(o Options) (*Store, error) {
	if o.File == "" || o.Gateway == "" || o.Log == nil || o.Registry == nil {
		return nil, errors.New("devices: Options.File, Gateway, Log and Registry are required")
	}
	s := &Store{o: o, changed: make(chan struct{}), remembered: map[string]struct{}{}, certified: map[string]struct{}{}, checks: make(chan struct{}, maxChecks)}
	if err := create(o.File); err != nil {
		return nil, err
	}
	failed := s.register()
	if err := s.openCentre(failed); err != nil {
		return nil, err
	}
	var err error
	s.file, err = reload.Open(reload.Options{
		Path: o.File, Var: "EDGE_DATA_DIR", Name: "devices", Log: o.Log, Use: s.use, Failed: func() { failed.Inc(); s.note(errUnreadable) },
	})
	return s, err
}

// register registers the metrics and returns the one that counts changes that could not be used.
func (s *Store) register() (failed prometheus.Counter) {
	failed = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "edge_devices_file_failed_total", Help: "Changes of the file of device credentials that could not be used; those of before stay in force.",
	})
	s.refused = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "edge_devices_refused_total", Help: "Connections refused because they did not prove to be a device of this gateway, by reason.",
	}, []string{"reason"})
	s.unproved = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "edge_devices_unproved_total", Help: "Connections let in by EDGE_DEVICE_AUTH=observe that required would refuse, by reason.",
	}, []string{"reason"})
	for _, reason := range reasons {
		s.refused.WithLabelValues(reason)
		s.unproved.WithLabelValues(reason)
	}
	credentials := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "edge_device_credentials", Help: "Credentials of devices in force, revoked ones included.",
	}, func() float64 { return float64(s.set.Load().Len()) })
	s.o.Registry.MustRegister(failed, s.refused, s.unproved, credentials)
	return failed
}

// errEmptied: a file that lost its content must not lock out a whole building.
var errEmptied = errors.New("the file is empty: want the credentials; a device is taken out with edge device revoke")

// use puts the content of the file in force.
func (s *Store) use(data []byte) (err error) {
	s.note(nil)
	defer func() { s.note(err) }()
	if err := private(s.o.File); err != nil {
		return err
	}
	set, err := Parse(data)
	if err != nil {
		return err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	if s.local != nil && s.local.Len() > 0 && set.Len() == 0 {
		return errEmptied
	}
	s.local = set
	s.install()
	return nil
}

// install puts in force what both files say. s.changing is held.
func (s *Store) install() {
	s.set.Store(s.centre.join(s.local))
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.remembered)
	close(s.changed)
	s.changed = make(chan struct{})
}

var errUnreadable = errors.New("it cannot be read")

// note keeps the first reason why the file cannot be used, until nil says that it is looked at again.
func (s *Store) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil || s.failed == nil {
		s.failed = err
	}
}

// Run follows the files until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { _ = s.said.Run(ctx) }) // it has no error
	return s.file.Run(ctx)
}

// Changed returns a channel that is closed when other credentials are in force.
func (s *Store) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Ready returns an error while a file cannot be used.
func (s *Store) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return fmt.Errorf("the file of device credentials cannot be used, those of before are in force: %w", s.failed)
	}
	if s.unsaid != nil {
		return fmt.Errorf("the file of what the centre said of devices cannot be used: %w", s.unsaid)
	}
	return nil
}

// Proof is what a connection shows.
type Proof struct {
	ID     string // who it says it is; may be empty with Key
	Secret string // its password
	Key    string // an nkey whose possession was proved
	// Certificate is one that an authority of devices has signed, and whose key was proved; nil: none.
	Certificate *x509.Certificate
	Remote      string // its address, for the log
}

// Pass is what a device that has proved who it is may do. A nil Pass is of a connection that was let in
// without.
type Pass struct {
	credential *Credential
	proof      []byte // the hash of the secret or of the certificate's key, nil if the credential has none
	unlisted   bool   // by a certificate alone
}

// Device returns the id of the device.
func (p *Pass) Device() string { return p.credential.ID }

// MayPublish reports whether the device may publish readings of a device: of itself, or, of a
// concentrator, of another.
func (p *Pass) MayPublish(device string) bool { return p == nil || p.credential.MayPublish(device) }

// Names returns the ids that the device publishes readings of, as far as they are whole.
func (p *Pass) Names() []string {
	names := []string{p.credential.ID}
	for _, n := range p.credential.Publishes {
		if n == "*" || !strings.HasSuffix(n, "*") {
			names = append(names, n)
		}
	}
	return names
}

// Subjects returns the NATS subjects of other formats that the device publishes on.
func (p *Pass) Subjects() []string { return p.credential.Subjects }

// Admit decides about a connection. It returns a nil Pass for one that is let in without a proof. It
// blocks for the time of the hash of an imported password.
func (s *Store) Admit(p Proof) (*Pass, error) {
	pass, err := s.check(s.set.Load(), p)
	if err == nil {
		return pass, nil
	}
	observed := s.o.Mode == Observe && !errors.Is(err, ErrRevoked)
	if observed {
		s.unproved.WithLabelValues(reasons[err]).Inc()
	} else {
		s.refused.WithLabelValues(reasons[err]).Inc()
	}
	if skipped, ok := s.limit.Allow(); ok {
		s.o.Log.Warn("a connection does not prove to be a device of this gateway", "device", p.ID[:min(len(p.ID), telemetry.MaxDeviceIDBytes)],
			"remote", p.Remote, "let_in", observed, "err", err, "skipped", skipped)
	}
	if observed {
		return nil, nil
	}
	return nil, err
}

// check returns one of the errors in reasons.
func (s *Store) check(set *Set, p Proof) (*Pass, error) {
	if p.Certificate != nil && p.Secret == "" && p.Key == "" {
		pass, err := set.certified(p)
		if err == nil && pass.unlisted {
			s.know(pass.Device())
		}
		return pass, err
	}
	c := set.Of(p.ID)
	if p.Key != "" {
		c = set.byKey[p.Key]
	}
	switch {
	case c == nil && p.Key == "" && p.Secret == "":
		return nil, ErrNothing
	case c == nil:
		return nil, ErrUnknown
	case p.Key != "" && p.ID != "" && p.ID != c.ID:
		return nil, ErrWrong
	case p.Key == "" && p.Secret == "":
		return nil, ErrNothing
	}
	pass := &Pass{credential: c}
	switch {
	case c.Kind == "":
		return nil, ErrRevoked // by the centre, which knows no more of it
	case p.Key != "":
	case c.Kind == Secret:
		pass.proof = c.Hash(p.Secret)
		if pass.proof == nil {
			return nil, ErrWrong
		}
	case c.Kind == Password:
		if err := s.checkPassword(c, p.Secret); err != nil {
			return nil, err
		}
	default:
		return nil, ErrWrong
	}
	if c.Revoked != 0 {
		return nil, ErrRevoked
	}
	return pass, nil
}

// checkPassword compares a password with an imported hash, once for each change of the file.
func (s *Store) checkPassword(c *Credential, password string) error {
	key := c.ID + string(credential.HashOf(c.Password+password))
	s.mu.Lock()
	_, known := s.remembered[key]
	s.mu.Unlock()
	if known {
		return nil
	}
	select {
	case s.checks <- struct{}{}:
		defer func() { <-s.checks }()
	default:
		return ErrBusy
	}
	h, err := credential.ParseHash(c.Password)
	if err != nil || !h.Matches(password) { // it was checked when the file was read
		return ErrWrong
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.remembered) < maxRemembered {
		s.remembered[key] = struct{}{}
	}
	return nil
}

// Holds reports whether a connection with this pass may stay: its secret or key is still the device's,
// and its rights are the same.
func (s *Store) Holds(p *Pass) bool {
	if p == nil {
		return s.o.Mode != Required
	}
	was, now := p.credential, s.set.Load().Of(p.credential.ID)
	if was == now || now == nil && p.unlisted {
		return true
	}
	return now != nil && now.Revoked == 0 && now.Kind == was.Kind && now.Public == was.Public && now.Password == was.Password &&
		slices.Equal(now.Publishes, was.Publishes) && slices.Equal(now.Subjects, was.Subjects) &&
		(p.proof == nil && (now.Kind != X509 || len(now.Hashes) == 0) || slices.ContainsFunc(now.Hashes, func(h []byte) bool { return bytes.Equal(h, p.proof) }))
}

// Concentrates reports whether a concentrator, whose name the subject of its message proves, may publish
// readings of a device. With Observe the subject proves nothing.
func (s *Store) Concentrates(concentrator, device string) bool {
	if s.o.Mode != Required {
		return true
	}
	c := s.set.Load().Of(concentrator)
	return c != nil && c.MayPublish(device)
}

// Maps reports whether a reading of a device may come from a NATS subject of another format.
func (s *Store) Maps(subject, device string) bool {
	return s.o.Mode != Required || s.set.Load().mayMap(subject, device)
}

// IsOther reports whether an id is that of another device with a credential.
func (s *Store) IsOther(p *Pass, id string) bool {
	return p != nil && id != p.Device() && s.set.Load().Of(id) != nil
}

// IsKnown reports whether a device has a credential in force, or a certificate that has let it in.
func (s *Store) IsKnown(id string) bool {
	if c := s.set.Load().Of(id); c != nil {
		return c.Revoked == 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.certified[id]
	return known
}

// know remembers a device that a certificate alone has let in.
func (s *Store) know(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.certified) < maxCredentials {
		s.certified[id] = struct{}{}
	}
}
