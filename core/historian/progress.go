package historian

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/history"
)

// tracker has the exports that are running, by the name that their client chose. The zero value is ready.
type tracker struct{ running sync.Map }

// following is how far one export is.
type following struct{ done, of, readings atomic.Int64 }

// follow makes a query say how far it is; step wraps what takes its readings. The caller calls end.
func (e *tracker) follow(q *history.ExportQuery) (step func(block) block, end func()) {
	if q.ID == "" {
		return func(f block) block { return f }, func() {}
	}
	p := new(following)
	e.running.Store(q.ID, p)
	q.Progress = func(done, of int) {
		p.of.Store(int64(of))
		p.done.Store(int64(done))
	}
	return func(f block) block {
		return func(device string, b *samples.Block) error {
			p.readings.Add(int64(b.Len()))
			return f(device, b)
		}
	}, func() { e.running.CompareAndDelete(q.ID, p) }
}

// block takes readings of a device.
type block = func(device string, b *samples.Block) error

func (h *Historian) progress(w http.ResponseWriter, r *http.Request) {
	v, _ := h.exports.running.Load(r.URL.Query().Get("id"))
	p, ok := v.(*following)
	if !ok {
		http.Error(w, "no export of this id is running", http.StatusNotFound)
		return
	}
	_ = reply(w, history.Progress{Done: p.done.Load(), Of: p.of.Load(), Readings: p.readings.Load()}) // numbers
}

// counter counts what was read.
type counter struct {
	r io.Reader
	n atomic.Int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// terminal reports whether a person reads what is written.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

const (
	showEvery = time.Second
	barWidth  = 30
)

// show writes every second how far the export is, until stop is called.
func (e *export) show(ctx context.Context, to io.Writer, bytes *atomic.Int64) (stop func()) {
	if !e.shown {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.showUntil(ctx, to, bytes)
	}()
	return func() {
		cancel()
		<-done
	}
}

func (e *export) showUntil(ctx context.Context, to io.Writer, bytes *atomic.Int64) {
	ticker := time.NewTicker(showEvery)
	defer ticker.Stop()
	start, width := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			fmt.Fprintf(to, "\r%s\r", strings.Repeat(" ", width))
			return
		case <-ticker.C:
		}
		p, err := e.client.Progress(ctx, e.query.ID)
		if err != nil {
			p = new(history.Progress) // it has not begun, or is over, or the copying finds out
		}
		line := bar(p, bytes.Load(), time.Since(start))
		fmt.Fprintf(to, "\r%-*s", width, line)
		width = len(line)
	}
}

// bar returns the line of a progress.
func bar(p *history.Progress, bytes int64, taken time.Duration) string {
	if p.Of == 0 {
		return megabytes(bytes)
	}
	share := float64(p.Done) / float64(p.Of)
	full := int(share * barWidth)
	line := fmt.Sprintf("[%s%s] %3.0f %%  %d readings  %s", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), 100*share, p.Readings, megabytes(bytes))
	if p.Done > 0 {
		left := time.Duration(float64(taken) * (1 - share) / share)
		line += "  " + left.Round(time.Second).String() + " left"
	}
	return line
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
