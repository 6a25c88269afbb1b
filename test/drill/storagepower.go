package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
	"unsafe"

	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/drill/rig"
	"industrial-iot-monitor/test/freeport"
)

const (
	powerReady = 5 * time.Second
	diskBytes  = 768 << 20

	// EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH (fs/ext4/ext4.h): the file system
	// stops at once and loses what was not written to the disk.
	fsIocShutdown  = 0x8004587d
	shutdownNoLogs = 2
)

// canCutPower returns why the power of a disk cannot be cut here.
func canCutPower() error {
	if err := canMount(); err != nil {
		return err
	}
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		return err
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		return fmt.Errorf("there are no loop devices: %w", err)
	}
	return nil
}

// disk is an ext4 file system in a file.
type disk struct{ image, dir string }

func newDisk(ctx context.Context, dir string) (*disk, error) {
	d := &disk{filepath.Join(dir, "disk.img"), filepath.Join(dir, "disk")}
	if err := os.MkdirAll(d.dir, 0o750); err != nil {
		return nil, err
	}
	f, err := os.Create(d.image)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(diskBytes), f.Close()); err != nil {
		return nil, err
	}
	if err := command(ctx, "mkfs.ext4", "-q", d.image); err != nil {
		return nil, err
	}
	return d, d.mount(ctx)
}

func (d *disk) mount(ctx context.Context) error {
	return command(ctx, "mount", "-o", "loop", d.image, d.dir)
}

func (d *disk) unmount(ctx context.Context) error { return command(ctx, "umount", d.dir) }

// cut simulates a power failure of the disk.
func (d *disk) cut() error {
	f, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	flags := uint32(shutdownNoLogs)
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), fsIocShutdown, uintptr(unsafe.Pointer(&flags)))
	err = f.Close()
	if errno != 0 {
		return fmt.Errorf("stopping the file system in %s: %w", d.dir, errno)
	}
	return err
}

// cutPower moves a gateway to a separate disk and cuts its power.
func cutPower(ctx context.Context, r *rig.Round) (err error) {
	gateway := cluster.Gateway(r.Rand.IntN(r.Site.Gateways))
	d, err := newDisk(ctx, r.Dir)
	if err != nil {
		return err
	}
	last := context.WithoutCancel(ctx)
	defer func() { err = errors.Join(err, d.unmount(last)) }()
	back, err := firstStart(ctx, r, gateway, d)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, back(last), r.Start(last, gateway)) }()
	for i := range r.Times {
		if i > 0 {
			if err := r.Moment(ctx, 100*time.Millisecond, 3*time.Second); err != nil {
				return err
			}
		}
		// ext4 lets an fsync that runs into the cut succeed without its data: seen with nothing
		// but pwrite and fsync, in 11 of 60 cuts. No disk does that, so none may run.
		if err := r.Suspend(gateway); err != nil {
			return err
		}
		if err := d.cut(); err != nil {
			return err
		}
		r.Happened()
		if err := r.Kill(gateway); err != nil {
			return err
		}
		if err := errors.Join(d.unmount(ctx), d.mount(ctx)); err != nil {
			return err
		}
		if err := restart(ctx, r, gateway, "ready after a power cut", powerReady); err != nil {
			return err
		}
		if _, err := r.AwaitNew(ctx, gateway); err != nil {
			return fmt.Errorf("after a power cut of %s: %w", gateway, err)
		}
	}
	return nil
}

// firstStart drains a gateway and starts it on an empty disk.
func firstStart(ctx context.Context, r *rig.Round, gateway string, d *disk) (back func(context.Context) error, err error) {
	if err := drain(ctx, r, gateway); err != nil {
		return nil, err
	}
	back, err = move(ctx, r, gateway, d.dir)
	if err != nil {
		return nil, err
	}
	if err := os.RemoveAll(filepath.Join(d.dir, gateway)); err != nil {
		return back, err
	}
	if err := r.Launch(gateway); err != nil {
		return back, err
	}
	if _, err := rig.Await(ctx, gateway+" on its new disk", func() error { return r.Ready(ctx, gateway) }); err != nil {
		return back, err
	}
	return back, r.Moment(ctx, 0, 300*time.Millisecond)
}

// drain starts a gateway on other addresses, without devices, and waits until its buffer is
// in Kafka. It leaves the gateway stopped with its own addresses.
func drain(ctx context.Context, r *rig.Round, gateway string) error {
	if err := r.Stop(gateway); err != nil {
		return err
	}
	was := map[string]string{"EDGE_NATS_ADDR": "", "EDGE_MQTT_ADDR": ""}
	away := map[string]string{}
	addrs, err := freeport.Addresses(len(was))
	if err != nil {
		return err
	}
	for name := range was {
		was[name], away[name] = r.Env(gateway, name), addrs[len(away)]
	}
	if err := errors.Join(r.SetEnv(gateway, away), r.Start(ctx, gateway)); err != nil {
		return err
	}
	const quiet = 2 * time.Second
	count, since := r.Arrived(gateway), time.Now()
	_, err = rig.Await(ctx, gateway+" delivering its buffer", func() error {
		if now := r.Arrived(gateway); now != count {
			count, since = now, time.Now()
		}
		if !r.Status(gateway).At.After(since) || time.Since(since) < quiet {
			return fmt.Errorf("%d readings so far", count)
		}
		return nil
	})
	return errors.Join(err, r.Stop(gateway), r.SetEnv(gateway, was))
}
