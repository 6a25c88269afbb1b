package alarmtext

import "strings"

// words returns a text by its key in the page's dictionaries.
func (w Writer) words(key string) (string, bool) {
	text, ok := texts[key]
	if w.Lang == "zh" {
		return text.zh, ok
	}
	return text.en, ok
}

// say returns a text with its values, which are pairs of a name and a value.
func (w Writer) say(key string, values ...string) string {
	text, _ := w.words(key)
	for i := 0; i < len(values); i += 2 {
		values[i] = "{" + values[i] + "}"
	}
	return strings.NewReplacer(values...).Replace(text)
}

// sayOver is say with the text's form for what is over, if it has one and it is.
func (w Writer) sayOver(key string, over bool, values ...string) string {
	if _, ok := texts[key+".over"]; ok && over {
		key += ".over"
	}
	return w.say(key, values...)
}

type text struct{ en, zh string }

// texts are those of the page's dictionaries, ui/src/i18n. A test compares them.
var texts = map[string]text{
	"age.s":                       {"{n} s", "{n} 秒"},
	"age.min":                     {"{n} min", "{n} 分钟"},
	"age.h":                       {"{n} h", "{n} 小时"},
	"age.d":                       {"{n} d", "{n} 天"},
	"switch.on":                   {"on", "开"},
	"switch.off":                  {"off", "关"},
	"type.temperature_high":       {"temperature high", "温度过高"},
	"type.temperature_low":        {"temperature low", "温度过低"},
	"type.humidity_high":          {"humidity high", "湿度过高"},
	"type.current_high":           {"overcurrent", "电流过高"},
	"type.device_offline":         {"device offline", "设备离线"},
	"type.device_clock":           {"Device clock wrong", "设备时钟异常"},
	"type.gateway_down":           {"gateway silent", "网关失联"},
	"type.gateway_buffer_full":    {"gateway buffer full", "网关缓冲区已满"},
	"type.gateway_buffer_horizon": {"gateway buffer nearly full", "网关缓冲区即将写满"},
	"type.gateway_ledger":         {"gateway ledger does not add up", "网关账目不符"},
	"type.gateway_damaged":        {"readings lost to damage", "读数因损坏丢失"},
	"type.gateway_duplicate":      {"duplicate gateway id", "网关编号重复"},
	"type.gateway_clock":          {"gateway clock wrong", "网关时钟异常"},
	"what.beyond":                 {"{name} {value}{op} {limit}", "{name} {value}{op} {limit}"},
	"what.rate.up":                {"{name} rises {value}, limit {limit}", "{name}上升 {value}，限值 {limit}"},
	"what.rate.up.over":           {"{name} rose {value}, limit {limit}", "{name}曾上升 {value}，限值 {limit}"},
	"what.rate.down":              {"{name} falls {value}, limit {limit}", "{name}下降 {value}，限值 {limit}"},
	"what.rate.down.over":         {"{name} fell {value}, limit {limit}", "{name}曾下降 {value}，限值 {limit}"},
	"what.stuck":                  {"{name} has not changed from {value} for {span}", "{name}停在 {value} 已 {span}未变化"},
	"what.stuck.over":             {"{name} did not change from {value} for {span}", "{name}曾停在 {value}，{span}未变化"},
	"what.deviation.above":        {"{name} {value} above its room, limit {limit}", "{name}高于同室 {value}，限值 {limit}"},
	"what.deviation.below":        {"{name} {value} below its room, limit {limit}", "{name}低于同室 {value}，限值 {limit}"},
	"what.switch":                 {"{name} is {state}", "{name}为{state}"},
	"what.switch.over":            {"{name} was {state}", "{name}曾为{state}"},
	"what.anomaly":                {"{name} {value} is unusual", "{name} {value} 异常"},
	"what.anomaly.spike.up":       {"{name} {n} σ above usual", "{name}比平常值高 {n} σ"},
	"what.anomaly.spike.down":     {"{name} {n} σ below usual", "{name}比平常值低 {n} σ"},
	"what.anomaly.season.up":      {"{name} {n} σ above usual for {day} {hour}:00", "{name}比{day} {hour} 时的平常值高 {n} σ"},
	"what.anomaly.season.down":    {"{name} {n} σ below usual for {day} {hour}:00", "{name}比{day} {hour} 时的平常值低 {n} σ"},
	"what.anomaly.level":          {"{name} stepped to {value}, usually {expected}", "{name}跃变到 {value}，平常为 {expected}"},
	"what.anomaly.drift":          {"{name} drifts {n} an hour", "{name}每小时漂移 {n}"},
	"what.anomaly.stuck":          {"{name} unchanged since {time}", "{name}自 {time} 起不变"},
	"what.anomaly.noise":          {"{name} varies {n} times as much as usual", "{name}波动为平常的 {n} 倍"},
	"what.anomaly.oscillation":    {"{name} jumps between two levels", "{name}在两个水平间跳变"},
	"what.anomaly.dropout":        {"{name}: {n} of the values missing", "{name}有 {n} 的值缺失"},
	"what.anomaly.correlation":    {"{name} no longer follows {with}", "{name}不再随{with}变化"},
	"what.anomaly.peers":          {"{name} {n} off the room’s others", "{name}与同室其他传感器相差 {n}"},
	"what.anomaly.peers.model":    {"{name} {n} off its model’s others", "{name}与同型号其他设备相差 {n}"},
	"type.anomaly":                {"{name} unusual", "{name}异常"},
	"week.days":                   {"Sun,Mon,Tue,Wed,Thu,Fri,Sat", "周日,周一,周二,周三,周四,周五,周六"},
	"what.and":                    {"{a} and {b}", "{a}，且{b}"},
	"what.device_offline":         {"silent since {time}", "自 {time} 起无数据"},
	"what.device_offline.over":    {"silent from {time} to {end}", "{time} 至 {end} 无数据"},
	"what.gateway_down":           {"no heartbeat since {time}", "自 {time} 起无心跳"},
	"what.gateway_down.over":      {"no heartbeat from {time} to {end}", "{time} 至 {end} 无心跳"},
	"what.clock.ahead":            {"clock {span} ahead", "时钟快 {span}"},
	"what.clock.behind":           {"clock {span} behind", "时钟慢 {span}"},
	"what.gateway_buffer_horizon": {"buffer lasts {span} at this rate, limit {limit}", "按当前速率缓冲区可用 {span}，下限 {limit}"},
	"what.gateway_ledger":         {"ledger off by {n} readings", "账目相差 {n} 条读数"},
	"what.gateway_damaged":        {"{n} readings lost to damage", "因损坏丢失 {n} 条读数"},
	"param.battery":               {"Battery", "电量"},
	"param.signal_strength":       {"Signal", "信号"},
}
