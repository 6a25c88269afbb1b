//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/faults/tcpline"
)

// pipeline is what the portal says of the plant's stages and processes.
type pipeline struct {
	Slowest *struct {
		Stage string  `json:"stage"`
		MS    float64 `json:"ms"`
	} `json:"slowest"`
	Stages []struct {
		Stage string   `json:"stage"`
		Rate  *float64 `json:"rate"`
		MS    *float64 `json:"ms"`
	} `json:"stages"`
}

type processes struct {
	Items []struct {
		Program  string `json:"program"`
		Instance string `json:"instance"`
		Restarts int    `json:"restarts"`
		Silent   bool   `json:"silent"`
	} `json:"items"`
}

// lines are the gateways' lines to the hub.
type lines struct {
	mu  sync.Mutex
	all []*tcpline.Line
}

func (l *lines) of(t *testing.T) func(int, string) (string, error) {
	t.Helper()
	return func(_ int, hub string) (string, error) {
		line, err := tcpline.New(hub)
		if err != nil {
			return "", err
		}
		t.Cleanup(func() { _ = line.Close() })
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all = append(l.all, line)
		return line.Addr(), nil
	}
}

func TestTheSlowedStageIsNamedAndARestartIsSeen(t *testing.T) {
	var l lines
	r := &run{Cluster: startCluster(t, func(o *cluster.Options) { o.Line = l.of(t) }), dir: t.TempDir()}
	r.Add("sim", cluster.Program{Binary: "sim", Args: []string{
		"-http=", "-protocol=nats", "-nats=" + strings.Join(r.NATS(), ","), "-devices=300", "-interval=1s", "-progress=10s",
	}})
	require.NoError(t, r.Start(t.Context(), "sim"))

	var got pipeline
	require.Eventually(t, func() bool {
		got = pipeline{}
		r.request(t, http.MethodGet, "/api/v1/pipeline", nil, &got)
		known := 0
		for _, s := range got.Stages {
			if s.MS != nil && s.Rate != nil && *s.Rate > 0 {
				known++
			}
		}
		return known >= 6 // all but the push: nobody looks
	}, waitTimeout, pollInterval, "every stage has a time and a rate")

	for _, line := range l.all {
		line.Slow(200 * time.Millisecond)
	}
	slowed := time.Now()
	require.Eventually(t, func() bool {
		got = pipeline{}
		r.request(t, http.MethodGet, "/api/v1/pipeline", nil, &got)
		return got.Slowest != nil && got.Slowest.Stage == "line" && got.Slowest.MS > 190
	}, waitTimeout, pollInterval, "the line is the slowest stage")
	t.Logf("the slowed line was named after %s: %+v", time.Since(slowed).Round(time.Millisecond), *got.Slowest)

	require.NoError(t, r.Kill(cluster.Core))
	r.restart(t, cluster.Core)
	require.Eventually(t, func() bool {
		var p processes
		r.request(t, http.MethodGet, "/api/v1/processes", nil, &p)
		programs := map[string]int{}
		restarts := 0
		for _, x := range p.Items {
			programs[x.Program]++
			if x.Program == "core" {
				restarts += x.Restarts
			}
		}
		return programs["edge"] == len(l.all) && programs["bridge"] == 1 && programs["portal"] == 1 && restarts == 1
	}, waitTimeout, pollInterval, "every process is listed, and core's restart counted")
}
