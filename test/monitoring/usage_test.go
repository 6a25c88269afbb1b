//go:build monitoring

package monitoring

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/freeport"
	"industrial-iot-monitor/test/viewer"
)

// elsewhere is a core that keeps the history in an engine, beside the one that keeps it in files.
const elsewhere = "engine"

// startEngine starts VictoriaMetrics and returns its address. Values are there at once.
func startEngine(t *testing.T) string {
	t.Helper()
	addr := freeport.Address(t)
	run(t, "http://"+addr+"/health", "victoria-metrics", "-storageDataPath="+t.TempDir(), "-httpListenAddr="+addr,
		"-dedup.minScrapeInterval=1ms", "-search.latencyOffset=1s", "-memory.allowedBytes=100MB", "-loggerLevel=ERROR")
	return "http://" + addr
}

func addHistorian(t *testing.T, c *cluster.Cluster, engine string) {
	t.Helper()
	addr := freeport.Address(t)
	c.Add(elsewhere, cluster.Program{Binary: "core", Args: []string{"historian"}, HTTP: addr, Env: map[string]string{
		"CORE_HTTP_ADDR": addr, "CORE_HISTORY_ADDR": freeport.Address(t), "CORE_DATA_DIR": filepath.Join(t.TempDir(), "core"),
		"KAFKA_BROKERS": strings.Join(c.Brokers(), ","), "KAFKA_GROUP_ID": "elsewhere", "HISTORY": "victoriametrics", "HISTORY_URL": engine,
	}})
}

// wait waits for the next scrape.
func (p *plant) wait(t *testing.T) {
	t.Helper()
	select {
	case <-time.After(time.Second):
	case <-t.Context().Done():
	}
}

// use has people use the plant until the test ends: screens of both dialects, a hot device whose alarm is acknowledged,
// lists of the past, PromQL.
func (p *plant) use(t *testing.T) {
	t.Helper()
	simple, err := viewer.Dial(t.Context(), p.WebSocketURL())
	require.NoError(t, err)
	require.NoError(t, simple.SubscribeAll())
	dialer := websocket.Dialer{HandshakeTimeout: 10 * time.Second, Subprotocols: []string{"iot.v1.json"}}
	page, resp, err := dialer.DialContext(t.Context(), p.WebSocketURL(), nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.NoError(t, page.WriteMessage(websocket.TextMessage, []byte(`{"type":"subscribe","id":"1","topics":["fleet","alerts","stats"]}`)))
	nc, err := nats.Connect("nats://" + p.NATS()[0])
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { // ends with its connection
		for {
			if _, err := simple.Read(); err != nil {
				return
			}
		}
	}()
	go func() { // ends with its connection
		for {
			if _, _, err := page.ReadMessage(); err != nil {
				return
			}
		}
	}()
	go func() {
		defer close(done)
		tick := time.NewTicker(2 * time.Second)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := p.useOnce(ctx, page, nc, i); err != nil && ctx.Err() == nil {
					t.Logf("using the plant, which is tried again: %v", err)
				}
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		nc.Close()
		_ = simple.Close()
		_ = page.Close()
	})
}

// useOnce: device hot is too hot in every round but the fifth, so that alarms are raised, acknowledged and cleared.
func (p *plant) useOnce(ctx context.Context, page *websocket.Conn, nc *nats.Conn, i int) error {
	value := 92.0
	if i%5 == 4 {
		value = 20
	}
	reading := fmt.Appendf(nil, `{"device_id":"hot","timestamp":%d,"location":{"building":"A栋","floor":9,"room":"901"},"sensors":{"temperature":{"value":%g,"unit":"°C"}}}`,
		time.Now().UnixMilli(), value)
	if err := nc.Publish("devices.hot.telemetry", reading); err != nil {
		return err
	}
	if err := page.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"type":"ping","id":"%d","screen":{"frames":10,"paint_ms":[20,30]}}`, i)); err != nil {
		return err
	}
	if _, err := p.ask(ctx, http.MethodPost, "/api/v1/alerts/commands", `{"action":"acknowledge","filter":{"device_id":"hot"},"by":"operator"}`); err != nil {
		return err
	}
	for _, path := range []string{"/api/v1/audit?to=1", "/api/v1/alerts?to=1", "/prom/api/v1/query?query=" + url.QueryEscape("avg(sensor_temperature)")} {
		if status, err := p.ask(ctx, http.MethodGet, path, ""); err != nil || status >= http.StatusBadRequest {
			return fmt.Errorf("%s: status %d: %w", path, status, err)
		}
	}
	return nil
}

// ask makes a request to the portal and returns the status of the answer.
func (p *plant) ask(ctx context.Context, method, path, body string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, method, p.PortalURL()+path, bytes.NewBufferString(body))
	if err != nil {
		return 0, err
	}
	req.Close = true
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}
