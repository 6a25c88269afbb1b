package web

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones of readers, also in an image without them

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/portal/internal/alarmtext"
	"industrial-iot-monitor/portal/internal/audit"
	"industrial-iot-monitor/portal/internal/state"
)

// Columns of the exports.
var (
	journalHead = []string{
		"raised_at", "ended_at", "seconds", "severity", "state", "device_id", "building", "floor", "room", "alert_type", "message", "value", "peak", "limit",
		"occurrences", "acknowledged_by", "acknowledged_at", "assignee", "rule", "source", "alert_id",
	}
	journalHeadChinese = []string{
		"触发时间", "结束时间", "持续(秒)", "级别", "状态", "设备", "建筑", "楼层", "房间", "类型", "说明", "数值", "峰值", "限值",
		"次数", "确认人", "确认时间", "负责人", "规则", "来源", "告警编号",
	}
	auditHead = []string{
		"recorded_at", "time", "by", "action", "outcome", "reason", "note", "event", "from", "to", "device_id", "building", "alert_type", "rule", "alert_id", "command_id", "alarm", "claimed_by", "via", "address", "session",
	}
	auditHeadChinese = []string{
		"记录时间", "时间", "操作人", "操作", "结果", "原因", "备注", "事件", "原状态", "新状态", "设备", "建筑", "类型", "规则", "告警编号", "命令编号", "告警", "代何人操作", "登录方式", "来源地址", "会话",
	}
)

// exportJournal streams the selected alarms as a file for spreadsheets, the newest raised first.
func (p *Portal) exportJournal(c *fiber.Ctx) error {
	f, err := parseFilter(func(name string) string { return c.Query(name) })
	if err != nil {
		return err
	}
	words, err := p.alarmWords(c)
	if err != nil {
		return err
	}
	q := f.journal(strings.Clone(c.Query("rule")))
	return p.exportPast(c, "alarms.csv", journalHead, journalHeadChinese, func(ctx context.Context, write func([]string) error) error {
		return p.store.EachAlarm(ctx, q, func(a *state.Alert) error { return write(journalRow(a, words)) })
	})
}

// exportAudit streams the selected entries of the audit trail as a file for spreadsheets, the newest
// first.
func (p *Portal) exportAudit(c *fiber.Ctx) error {
	q, err := parseTrail(c)
	if err != nil {
		return err
	}
	words, err := p.alarmWords(c)
	if err != nil {
		return err
	}
	return p.exportPast(c, "audit.csv", auditHead, auditHeadChinese, func(ctx context.Context, write func([]string) error) error {
		return p.store.EachEntry(ctx, q, func(e *audit.Entry) error { return write(auditRow(e, words)) })
	})
}

// alarmWords returns the writer of texts about alarms for the reader of a file.
func (p *Portal) alarmWords(c *fiber.Ctx) (alarmtext.Writer, error) {
	lang, err := oneOf(c, "lang", "en", "zh")
	if err != nil {
		return alarmtext.Writer{}, err
	}
	name := strings.Clone(c.Query("zone"))
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" { // that of the server would be nobody's
		return alarmtext.Writer{}, badParameter("zone", "a time zone like Asia/Shanghai")
	}
	return alarmtext.Writer{Lang: lang, Zone: zone, Catalogue: p.catalogue.Catalogue()}, nil
}

// exportPast streams rows of the database. If they end early, the connection ends without the last
// chunk, so that clients report an incomplete download.
func (p *Portal) exportPast(c *fiber.Ctx, name string, head, headChinese []string, each func(context.Context, func([]string) error) error) error {
	lang, err := oneOf(c, "lang", "en", "zh")
	if err != nil {
		return err
	}
	if lang == "zh" {
		head = headChinese
	}
	if p.store == nil {
		return errNoStore
	}
	if err := p.store.Up(); err != nil {
		return p.noStore(err)
	}
	ctx, cancel := context.WithCancel(c.UserContext())
	read, write := io.Pipe()
	go func() {
		err := writeRows(write, head, func(row func([]string) error) error { return each(ctx, row) })
		if err != nil && ctx.Err() == nil {
			p.log.Warn("an export ended early", "file", name, "err", err)
		}
		_ = write.CloseWithError(err) // never fails
	}()
	c.Set(fiber.HeaderContentType, "text/csv; charset=utf-8")
	c.Set(fiber.HeaderContentDisposition, fmt.Sprintf("attachment; filename=%q", name))
	return c.SendStream(&download{PipeReader: read, cancel: cancel, conn: c.Context().Conn()})
}

func writeRows(w io.Writer, head []string, each func(func([]string) error) error) error {
	if _, err := io.WriteString(w, byteOrderMark); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(head); err != nil {
		return err
	}
	err := each(func(row []string) error {
		for i, text := range row {
			row[i] = safe(text)
		}
		return out.Write(row)
	})
	if err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

// download is a file that is made while it is sent.
type download struct {
	*io.PipeReader

	cancel context.CancelFunc
	conn   net.Conn
}

// Read implements io.Reader. It gives the client time to take what was read.
func (d *download) Read(b []byte) (int, error) {
	n, err := d.PipeReader.Read(b)
	_ = d.conn.SetWriteDeadline(time.Now().Add(exportIdle)) // if it fails, so does the write
	return n, err
}

// Close implements io.Closer.
func (d *download) Close() error {
	d.cancel()
	return d.PipeReader.Close()
}

func journalRow(a *state.Alert, words alarmtext.Writer) []string {
	ended, seconds := "", ""
	if at, over := a.Over(); over {
		ended, seconds = moment(at), decimal(float64(max(at-a.RaisedAt, 0))/1000)
	}
	by, at := "", ""
	if a.Ack != nil {
		by, at = a.Ack.By, moment(a.Ack.At)
	}
	return []string{
		moment(a.RaisedAt), ended, seconds, string(a.Severity), string(a.State), a.DeviceID, a.Location.Building, strconv.Itoa(a.Location.Floor), a.Location.Room,
		a.AlertType, words.Text(&a.Alert), decimal(a.CurrentValue), decimal(a.PeakValue), words.Limit(&a.Alert), strconv.Itoa(a.OccurrenceCount), by, at, a.Assignee, a.Rule,
		string(a.Source), a.AlertID,
	}
}

func auditRow(e *audit.Entry, words alarmtext.Writer) []string {
	return []string{
		moment(e.RecordedAt), moment(e.Time), e.By, auditWords(words.Lang, string(e.Action), "audit.action"), auditWords(words.Lang, string(e.Outcome), "audit.outcome"), auditReason(words.Lang, e.Reason), e.Note,
		auditWords(words.Lang, string(e.Event), "audit.event", "event"), auditWords(words.Lang, string(e.From), "alarmstate"), auditWords(words.Lang, string(e.To), "alarmstate"),
		e.DeviceID, e.Building, e.AlertType, e.Rule, e.AlertID, e.CommandID, words.Type(e.AlertType), e.ClaimedBy, auditWords(words.Lang, e.Via, "audit.via"), e.Address, e.Session,
	}
}
