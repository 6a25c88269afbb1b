package pipeline_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/pipeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const begin = int64(1_800_000_000_000)

// report is that of a program that was started before the board.
func report(program, instance string, at int64) wire.Vitals {
	return wire.Vitals{
		Program: program, Instance: instance, Host: "h", PID: 7, Version: "1", Started: begin - 1000, Time: at,
		CPUPercent: 10, MemoryBytes: 50e6, Goroutines: 20, Facts: map[string]string{"rules": "a"},
	}
}

func kinds(events []pipeline.PlantEvent) (out []string) {
	for _, e := range events {
		out = append(out, fmt.Sprint(e.Kind, " ", e.Instance, " ", e.From, ">", e.To))
	}
	return out
}

func TestWhatHappensToAProcessIsAnEvent(t *testing.T) {
	b := pipeline.New(begin)
	b.Observe(report("core", "c1", begin), begin)
	require.Empty(t, b.Events(), "it was there before")

	v := report("edge", "gw-a", begin+100)
	v.Started = begin + 50
	b.Observe(v, begin+100)
	require.Equal(t, []string{"started gw-a >1"}, kinds(b.Events()))

	v = report("core", "c1", begin+5000)
	v.Facts["rules"] = "b"
	b.Observe(v, begin+5000)
	require.Equal(t, "changed c1 a>b", kinds(b.Events())[0])

	b.Sample(pipeline.Own{}, begin+22_000)
	require.Equal(t, []string{"silent c1 >", "silent gw-a >"}, sortedHead(kinds(b.Events()), 2))
	b.Sample(pipeline.Own{}, begin+27_000)
	require.Len(t, b.Events(), 4, "silence is said once")

	v = report("core", "c1", begin+30_000)
	v.Facts["rules"] = "b"
	b.Observe(v, begin+30_000)
	require.Equal(t, "back c1 >", kinds(b.Events())[0])

	v.Started, v.Time, v.Version = begin+33_000, begin+33_000, "2"
	b.Observe(v, begin+33_000)
	require.Equal(t, "restarted c1 1>2", kinds(b.Events())[0])
	require.Equal(t, 1, b.Processes(begin + 33_000)[1].Restarts)
	b.Observe(v, begin+33_100)
	require.Len(t, b.Events(), 6, "the same report twice")
}

func sortedHead(list []string, n int) []string {
	head := append([]string{}, list[:n]...)
	if head[0] > head[1] {
		head[0], head[1] = head[1], head[0]
	}
	return head
}

func TestProcessesAreListedInTheOrderOfAReadingsWay(t *testing.T) {
	b := pipeline.New(begin)
	for _, p := range []string{"portal", "core", "bridge", "edge"} {
		b.Observe(report(p, "x", begin), begin)
	}
	var got []string
	for _, p := range b.Processes(begin + 20_000) {
		got = append(got, p.Program)
		require.True(t, p.Silent)
		require.EqualValues(t, 20_000, p.AgeMS)
	}
	require.Equal(t, []string{"edge", "bridge", "core", "portal"}, got)
	b.Sample(pipeline.Own{}, begin+3_600_001)
	require.Empty(t, b.Processes(begin+3_600_001), "gone for an hour")
}

func TestMemoryThatGrowsHasATrend(t *testing.T) {
	b := pipeline.New(begin)
	at := begin
	for i := range 30 {
		v := report("core", "c", at)
		v.MemoryBytes = 100e6 + 2e6*float64(i)
		v.CPUPercent = float64(i)
		b.Observe(v, at)
		if i == 5 {
			require.Nil(t, b.Processes(at)[0].MemoryPerMinute, "too little is known")
		}
		at += 60_000
	}
	p := b.Processes(at - 60_000)[0]
	require.InDelta(t, 2e6, *p.MemoryPerMinute, 1)
	require.Len(t, p.Course.CPU, 60)
	require.Nil(t, p.Course.CPU[29], "before the first report")
	require.InDelta(t, 0, *p.Course.CPU[30], 0)
	require.InDelta(t, 29, *p.Course.CPU[59], 0)
	require.InDelta(t, 158e6, *p.Course.Memory[59], 0)
}

func TestTheProcessesAreBounded(t *testing.T) {
	b := pipeline.New(begin)
	for i := range 2100 {
		b.Observe(report("edge", fmt.Sprintf("gw-%04d", i), begin+int64(i)), begin+int64(i))
	}
	all := b.Processes(begin + 2100)
	require.Len(t, all, 2000)
	require.Equal(t, "gw-0100", all[0].Instance, "the longest silent made room")
}

func TestEachWarningIsKeptOnceAndNewestFirst(t *testing.T) {
	b := pipeline.New(begin)
	line := func(n uint64) wire.Warning {
		return wire.Warning{Number: n, Time: begin + int64(n), Level: "warn", Message: fmt.Sprint("w", n), Detail: "k=v"}
	}
	v := report("edge", "gw-a", begin)
	v.Warnings = []wire.Warning{line(1), line(2)}
	b.Observe(v, begin)
	shared := report("core", "c", begin) // in the same process
	shared.Warnings = []wire.Warning{line(1), line(2), line(3)}
	b.Observe(shared, begin)
	var got []string
	for _, w := range b.Warnings() {
		got = append(got, w.Message)
	}
	require.Equal(t, []string{"w3", "w2", "w1"}, got)
	for i := range uint64(400) {
		v.Time++
		v.Warnings = []wire.Warning{line(4 + i)}
		b.Observe(v, begin)
	}
	require.Len(t, b.Warnings(), 200)
}

// plantAt is a plant whose stages take these times, in ms.
func plantAt(b *pipeline.Board, at int64, ack, arrived, sent, txn float64) {
	edge := report("edge", "gw-a", at)
	edge.Stages = []wire.StageVitals{{Stage: wire.StageGateway, Rate: 100, Count: 50, Mean: ack, P99: 3 * ack}}
	other := report("edge", "gw-b", at)
	other.Stages = []wire.StageVitals{{Stage: wire.StageGateway, Rate: 300, Count: 150, Mean: ack, P99: 2 * ack}}
	bridge := report("bridge", "b", at)
	bridge.Stages = []wire.StageVitals{{Stage: wire.StageKafka, Rate: 400, Count: 20, Mean: txn, P99: txn}}
	core := report("core", "c", at)
	core.Stages = []wire.StageVitals{
		{Stage: wire.StageLiveArrived, Rate: 400, Count: 40, Mean: arrived, P99: arrived},
		{Stage: wire.StageLiveSent, Count: 40, Mean: sent, P99: sent},
		{Stage: wire.StageCommit, Rate: 400, Count: 10, Mean: 7, P99: 9},
	}
	for _, v := range []wire.Vitals{edge, other, bridge, core} {
		b.Observe(v, at)
	}
}

func TestEachStageHasTheTimeThatItTakesItself(t *testing.T) {
	b := pipeline.New(begin)
	plantAt(b, begin, 2, 5, 6, 12)
	b.Sample(pipeline.Own{Received: 400, Sent: 3, ToPortal: new(8.0), ToSocket: new(33.0), Lag: new(int64(14))}, begin)
	p := b.Pipeline(pipeline.Hour, 0, begin)
	ms := map[string]float64{}
	for _, s := range p.Stages {
		if s.MS != nil {
			ms[s.Stage] = *s.MS
		}
	}
	require.Equal(t, map[string]float64{"gateway": 2, "line": 5, "core": 1, "portal": 2, "screen": 25, "kafka": 12, "commit": 7}, ms)
	require.InDelta(t, 400, *p.Stages[0].Rate, 0, "of both gateways")
	require.InDelta(t, 6, *p.Stages[0].P99, 0, "the worst of both")
	require.InDelta(t, 14, *p.Stages[7].Lag, 0)
	require.Equal(t, &pipeline.Slowest{Stage: "screen", MS: 25, Share: 0.463}, p.Slowest)
}

func TestTheStageThatIsSlowedDownIsTheSlowest(t *testing.T) {
	for stage, figures := range map[string][4]float64{
		"gateway": {202, 5, 6, 12}, "line": {2, 205, 206, 12}, "core": {2, 5, 206, 12}, "kafka": {2, 5, 6, 212},
	} {
		b := pipeline.New(begin)
		plantAt(b, begin, figures[0], figures[1], figures[2], figures[3])
		b.Sample(pipeline.Own{ToPortal: new(figures[2] + 2), ToSocket: new(figures[2] + 30), Painted: new(3.0), PaintedMS: new(900.0)}, begin)
		require.Equal(t, stage, b.Pipeline(pipeline.Hour, 0, begin).Slowest.Stage)
	}
}

func TestWhatIsUnknownIsNull(t *testing.T) {
	b := pipeline.New(begin)
	p := b.Pipeline(pipeline.Hour, 0, begin)
	require.Nil(t, p.Slowest)
	require.Len(t, p.Stages, 8)
	for _, s := range p.Stages {
		require.Nil(t, s.MS)
		require.Len(t, s.Course.MS, 720)
	}
	plantAt(b, begin, 2, 5, 6, 12)
	b.Sample(pipeline.Own{}, begin+60_000)
	for _, s := range b.Pipeline(pipeline.Hour, 0, begin+60_000).Stages {
		require.Nil(t, s.MS, "reports of a minute ago say nothing of now: %s", s.Stage)
	}
}

func TestCoursesAreGivenFromATimeOn(t *testing.T) {
	b := pipeline.New(begin)
	for i := range int64(1000) {
		at := begin + i*pipeline.StepMS
		b.Sample(pipeline.Own{Received: float64(i)}, at)
	}
	now := begin + 999*pipeline.StepMS
	whole := b.Pipeline(pipeline.Hour, 0, now)
	rate := whole.Stages[3].Course.Rate
	require.Len(t, rate, 720)
	require.InDelta(t, 280, *rate[0], 0)
	require.InDelta(t, 999, *rate[719], 0)
	tail := b.Pipeline(pipeline.Hour, now-10*pipeline.StepMS, now)
	require.Len(t, tail.Stages[3].Course.Rate, 11)
	require.Equal(t, now-10*pipeline.StepMS, tail.From)
	require.InDelta(t, 989, *tail.Stages[3].Course.Rate[0], 0)
	require.Len(t, b.Pipeline(pipeline.Hour, now+99_999_999, now).Stages[0].Course.Rate, 2)
}

func TestAGatewayHasTheCourseOfItsStageAndBuffer(t *testing.T) {
	b := pipeline.New(begin)
	at := begin - begin%60_000
	for i, ms := range []float64{10, 40} {
		v := report("edge", "gw-a", at+int64(i))
		v.Stages = []wire.StageVitals{{Stage: wire.StageGateway, Rate: 100 * float64(i+1), Count: uint64(2 - i), Mean: ms}}
		b.Observe(v, at+int64(i))
	}
	b.Sample(pipeline.Own{Buffers: map[string]float64{"gw-a": 0.25, "gw-x": 1}}, at+10)
	b.Sample(pipeline.Own{Buffers: map[string]float64{"gw-a": 0.2}}, at+20)
	c := b.Processes(at + 20)[0].Course
	require.InDelta(t, 150, *c.Rate[59], 0)
	require.InDelta(t, 20, *c.MS[59], 0, "two of 10 ms, one of 40")
	require.InDelta(t, 0.25, *c.Buffer[59], 0, "the most of the minute")
	require.Nil(t, c.Buffer[58])
}

func TestSixHoursAreInCoarserSteps(t *testing.T) {
	b := pipeline.New(begin)
	start := begin - begin%pipeline.WideMS
	for i := range int64(6 * 700) {
		at := start + i*pipeline.StepMS
		b.Sample(pipeline.Own{Received: float64(i % 6), Lag: new(i % 6)}, at)
	}
	now := start + (6*700-1)*pipeline.StepMS
	p := b.Pipeline(pipeline.SixHours, 0, now)
	require.EqualValues(t, 30_000, p.StepMS)
	portal, commit := p.Stages[3].Course, p.Stages[7].Course
	require.Len(t, portal.Rate, 720)
	require.Nil(t, portal.Rate[19], "before the first sample")
	require.InDelta(t, 2.5, *portal.Rate[20], 0.01, "the mean of a step")
	require.InDelta(t, 5, *commit.Lag[20], 0, "the most of a step")
	require.InDelta(t, 5, *p.Stages[3].Rate, 0, "the newest figure is not a mean")
	require.Len(t, b.Pipeline(pipeline.SixHours, now-60_000, now).Stages[0].Course.Rate, 3)
}

func TestLanesAndPartitionsHaveStrips(t *testing.T) {
	b := pipeline.New(begin)
	v := report("bridge", "b", begin)
	v.Lanes = []wire.LaneVitals{{Lane: 1, Rate: 50, Backlog: 700}, {Lane: 0, Rate: 20}}
	b.Observe(v, begin)
	own := pipeline.Own{Partitions: []pipeline.Partition{{Number: 2, Lag: 9}, {Number: 0, Rate: new(33.0)}}}
	b.Sample(own, begin)
	own.Partitions[0].Lag = 12
	b.Sample(own, begin+pipeline.StepMS)
	now := begin + pipeline.StepMS
	strips := b.Pipeline(pipeline.Hour, 0, now).Strips
	var got []string
	for _, s := range strips {
		got = append(got, fmt.Sprint(s.Kind, s.Number, " ", *s.Lag))
		require.Len(t, s.Course.Lag, 720)
	}
	require.Equal(t, []string{"lane0 0", "lane1 700", "partition0 0", "partition2 12"}, got)
	require.InDelta(t, 9, *strips[3].Course.Lag[718], 0)
	require.Nil(t, strips[3].Rate, "unknown")
	require.InDelta(t, 33, *strips[2].Rate, 0)

	b.Sample(pipeline.Own{}, begin+60_000)
	strips = b.Pipeline(pipeline.Hour, 0, begin+60_000).Strips
	require.Len(t, strips, 4)
	require.Nil(t, strips[0].Lag, "the bridge is silent")
	b.Sample(pipeline.Own{}, begin+7*3_600_000)
	require.Empty(t, b.Pipeline(pipeline.Hour, 0, begin+7*3_600_000).Strips)
}

func TestStripsAreBounded(t *testing.T) {
	b := pipeline.New(begin)
	own := pipeline.Own{}
	for i := range int32(1000) {
		own.Partitions = append(own.Partitions, pipeline.Partition{Number: i})
	}
	b.Sample(own, begin)
	require.Len(t, b.Pipeline(pipeline.Hour, 0, begin).Strips, 96)
}

func TestChangedLogLevelIsOneEventWithItsOperator(t *testing.T) {
	b := pipeline.New(begin)
	level := func(program, level, by string, at int64) {
		v := report(program, "x", at)
		v.LogLevel, v.LogLevelBy = level, by
		if by != "" {
			v.LogLevelUntil = at + wire.LogLevelFor
		}
		b.Observe(v, at)
	}
	for i, at := range []int64{begin, begin + 5000} {
		level("core", []string{"info", "debug"}[i], []string{"", "Li Wei"}[i], at)
		level("portal", []string{"info", "debug"}[i], []string{"", "Li Wei"}[i], at+1) // shares the process
	}
	require.Equal(t, []string{"log_level x info>debug"}, kinds(b.Events()))
	require.Equal(t, "Li Wei", b.Events()[0].By)
	p := b.Processes(begin + 6000)[0]
	require.Equal(t, []any{"debug", "Li Wei", begin + 5000 + wire.LogLevelFor}, []any{p.LogLevel, p.LogLevelBy, p.LogLevelUntil})
	level("core", "info", "", begin+10_000)
	require.Equal(t, "log_level x debug>info", kinds(b.Events())[0])
	require.Empty(t, b.Events()[0].By)
	require.True(t, b.Knows("core", "x"))
	require.False(t, b.Knows("core", "y"))
}

func TestWarningsOfProgramsInOneProcessAreEachTheirOwn(t *testing.T) {
	b := pipeline.New(begin)
	say := func(program string, numbers ...uint64) {
		v := report(program, "x", begin)
		for _, n := range numbers {
			v.Warnings = append(v.Warnings, wire.Warning{Number: n, Time: begin + int64(n), Message: fmt.Sprint("w", n)})
		}
		b.Observe(v, begin)
	}
	say("portal", 2, 5) // 5 is nobody's own
	say("core", 1, 4, 5)
	say("edge", 3, 5)
	var got []string
	for _, w := range b.Warnings() {
		got = append(got, w.Program+" "+w.Message)
	}
	require.Equal(t, []string{"portal w5", "core w4", "edge w3", "portal w2", "core w1"}, got)
}

func TestANewProcessWithTheNumberOfAnOldOneHasItsWarnings(t *testing.T) {
	b := pipeline.New(begin)
	for i := range 2 {
		v := report("core", "x", begin+int64(i)*10_000)
		v.Started = v.Time - 10
		v.Warnings = []wire.Warning{{Number: 1, Time: v.Time, Message: "w"}}
		b.Observe(v, v.Time)
	}
	require.Len(t, b.Warnings(), 2)
}
