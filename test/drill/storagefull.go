package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/drill/rig"
)

const (
	refuseLimit = 2 * time.Second
	healLimit   = 10 * time.Second
	showLimit   = 5 * time.Second
	drainLimit  = 30 * time.Second
)

// onSmallDisk gives f the directory of a disk of a size such as 64m, which is there until f returns.
func onSmallDisk(ctx context.Context, r *rig.Round, size string, f func(dir string) error) (err error) {
	dir := filepath.Join(r.Dir, "small")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	if err := command(ctx, "mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir); err != nil {
		return err
	}
	return errors.Join(f(dir), command(context.WithoutCancel(ctx), "umount", dir))
}

func fillDisk(ctx context.Context, r *rig.Round) error {
	return onSmallDisk(ctx, r, "288m", func(dir string) error { return fillGateway(ctx, r, dir) })
}

// fillGateway moves a gateway to a small disk and fills it.
func fillGateway(ctx context.Context, r *rig.Round, dir string) (err error) {
	gateway := cluster.Gateway(r.Rand.IntN(r.Site.Gateways))
	last := context.WithoutCancel(ctx)
	back, err := move(ctx, r, gateway, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, back(last), r.Start(last, gateway)) }()
	if err := r.Start(ctx, gateway); err != nil {
		return err
	}
	p, err := newProber(r, gateway)
	if err != nil {
		return err
	}
	defer p.nc.Close()
	for range r.Times {
		if _, err := r.AwaitNew(ctx, gateway); err != nil {
			return err
		}
		if err := r.Moment(ctx, 100*time.Millisecond, time.Second); err != nil {
			return err
		}
		if err := fillOnce(ctx, r, p, gateway, dir); err != nil {
			return err
		}
	}
	restarts, err := r.Metric(ctx, gateway, "edge_store_restarts_total")
	r.Note("%s restarted its storage %.0f times", gateway, restarts)
	return err
}

func fillOnce(ctx context.Context, r *rig.Round, p *prober, gateway, dir string) error {
	filler := filepath.Join(dir, "filler")
	if err := fill(filler); err != nil {
		return err
	}
	r.Happened()
	took, answer, err := p.until(ctx, "a refusal by "+gateway, errRefused)
	if err != nil {
		return err
	}
	r.Recovered("a refusal with a reason on a full disk", took, refuseLimit)
	r.Note("with a full disk, devices were %v", answer)
	if err := rig.Sleep(ctx, r.Short(4*time.Second, 20*time.Second)); err != nil {
		return err
	}
	if err := os.Remove(filler); err != nil {
		return err
	}
	took, _, err = p.until(ctx, gateway+" accepting messages again", errAccepted)
	if err != nil {
		return err
	}
	r.Recovered("accepting messages after the disk was freed", took, healLimit)
	_, err = r.AwaitNew(ctx, gateway)
	return err
}

// fill allocates the whole disk at once, so that a write fails before any check sees it.
func fill(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(name, &st); err == nil {
		_ = syscall.Fallocate(int(f.Fd()), 0, 0, int64(st.Bavail)*st.Bsize) // the rest is written
	}
	_, err = f.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = io.Copy(f, endless{})
	}
	if errors.Is(err, syscall.ENOSPC) {
		err = nil
	}
	return errors.Join(err, f.Close())
}

// endless is a reader of zeros.
type endless struct{}

// Read implements io.Reader.
func (endless) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// fillBuffer gives a gateway a small buffer and cuts its line until the buffer is full.
func fillBuffer(ctx context.Context, r *rig.Round) (err error) {
	i := r.Rand.IntN(r.Site.Gateways)
	gateway := cluster.Gateway(i)
	was := r.Env(gateway, "EDGE_BUFFER_BYTES")
	if was == "" {
		was = "10737418240"
	}
	restartWith := func(ctx context.Context, bytes string) error {
		return errors.Join(r.Stop(gateway), r.SetEnv(gateway, map[string]string{"EDGE_BUFFER_BYTES": bytes}), r.Start(ctx, gateway))
	}
	if err := restartWith(ctx, fmt.Sprint(8<<20)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, restartWith(context.WithoutCancel(ctx), was)) }()
	p, err := newProber(r, gateway)
	if err != nil {
		return err
	}
	defer p.nc.Close()
	for range r.Times {
		if err := fillBufferOnce(ctx, r, p, i); err != nil {
			return err
		}
	}
	return nil
}

var errNotShown = errors.New("edge_buffer_full is 0")

func fillBufferOnce(ctx context.Context, r *rig.Round, p *prober, i int) error {
	gateway := cluster.Gateway(i)
	if _, err := r.AwaitNew(ctx, gateway); err != nil {
		return err
	}
	if err := r.Lines[i].Cut(); err != nil {
		return err
	}
	r.Happened()
	took, answer, err := p.until(ctx, "a refusal by "+gateway, errRefused)
	if err != nil {
		return err
	}
	r.Note("the buffer was full after %s, devices were %v", took.Round(100*time.Millisecond), answer)
	took, err = rig.Await(ctx, "the metric of a full buffer", func() error {
		full, err := r.Metric(ctx, gateway, "edge_buffer_full")
		if err == nil && full != 1 {
			err = errNotShown
		}
		return err
	})
	if err != nil {
		return err
	}
	r.Recovered("the full buffer in "+gateway+"'s metrics", took, showLimit)
	r.Check(r.Ready(ctx, gateway) != nil, "%s reports ready with a full buffer", gateway)
	if err := r.Moment(ctx, time.Second, 3*time.Second); err != nil {
		return err
	}
	if err := resume(ctx, r, i); err != nil {
		return err
	}
	took, _, err = p.until(ctx, gateway+" accepting messages again", errAccepted)
	if err != nil {
		return err
	}
	r.Recovered("accepting messages after the line was restored", took, drainLimit)
	return nil
}
