package web

import (
	"bufio"
	"encoding/csv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/census"
)

// byteOrderMark makes spreadsheets read the file as UTF-8.
const byteOrderMark = "\ufeff"

// Columns before and behind those of the sensors.
var (
	exportHead = []string{
		"device_id", "name", "building", "floor", "room", "gateway", "model", "firmware", "tags", "state", "last_seen", "clock_offset_ms",
	}
	exportTail        = []string{"battery", "signal_strength", "active_alerts", "severity", "maintenance_until"}
	exportHeadChinese = []string{"设备", "名称", "建筑", "楼层", "房间", "网关", "型号", "固件", "标签", "状态", "最近读数", "时钟偏差(毫秒)"}
	exportTailChinese = []string{"电量", "信号", "活动告警", "级别", "维护至"}
)

// exportColumn is the column of a sensor.
type exportColumn struct{ name, unit, head string }

// exportCSV streams the selected devices as a file for spreadsheets, one row each. The filters and
// sort orders are those of the list of devices.
func (p *Portal) exportCSV(c *fiber.Ctx) error {
	f, err := readDeviceFilter(c)
	if err != nil {
		return err
	}
	lang, err := oneOf(c, "lang", "en", "zh")
	if err != nil {
		return err
	}
	order, err := readDeviceSort(c)
	if err != nil {
		return err
	}
	now := p.model.Now()
	rows := p.match(f, sortedSensor(order), now)
	sortRows(rows, order)
	columns := p.exportColumns(rows, lang)
	head, tail := exportHead, exportTail
	if lang == "zh" {
		head, tail = exportHeadChinese, exportTailChinese
	}
	head = slices.Clone(head)
	for _, x := range columns {
		head = append(head, safe(x.head))
	}
	head = append(head, tail...)
	c.Set(fiber.HeaderContentType, "text/csv; charset=utf-8")
	c.Set(fiber.HeaderContentDisposition, `attachment; filename="devices.csv"`)
	c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
		if err := p.writeCSV(w, head, columns, rows, now); err != nil {
			p.log.Debug("export aborted", "err", err)
		}
	})
	return nil
}

// exportStep is how many rows are described in one View of the model.
const exportStep = 500

func (p *Portal) writeCSV(w *bufio.Writer, head []string, columns []exportColumn, rows []row, now int64) error {
	if _, err := w.WriteString(byteOrderMark); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(head); err != nil {
		return err
	}
	var r telemetry.Reading
	for len(rows) > 0 {
		n := min(exportStep, len(rows))
		devices := make([]device, 0, n)
		p.model.View(func() {
			for _, row := range rows[:n] {
				devices = append(devices, p.describe(row.d, now))
			}
		})
		for i := range devices {
			if err := out.Write(exportRow(&devices[i], columns, &r)); err != nil {
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

// exportColumns returns the columns of the sensors that some of the rows have: those of the contract,
// which are always there, then by name.
func (p *Portal) exportColumns(rows []row, lang string) []exportColumn {
	units := make(map[string]map[string]int)
	for _, name := range census.Contract() {
		units[name] = make(map[string]int)
	}
	var r telemetry.Reading
	for part := range slices.Chunk(rows, exportStep) {
		p.model.View(func() {
			for _, row := range part {
				if row.d.Values(&r) {
					countUnits(units, r.Sensors)
				}
			}
		})
	}
	catalogue := p.catalogue.Catalogue()
	columns := make([]exportColumn, 0, len(units))
	for _, name := range slices.SortedFunc(maps.Keys(units), census.Compare) {
		columns = append(columns, newColumn(name, units[name], catalogue.KindOf(name), lang))
	}
	return columns
}

func countUnits(units map[string]map[string]int, list telemetry.Sensors) {
	for i := range list {
		x := &list[i]
		of := units[x.Name]
		if of == nil {
			of = make(map[string]int)
			units[x.Name] = of
		}
		if x.Status != telemetry.StatusUnitUnknown {
			of[x.Unit]++
		}
	}
}

// newColumn returns the column of a sensor. Its unit is that of the sensor's kind, or else the
// commonest.
func newColumn(name string, units map[string]int, k *sensors.Kind, lang string) exportColumn {
	x := exportColumn{name: name, head: name}
	if k != nil {
		x.unit = k.Unit
	} else {
		for _, u := range slices.Sorted(maps.Keys(units)) {
			if units[u] > units[x.unit] {
				x.unit = u
			}
		}
	}
	if lang == "zh" && k != nil {
		x.head = k.Zh
		if name != k.Name {
			x.head += " " + name
		}
	}
	if x.unit != "" {
		x.head += " [" + x.unit + "]"
	}
	return x
}

func exportRow(d *device, columns []exportColumn, r *telemetry.Reading) []string {
	offset := ""
	if d.ClockOffsetMS != 0 {
		offset = strconv.FormatInt(d.ClockOffsetMS, 10)
	}
	row := []string{
		safe(d.DeviceID), safe(d.Name), safe(d.Location.Building), strconv.Itoa(d.Location.Floor), safe(d.Location.Room), safe(d.Gateway),
		safe(d.Info.Model), safe(d.Info.Firmware), safe(strings.Join(d.Tags, ", ")), string(d.Presence), moment(d.LastSeen), offset,
	}
	if d.Reading == nil || wire.DecodeReading(d.Reading, r, nil) != nil {
		*r = telemetry.Reading{}
	}
	for _, x := range columns {
		row = append(row, x.text(r.Sensors.Find(x.name)))
	}
	return append(row, optional(r.Info.Battery), optional(r.Info.SignalStrength), strconv.Itoa(d.ActiveAlerts), string(d.Severity), moment(d.MaintenanceUntil))
}

// text returns a value as the column shows it: with its unit if that is not the column's.
func (x *exportColumn) text(s *telemetry.Sensor) string {
	switch {
	case s == nil:
		return ""
	case s.Kind == telemetry.Text:
		return safe(s.Text)
	case s.Kind == telemetry.Bool:
		return strconv.FormatBool(s.Number != 0)
	case s.Unit != "" && s.Unit != x.unit:
		return safe(decimal(s.Number) + " " + s.Unit)
	}
	return decimal(s.Number)
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
