// Package web is the portal: a Fiber app with the page, the REST API, the WebSocket and the operations
// routes, over the model and the store that package feed fills. Its only own state are caches. New binds the
// listeners, Run blocks until its context ends. Handlers block only on the model's lock,
// except that commands, explanations and questions to the store wait a few seconds at most.
package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/rulechange/follower"
	"industrial-iot-monitor/internal/securityaudit"
	"industrial-iot-monitor/internal/securityaudit/auditlog"
	"industrial-iot-monitor/internal/sensors/sensorfile"
	"industrial-iot-monitor/internal/tail"
	"industrial-iot-monitor/internal/tracing"
	"industrial-iot-monitor/internal/vitals"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/audit"
	"industrial-iot-monitor/portal/internal/census"
	"industrial-iot-monitor/portal/internal/command"
	"industrial-iot-monitor/portal/internal/dashboard"
	"industrial-iot-monitor/portal/internal/devicebook"
	"industrial-iot-monitor/portal/internal/fanout"
	"industrial-iot-monitor/portal/internal/feed"
	"industrial-iot-monitor/portal/internal/lag"
	"industrial-iot-monitor/portal/internal/openid"
	"industrial-iot-monitor/portal/internal/operators"
	"industrial-iot-monitor/portal/internal/people"
	"industrial-iot-monitor/portal/internal/pipeline"
	"industrial-iot-monitor/portal/internal/quota"
	"industrial-iot-monitor/portal/internal/screens"
	"industrial-iot-monitor/portal/internal/series"
	"industrial-iot-monitor/portal/internal/share"
	"industrial-iot-monitor/portal/internal/state"
	"industrial-iot-monitor/portal/internal/store"
	"industrial-iot-monitor/portal/internal/unusual"
)

// Options of a portal. Config and Log are required.
type Options struct {
	Config   Config
	Log      *slog.Logger
	Registry *prometheus.Registry // nil: a fresh one with the process's metrics
	// Gatherer is what /metrics shows; nil means Registry. A process that runs
	// several programs shows them all here.
	Gatherer prometheus.Gatherer
	// Limits of the WebSocket hub; zero fields take the defaults. The numbers of
	// connections and the message rate come from Config.
	Limits fanout.Limits
	// Dashboard are the limits of the dashboard's dialect; zero fields take the defaults.
	Dashboard dashboard.Limits
	// Audit is the security audit; nil: that in Kafka.
	Audit securityaudit.Writer
	// AnswerWithin is how long a command to an alarm waits for what becomes of it; 0
	// means 2 s.
	AnswerWithin time.Duration
}

// Portal is the program.
type Portal struct {
	cfg       Config
	log       *slog.Logger
	model     *state.Model
	trail     *audit.Trail
	store     *store.Store      // nil: none is configured
	people    *people.Directory // nil: PORTAL_AUTH does not need one
	openID    *openid.Provider  // nil: likewise
	audit     securityaudit.Writer
	journal   *auditlog.Journal // of audit; nil: Options has another one
	feed      *feed.Feed
	commands  *command.Dispatcher
	fanout    *fanout.Broadcaster
	dashboard *dashboard.Publisher
	series    *series.Store
	history   *history.Client // nil: none is configured

	historyLogMu sync.Mutex
	historyLog   ops.LogLimit
	catalogue    *sensorfile.File
	census       *census.Census
	inventory    inventory
	limits       ruleLimits
	rules        lastRules
	changes      *follower.Follower // of rules
	devices      *devicebook.Book   // what the centre says of them
	lag          *lag.Poller
	process      *ops.Process
	pipeline     *pipeline.Board
	screens      *screens.Board
	unusual      unusual.Board
	vitals       *vitals.Reporter
	tracer       *tracing.Tracer // nil without traces
	together     bool            // other programs run in this process
	operators    *operators.Board
	share        *share.Share // nil: no Redis is configured
	requests     *quota.Limiter
	orders       *quota.Limiter // of commands
	stats        *statsCache
	summaries    *summaryCache

	changingDevices sync.Mutex // held while one of them is changed

	explaining    explaining
	explainWithin time.Duration
	answerWithin  time.Duration // of changes of what operators keep
	changeWithin  time.Duration // of changes of rules

	origins     originPolicy
	serveSocket fiber.Handler // behind checkHandshake
	proxies     proxies
	hosts       hosts
	page        *page
	ops         http.Handler
	answered    [5]prometheus.Counter // by class of the status: 1xx to 5xx

	app, wsApp *fiber.App
	ln, wsLn   net.Listener // wsLn is nil when ln serves its port too
}

var errNoLog = errors.New("web: Log is required")

// New builds a portal and binds its listeners. When a port is taken the error names the
// variable to change.
func New(o Options) (*Portal, error) {
	if o.Log == nil {
		return nil, errNoLog
	}
	if err := o.Config.Check(); err != nil {
		return nil, err
	}
	if o.Registry == nil {
		o.Registry = ops.NewRegistry()
	}
	o.Config.Cluster = o.Config.Open()
	if err := o.Config.Register(o.Registry, "portal"); err != nil {
		return nil, err
	}
	together := o.Gatherer != nil
	if o.Gatherer == nil {
		o.Gatherer = o.Registry
	}
	p := &Portal{cfg: o.Config, log: o.Log.With("component", "portal"), explainWithin: explainWithin, answerWithin: cmp.Or(o.AnswerWithin, answerWithin), changeWithin: changeWithin, origins: newOriginPolicy(o.Config.AllowedOrigins)}
	p.together = together
	if err := p.build(o); err != nil {
		return nil, err
	}
	if err := p.listen(); err != nil {
		return nil, err
	}
	if err := errors.Join(p.limitConnections(o.Registry), p.encrypt(o.Registry), p.join(o), p.makeReporter(o), p.countAnswers(o.Registry), p.watchStore(o.Registry)); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// build makes the parts.
func (p *Portal) build(o Options) (err error) {
	if p.proxies, err = parseProxies(o.Config.TrustedProxies); err != nil {
		return err
	}
	p.series = series.New(series.Options{})
	p.model = state.New(state.Options{})
	if p.history, err = o.Config.history(); err != nil {
		return err
	}
	if err := o.Registry.Register(p.model.Collector()); err != nil {
		return err
	}
	p.stats = newStatsCache(p)
	p.summaries = &summaryCache{p: p}
	p.census = census.New(p.model)
	p.catalogue, err = sensorfile.Open(sensorfile.Options{Config: o.Config.Sensors, Log: p.log, Registry: o.Registry, Program: "portal"})
	if err != nil {
		return err
	}
	if err := p.buildSockets(o); err != nil {
		return err
	}
	p.trail = audit.NewTrail(o.Config.AuditEntries)
	p.commands, err = command.New(command.Options{
		Model: p.model, Trail: p.trail, Cluster: o.Config.Cluster, Topics: o.Config.Topics, Log: o.Log, Registry: o.Registry,
		AnswerWithin: o.AnswerWithin,
	})
	if err != nil {
		return err
	}
	if err := errors.Join(p.newJournal(o), p.buildStore(o), p.buildTracer(o)); err != nil {
		return err
	}
	p.pipeline = pipeline.New(p.model.Now())
	p.feed, err = feed.New(feed.Options{
		Unusual: func(r wire.UnusualReport) { p.unusual.Add(r, p.model.Now()) },
		Vitals:  p.observe, LogLevel: func(q []byte) []byte { return p.vitals.AnswerLevel(q) }, Removed: p.removed, Model: p.model, Trail: p.trail, Store: p.store, Tracer: p.tracer, HubURL: o.Config.HubURL, HubKeyFile: o.Config.HubKeyFile, HubCAFile: o.Config.HubCAFile, Cluster: o.Config.Cluster, Topics: o.Config.Topics, Log: o.Log, Registry: o.Registry,
	})
	if err != nil {
		return err
	}
	p.limits.ask, p.limits.wake = p.feed.Ask, make(chan struct{}, 1)
	p.changes = follower.New(follower.Options{
		Cluster: o.Config.Cluster, Topic: o.Config.Topics.Specs().Rules, ClientID: "portal", Log: p.log,
	})
	p.devices = devicebook.New(p.log)
	p.lag, err = lag.New(lag.Options{
		Cluster: o.Config.Cluster, Topic: o.Config.Topics.DeviceData, Group: o.Config.GroupID, Log: o.Log, Registry: o.Registry,
	})
	if err != nil {
		return err
	}
	p.process = ops.NewProcess()
	if p.page, err = builtPage(); err != nil {
		return err
	}
	p.serveSocket = socketHandler(p.log, p.serveClient)
	p.ops = ops.Handler(o.Gatherer, p.Ready, o.Config.PprofConfig, o.Log)
	p.app = p.newApp()
	p.routes(p.app)
	return nil
}

func (p *Portal) buildTracer(o Options) (err error) {
	p.tracer, err = tracing.New(tracing.Options{Config: o.Config.Tracing, Program: "portal", Instance: vitals.Instance(o.Config.Addr), Log: o.Log, Registry: o.Registry})
	return err
}

// buildStore makes the database, and what only it knows.
func (p *Portal) buildStore(o Options) (err error) {
	if p.store, err = o.Config.store(o.Log, o.Registry); err != nil {
		return err
	}
	if p.people, err = o.Config.people(p.store, o.Log, o.Registry, p.noteFirst); err != nil {
		return err
	}
	p.openID, err = o.Config.openID()
	return err
}

// watchStore registers whether the database lacks records, if there is one.
func (p *Portal) watchStore(reg prometheus.Registerer) error {
	if p.store == nil {
		return nil
	}
	return reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "portal_store_behind", Help: "1 while the portal's database lacks records that Kafka has, or may, else 0.",
	}, func() float64 {
		if p.feed.StoreBehind() {
			return 1
		}
		return 0
	}))
}

// listen binds both ports.
func (p *Portal) listen() (err error) {
	if p.ln, err = ops.Listen(p.cfg.Addr, "PORTAL_ADDR"); err != nil {
		return err
	}
	p.hosts = newHosts(p.cfg.Hosts, p.cfg.Addr, p.ln.Addr())
	addr := p.cfg.webSocketAddr()
	if addr == "" {
		return nil
	}
	if p.wsLn, err = ops.Listen(addr, "WEBSOCKET_PORT"); err != nil {
		return errors.Join(err, p.ln.Close())
	}
	p.wsApp = p.newApp()
	p.socketRoutes(p.wsApp)
	return nil
}

// join makes what portals share, by a Redis if there is one.
func (p *Portal) join(o Options) (err error) {
	p.operators = operators.New(vitals.Instance(p.Addr()))
	limits := quota.Options{Registry: o.Registry}
	if o.Config.RedisURL != "" {
		p.share, err = share.New(share.Options{
			URL: o.Config.RedisURL, Prefix: o.Config.RedisPrefix, Model: p.model, Operators: p.operators, Confirmed: p.feed.StatesRead,
			Log: o.Log, Registry: o.Registry,
		})
		if err != nil {
			return fmt.Errorf("REDIS_URL: %w", err)
		}
		limits.Shared = p.share
	}
	limits.Name, limits.Rate, limits.Burst = "requests", o.Config.RequestRate, max(1, o.Config.RequestRate*rateBurst)
	if p.requests, err = quota.New(limits); err != nil {
		return err
	}
	limits.Name, limits.Rate, limits.Burst = "commands", o.Config.CommandRate/60, max(1, o.Config.CommandRate)
	p.orders, err = quota.New(limits)
	return err
}

// removed is called with every removal of a device that Kafka has.
func (p *Portal) removed(id string, at int64) {
	if p.share != nil {
		p.share.Remove(id, at)
	}
}

// Addr returns the bound address of the page and the API.
func (p *Portal) Addr() string { return p.ln.Addr().String() }

// WSAddr returns the bound address of the second WebSocket port; it is Addr when the
// two are the same.
func (p *Portal) WSAddr() string {
	if p.wsLn == nil {
		return p.Addr()
	}
	return p.wsLn.Addr().String()
}

// Ready returns nil once the hub is connected and Kafka's topics have been read.
func (p *Portal) Ready() error { return p.feed.Ready() }

// httpStop bounds how long pending requests may delay the stop.
const httpStop = 2 * time.Second

// Run serves until ctx ends, then stops: no new requests, WebSockets closed with 4001,
// then commands and feed.
func (p *Portal) Run(ctx context.Context) error {
	g := lifecycle.New(p.log, 0)
	if p.tracer != nil {
		g.Go("traces", p.tracer.Run)
	}
	if p.store != nil {
		g.Go("store", p.store.Run)
	}
	if p.share != nil {
		g.Go("redis", p.share.Run)
	}
	if p.people != nil {
		g.Go("people", p.people.Run)
	}
	auditlog.NoteInsecure(p.audit, p.cfg.Insecure)
	if p.journal != nil {
		g.Go("security audit", p.journal.Run)
	}
	g.Go("feed", p.feed.Run)
	g.Go("credentials of devices", func(ctx context.Context) error {
		return tail.Watch(ctx, tail.Options{Cluster: p.cfg.Cluster, ClientID: "portal-devices", Log: p.log}, p.cfg.Specs().Access, p.devices)
	})
	g.Go("lag", p.lag.Run)
	g.Go("settings of topics", func(ctx context.Context) error { return p.cfg.WatchTopics(ctx, p.log) })
	g.Go("means", p.sampleMeans)
	g.Go("vitals", p.vitals.Run)
	g.Go("pipeline", p.samplePipeline)
	g.Go("sensors", p.catalogue.Run)
	g.Go("limits", p.limits.run)
	g.Go("changes of rules", p.changes.Run)
	g.Go("dashboard", p.dashboard.Run)
	g.Go("commands", p.commands.Run)
	g.Go("fanout", p.fanout.Run)
	if p.openID != nil {
		g.OnStop("OpenID provider", func(context.Context) error {
			p.openID.Close()
			return nil
		})
	}
	if p.history != nil {
		g.OnStop("history", func(context.Context) error {
			p.history.Close()
			return nil
		})
	}
	if p.wsApp != nil {
		serve(g, "websocket port", p.wsApp, p.wsLn)
	}
	serve(g, "http", p.app, p.ln)
	p.log.Info("portal listening", "addr", p.Addr(), "websocket", p.WSAddr(), "path", p.cfg.WebSocketPath)
	return g.Wait(ctx)
}

// serve runs app on ln as a part of g.
func serve(g *lifecycle.Group, name string, app *fiber.App, ln net.Listener) {
	g.Go(name, func(ctx context.Context) error {
		done := make(chan error, 1)
		go func() { done <- app.Listener(ln) }()
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
		}
		// Requests that still run then are cut off when the process ends.
		if err := app.ShutdownWithTimeout(httpStop); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		return <-done
	})
}

// Close closes the listeners of a portal that was never run.
func (p *Portal) Close() error {
	err := p.ln.Close()
	if p.wsLn != nil {
		err = errors.Join(err, p.wsLn.Close())
	}
	return err
}
