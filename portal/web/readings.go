package web

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/history"
)

// usualExport is the range of an export without from, in ms.
const usualExport = 24 * 3_600_000

var exportTypes = map[string]string{history.CSV: "text/csv; charset=utf-8", history.NDJSON: "application/x-ndjson"}

func (p *Portal) exportReadingsCSV(c *fiber.Ctx) error { return p.exportReadings(c, history.CSV) }

func (p *Portal) exportReadingsNDJSON(c *fiber.Ctx) error { return p.exportReadings(c, history.NDJSON) }

// exportReadings passes the readings of a device on as the historian sends them. If they end early,
// the connection ends without the last chunk, so that nobody takes them for complete.
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
	body, err := p.history.Export(c.UserContext(), &q)
	switch {
	case errors.Is(err, history.ErrUnavailable):
		p.noAnswer(err)
		return errHistoryAway
	case err != nil:
		return errNoDevice
	}
	c.Set(fiber.HeaderContentType, exportTypes[q.Format])
	c.Set(fiber.HeaderContentDisposition, fmt.Sprintf("attachment; filename=%q", q.Devices[0]+"."+q.Format))
	c.Context().SetBodyStream(body, -1)
	return nil
}
