package web

import "strings"

// langChinese is the language of readers of Chinese.
const langChinese = "zh"

// auditChinese has the words of the audit trail for readers of Chinese, by the keys of the page's dictionary. The codes
// themselves are plain enough for readers of English.
var auditChinese = map[string]string{
	"audit.outcome.applied":              "已执行", // which the page need not say
	"alarmstate.unacknowledged":          "未确认",
	"alarmstate.acknowledged":            "已确认",
	"alarmstate.returned_unacknowledged": "已恢复，未确认",
	"alarmstate.normal":                  "已恢复",
	"refusal.gone":                       "该告警已不存在",
	"refusal.over":                       "该告警已恢复，现有新的告警",
	"refusal.past":                       "搁置截止时间已过",
	"refusal.many":                       "该设备停用的告警过多",
	"refusal.device":                     "没有该设备",
	"refusal.ended":                      "该告警已恢复",
	"refusal.acknowledged":               "已被确认",
	"refusal.same":                       "内容未变",
	"refusal.shelved":                    "已搁置到该时间",
	"refusal.unshelved":                  "未搁置",
	"refusal.out":                        "已停用",
	"refusal.in":                         "未停用",
	"refusal.silent":                     "设备长期无数据",
	"refusal.maintenance":                "该设备正在维护",
	"event.raised":                       "触发",
	"event.escalated":                    "级别变化",
	"event.repeated":                     "再次触发",
	"event.cleared":                      "解除",
	"event.suppressed":                   "抑制",
	"event.unsuppressed":                 "解除抑制",
	"event.chattering":                   "抖动",
	"event.settled":                      "抖动结束",
	"event.uncertain":                    "不确定：设备离线",
	"event.confirmed":                    "重新确定",
	"event.stale":                        "持续超过一天",
	"event.acknowledged":                 "确认",
	"event.shelved":                      "搁置",
	"event.unshelved":                    "取消搁置",
	"event.out_of_service":               "停用",
	"event.in_service":                   "恢复投用",
	"event.commented":                    "备注",
	"event.assigned":                     "指派",
	"event.not_anomaly":                  "不是异常",
	"event.removed":                      "设备已移除",
	"event.described":                    "修改描述",
	"audit.action.acknowledge":           "确认",
	"audit.action.shelve":                "搁置",
	"audit.action.unshelve":              "取消搁置",
	"audit.action.out_of_service":        "停用",
	"audit.action.in_service":            "恢复启用",
	"audit.action.comment":               "备注",
	"audit.action.assign":                "指派",
	"audit.action.not_anomaly":           "不是异常",
	"audit.action.remove":                "移除设备",
	"audit.action.describe":              "修改设备描述",
	"audit.action.maintain":              "开始维护",
	"audit.action.end_maintenance":       "结束维护",
	"audit.event.maintenance_over":       "维护到期",
	"audit.event.raised":                 "触发",
	"audit.event.escalated":              "级别变化",
	"audit.event.repeated":               "再次触发",
	"audit.event.cleared":                "恢复",
	"audit.event.suppressed":             "被抑制",
	"audit.event.unsuppressed":           "不再被抑制",
	"audit.event.chattering":             "频繁抖动",
	"audit.event.settled":                "抖动结束",
	"audit.event.uncertain":              "不确定：设备离线",
	"audit.event.confirmed":              "重新确定",
	"audit.event.stale":                  "持续超过一天",
	"audit.event.unshelved":              "搁置结束",
	"audit.event.removed":                "关闭：设备已移除",
	"audit.via.local":                    "密码",
	"audit.via.token":                    "令牌",
	"audit.via.oidc":                     "统一认证",
	"audit.via.proxy":                    "代理认证",
	"audit.outcome.nothing_to_do":        "无需处理",
	"audit.outcome.refused":              "被拒绝",
	"audit.outcome.conflict":             "冲突",
	"audit.outcome.forgotten":            "长期无数据",
}

// reasons are the beginnings of what core gives as the reason of an outcome, with the keys of their words.
var reasons = []struct{ begin, key string }{
	{"unknown alarm", "gone"},
	{"there is no such alarm", "gone"},
	{"there is no such device", "device"},
	{"that alarm is over", "over"},
	{"the alarm is over", "ended"},
	{"the time until which", "past"},
	{"too many of the device", "many"},
	{"it is acknowledged already", "acknowledged"},
	{"it is assigned so already", "same"},
	{"it reads so already", "same"},
	{"it is shelved until then already", "shelved"},
	{"it is not shelved", "unshelved"},
	{"it is out of service already", "out"},
	{"it is in service", "in"},
	{"the device has sent nothing", "silent"},
	{"its device is under", "maintenance"},
	{"it is under maintenance until then", "same"},
	{"it is not under maintenance", "same"},
}

// auditWords returns code of a kind as a reader of the language reads it; the code itself if there is no word for it.
func auditWords(lang, code string, kinds ...string) string {
	if lang != langChinese {
		return code
	}
	for _, kind := range kinds {
		if text, ok := auditChinese[kind+"."+code]; ok {
			return text
		}
	}
	return code
}

// auditReason does the same for the reason of an outcome.
func auditReason(lang, reason string) string {
	if lang != langChinese {
		return reason
	}
	for _, r := range reasons {
		if strings.HasPrefix(reason, r.begin) {
			return auditChinese["refusal."+r.key]
		}
	}
	return reason
}
