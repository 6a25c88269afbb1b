package processor

import (
	"context"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/core/internal/aggregate"
	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/clock"
	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/core/internal/presence"
	"industrial-iot-monitor/core/internal/rooms"
	"industrial-iot-monitor/internal/tracing"
)

const (
	// maxChunk is how many readings are processed before their results are flushed.
	maxChunk = 256
	// tickEvery is the time between two ticks of a task's clock.
	tickEvery = time.Second
	// windowsPerTick is how many windows a task may emit at every tick. A minute ends for
	// all devices at once; its windows are spread over spreadTicks.
	windowsPerTick = 1_000
	spreadTicks    = 20
	// windowGrace and windowIdle are the aggregator's.
	windowGrace = 2 * time.Second
	windowIdle  = 5 * time.Second
)

// task processes one partition. Everything belongs to the goroutine in run but pending,
// which the committer shares, and the parts that are marked as read by anyone.
type task struct {
	p           *Processor
	partition   int32
	commands    chan *sarama.ConsumerMessage
	nextCommand int64 // offset of the commands to continue from, negative while unknown

	devices  map[string]*device
	intake   intake.Intake
	windows  *aggregate.Aggregator
	alarms   alarmStage
	presence presenceStage
	watchdog watchdog
	life     lifeStage
	detects  *detectStage

	counts   counts
	out      *batch          // of the chunk at hand
	spans    []*tracing.Span // of its traced readings
	pending  *pending
	progress *progress
}

// device is the state of one device in all stages.
type device struct {
	id       string
	clock    clock.Clock
	alarm    alarm.State
	presence presence.Device
	windows  aggregate.Device
	room     rooms.Device
	detect   *detected // nil until it has sent a number
	silence  report    // of its silence
	wrong    wrongClock

	alarmChanged, stateChanged bool // listed to be written
}

func newTask(p *Processor, partition int32, wake func()) *task {
	now := time.Now().UnixMilli()
	t := &task{
		p: p, partition: partition, commands: make(chan *sarama.ConsumerMessage), nextCommand: -1,
		devices:  make(map[string]*device),
		intake:   intake.Intake{Limits: p.limits},
		windows:  aggregate.New(aggregate.Options{Grace: windowGrace, Idle: windowIdle}),
		alarms:   alarmStage{log: p.log, file: p.rules, stored: make(map[*device]struct{})},
		presence: presenceStage{log: p.log, offsets: p.offsets},
		watchdog: newWatchdog(p.gateways, p.peers),
		life:     newLifeStage(p.log, p.cfg.ForgetAfter),
		detects:  newDetectStage(p),
		out:      newBatch(), pending: newPending(wake), progress: newProgress(now),
	}
	t.presence.Tracker = presence.New(presence.Options{
		Refresh:    p.cfg.StateRefresh,
		IntervalOf: func(model string) (time.Duration, bool) { return t.intake.Sensors.IntervalOf(model) },
	}, now)
	t.reloadRules()
	t.reloadSensors()
	return t
}

// reloadSensors applies the newest catalogue of sensors and models: that of the rules in
// force, since values and limits must be in the same units.
func (t *task) reloadSensors() {
	latest := t.alarms.rules.Catalogue()
	if latest == t.intake.Sensors {
		return
	}
	t.intake.Sensors = latest
	for _, d := range t.devices {
		t.presence.Expect(&d.presence)
	}
}

func (t *task) addDevice(id string) *device {
	id = strings.Clone(id) // a reading's strings share its whole text
	d := &device{id: id}
	d.alarm = d.alarm.SeenUntil(t.life.removals[id].Seen)
	t.windows.Register(&d.windows, id)
	t.devices[id] = d
	return d
}

// reloadRules applies the newest rules to the readings to come.
func (t *task) reloadRules() {
	if !t.alarms.reload() {
		return
	}
	// A new rule may want an alarm for a condition that was reported before.
	clear(t.watchdog.reports)
	for _, d := range t.devices {
		d.silence, d.wrong.report = report{}, report{}
	}
}

// run processes a claim until ctx ends or failed is closed.
func (t *task) run(ctx context.Context, claim sarama.ConsumerGroupClaim, failed <-chan struct{}) {
	t.progress.next.Store(claim.InitialOffset())
	stop := t.fallBehind(ctx, claim.InitialOffset())
	defer stop()
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	chunk := make([]*sarama.ConsumerMessage, 0, maxChunk)
	messages := claim.Messages()
	for t.pending.waitForRoom(ctx, failed) {
		select {
		case <-ctx.Done():
			return
		case <-failed:
			return
		case now := <-ticker.C:
			t.progress.grow(claim.HighWaterMarkOffset(), now.UnixMilli())
			t.tick(now.UnixMilli())
		case m := <-t.commands:
			t.command(m)
		case m := <-t.detects.unread():
			chunk = fill(append(chunk[:0], m), t.detects.unread())
			t.learnAgain(chunk)
			clear(chunk)
		case m, ok := <-messages:
			if !ok {
				return
			}
			chunk = fill(append(chunk[:0], m), messages)
			t.process(chunk)
			clear(chunk) // a fetch's bytes live as long as one of its messages
		}
	}
}

// fill adds the messages that have arrived, up to the chunk's capacity.
func fill(chunk []*sarama.ConsumerMessage, messages <-chan *sarama.ConsumerMessage) []*sarama.ConsumerMessage {
	for len(chunk) < cap(chunk) {
		select {
		case m, ok := <-messages:
			if !ok {
				return chunk
			}
			chunk = append(chunk, m)
		default:
			return chunk
		}
	}
	return chunk
}

// flush makes the results so far part of the next transaction.
func (t *task) flush(now int64) {
	t.followMaintenance()
	t.alarms.encode(t.out)
	t.presence.encode(t.out)
	t.detects.encode(t.out, t.progress.next.Load(), now)
	t.out.next, t.out.nextCommand = t.progress.next.Load(), t.nextCommand
	t.out = t.pending.add(t.out, now)
}

// finish flushes the open windows after run has ended, and what the detector has learnt, up to a
// size in bytes.
func (t *task) finish(learnt int) {
	now := time.Now().UnixMilli()
	t.out.windows = t.windows.Flush(t.out.windows)
	t.detects.stop(t.devices, learnt, t.progress.next.Load(), now, t.out)
	t.flush(now)
}
