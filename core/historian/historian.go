// Package historian keeps the history of readings: it consumes device-data in a group of its own,
// brings each reading to the units and the time of the plant, as core's processor does, puts it into
// an archive of its own or into an engine elsewhere, and answers questions over HTTP (package
// internal/history is the contract). It runs inside core or alone. One historian with an archive serves
// a plant; a second one does not start to read. Those with one engine share the work. Kafka being away
// stops nothing but news. Run blocks until its context ends.
package historian

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/tlsfiles"
)

// Options of a Historian. All are required, but Letters for an archive.
type Options struct {
	Config   Config
	Cluster  kafka.Cluster
	Topic    kafka.Topic // the readings
	Letters  kafka.Topic // readings that an engine refuses; not for an archive
	GroupID  string      // of core; that of the historian has a suffix
	Log      *slog.Logger
	Registry prometheus.Registerer
	// Catalogue returns the catalogue of sensors in force.
	Catalogue func() *sensors.Catalogue
}

// Historian keeps the history of one plant.
type Historian struct {
	o       Options
	log     *slog.Logger
	group   string
	keeper  keeper
	ln      net.Listener
	srv     *http.Server
	behind  atomic.Pointer[backlog]
	refused atomic.Pointer[string] // why it does not keep the history, nil: it does
	lost    prometheus.Counter
	exports tracker
}

const (
	groupSuffix = "-history"
	clientID    = "core-history"
)

// New opens the archive, if the history is kept in one, and binds the listener.
func New(o Options) (*Historian, error) {
	h := &Historian{o: o, log: o.Log.With("component", "history"), group: o.GroupID + groupSuffix}
	h.lost = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "core_history_lost_total", Help: "Records that Kafka removed before the history had them.",
	})
	var err error
	if h.ln, err = ops.Listen(o.Config.Addr, "CORE_HISTORY_ADDR"); err != nil {
		return nil, err
	}
	if h.ln, err = h.encrypt(h.ln); err != nil {
		return nil, err
	}
	h.keeper, err = h.open()
	if err != nil {
		return nil, errors.Join(err, h.ln.Close())
	}
	o.Registry.MustRegister(h.lost, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "core_history_lag_records", Help: "Records of device-data that the history has not read.",
	}, func() float64 { return float64(h.lag()) }))
	h.srv = h.server()
	return h, nil
}

// encrypt returns ln, with TLS if there is a certificate. It closes ln if the certificate is unusable.
func (h *Historian) encrypt(ln net.Listener) (net.Listener, error) {
	c := &h.o.Config
	if c.TLSCertFile == "" {
		return ln, nil
	}
	settings, err := tlsfiles.Server(c.TLSCertFile, c.TLSKeyFile, tls.VersionTLS13, h.log)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("CORE_HISTORY_TLS_CERT_FILE, CORE_HISTORY_TLS_KEY_FILE: %w", err), ln.Close())
	}
	h.o.Registry.MustRegister(tlsfiles.Expiry("core_history_certificate_expiry_timestamp_seconds", settings))
	return tlsfiles.Listen(ln, settings, false), nil
}

// Addr returns the bound address.
func (h *Historian) Addr() string { return h.ln.Addr().String() }

// Run works until ctx ends, then writes what it has and closes.
func (h *Historian) Run(ctx context.Context) error {
	g := lifecycle.New(h.log, lifecycle.DefaultStopTimeout)
	g.OnStop("keeper of the history", func(context.Context) error { return h.keeper.Close() })
	g.Go("history server", func(ctx context.Context) error { return ops.Serve(ctx, h.srv, h.ln, "the history") })
	g.Go("upkeep of the history", h.keeper.Maintain)
	g.Go("history", h.consume)
	return g.Wait(ctx)
}

var errIdle = errors.New("the history is not reading from Kafka")

// Ready returns nil while the historian reads from Kafka, else why it does not.
func (h *Historian) Ready() error {
	if why := h.refused.Load(); why != nil {
		return errors.New(*why) //nolint:err113 // it was one
	}
	if err := h.o.Cluster.Refusal(); err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	if h.behind.Load() == nil {
		return errIdle
	}
	return nil
}

// Close releases what New took, for a Historian that was never run.
func (h *Historian) Close() error { return errors.Join(h.ln.Close(), h.keeper.Close()) }

// errRefused reports that this archive is not, or cannot be, the history of this plant.
var errRefused = errors.New("this core keeps no history")

// refuse returns errRefused, which also ends the membership.
func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %w", kafka.ErrUnusable, fmt.Errorf("%w: "+format, append([]any{errRefused}, args...)...))
}

// askAgain is the time after which a refused historian tries again: the other one may have gone.
const askAgain = time.Minute

// consume is the member of the group until ctx ends.
func (h *Historian) consume(ctx context.Context) error {
	for ctx.Err() == nil {
		err := kafka.Member{
			Log: h.log, Group: h.group, Topics: []string{h.o.Topic.Name}, Connect: h.connect, Outlive: stopTimeout + leaveTimeout,
			Session: func(client sarama.Client, _ sarama.ConsumerGroup) sarama.ConsumerGroupHandler {
				return &handler{h: h, client: client}
			},
		}.Run(ctx)
		if !errors.Is(err, errRefused) {
			return err
		}
		text := err.Error()
		if was := h.refused.Swap(&text); was == nil || *was != text {
			h.log.Error("history refused", "err", text)
		}
		lifecycle.Pause(ctx, askAgain)
	}
	return nil
}

// connect makes the client of one membership, unless another historian owns the history: it must
// not even join, or it would be given partitions.
func (h *Historian) connect(ctx, life context.Context) (sarama.Client, error) {
	topics := []kafka.Topic{h.o.Topic}
	if h.keeper.Shared() {
		topics = append(topics, h.o.Letters)
	}
	if err := kafka.EnsureTopics(ctx, h.log, h.o.Cluster, topics...); err != nil {
		return nil, fmt.Errorf("%w: %w", kafka.ErrUnusable, err)
	}
	conf := h.o.Cluster.Settings(h.clientID())
	conf.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{kafka.Sole{}}
	if h.keeper.Shared() {
		conf.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyRange()}
		conf.Producer.Return.Successes = true // of dead letters
	}
	// What is marked was written. An archive knows its own positions; for it they are for the tools of
	// Kafka, and to tell other historians.
	conf.Consumer.Offsets.AutoCommit.Enable = true
	conf.Consumer.Offsets.AutoCommit.Interval = time.Second
	client, err := kafka.NewClient(life, h.o.Cluster, conf)
	if err != nil {
		return nil, err
	}
	if _, err := h.checkOwner(client); err != nil {
		_ = client.Close() // the first error says why
		return nil, err
	}
	h.succeed(client)
	return client, nil
}

// clientID is that of the historian at the brokers. Of an archive it is the same for every process that
// opens it, which is one at a time.
func (h *Historian) clientID() string {
	if h.keeper.Shared() {
		return clientID
	}
	return clientID + "-" + h.keeper.ID()
}

// succeed removes from the group what an earlier process with this archive left there when it was killed.
// Without that the partitions wait for its session to time out.
func (h *Historian) succeed(client sarama.Client) {
	if h.keeper.Shared() {
		return // others with this engine are at work
	}
	n, err := kafka.Evict(client, h.group, h.clientID())
	switch {
	case err != nil:
		h.log.Warn("removing an earlier member from the group failed, waiting for its session to end", "group", h.group, "err", err)
	case n > 0:
		h.log.Info("removed earlier members of this archive from the group", "group", h.group, "count", n)
	}
}

// owner is what a historian writes beside its positions.
func (h *Historian) owner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return h.keeper.ID() + "@" + host
}

// checkOwner returns the positions of the group, and errRefused if the history of this plant is kept
// in another archive or engine.
func (h *Historian) checkOwner(client sarama.Client) (map[int32]kafka.Committed, error) {
	committed, err := kafka.CommittedOffsets(client, h.group, h.o.Topic.Name)
	if err != nil {
		return nil, err
	}
	for _, c := range committed {
		id, host, _ := strings.Cut(c.Metadata, "@")
		if id != "" && id != h.keeper.ID() {
			return nil, refuse("a core on %s keeps it (archive %s). Set HISTORY=off for this core. If that archive is gone for good, "+
				"delete the consumer group %s; this core then reads all that Kafka still has", host, id, h.group)
		}
	}
	h.refused.Store(nil)
	return committed, nil
}
