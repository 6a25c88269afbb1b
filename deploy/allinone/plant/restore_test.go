package plant

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/backup"
	"industrial-iot-monitor/internal/devkafka"
	"industrial-iot-monitor/internal/kafkatest"
)

// send sends a change to the portal until it is taken.
func send(t *testing.T, p *Plant, method, path, body string, want int) {
	t.Helper()
	said := ""
	require.Eventually(t, func() bool {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.Addr()+path, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
		res, err := client.Do(req)
		if err != nil {
			return false
		}
		defer func() { _ = res.Body.Close() }()
		data, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		if now := res.Status + " " + string(data); now != said {
			said = now
			t.Log(method, path, said)
		}
		return res.StatusCode == want
	}, waitTimeout, 100*time.Millisecond)
}

// kept is what a plant shows that is nowhere but in Kafka.
type kept struct {
	Name, Tags, Alert, State, Changes, Views string
	Audit                                    []map[string]any
}

// look returns what the portal shows, once it has read everything.
func look(t *testing.T, p *Plant) (k kept) {
	t.Helper()
	var device struct {
		Device struct {
			Name string
			Tags []string
		}
		Name string
		Tags []string
	}
	ask(t, p, "/api/v1/devices/mine", &device)
	k.Name, k.Tags = device.Name+device.Device.Name, strings.Join(append(device.Tags, device.Device.Tags...), ",")
	var alerts struct {
		Items []struct {
			ID    string `json:"alert_id"`
			State string
		}
	}
	ask(t, p, "/api/v1/alerts?device_id=mine", &alerts)
	for _, a := range alerts.Items {
		k.Alert, k.State = k.Alert+a.ID, k.State+a.State
	}
	var changes struct{ Changes []json.RawMessage }
	ask(t, p, "/api/v1/rules/changes", &changes)
	k.Changes = join(changes.Changes)
	var views struct{ Items []json.RawMessage }
	ask(t, p, "/api/v1/views", &views)
	k.Views = join(views.Items)
	var audit struct{ Items []map[string]any }
	ask(t, p, "/api/v1/audit?device_id=mine", &audit)
	k.Audit = audit.Items
	return k
}

func join(parts []json.RawMessage) string {
	var b strings.Builder
	for _, part := range parts {
		b.Write(part)
		b.WriteByte('\n')
	}
	return b.String()
}

// TestAPlantIsTheSameAfterItsKafkaWasLost: names, rules, open alarms, views and the audit trail come back from a
// backup into an empty Kafka, and alarms go on as they were.
func TestAPlantIsTheSameAfterItsKafkaWasLost(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	cfg.Devices = 0
	p := start(t, cfg, io.Discard)
	stop := run(t, p)
	publish(t, p, time.Now().UnixMilli())
	requireAlert(t, p)
	send(t, p, http.MethodPatch, "/api/v1/devices/mine", `{"name":"3号泵","tags":["west"],"by":"李工"}`, http.StatusOK)
	send(t, p, http.MethodPost, "/api/v1/alerts/commands", `{"action":"acknowledge","filter":{"device_id":"mine"},"by":"李工"}`, http.StatusOK)
	send(t, p, http.MethodPost, "/api/v1/rules/changes", `{"change_id":"c1","rule":"temperature_high","change":{"limit":81},"reason":"too many alarms","by":"李工"}`, http.StatusCreated)
	send(t, p, http.MethodPost, "/api/v1/rules/changes/c1/approve", `{"by":"王工"}`, http.StatusOK)
	send(t, p, http.MethodPost, "/api/v1/views", `{"name":"hot","page":"devices","query":"sensor=temperature","by":"李工"}`, http.StatusOK)
	complete := func(k kept) bool {
		return k.Name == "3号泵" && k.Tags == "west" && k.State == "acknowledged" && strings.Contains(k.Changes, `"approved"`) && strings.Contains(k.Views, `"hot"`) && len(k.Audit) >= 2
	}
	var before kept
	require.Eventually(t, func() bool { before = look(t, p); return complete(before) }, waitTimeout, 100*time.Millisecond, "%+v", &before)
	stop()

	dir := filepath.Join(t.TempDir(), "backup")
	topics := func(line ...string) {
		b, err := devkafka.Start(devkafka.Options{Addr: "127.0.0.1:0", DataDir: filepath.Join(cfg.DataDir, "devkafka"), Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		t.Setenv("KAFKA_BROKERS", b.Addr())
		var out bytes.Buffer
		code := backup.Command(t.Context(), append(line, "-dir", dir), &out, &out)
		require.NoError(t, b.Close())
		require.Zero(t, code, out.String())
	}
	topics("export")
	require.NoError(t, os.RemoveAll(filepath.Join(cfg.DataDir, "devkafka")))
	lost, err := filepath.Glob(filepath.Join(cfg.DataDir, "portal.db*"))
	require.NoError(t, err)
	require.NotEmpty(t, lost)
	for _, f := range lost {
		require.NoError(t, os.Remove(f))
	}
	topics("import")

	p = start(t, cfg, io.Discard)
	run(t, p)
	var after kept
	require.Eventually(t, func() bool { after = look(t, p); return complete(after) && len(after.Audit) >= len(before.Audit) }, waitTimeout, 100*time.Millisecond, "%+v", &after)
	require.Equal(t, before, after)
	publish(t, p, time.Now().UnixMilli())
	require.Eventually(t, func() bool {
		for _, r := range kafkatest.ReadAll(t, []string{p.kafka.Addr()}, "device-data", 0, waitTimeout) {
			if string(r.Key) == "mine" {
				return true
			}
		}
		return false
	}, waitTimeout, 50*time.Millisecond)
	requireAlert(t, p) // the one of before, and no second one
}
