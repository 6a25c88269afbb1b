package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"

	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/test/drill/rig"
)

// storageFaults break what a gateway stores, and the clock it stores it by.
func storageFaults() []rig.Fault {
	return []rig.Fault{
		{
			Name: "power-cut", Breaks: "the power of a gateway fails; one cut comes right after its first start",
			Holds: "the stream is there and ready within 5 s", Times: 20, Quick: 3, Site: common(), Possible: canCutPower, Run: cutPower,
		},
		{
			Name: "disk-full", Breaks: "the disk of a gateway is full, and freed again",
			Holds: "devices are refused within 2 s with a reason, healed within 10 s", Times: 5, Quick: 1, Site: common(), Possible: canMount, Run: fillDisk,
		},
		{
			Name: "buffer-full", Breaks: "a gateway's buffer reaches its limit while the hub is away",
			Holds: "devices are told to retry later, it shows within 5 s, and drains after", Times: 3, Quick: 1, Site: common(), Run: fillBuffer,
		},
		{
			Name: "damaged-files", Breaks: "bits flip in a gateway's files, their tails are cut off, or they are zeroed",
			Holds: "what is lost was in a damaged pack; the ledger counts exactly those", Times: 3 * len(damages()), Quick: len(damages()), Site: common(), Run: damageFiles,
		},
		{
			Name: "wrong-clock", Breaks: "a gateway starts with its clock ten years ahead, an hour behind, or in 1970",
			Holds: "readings arrive as ever", Times: 3 * len(clocks()), Quick: len(clocks()), Site: common(), Possible: canShiftClock, Run: shiftClock,
		},
	}
}

var errNotRoot = errors.New("it takes root to mount a disk")

// canMount says why no file system can be mounted here.
func canMount() error {
	if os.Geteuid() != 0 {
		return errNotRoot
	}
	for _, tool := range []string{"mount", "umount"} {
		if _, err := exec.LookPath(tool); err != nil {
			return err
		}
	}
	return nil
}

// command runs a program of the system.
func command(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w: %s", name, args, err, out)
	}
	return nil
}

// gatewayDir is where a gateway keeps its data.
func gatewayDir(r *rig.Round, gateway string) string {
	return filepath.Join(r.Env(gateway, "EDGE_DATA_DIR"), gateway)
}

// move stops a gateway, takes its data to another directory, and returns how to take it
// back, which leaves the gateway stopped.
func move(ctx context.Context, r *rig.Round, gateway, dir string) (back func(context.Context) error, err error) {
	home := r.Env(gateway, "EDGE_DATA_DIR")
	take := func(ctx context.Context, from, to string) error {
		if r.Running(gateway) {
			if err := r.Stop(gateway); err != nil {
				return err
			}
		}
		if err := os.RemoveAll(filepath.Join(to, gateway)); err != nil {
			return err
		}
		if err := command(ctx, "cp", "-a", filepath.Join(from, gateway), to); err != nil {
			return err
		}
		return r.SetEnv(gateway, map[string]string{"EDGE_DATA_DIR": to})
	}
	return func(ctx context.Context) error { return take(ctx, dir, home) }, take(ctx, home, dir)
}

// prober asks a gateway again and again whether it takes messages. What it sends is no
// reading: a gateway that works keeps it as a dead letter and says so.
type prober struct {
	nc      *nats.Conn
	subject string
}

func newProber(r *rig.Round, gateway string) (*prober, error) {
	nc, err := nats.Connect("nats://"+r.Env(gateway, "EDGE_NATS_ADDR"), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond),
		nats.RetryOnFailedConnect(true), nats.ReconnectJitter(0, 0))
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", gateway, err)
	}
	return &prober{nc, wire.TelemetrySubject("drill_probe")}, nil
}

// Answers of a gateway.
var (
	errRefused = errors.New("told to retry later")
	errTaken   = errors.New("taken")
)

// ask returns errTaken, errRefused with the reason, or what else came of a message.
func (p *prober) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	msg, err := p.nc.RequestWithContext(ctx, p.subject, []byte("{}"))
	if err != nil {
		return err
	}
	reply, err := wire.DecodeReply(msg.Data)
	switch {
	case err != nil:
		return err
	case reply.Error == nil:
		return errors.New("an empty message was taken for a reading")
	case reply.Error.Code == 503:
		return fmt.Errorf("%w: %s: %s", errRefused, reply.Error.Reason, reply.Error.Message)
	}
	return errTaken
}

// until waits for a kind of answer.
func (p *prober) until(ctx context.Context, what string, want error) (took time.Duration, answer error, err error) {
	took, err = rig.Await(ctx, what, func() error {
		answer = p.ask(ctx)
		if errors.Is(answer, want) {
			return nil
		}
		return answer
	})
	return took, answer, err
}
