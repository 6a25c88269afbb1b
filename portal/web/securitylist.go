package web

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/securityaudit"
	"industrial-iot-monitor/portal/internal/store"
)

// securityAnswer is a part of the security audit.
type securityAnswer struct {
	list[*store.SecurityRecord]
	past
}

var (
	securityHead = []string{
		"time", "local_time", "who", "via", "address", "what", "about", "detail", "outcome", "reason", "count", "program", "session", "offset", "chain", "number", "hash",
	}
	securityHeadChinese = []string{
		"时间", "当地时间", "操作人", "验证方式", "来源地址", "事件", "对象", "详情", "结果", "原因", "次数", "程序", "会话", "位置", "链", "链中序号", "哈希",
	}
)

// listSecurity returns what happened, the newest first. Without a database there is no answer: the portal remembers nothing of it.
func (p *Portal) listSecurity(c *fiber.Ctx) error {
	at, err := readPaging(c)
	if err != nil {
		return err
	}
	order, err := oneOf(c, "sort", "-time", "time")
	if err != nil {
		return err
	}
	q, err := parseSecurity(c)
	if err != nil {
		return err
	}
	q.OldestFirst = order == "time"
	if p.store == nil {
		return errNoStore
	}
	if err := at.within(); err != nil {
		return err
	}
	found, err := p.store.Security(c.UserContext(), q, store.Page(at))
	if err != nil {
		return p.noStore(err)
	}
	return c.JSON(securityAnswer{
		list[*store.SecurityRecord]{Total: found.Total, Count: len(found.Items), Offset: at.Offset, Time: p.model.Now(), Items: found.Items},
		past{More: found.More, Complete: !p.feed.SecurityBehind()},
	})
}

// exportSecurity streams the selected records as a file for spreadsheets, the newest first.
func (p *Portal) exportSecurity(c *fiber.Ctx) error {
	q, err := parseSecurity(c)
	if err != nil {
		return err
	}
	words, err := p.alarmWords(c)
	if err != nil {
		return err
	}
	return p.exportPast(c, "security-audit.csv", securityHead, securityHeadChinese, func(ctx context.Context, write func([]string) error) error {
		return p.store.EachSecurity(ctx, q, func(r *store.SecurityRecord) error { return write(securityRow(r, words.Lang, words.Zone)) })
	})
}

// parseSecurity reads the parameters that select records.
func parseSecurity(c *fiber.Ctx) (*store.SecurityQuery, error) {
	text := func(name string) string { return strings.Clone(c.Query(name)) }
	r := parser{get: func(name string) string { return c.Query(name) }}
	q := &store.SecurityQuery{
		Who: text("who"), About: text("about"), Program: text("program"),
		Whats: r.words("what", securityWhats), Outcomes: r.words("outcome", securityOutcomes), From: r.time("from"), To: r.time("to"),
	}
	return q, r.err
}

var (
	securityWhats    = wordsOf(securityaudit.Whats())
	securityOutcomes = wordsOf(securityaudit.Outcomes())
)

func wordsOf[T ~string](of []T) (out []string) {
	for _, w := range of {
		out = append(out, string(w))
	}
	return out
}

func securityRow(r *store.SecurityRecord, lang string, zone *time.Location) []string {
	return []string{
		moment(r.Time), time.UnixMilli(r.Time).In(zone).Format("2006-01-02 15:04:05"), r.Who, securityWord(lang, "via", r.Via), r.Address,
		securityWord(lang, "what", string(r.What)), r.About, r.Detail, securityWord(lang, "outcome", string(r.Outcome)), securityReason(lang, r.Reason), strconv.Itoa(max(r.Count, 1)),
		r.Program, r.Session, strconv.FormatInt(r.Offset, 10), r.Chain, strconv.FormatInt(r.Number, 10), r.Hash,
	}
}

// securityChinese has the words of the security audit for readers of Chinese, those of the page's dictionary.
var securityChinese = map[string]string{
	"what.sign_in":         "登录",
	"what.sign_out":        "退出登录",
	"what.password_change": "修改自己的密码",
	"what.user_add":        "添加人员",
	"what.user_change":     "修改人员",
	"what.token_add":       "添加令牌",
	"what.token_revoke":    "吊销令牌",
	"what.command":         "命令",
	"what.rule_change":     "修改规则",
	"what.gateway_add":     "添加网关",
	"what.gateway_rotate":  "更换网关密钥",
	"what.gateway_revoke":  "吊销网关",
	"what.gateway_enrol":   "网关注册",
	"what.gateway_connect": "网关连接",
	"what.client_add":      "添加程序",
	"what.client_revoke":   "吊销程序",
	"what.client_connect":  "程序连接",
	"what.device_add":      "添加设备凭据",
	"what.device_rotate":   "更换设备凭据",
	"what.device_revoke":   "吊销设备",
	"what.insecure_start":  "不安全启动",
	"outcome.begun":        "已开始",
	"outcome.done":         "完成",
	"outcome.failed":       "失败",
	"outcome.delayed":      "被延迟",
	"outcome.refused":      "被拒绝",
	"via.local":            "密码",
	"via.token":            "令牌",
	"via.oidc":             "统一认证",
	"via.proxy":            "代理认证",
	"via.shell":            "命令行",
	"via.key":              "密钥",
	"reason.password":      "姓名或密码错误",
	"reason.token":         "令牌不存在、已吊销或已过期",
	"reason.role":          "该角色无此权限",
}

// securityReasons are the beginnings of reasons that are no error of another program, with the keys of their words.
var securityReasons = []struct{ begin, key string }{
	{"wrong name or password", "password"},
	{"the token is unknown", "token"},
	{"not permitted to a", "role"},
}

// securityWord returns a code of the security audit as a reader of the language reads it.
func securityWord(lang, kind, code string) string {
	if text, ok := securityChinese[kind+"."+code]; ok && lang == langChinese {
		return text
	}
	return code
}

// securityReason does the same for a reason.
func securityReason(lang, reason string) string {
	for _, r := range securityReasons {
		if lang == langChinese && strings.HasPrefix(reason, r.begin) {
			return securityChinese["reason."+r.key]
		}
	}
	return reason
}
