package rig

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/faults/kafkaproxy"
	"industrial-iot-monitor/test/faults/tcpline"
	"industrial-iot-monitor/test/oracle"
	"industrial-iot-monitor/test/redistest"
)

// Scene is a running cluster with its faulty lines, proxy and Kafka.
type Scene struct {
	*cluster.Cluster
	Site  Site
	Lines []*tcpline.Line   // to the hub, by gateway; none unless Site.Lines
	Proxy *kafkaproxy.Proxy // nil unless Site.Proxy
	Redis *redistest.Server // nil unless Site.Redis
	Kafka *cluster.Apache   // nil unless Site.Broker is RealBroker

	dir     string
	number  int // of faults tried here
	last    *Result
	tallies *tallies
	hub     *hubListener
	read    map[string]int // bytes of each log checked for panics
}

// startScene starts a site and waits until all programs are ready.
func startScene(ctx context.Context, site Site, o *Options, dir, bin string) (_ *Scene, err error) {
	s := &Scene{Site: site, dir: dir, read: map[string]int{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	po := cluster.Options{
		Dir: dir, Bin: bin, Gateways: site.Gateways, Bridges: site.Bridges, Cores: site.Cores, OwnHub: site.OwnHub,
		Env: environment(site.Env),
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	if po.Env["EDGE_MAPPINGS_FILE"], err = writeMappings(dir); err != nil {
		return nil, err
	}
	if site.Strays > 0 {
		if po.Env["CORE_RULES_FILE"], err = writeFile(dir, "rules.yaml", strayRules); err != nil {
			return nil, err
		}
	}
	if site.Redis {
		if s.Redis, err = redistest.Launch(ctx, dir); err != nil {
			return nil, err
		}
		po.Env["REDIS_URL"] = s.Redis.URL()
	}
	if err := s.chooseKafka(ctx, o, &po); err != nil {
		return nil, err
	}
	if site.Lines {
		po.Line = s.addLine
	}
	if site.Proxy {
		po.BridgeBrokers = s.addProxy
	}
	if s.Cluster, err = cluster.New(ctx, po); err != nil {
		return nil, err
	}
	limit, cancel := context.WithTimeout(ctx, WaitTimeout)
	defer cancel()
	if err := s.StartAll(limit); err != nil {
		return nil, err
	}
	if s.hub, err = listenHub(s.HubURL()); err != nil {
		return nil, err
	}
	offsets, err := site.offsets()
	if err != nil {
		return nil, err
	}
	s.tallies, err = openTallies(s.Brokers(), s.Topics.DeviceData, offsets)
	return s, err
}

// environment reads A=1;B=2.
func environment(text string) map[string]string {
	env := map[string]string{}
	for pair := range strings.SplitSeq(text, ";") {
		if k, v, ok := strings.Cut(pair, "="); ok {
			env[k] = v
		}
	}
	return env
}

func (s *Scene) chooseKafka(ctx context.Context, o *Options, po *cluster.Options) error {
	switch {
	case s.Site.Broker == RealBroker:
		a, err := cluster.NewApache(filepath.Join(s.dir, "apache"))
		if err != nil {
			return err
		}
		s.Kafka, po.Brokers = a, []string{a.Addr()}
		return a.Start(ctx)
	case s.Site.Broker == DevBroker:
		po.Nodes = devNodes
	case o.Kafka != "":
		po.Brokers, po.Suffix = strings.Split(o.Kafka, ","), "-drill-"+filepath.Base(filepath.Dir(s.dir))+"-"+filepath.Base(s.dir)
	}
	return nil
}

// devNodes is how many brokers the embedded cluster has where leaders are to move.
const devNodes = 3

func (s *Scene) addLine(_ int, hub string) (string, error) {
	l, err := tcpline.New(hub)
	if err != nil {
		return "", err
	}
	s.Lines = append(s.Lines, l)
	return l.Addr(), nil
}

func (s *Scene) addProxy(brokers []string) ([]string, error) {
	p, err := kafkaproxy.New(kafkaproxy.Options{Listen: "127.0.0.1:0", Upstream: brokers[0], Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	s.Proxy = p
	return []string{p.Addr()}, nil
}

// close ends everything.
func (s *Scene) close() error {
	var errs []error
	if s.tallies != nil {
		s.tallies.pause()
		s.tallies.reader.Close()
	}
	if s.hub != nil {
		s.hub.close()
	}
	if s.Cluster != nil {
		errs = append(errs, s.Cluster.Close())
	}
	for _, l := range s.Lines {
		errs = append(errs, l.Close())
	}
	if s.Proxy != nil {
		errs = append(errs, s.Proxy.Close())
	}
	if s.Redis != nil {
		s.Redis.Kill()
	}
	if s.Kafka != nil {
		errs = append(errs, s.Kafka.Stop())
	}
	return errors.Join(errs...)
}

// GatewayNames returns the names of all gateways.
func (s *Scene) GatewayNames() []string {
	var out []string
	for i := range s.Site.Gateways {
		out = append(out, cluster.Gateway(i))
	}
	return out
}

// Arrived returns how many readings of a gateway are in Kafka by now.
func (s *Scene) Arrived(gateway string) int { return s.tallies.count(gateway) }

// AwaitNew waits until a new reading of each of the gateways is in Kafka; none means all.
func (s *Scene) AwaitNew(ctx context.Context, gateways ...string) (time.Duration, error) {
	if len(gateways) == 0 {
		gateways = s.GatewayNames()
	}
	before := s.tallies.counts()
	return Await(ctx, fmt.Sprintf("new readings of %v", gateways), func() error {
		now := s.tallies.counts()
		for _, g := range gateways {
			if now[g] <= before[g] {
				return fmt.Errorf("%s: none yet, %d before", g, before[g])
			}
		}
		return nil
	})
}

// Blocked returns the partitions of device-data in which an open transaction blocks readers.
func (s *Scene) Blocked(ctx context.Context) ([]int32, error) {
	return kafkatest.OpenTransactions(ctx, s.Brokers(), s.Topics.DeviceData)
}

// Metric reads a program's metric: the sum of the series with all the given labels.
func (s *Scene) Metric(ctx context.Context, process, name string, labels ...string) (float64, error) {
	m, err := s.Metrics(ctx, process)
	if err != nil {
		return 0, err
	}
	return m.Sum(name, labels...), nil
}

// IgnoreInvalid makes records in device-data that are no readings, and for which is returns
// true, no error.
func (s *Scene) IgnoreInvalid(is func(*kgo.Record) bool) {
	s.tallies.mu.Lock()
	defer s.tallies.mu.Unlock()
	s.tallies.ignored = is
}

// Observe calls each for every reading in device-data from now on, until remove is called.
// each must not block and not call the scene.
func (s *Scene) Observe(each func(oracle.Record)) (remove func()) {
	s.tallies.mu.Lock()
	defer s.tallies.mu.Unlock()
	s.tallies.observers[&each] = struct{}{}
	return func() {
		s.tallies.mu.Lock()
		defer s.tallies.mu.Unlock()
		delete(s.tallies.observers, &each)
	}
}

// panics returns the crashes logged by the programs since the last call.
func (s *Scene) panics() []string {
	var found []string
	for _, name := range s.Names() {
		text, err := s.Logs(name)
		if err != nil || len(text) < s.read[name] {
			continue // not started yet
		}
		news := text[s.read[name]:]
		s.read[name] = len(text)
		for line := range strings.Lines(news) {
			if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") || strings.Contains(line, "DATA RACE") {
				found = append(found, name+": "+strings.TrimSpace(line))
			}
		}
	}
	return found
}

// ended returns the programs that ended unexpectedly, and restarts them.
func (s *Scene) ended(ctx context.Context) (names []string, err error) {
	for _, name := range s.Site.programs() {
		if !s.Running(name) {
			names = append(names, name)
			limit, cancel := context.WithTimeout(ctx, WaitTimeout)
			err = errors.Join(err, s.Start(limit, name))
			cancel()
		}
	}
	return names, err
}

// memory returns the highest resident set of each program so far, in bytes.
func (s *Scene) memory() map[string]int64 {
	out := map[string]int64{}
	for _, name := range s.Site.programs() {
		if u, err := s.Usage(name); err == nil {
			out[name] = u.MaxRSS
		}
	}
	return out
}

// CheckMemory checks that no program whose name starts with one of the prefixes ever used
// more than limit bytes of memory; no prefix means all programs.
func (r *Round) CheckMemory(limit int64, prefixes ...string) {
	used := r.memory()
	var most int64
	for _, name := range slices.Sorted(maps.Keys(used)) {
		if len(prefixes) > 0 && !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
			continue
		}
		most = max(most, used[name])
		r.Check(used[name] <= limit, "%s used %d MB of memory, limit %d", name, used[name]>>20, limit>>20)
	}
	r.Note("memory: at most %d of %d MB", most>>20, limit>>20)
}
