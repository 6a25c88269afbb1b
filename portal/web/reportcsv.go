package web

import (
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/portal/internal/report"
)

var (
	reportHead        = []string{"section", "building", "device_id", "alert_type", "severity", "figure", "value", "unit"}
	reportHeadChinese = []string{"部分", "建筑", "设备", "类型", "级别", "指标", "数值", "单位"}
	// reportChinese are the words of sections, figures and units.
	reportChinese = map[string]string{
		"report": "报告", "alarms": "告警", "flood": "告警泛滥", "building": "建筑", "bad_actor": "高频告警", "chattering": "抖动告警", "standing": "长期告警",
		"critical": "紧急告警", "shelved": "搁置", "out_of_service": "停用", "unknown": "未知",
		"from": "开始", "to": "结束", "until": "统计截至", "generated": "生成时间", "since": "数据起始", "complete": "完整",
		"raised": "触发次数", "per_hour": "每人每小时", "target": "目标", "suppressed": "被抑制", "historical": "补报", "maintained": "维护期间", "floods": "告警泛滥次数", "flood_time": "告警泛滥时长",
		"flood_share": "告警泛滥占比", "acknowledged": "已确认", "never_acknowledged": "未确认", "ack_median": "确认用时中位数", "ack_p90": "确认用时九成位",
		"standing_over_24h": "持续超过24小时", "devices": "设备数", "availability": "在线率", "temperature_mean": "平均温度", "temperature_max": "最高温度",
		"completeness": "数据完整率", "sampled_devices": "抽样设备数", "gateway_silent": "网关中断时长", "count": "次数", "share": "占比", "raised_at": "触发时间",
		"acknowledged_at": "确认时间", "ended_at": "结束时间", "by": "操作人", "at": "时间", "reason": "原因", "per hour": "次/小时", "alarms_raised": "触发次数",
	}
)

// reportRows writes the rows of a report.
type reportRows struct {
	rows [][]string
	lang string
}

func (w *reportRows) word(s string) string {
	if chinese, ok := reportChinese[s]; ok && w.lang == "zh" {
		return chinese
	}
	return s
}

// reportPlace is what a row is about.
type reportPlace struct{ section, building, device, kind, severity string }

func (w *reportRows) text(p reportPlace, figure, value, unit string) {
	w.rows = append(w.rows, []string{w.word(p.section), p.building, p.device, p.kind, p.severity, w.word(figure), value, w.word(unit)})
}

func (w *reportRows) number(p reportPlace, figure string, value float64, unit string) {
	w.text(p, figure, decimal(value), unit)
}

// maybe writes unknown for what is not known, never 0.
func (w *reportRows) maybe(p reportPlace, figure string, value *float64, unit string) {
	if value == nil {
		w.text(p, figure, w.word("unknown"), "")
		return
	}
	w.number(p, figure, *value, unit)
}

func (w *reportRows) seconds(p reportPlace, figure string, ms *int64) {
	if ms == nil {
		w.text(p, figure, w.word("unknown"), "")
		return
	}
	w.number(p, figure, float64(*ms)/1000, "s")
}

func (w *reportRows) moment(p reportPlace, figure string, at int64) {
	if at != 0 {
		w.text(p, figure, moment(at), "")
	}
}

func (w *reportRows) counts(p reportPlace, c report.Counts) {
	for _, x := range []struct {
		severity string
		n        int
	}{{"critical", c.Critical}, {"high", c.High}, {"medium", c.Medium}, {"low", c.Low}} {
		p.severity = x.severity
		w.number(p, "raised", float64(x.n), "")
	}
}

// exportReport answers a report as a file for spreadsheets, one figure a row.
func (p *Portal) exportReport(c *fiber.Ctx) error {
	lang, err := oneOf(c, "lang", "en", "zh")
	if err != nil {
		return err
	}
	r, err := p.report(c)
	if err != nil {
		return err
	}
	w := &reportRows{lang: lang}
	w.summary(r)
	w.buildings(r)
	w.lists(r)
	head := reportHead
	if lang == "zh" {
		head = reportHeadChinese
	}
	c.Set(fiber.HeaderContentType, "text/csv; charset=utf-8")
	c.Set(fiber.HeaderContentDisposition, `attachment; filename="report.csv"`)
	return writeRows(c.Response().BodyWriter(), head, func(write func([]string) error) error {
		for _, row := range w.rows {
			if err := write(row); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *reportRows) summary(r *plantReport) {
	about := reportPlace{section: "report", building: r.Building}
	for _, x := range []struct {
		figure string
		at     int64
	}{{"from", r.From}, {"to", r.To}, {"until", r.Until}, {"generated", r.Time}, {"since", r.Since}} {
		w.moment(about, x.figure, x.at)
	}
	w.text(about, "complete", strconv.FormatBool(r.Complete), "")
	for _, u := range r.Unknown {
		about.section = "unknown"
		w.text(about, u.What, u.Why, "")
	}
	a := reportPlace{section: "alarms", building: r.Building}
	w.counts(a, r.Raised)
	w.number(a, "per_hour", r.PerHour, "per hour")
	w.number(a, "target", float64(r.Target), "per hour")
	w.number(a, "suppressed", float64(r.Hidden.Suppressed), "")
	w.number(a, "historical", float64(r.Hidden.Historical), "")
	w.number(a, "maintained", float64(r.Hidden.Maintained), "")
	w.number(a, "floods", float64(len(r.Floods)), "")
	w.number(a, "flood_time", float64(r.FloodMS)/1000, "s")
	w.number(a, "flood_share", r.FloodShare*100, "%")
	w.number(a, "acknowledged", float64(r.Acknowledged), "")
	w.number(a, "never_acknowledged", float64(r.NeverAcknowledged), "")
	w.seconds(a, "ack_median", r.AckMedianMS)
	w.seconds(a, "ack_p90", r.AckP90MS)
	w.number(a, "standing_over_24h", float64(r.StandingCount), "")
	for _, f := range r.Floods {
		flood := reportPlace{section: "flood"}
		w.moment(flood, "from", f.From)
		w.moment(flood, "to", f.To)
		w.number(flood, "count", float64(f.Raised), "")
	}
}

func (w *reportRows) buildings(r *plantReport) {
	percent := func(share *float64) *float64 {
		if share == nil {
			return nil
		}
		v := *share * 100
		return &v
	}
	for i := range r.Buildings {
		b := &r.Buildings[i]
		at := reportPlace{section: "building", building: b.Building}
		w.number(at, "devices", float64(b.Devices), "")
		w.maybe(at, "availability", percent(b.Availability), "%")
		w.counts(at, b.Raised)
		w.maybe(at, "temperature_mean", b.TemperatureMean, "°C")
		w.maybe(at, "temperature_max", b.TemperatureMax, "°C")
		w.maybe(at, "completeness", percent(b.Completeness), "%")
		w.number(at, "sampled_devices", float64(b.Sampled), "")
		w.number(at, "gateway_silent", float64(b.GatewaySilentMS)/1000, "s")
	}
}

func (w *reportRows) lists(r *plantReport) {
	w.actors("bad_actor", r.BadActors)
	w.actors("chattering", r.Chattering)
	w.events("standing", r.Standing)
	w.events("critical", r.Criticals)
	w.asides("shelved", r.Shelved)
	w.asides("out_of_service", r.OutOfService)
}

func (w *reportRows) actors(section string, actors []report.Actor) {
	for i := range actors {
		a := &actors[i]
		at := reportPlace{section, a.Building, a.DeviceID, a.AlertType, string(a.Severity)}
		w.number(at, "count", float64(a.Count), "")
		w.number(at, "share", a.Share*100, "%")
	}
}

func (w *reportRows) events(section string, events []report.Event) {
	for i := range events {
		e := &events[i]
		at := reportPlace{section, e.Building, e.DeviceID, e.AlertType, string(e.Severity)}
		w.moment(at, "raised_at", e.RaisedAt)
		w.moment(at, "acknowledged_at", e.AcknowledgedAt)
		w.moment(at, "ended_at", e.EndedAt)
	}
}

func (w *reportRows) asides(section string, list []putAside) {
	for i := range list {
		a := &list[i]
		at := reportPlace{section: section, building: a.Building, device: a.DeviceID, kind: a.AlertType}
		w.moment(at, "at", a.At)
		w.moment(at, "until", a.Until)
		w.text(at, "by", strings.TrimSpace(a.By), "")
		w.text(at, "reason", a.Reason, "")
	}
}
