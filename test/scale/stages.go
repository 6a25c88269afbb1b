package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fasthttp/websocket"

	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/oracle"
)

// stages runs every stage, one after the other.
func (p *plant) stages(ctx context.Context, t *table) error {
	t.add("FIGURE", fmt.Sprintf("%d GATEWAYS", p.o.Gateways), "WHAT IT IS")
	for _, s := range []func(context.Context, *table) error{
		p.appear, p.idle, p.page, p.load, p.crowd, p.crash, p.judge,
	} {
		if err := s(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// appear lets all gateways dial a bridge that starts, and measures the memory they take.
func (p *plant) appear(ctx context.Context, t *table) error {
	if err := p.start(ctx); err != nil {
		return err
	}
	if !pause(ctx, p.o.Stage/4) {
		return ctx.Err()
	}
	empty, err := p.footprints()
	if err != nil {
		return err
	}
	if err := p.cluster.Stop(cluster.Bridge); err != nil {
		return err
	}
	if err := p.cluster.Start(ctx, p.players...); err != nil {
		return err
	}
	since := time.Now()
	if err := p.cluster.Start(ctx, cluster.Bridge); err != nil {
		return err
	}
	t.add("bridge ready", seconds(time.Since(since)), "from its start, while all gateways dial it")
	shown, err := p.await(ctx, "shown", since, func(g listed) bool { return g.AgeMS != nil && !g.Silent })
	if err != nil {
		return err
	}
	t.add("all gateways shown", seconds(shown), "from the bridge's start until "+gatewaysPath+" lists all as alive")
	known, err := p.await(ctx, "known", since, func(g listed) bool { return g.Ledger != nil })
	if err != nil {
		return err
	}
	t.add("all gateways known", seconds(known), "until the bridge has published a ledger of each")
	read, err := p.await(ctx, "read", since, func(g listed) bool { return g.Ledger != nil && g.Ledger.Total.Committed > 0 })
	if err != nil {
		return err
	}
	t.add("all gateways read", seconds(read), "until the pack that waited in each is in Kafka")
	if !pause(ctx, p.o.Stage/2) {
		return ctx.Err()
	}
	full, err := p.footprints()
	if err != nil {
		return err
	}
	for _, name := range programs {
		grown := max(0, full[name].RSS-empty[name].RSS)
		t.add(name+" memory", fmt.Sprintf("%d MB, %d kB a gateway", full[name].RSS>>20, grown/int64(p.o.Gateways)/1000),
			fmt.Sprintf("resident; %d MB without gateways", empty[name].RSS>>20))
	}
	return nil
}

// idle measures the CPU of gateways that only send heartbeats.
func (p *plant) idle(ctx context.Context, t *table) error {
	if err := p.measure(ctx, t, "idle gateways"); err != nil {
		return err
	}
	return p.profile(ctx, "idle")
}

// load lets every gateway store small packs.
func (p *plant) load(ctx context.Context, t *table) (err error) {
	if p.watch, err = newWatch(ctx, p.cluster.WebSocketURL(), p.busy); err != nil {
		return err
	}
	if err := p.pace(ctx, "", p.o.Every, 1); err != nil {
		return err
	}
	what := fmt.Sprintf("a pack of 1 reading every %s", p.o.Every)
	if !pause(ctx, p.o.Every) {
		return ctx.Err()
	}
	if _, _, err := p.watch.take(); err != nil {
		return err
	}
	if err := p.measure(ctx, t, what); err != nil {
		return err
	}
	quiet, busy, err := p.watch.take()
	if err != nil {
		return err
	}
	ages := slices.Concat(quiet, busy)
	t.add("gateway → WebSocket", spread(ages), fmt.Sprintf("median · p99 · max of %d readings, %s", len(ages), what))
	return p.profile(ctx, "load")
}

// busyEvery is the time between two packs of the busy gateway.
const busyEvery = 10 * time.Millisecond

// crowd lets one gateway store much and the others little.
func (p *plant) crowd(ctx context.Context, t *table) error {
	if err := p.pace(ctx, "", 5*p.o.Every, 1); err != nil {
		return err
	}
	if err := p.pace(ctx, p.busy, busyEvery, max(1, p.o.Busy*int(busyEvery)/int(time.Second))); err != nil {
		return err
	}
	if !pause(ctx, p.o.Every) {
		return ctx.Err()
	}
	if _, _, err := p.watch.take(); err != nil {
		return err
	}
	before, err := p.list(ctx)
	if err != nil {
		return err
	}
	since := time.Now()
	if err := p.measure(ctx, t, "one busy gateway"); err != nil {
		return err
	}
	after, err := p.list(ctx)
	if err != nil {
		return err
	}
	took := time.Since(since)
	quiet, busy, err := p.watch.take()
	if err != nil {
		return err
	}
	about := fmt.Sprintf("median · p99 · max of %%d readings, one gateway with %d/s, the others with a pack every %s", p.o.Busy, 5*p.o.Every)
	t.add("quiet gateways → WebSocket", spread(quiet), fmt.Sprintf(about, len(quiet)))
	t.add("busy gateway → WebSocket", spread(busy), fmt.Sprintf(about, len(busy)))
	committed := after[p.busy].Ledger.Total.Committed - before[p.busy].Ledger.Total.Committed
	t.add("busy gateway into Kafka", fmt.Sprintf("%.0f/s", float64(committed)/took.Seconds()), fmt.Sprintf("readings, of %d/s", p.o.Busy))
	return p.pace(ctx, p.busy, 5*p.o.Every, 1)
}

// crash kills the bridge, with the hub in it, and starts it again.
func (p *plant) crash(ctx context.Context, t *table) error {
	if err := p.cluster.Kill(cluster.Bridge); err != nil {
		return err
	}
	since := time.Now()
	if err := p.order(ctx, "/once", nil); err != nil {
		return err
	}
	want, err := p.counts(ctx)
	if err != nil {
		return err
	}
	if err := p.cluster.Start(ctx, cluster.Bridge); err != nil {
		return err
	}
	ready := time.Since(since)
	read, err := p.await(ctx, "read", since, func(g listed) bool {
		return g.Ledger != nil && g.Ledger.Total.Committed >= want[g.Gateway]
	})
	t.add("bridge killed, ready again", seconds(ready), "kill -9 and a start at once, from the kill")
	t.add("bridge killed, all read again", seconds(read), "until a pack that each gateway stored after the kill is in Kafka")
	return err
}

// page measures what a look at all gateways costs.
func (p *plant) page(ctx context.Context, t *table) error {
	const times = 20
	var took []time.Duration
	size := 0
	for range times {
		since := time.Now()
		data, err := fetch(ctx, http.MethodGet, p.cluster.PortalURL()+gatewaysPath)
		if err != nil {
			return err
		}
		took, size = append(took, time.Since(since)), len(data)
	}
	t.add("GET "+gatewaysPath, spread(took), fmt.Sprintf("median · p99 · max of %d requests, %d kB", times, size/1000))
	for _, topic := range []string{"gateways", "fleet"} {
		first, bytes, err := p.snapshot(ctx, topic)
		if err != nil {
			return err
		}
		t.add("first snapshot of "+topic, millis(first), fmt.Sprintf("from dialling the WebSocket of the dashboard, %d kB", bytes/1000))
	}
	for _, name := range programs {
		since := time.Now()
		m, err := p.cluster.Metrics(ctx, name)
		if err != nil {
			return err
		}
		t.add(name+" metrics", fmt.Sprintf("%d series, %s", len(m), millis(time.Since(since))), "one scrape")
	}
	return nil
}

// snapshot subscribes to a topic of the dashboard and returns how long its first snapshot took, and its size.
func (p *plant) snapshot(ctx context.Context, topic string) (took time.Duration, bytes int, err error) {
	since := time.Now()
	d := websocket.Dialer{HandshakeTimeout: 10 * time.Second, Subprotocols: []string{"iot.v1.json"}}
	conn, resp, err := d.DialContext(ctx, strings.Replace(p.cluster.PortalURL(), "http://", "ws://", 1)+"/ws", nil)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, conn.Close(), resp.Body.Close()) }()
	if err := conn.SetReadDeadline(since.Add(30 * time.Second)); err != nil {
		return 0, 0, err
	}
	if err := conn.WriteJSON(map[string]any{"type": "subscribe", "id": "1", "topics": []string{topic}}); err != nil {
		return 0, 0, err
	}
	for {
		_, data, err := conn.ReadMessage()
		if err != nil {
			return 0, 0, fmt.Errorf("first snapshot of %s: %w", topic, err)
		}
		head := string(data[:min(len(data), 200)])
		if !strings.Contains(head, `"type":"snapshot"`) {
			continue
		}
		bytes += len(data)
		var part, parts int
		if at := strings.Index(head, `"part":`); at >= 0 {
			if _, err := fmt.Sscanf(head[at:], `"part":%d,"parts":%d`, &part, &parts); err != nil {
				return 0, 0, err
			}
		}
		if part == parts {
			return time.Since(since), bytes, nil
		}
	}
}

// judge stops the load and compares what the gateways stored with what is in Kafka.
func (p *plant) judge(ctx context.Context, t *table) error {
	if err := p.pace(ctx, "", 0, 0); err != nil {
		return err
	}
	want, err := p.counts(ctx)
	if err != nil {
		return err
	}
	if _, err := p.await(ctx, "in Kafka as a whole, by a ledger that adds up", time.Now(), func(g listed) bool {
		return g.Ledger != nil && g.Ledger.Total.Committed == want[g.Gateway] && g.Ledger.Difference == 0
	}); err != nil {
		return err
	}
	stored, err := gather[[]int64](ctx, p, "/account")
	if err != nil {
		return err
	}
	o := oracle.New()
	for device, times := range stored {
		for _, at := range times {
			o.Acked(device, at)
		}
	}
	if err := o.Read(ctx, p.cluster.Brokers(), p.cluster.Topics.DeviceData); err != nil {
		return err
	}
	v := o.Verdict()
	t.add("in Kafka", fmt.Sprintf("%d of %d", v.InKafka, v.Acked), v.String())
	return v.Err()
}
