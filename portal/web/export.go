package web

import (
	"bufio"
	"encoding/csv"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// byteOrderMark makes spreadsheets read the file as UTF-8.
const byteOrderMark = "\ufeff"

// exportHead has the column names.
var exportHead = []string{
	"device_id", "building", "floor", "room", "gateway", "model", "firmware", "state", "last_seen",
	"temperature", "humidity", "pressure", "current", "switch_status", "battery", "signal_strength", "active_alerts", "severity",
}

// exportHeadChinese has the column names for lang=zh.
var exportHeadChinese = []string{
	"设备", "建筑", "楼层", "房间", "网关", "型号", "固件", "状态", "最近读数",
	"温度", "湿度", "气压", "电流", "开关", "电量", "信号", "活动告警", "级别",
}

// exportCSV streams the selected devices as a file for spreadsheets, one row each. The filters are
// those of the list of devices.
func (p *Portal) exportCSV(c *fiber.Ctx) error {
	f, err := readDeviceFilter(c)
	if err != nil {
		return err
	}
	lang, err := oneOf(c, "lang", "en", "zh")
	if err != nil {
		return err
	}
	head := exportHead
	if lang == "zh" {
		head = exportHeadChinese
	}
	now := p.model.Now()
	rows := p.match(f, now)
	sortRows(rows, "device_id")
	c.Set(fiber.HeaderContentType, "text/csv; charset=utf-8")
	c.Set(fiber.HeaderContentDisposition, `attachment; filename="devices.csv"`)
	c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
		if err := p.writeCSV(w, head, rows, now); err != nil {
			p.log.Debug("export aborted", "err", err)
		}
	})
	return nil
}

// exportStep is how many rows are described in one View of the model.
const exportStep = 500

func (p *Portal) writeCSV(w *bufio.Writer, head []string, rows []row, now int64) error {
	if _, err := w.WriteString(byteOrderMark); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(head); err != nil {
		return err
	}
	var r telemetry.Reading
	var l wire.Layout
	for len(rows) > 0 {
		n := min(exportStep, len(rows))
		devices := make([]device, 0, n)
		p.model.View(func() {
			for _, row := range rows[:n] {
				devices = append(devices, p.describe(row.d, now))
			}
		})
		for i := range devices {
			if err := out.Write(exportRow(&devices[i], &r, &l)); err != nil {
				return err
			}
		}
		if out.Flush(); out.Error() != nil {
			return out.Error()
		}
		if err := w.Flush(); err != nil {
			return err // the client disconnected
		}
		rows = rows[n:]
	}
	return nil
}

func exportRow(d *device, r *telemetry.Reading, l *wire.Layout) []string {
	row := []string{
		safe(d.DeviceID), safe(d.Location.Building), strconv.Itoa(d.Location.Floor), safe(d.Location.Room), safe(d.Gateway),
		safe(d.Info.Model), safe(d.Info.Firmware), string(d.Presence), moment(d.LastSeen),
	}
	known := d.Reading != nil && wire.DecodeReading(d.Reading, r, l) == nil
	for p := range telemetry.NumAnalog {
		text := ""
		if known && r.Sensors.Analog(p).Present {
			text = decimal(r.Sensors.Analog(p).Value)
		}
		row = append(row, text)
	}
	state, battery, signal := "", "", ""
	if known {
		if s := r.Sensors.Switch(); s.Present {
			state = strconv.FormatBool(s.Value)
		}
		battery, signal = optional(r.Info.Battery), optional(r.Info.SignalStrength)
	}
	return append(row, state, battery, signal, strconv.Itoa(d.ActiveAlerts), string(d.Severity))
}

func optional(v telemetry.Optional) string {
	if !v.Present {
		return ""
	}
	return decimal(v.Value)
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func moment(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

// safe keeps spreadsheets from reading a device's text as a formula. Chinese and Japanese ones accept
// full-width signs, and leading blanks are skipped.
func safe(s string) string {
	text := strings.TrimLeftFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf) })
	first, _ := utf8.DecodeRuneInString(text)
	if strings.ContainsRune("=+-@＝＋－＠", first) || strings.IndexAny(s, "\t\r\n") == 0 {
		return "'" + s
	}
	return s
}
