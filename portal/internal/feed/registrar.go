package feed

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/portal/internal/state"
	"industrial-iot-monitor/portal/internal/store"
)

const (
	// registerEvery is how often the model is compared with the registry.
	registerEvery = 5 * time.Second
	// registerBatch is how many devices are written at once.
	registerBatch = 500
	// registerRest is the pause between two batches, for others that write.
	registerRest = 20 * time.Millisecond
)

// registrar writes the devices that the model has into the registry, each when it is new, described, at
// another place or, once a day, seen. Removals come with the audit trail.
type registrar struct {
	store *store.Store
	model *state.Model
	log   *slog.Logger
	ready func() bool // the model has states and descriptions

	limit ops.LogLimit
}

func (r *registrar) run(ctx context.Context) {
	for lifecycle.Pause(ctx, registerEvery) {
		if !r.ready() || r.store.Up() != nil {
			continue
		}
		if err := r.register(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrUnavailable) {
			if skipped, ok := r.limit.Allow(); ok {
				r.log.Warn("writing the registry of devices failed, retrying", "err", err, "skipped", skipped)
			}
		}
	}
}

// register writes the devices that the registry has otherwise.
func (r *registrar) register(ctx context.Context) error {
	if err := r.store.LoadRegistry(ctx); err != nil {
		return err
	}
	var changed []store.Device
	now := r.model.Now()
	r.model.Each(func(d *state.Device) {
		if row := Registered(d, now); !r.store.Registered(&row) {
			changed = append(changed, row)
		}
	})
	for len(changed) > 0 {
		n := min(registerBatch, len(changed))
		if err := r.store.Register(ctx, changed[:n]); err != nil {
			return err
		}
		changed = changed[n:]
		lifecycle.Pause(ctx, registerRest)
	}
	return nil
}

// Registered returns what the registry has, or will have within seconds, of a device that is seen at now (ms).
func Registered(d *state.Device, now int64) store.Device {
	m, l, i := d.Meta(), d.Location(), d.Info()
	out := store.Device{
		ID: d.ID, Name: m.Name, Description: m.Description, Tags: m.Tags, DescribedAt: m.At, DescribedBy: m.By,
		Building: l.Building, Floor: l.Floor, Room: l.Room, Model: i.Model, Firmware: i.Firmware, Gateway: d.Gateway(),
		SeenAt: max(d.Seen(), d.Received()), FirstSeen: now,
	}
	if seen := d.Seen(); seen != 0 {
		out.FirstSeen = min(now, seen)
	}
	return out
}
