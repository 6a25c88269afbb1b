package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/history"
)

// usualExport is the range of an export without from, in ms.
const usualExport = 24 * 3_600_000

func (p *Portal) exportReadingsCSV(c *fiber.Ctx) error { return p.exportReadings(c, history.CSV) }

func (p *Portal) exportReadingsNDJSON(c *fiber.Ctx) error { return p.exportReadings(c, history.NDJSON) }

// exportReadings passes the readings of a device on as the historian sends them. If they end early,
// the connection ends without the last chunk, so that clients report an incomplete download.
func (p *Portal) exportReadings(c *fiber.Ctx, format string) error {
	q := history.ExportQuery{Format: format, Devices: []string{strings.Clone(c.Params("id"))}}
	var err error
	if q.Parameters, err = readParameters(c.Query("parameters")); err != nil {
		return err
	}
	if q.To, err = readMillis(c, "to", p.model.Now()); err != nil {
		return err
	}
	if q.From, err = readMillis(c, "from", q.To-usualExport); err != nil {
		return err
	}
	if q.From >= q.To || q.To-q.From > longestSpan {
		return badParameter("from", "a time before to, at most 400 days")
	}
	if p.history == nil {
		return errNoHistory
	}
	ctx, cancel := context.WithCancel(c.UserContext())
	idle := time.AfterFunc(exportIdle, cancel)
	body, err := p.history.Export(ctx, &q)
	if err != nil {
		idle.Stop()
		cancel()
		if errors.Is(err, history.ErrUnavailable) {
			p.noAnswer(err)
			return errHistoryAway
		}
		return errNoDevice
	}
	c.Set(fiber.HeaderContentType, history.ContentType(q.Format))
	c.Set(fiber.HeaderContentDisposition, fmt.Sprintf("attachment; filename=%q", q.Devices[0]+"."+q.Format))
	return c.SendStream(&readings{ReadCloser: body, idle: idle, cancel: cancel, conn: c.Context().Conn()})
}

// exportIdle bounds how long an export may stand still, on either side.
const exportIdle = 30 * time.Second

// readings is a stream from the historian, which may take as long as it moves.
type readings struct {
	io.ReadCloser

	idle   *time.Timer
	cancel context.CancelFunc
	conn   net.Conn
}

// Read implements io.Reader. It gives the client time to take what was read.
func (r *readings) Read(b []byte) (int, error) {
	r.idle.Reset(exportIdle)
	n, err := r.ReadCloser.Read(b)
	if n > 0 {
		_ = r.conn.SetWriteDeadline(time.Now().Add(exportIdle)) // if it fails, so does the write
	}
	return n, err
}

// Close implements io.Closer.
func (r *readings) Close() error {
	r.idle.Stop()
	r.cancel()
	return r.ReadCloser.Close()
}
