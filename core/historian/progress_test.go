package historian

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/logtest"
)

func TestBar(t *testing.T) {
	require.Equal(t, "1.5 MB", bar(&history.Progress{}, 1_500_000, time.Second), "it has not begun")
	require.Equal(t, "[..............................]   0 %  0 readings  0.0 MB", bar(&history.Progress{Of: 10}, 0, time.Second))
	require.Equal(t, "[#######.......................]  25 %  7 readings  2.0 MB  30s left", bar(&history.Progress{Done: 1, Of: 4, Readings: 7}, 2_000_000, 10*time.Second))
	require.Equal(t, "["+strings.Repeat("#", barWidth)+"] 100 %  9 readings  2.0 MB  0s left", bar(&history.Progress{Done: 4, Of: 4, Readings: 9}, 2_000_000, time.Minute))
}

// TestProgressIsShown while the historian still sends, and is gone when it has.
func TestProgressIsShown(t *testing.T) {
	asked := make(chan string, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path + " " + r.URL.Query().Get("id")
		fmt.Fprint(w, `{"done":5,"of":10,"readings":123}`)
	}))
	defer s.Close()
	c, err := history.NewClient(history.Options{URL: s.URL})
	require.NoError(t, err)
	defer c.Close()
	to := new(logtest.Buffer)
	e := &export{client: c, shown: true, query: history.ExportQuery{ID: "mine"}}
	stop := e.show(t.Context(), to, new(atomic.Int64))
	require.Equal(t, history.ProgressPath+" mine", <-asked)
	require.Eventually(t, func() bool { return strings.Contains(to.String(), " 50 %  123 readings") }, waitTimeout, often)
	stop()
	require.True(t, strings.HasSuffix(to.String(), " \r"), "the line is wiped: %q", to)
	(&export{}).show(t.Context(), nil, nil)() // nothing to show
}

// TestExportSaysHowFarItIs from the historian's side.
func TestExportSaysHowFarItIs(t *testing.T) {
	p := newPlant(t)
	for d := range 5 {
		p.send(fmt.Sprintf("d%d", d), 10, 0)
	}
	r := p.start(t.TempDir())
	for d := range 5 {
		r.series(p, fmt.Sprintf("d%d", d), 10)
	}
	q := history.ExportQuery{Format: history.CSV, ID: "x", From: p.now - 3_600_000, To: p.now + 1}
	step, end := r.exports.follow(&q)
	last := int64(-1)
	var readings []int64
	require.NoError(t, r.keeper.Export(t.Context(), &q, step(func(string, *samples.Block) error {
		got, err := r.client.Progress(t.Context(), "x")
		require.NoError(t, err)
		require.Greater(t, got.Done, last)
		require.Greater(t, got.Of, got.Done)
		last, readings = got.Done, append(readings, got.Readings)
		return nil
	})))
	require.IsIncreasing(t, readings)
	require.EqualValues(t, 50, readings[len(readings)-1])
	end()
	_, err := r.client.Progress(t.Context(), "x")
	require.ErrorContains(t, err, "no export of this id is running")
	q.ID = strings.Repeat("x", 65)
	require.ErrorContains(t, q.Check(), "at most 64 bytes")
}

// TestTerminal: neither a file nor a buffer is one.
func TestTerminal(t *testing.T) {
	require.False(t, terminal(new(bytes.Buffer)))
	f, err := os.Create(t.TempDir() + "/f")
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	require.False(t, terminal(f))
}
