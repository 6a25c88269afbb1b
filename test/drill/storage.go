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

// storageFaults break the disk, files and clock of gateways.
func storageFaults() []rig.Fault {
	return []rig.Fault{
		{
			Name: "power-cut", Breaks: "the power of a gateway fails; one cut comes right after its first start",
			Expects: "the stream is intact and the gateway ready within 5 s", Times: 20, Quick: 3, Site: newDiskSite(), Possible: canCutPower, Run: cutPower,
		},
		{
			Name: "disk-full", Breaks: "the disk of a gateway fills up, and is freed again",
			Expects: "devices are refused within 2 s with a reason, accepted again within 10 s", Times: 5, Quick: 1, Site: common(), Possible: canMount, Run: fillDisk,
		},
		{
			Name: "buffer-full", Breaks: "a gateway's buffer reaches its limit while the hub is unreachable",
			Expects: "devices are asked to retry later, metrics show it within 5 s, it drains after", Times: 3, Quick: 1, Site: common(), Run: fillBuffer,
		},
		{
			Name: "damaged-files", Breaks: "bits flip in a gateway's files, their tails are cut off, or they are zeroed",
			Expects: "only readings in damaged packs are lost; the ledger counts exactly those", Times: 3 * len(damages()), Quick: len(damages()), Site: common(), Run: damageFiles,
		},
		{
			Name: "wrong-clock", Breaks: "a gateway starts with its clock ten years ahead, an hour behind, or in 1970",
			Expects: "readings arrive as usual", Times: 3 * len(clocks()), Quick: len(clocks()), Site: common(), Possible: canShiftClock, Run: shiftClock,
		},
	}
}

// newDiskSite is a site for a gateway that gets an empty disk.
func newDiskSite() rig.Site {
	s := common()
	s.Load.Unrepeated = true
	return s
}

var errNotRoot = errors.New("mounting a disk needs root")

// canMount returns why no file system can be mounted here.
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

// move stops a gateway and moves its data to another directory. back moves it home and
// leaves the gateway stopped.
func move(ctx context.Context, r *rig.Round, gateway, dir string) (back func(context.Context) error, err error) {
	home := r.Env(gateway, "EDGE_DATA_DIR")
	relocate := func(ctx context.Context, from, to string) error {
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
	return func(ctx context.Context) error { return relocate(ctx, dir, home) }, relocate(ctx, home, dir)
}

// prober checks whether a gateway accepts messages. It sends no readings: a working gateway
// keeps them as dead letters and answers so.
type prober struct {
	nc      *nats.Conn
	subject string
	asked   int
}

func newProber(r *rig.Round, gateway string) (*prober, error) {
	nc, err := nats.Connect("nats://"+r.Env(gateway, "EDGE_NATS_ADDR"), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond),
		nats.RetryOnFailedConnect(true), nats.ReconnectJitter(0, 0))
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", gateway, err)
	}
	return &prober{nc: nc, subject: wire.TelemetrySubject("drill_probe")}, nil
}

// Answers of a gateway.
var (
	errRefused  = errors.New("asked to retry later")
	errAccepted = errors.New("accepted")
)

// ask sends a message and returns errAccepted, errRefused with the reason, or another error. No
// two messages are the same: a resend is answered even when nothing can be stored.
func (p *prober) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	p.asked++
	msg, err := p.nc.RequestWithContext(ctx, p.subject, fmt.Appendf(nil, `{"probe":%d}`, p.asked))
	if err != nil {
		return err
	}
	reply, err := wire.DecodeReply(msg.Data)
	switch {
	case err != nil:
		return err
	case reply.Error == nil:
		return errors.New("an empty message was accepted as a reading")
	case reply.Error.Code == 503:
		return fmt.Errorf("%w: %s: %s", errRefused, reply.Error.Reason, reply.Error.Message)
	}
	return errAccepted
}

// until waits for an answer.
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
