package processor

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/core/internal/aggregate"
	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/core/internal/presence"
	"industrial-iot-monitor/core/internal/rooms"
)

const (
	// maxChunk is how many readings are processed before their results are handed over.
	maxChunk = 256
	// maxPending is how many results may wait for a transaction before the task does.
	maxPending = 20_000
	// tickEvery is how often a task looks at the clock.
	tickEvery = time.Second
	// windowsPerTick is how many windows a task may emit at every tick. The end of a
	// minute comes for all devices at once; its windows are spread over spreadTicks.
	windowsPerTick = 1_000
	spreadTicks    = 20
	// windowGrace and windowIdle are the aggregator's.
	windowGrace = 2 * time.Second
	windowIdle  = 5 * time.Second
)

// task processes one partition. What is not marked otherwise belongs to the goroutine
// in run.
type task struct {
	p          *Processor
	partition  int32
	alertWaits func()

	devices  map[string]*device
	recorded map[*device]struct{} // devices with a record in alarm-state
	gateways map[string]*source   // that readings came from
	windows  *aggregate.Aggregator
	presence *presence.Tracker
	rooms    *rooms.Table                  // nil while no rule compares the sensors of a room
	told     map[string]map[string]verdict // findings that Watch was told of, by gateway and type
	book     *book
	commands chan *sarama.ConsumerMessage

	intake  intake.Intake
	changes []alarm.Transition
	view    alarm.RoomView
	alarmed []*device // their alarm state is to be written
	changed []*device // their device state is to be written
	out     *batch    // of the chunk at hand
	tally   tally
	late    int
	ahead   int // readings whose gateway's clock was fast, or
	behind  int // slow

	started       int64 // ms by the clock
	nextCommand   int64 // offset of the commands to go on from, negative while unknown
	lastWritten   int64 // ms, when the newest record processed was written to Kafka
	lastProcessed int64 // ms by the clock
	lastSwept     int64 // ms by the clock

	mu      sync.Mutex
	pending *batch // handed over, nil when there is nothing

	room chan struct{} // pending was taken

	// For readiness and metrics, read by anyone.
	online   atomic.Int64
	next     atomic.Int64 // offset to go on from, negative while unknown
	high     atomic.Int64 // the partition's high-water mark
	grew     atomic.Int64 // ms, when high last grew
	moved    atomic.Int64 // ms, when next last moved
	waiting  atomic.Int64 // ms, since when something waits for a transaction, 0 when nothing does
	inFlight atomic.Int64 // the same for what is in the open transaction
}

// device is what the stages know of one device.
type device struct {
	id       string
	alarm    alarm.State
	presence presence.Device
	windows  aggregate.Device
	room     rooms.Device
	silence  verdict // what Watch was told of its silence

	alarmed, changed bool // is in the task's list
	recorded         bool // has a record in alarm-state
}

func newTask(p *Processor, partition int32, alertWaits func()) *task {
	now := time.Now().UnixMilli()
	t := &task{
		p: p, partition: partition, alertWaits: alertWaits,
		devices: make(map[string]*device), recorded: make(map[*device]struct{}), gateways: make(map[string]*source),
		told: make(map[string]map[string]verdict), commands: make(chan *sarama.ConsumerMessage), started: now, nextCommand: -1,

		windows:  aggregate.New(aggregate.Options{Grace: windowGrace, Idle: windowIdle}),
		presence: presence.New(presence.Options{Refresh: p.cfg.StateRefresh}, now),
		out:      newBatch(),
		room:     make(chan struct{}, 1),
	}
	t.intake.Limits = p.limits
	t.next.Store(-1)
	t.moved.Store(now)
	t.follow()
	return t
}

func (t *task) addDevice(id string) *device {
	id = strings.Clone(id) // a reading's strings share its whole text
	d := &device{id: id}
	t.windows.Register(&d.windows, id)
	t.devices[id] = d
	return d
}

// run processes what the claim brings until ctx ends or failed is closed.
func (t *task) run(ctx context.Context, claim sarama.ConsumerGroupClaim, failed <-chan struct{}) {
	t.next.Store(claim.InitialOffset())
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	chunk := make([]*sarama.ConsumerMessage, 0, maxChunk)
	messages := claim.Messages()
	for {
		select {
		case <-ctx.Done():
			return
		case <-failed:
			return
		case now := <-ticker.C:
			t.watch(claim.HighWaterMarkOffset(), now.UnixMilli())
			t.tick(now.UnixMilli())
		case m := <-t.commands:
			t.command(m)
			if !t.waitForRoom(ctx, failed) {
				return
			}
		case m, ok := <-messages:
			if !ok {
				return
			}
			chunk = fill(append(chunk[:0], m), messages)
			t.process(chunk)
			clear(chunk) // a fetch's bytes live as long as one of its messages
			if !t.waitForRoom(ctx, failed) {
				return
			}
		}
	}
}

// fill adds what is there already, up to the chunk's room.
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

// handOver makes the results so far part of the next transaction.
func (t *task) handOver(now int64) {
	if t.out.empty() {
		return
	}
	t.out.next, t.out.nextCommand = t.next.Load(), t.nextCommand
	urgent := len(t.out.alerts)+len(t.out.audits) > 0
	t.mu.Lock()
	if t.pending == nil {
		t.pending, t.out = t.out, newBatch()
		t.waiting.Store(now)
	} else {
		t.pending.absorb(t.out)
		t.out.reset()
	}
	t.mu.Unlock()
	if urgent {
		t.alertWaits()
	}
}

// take hands what is pending to the committer, nil when there is nothing. It is called
// by the committer alone.
func (t *task) take() *batch {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.pending
	if b == nil {
		return nil
	}
	t.pending = nil
	t.inFlight.Store(t.waiting.Swap(0))
	select {
	case t.room <- struct{}{}:
	default:
	}
	return b
}

// settled says that what was taken is committed.
func (t *task) settled() { t.inFlight.Store(0) }

// waitForRoom waits while too much waits for a transaction. It returns false when the
// session is over.
func (t *task) waitForRoom(ctx context.Context, failed <-chan struct{}) bool {
	for {
		t.mu.Lock()
		full := t.pending != nil && t.pending.size() > maxPending
		t.mu.Unlock()
		if !full {
			return true
		}
		t.alertWaits()
		select {
		case <-t.room:
		case <-ctx.Done():
			return false
		case <-failed:
			return false
		}
	}
}
